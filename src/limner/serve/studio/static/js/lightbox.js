// A picture over the grid: the address is its own, Back closes, and the grid is as it was. On the image page it makes
// the same buttons work.
import { open } from "./dialog.js";
import { on } from "./keys.js";
import { say, trouble } from "./troubles.js";

const grid = document.getElementById("pictures");
const titles = document.title;
let box = document.getElementById("lightbox");
let shown = null; // the address in the box

function boxOf() {
  if (box) return box;
  box = document.createElement("dialog");
  box.id = "lightbox";
  box.className = "lightbox";
  box.setAttribute("aria-label", "Picture");
  const view = document.createElement("div");
  view.id = "lightbox-view";
  box.append(view);
  document.body.append(box);
  wire();
  return box;
}

async function show(href) {
  const url = new URL(href, location.href);
  const view = document.getElementById("lightbox-view");
  shown = url.pathname + url.search;
  const wanted = shown;
  let answer;
  try {
    answer = await fetch(`/ui${wanted}`, { headers: { "hx-request": "true" } });
  } catch {
    trouble("The server does not answer.", "try again when it does; nothing is lost.");
    return false;
  }
  if (shown !== wanted) return true; // a later one was asked for meanwhile
  const text = await answer.text();
  if (!answer.ok) {
    location.assign(href); // the page says what is wrong
    return false;
  }
  view.innerHTML = text;
  window.htmx.process(view);
  box.scrollTop = 0;
  const viewer = view.querySelector(".viewer");
  document.title = viewer?.getAttribute("aria-label") ?? titles;
  ahead(view);
  return true;
}

// The neighbours' pages are asked for when the picture is there, so that arrows do not wait for pictures.
function ahead(view) {
  for (const link of view.querySelectorAll("a[rel]")) {
    const id = new URL(link.href).pathname.split("/").pop();
    new Image().src = `/api/v1/pictures/${id}/file`;
  }
}

// What is said, what went wrong and the way back from deleting are seen over the box too: it makes all else inert.
const carried = ["troubles", "undo", "said"].map((id) => document.getElementById(id)).filter(Boolean);
const homes = new Map(carried.map((each) => [each, { parent: each.parentElement, before: each.nextSibling }]));

function raise(opener) {
  box.prepend(...carried);
  open(box, opener);
}

function lower() {
  for (const [each, { parent, before }] of homes) parent.insertBefore(each, before?.parentElement === parent ? before : null);
}

async function enter(tile, href) {
  boxOf();
  if (!(await show(href))) return;
  raise(tile);
  box.querySelector("[data-closes]")?.focus({ preventScroll: true });
  history.pushState({ lightbox: true }, "", href);
}

async function step(href) {
  const focused = document.activeElement?.getAttribute?.("aria-label");
  if (!(await show(href))) return;
  history.replaceState({ lightbox: true }, "", href);
  const again = focused && box.querySelector(`[aria-label="${CSS.escape(focused)}"]`);
  (again ?? box.querySelector("[data-closes]"))?.focus({ preventScroll: true });
  say(box.querySelector(".viewer")?.getAttribute("aria-label") ?? "");
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const tile = event.target.closest("#pictures .tile[href], a[data-lightbox]");
  if (tile) {
    event.preventDefault();
    enter(tile, tile.getAttribute("href"));
    return;
  }
  const link = event.target.closest(".lightbox a[data-step]");
  if (link) {
    event.preventDefault();
    step(link.getAttribute("href"));
  }
});

// What was done in the box is seen in the grid: the tile of the last picture gets the focus, and its stars.
function closed() {
  lower();
  document.title = titles;
  const viewer = box.querySelector(".viewer");
  const cell = viewer && grid?.querySelector(`.cell[data-id="${viewer.dataset.id}"]`);
  const back = () => cell?.querySelector(".tile").focus({ preventScroll: !hidden(cell) });
  if (cell) {
    const stars = Number(viewer.querySelector(".rating input:checked")?.value ?? 0);
    import("./gallery_choose.js").then(({ stamp }) => stamp(viewer.dataset.id, stars));
  }
  back();
  shown = null;
  document.getElementById("lightbox-view").replaceChildren();
  if (!history.state?.lightbox) return;
  addEventListener("popstate", () => setTimeout(back), { once: true }); // going back takes the focus away
  history.back();
}

function hidden(cell) {
  const { top, bottom } = cell.getBoundingClientRect();
  return bottom < 120 || top > innerHeight;
}

function wire() {
  box.addEventListener("close", closed);
}
if (box) wire();

addEventListener("popstate", (event) => {
  if (box?.open && !event.state?.lightbox) {
    box.close();
  } else if (event.state?.lightbox && box && !box.open) {
    show(location.pathname + location.search).then((there) => there && raise());
  }
});

// Buttons of the view, wherever it is.
document.addEventListener("click", (event) => {
  const button = event.target.closest(".viewer button");
  const viewer = button?.closest(".viewer");
  if (!viewer) return;
  if (button.hasAttribute("data-fit")) fit(viewer, button);
  else if (button.hasAttribute("data-info")) {
    const bare = viewer.classList.toggle("bare");
    button.setAttribute("aria-pressed", String(!bare));
  } else if (button.dataset.copy !== undefined) copy(button);
});

function fit(viewer, button) {
  const real = viewer.querySelector(".mat").classList.toggle("real");
  button.setAttribute("aria-pressed", String(real));
  button.textContent = real ? "Fit" : "100 %";
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const words = button.closest(".prompt-part").querySelector(".prompt-words");
    getSelection().selectAllChildren(words);
    say("The words are selected: copy them with the keyboard");
    return;
  }
  say("Copied");
  const label = button.lastChild;
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => (label.textContent = before), 1500);
}

// Deleting in the box closes it, and the grid has the way back.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-delete-one]");
  if (!form || !grid || !box?.open) return;
  event.preventDefault();
  const { remove } = await import("./gallery_choose.js");
  const id = form.elements.ids.value;
  const next = box.querySelector("a[rel=next], a[rel=prev]");
  if (!(await remove([id]))) return;
  if (next) step(next.getAttribute("href"));
  else box.close();
});

// On the page of its own, Escape leads back to the gallery.
on("Escape", () => {
  const back = !document.querySelector("dialog[open]") && document.querySelector(".viewer-bar a[href^='/gallery']");
  if (!back) return false;
  back.click();
  return true;
});
