// A picture dropped or pasted anywhere: it opens itself if it is known, else its settings come back, else it is the
// start. One that is chosen at "Start from a picture" is the start at once.
import { say, trouble } from "../troubles.js";

const KINDS = ["image/png", "image/jpeg", "image/webp"];
const veil = document.querySelector(".drop-here");
let inside = 0;

const files = (data) => [...(data?.items ?? [])].some((each) => each.kind === "file");

addEventListener("dragenter", (event) => {
  if (!files(event.dataTransfer)) return;
  inside += 1;
  veil.hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!files(event.dataTransfer)) return;
  inside = Math.max(0, inside - 1);
  veil.hidden = inside === 0;
});
addEventListener("dragover", (event) => {
  if (files(event.dataTransfer)) event.preventDefault();
});
addEventListener("drop", (event) => {
  inside = 0;
  veil.hidden = true;
  if (!event.dataTransfer?.files.length) return;
  event.preventDefault();
  const where = event.target.closest?.("#start") ? "/ui/start" : "/ui/open";
  send(event.dataTransfer.files[0], where);
});
addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => KINDS.includes(each.type));
  if (!file) return;
  event.preventDefault();
  send(file, "/ui/open");
});
document.addEventListener("change", (event) => {
  if (event.target.id === "start-file" && event.target.files.length) send(event.target.files[0], "/ui/start");
});

async function send(file, where) {
  if (!KINDS.includes(file.type)) {
    trouble(`${file.name || "This"} is not a PNG, JPEG or WebP picture.`, "convert it first");
    return;
  }
  say("Sending the picture");
  const body = new FormData();
  body.append("file", file);
  let answer;
  try {
    answer = await fetch(where, { method: "POST", body, headers: { "hx-request": "true" } });
  } catch {
    trouble("The picture could not be sent: the server does not answer.", "try again when the link is back");
    return;
  }
  const goes = answer.headers.get("hx-redirect");
  if (goes) {
    location.assign(goes);
    return;
  }
  take(await answer.text(), answer.ok ? answer.headers.get("x-limner-part") : "trouble", file);
}

function take(html, part, file) {
  if (part === "form") {
    put(document.getElementById("create"), html);
    document.getElementById("prompt").focus();
    say("The picture's settings are in the form");
  } else if (part === "start") {
    const start = document.getElementById("start");
    if (!start) {
      trouble("This model cannot draw over a picture.", "choose another model");
      return;
    }
    show(put(start, html), file);
    document.getElementById("create").dispatchEvent(new Event("change", { bubbles: true }));
    say("The picture is the start");
  } else document.getElementById("troubles").insertAdjacentHTML("beforeend", html);
}

function put(old, html) {
  const made = document.createRange().createContextualFragment(html.trim()).firstElementChild;
  old.replaceWith(made);
  htmx.process(made);
  return made;
}

function show(start, file) {
  const place = start.querySelector("[data-start-image]");
  const image = new Image();
  image.alt = "Start picture";
  image.src = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  place.replaceChildren(image);
}
