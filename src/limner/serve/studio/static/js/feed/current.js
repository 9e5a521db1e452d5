// One picture of a job is the current one: its actions are in sight. It follows the focus, and the pointer where that
// rests (a pointer on its way to the actions crosses others). One tab stop a job; arrows move.
import { on } from "../keys.js";

const REST = 140; // milliseconds
let resting = 0;

function make(place) {
  const tiles = place.closest("[data-tiles]");
  for (const each of tiles.children) {
    each.classList.toggle("current", each === place);
    each.querySelector("a.tile")?.setAttribute("tabindex", each === place ? "0" : "-1");
  }
}

document.addEventListener("pointerover", (event) => {
  clearTimeout(resting);
  const place = event.target.closest?.(".place");
  if (!place || event.pointerType === "touch" || event.target.closest(".acts")) return;
  if (!place.classList.contains("current")) resting = setTimeout(() => make(place), REST);
});
document.addEventListener("focusin", (event) => {
  const place = event.target.closest?.(".place");
  if (place) make(place);
});
document.addEventListener("limner:arrived", (event) => make(event.target.closest("[data-tiles]").querySelector(".current") ?? event.target));
for (const each of document.querySelectorAll("[data-tiles] .current")) make(each);

// Arrows: among the pictures of a job, and up and down between jobs.
function columns(tiles) {
  return getComputedStyle(tiles).gridTemplateColumns.split(" ").length;
}

function go(by) {
  const place = document.activeElement?.closest(".place");
  if (!place || document.activeElement.closest(".rating")) return false;
  const all = [...document.querySelectorAll(".place[data-picture]")];
  const tiles = place.closest("[data-tiles]");
  const own = [...tiles.querySelectorAll(".place[data-picture]")];
  const here = own.indexOf(place);
  const step = by === "up" ? -columns(tiles) : by === "down" ? columns(tiles) : by;
  let next = own[here + step];
  if (!next && (by === "up" || by === "down")) {
    const jobs = [...document.querySelectorAll("[data-tiles]")].filter((each) => each.querySelector("[data-picture]"));
    const other = jobs[jobs.indexOf(tiles) + (by === "up" ? -1 : 1)];
    const column = here % columns(tiles);
    const row = other ? [...other.querySelectorAll(".place[data-picture]")] : [];
    next = by === "up" ? row[Math.min(row.length - 1, Math.floor((row.length - 1) / columns(other ?? tiles)) * columns(other ?? tiles) + column)] : row[Math.min(column, row.length - 1)];
  } else if (!next) next = all[all.indexOf(place) + step];
  if (!next) return false;
  next.querySelector("a.tile").focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}
on("ArrowLeft", () => go(-1));
on("ArrowRight", () => go(1));
on("ArrowUp", () => go("up"));
on("ArrowDown", () => go("down"));
on("Escape", () => {
  if (document.querySelector("dialog[open], :popover-open")) return false;
  document.getElementById("prompt")?.focus();
  return true;
});

// From the prompt the newest pictures are one key away, where they are not reached by tabbing through all settings.
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "prompt" || event.key !== "Escape") return;
  document.querySelector(".place.current[data-picture] a.tile")?.focus();
});
