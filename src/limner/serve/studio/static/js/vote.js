// A pair is shown when both pictures are decoded, so that neither is seen first. Votes wait for it too.
import { say } from "./troubles.js";

async function show(root) {
  const pictures = [...root.querySelectorAll("img[data-awaited]")];
  if (!pictures.length) {
    root.querySelector("h2")?.scrollIntoView({ block: "nearest" });
    return;
  }
  root.classList.add("waiting");
  const buttons = [...root.querySelectorAll(".vote-pictures button")];
  for (const each of buttons) each.disabled = true;
  await Promise.allSettled(pictures.map((each) => each.decode()));
  for (const each of buttons) each.disabled = false;
  root.classList.remove("waiting");
  say("A new pair");
}

const present = () => document.querySelector("[data-vote]");
show(present());
document.addEventListener("htmx:afterSwap", () => {
  const root = present();
  if (root && !root.dataset.seen) {
    root.dataset.seen = "1";
    show(root);
  }
});
