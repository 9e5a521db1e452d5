// One tab stop for all tiles; arrows move it. What comes next may have to be asked for first.
import { on } from "./keys.js";
import { fill } from "./gallery.js";

const shelf = document.getElementById("pictures");
let stop = null;

export const tiles = () => [...shelf.querySelectorAll(".cell:not(.leaving) > .tile")];
export const focused = () => document.activeElement?.closest?.("#pictures .tile") ?? null;

export function settle(tile) {
  if (!tile) return;
  if (stop && stop !== tile) stop.tabIndex = -1;
  stop = tile;
  stop.tabIndex = 0;
}

function columns(tile) {
  return getComputedStyle(tile.closest(".grid")).gridTemplateColumns.split(" ").length;
}

async function move(by) {
  const from = focused() ?? stop;
  const all = tiles();
  let place = all.indexOf(from);
  if (!focused()) {
    if (!all.length) return;
    const first = stop?.isConnected ? stop : (all.find((each) => each.getBoundingClientRect().top > 100) ?? all[0]);
    settle(first);
    first.focus();
    return;
  }
  const wanted = place + by;
  if (wanted < 0 || wanted >= all.length) {
    const grids = [...shelf.querySelectorAll(".grid")];
    const next = grids[grids.indexOf(from.closest(".grid")) + Math.sign(by)];
    if (!next) return;
    await fill(next);
    place = tiles().indexOf(from);
  }
  const tile = tiles()[Math.max(0, Math.min(tiles().length - 1, place + by))];
  settle(tile);
  tile.focus();
  tile.scrollIntoView({ block: "nearest" });
}

// Up and down stay in their column, also where a stretch ends with a row that is not full.
function vertical(way) {
  const from = focused();
  if (!from) return way;
  const own = [...from.closest(".grid").querySelectorAll(".cell:not(.leaving) > .tile")];
  const cols = columns(from);
  const place = own.indexOf(from);
  const column = place % cols;
  if (way > 0) {
    if (place + cols < own.length) return cols;
    const lastRow = Math.floor((own.length - 1) / cols) * cols;
    return place < lastRow ? own.length - 1 - place : own.length - place + column;
  }
  if (place >= cols) return -cols;
  const grids = [...shelf.querySelectorAll(".grid")];
  const above = grids[grids.indexOf(from.closest(".grid")) - 1];
  const count = Number(above?.dataset.count ?? 0);
  const over = Math.min(Math.floor((count - 1) / cols) * cols + column, count - 1);
  return -(place + Math.max(1, count - over));
}

if (shelf) {
  for (const [key, by] of Object.entries({
    ArrowRight: () => 1,
    ArrowLeft: () => -1,
    ArrowDown: () => vertical(1),
    ArrowUp: () => vertical(-1),
  })) {
    on(key, (event) => {
      if (document.querySelector("dialog[open], .menu[open]")) return false;
      if (!focused() && document.activeElement !== document.body && !document.activeElement.closest("main")) return false;
      const from = focused();
      const step = by();
      move(step).then(() => {
        if (event.shiftKey && from) document.dispatchEvent(new CustomEvent("limner:run", { detail: { from, to: focused() } }));
      });
      return true;
    });
  }
  for (const [key, pick] of Object.entries({ Home: (all) => all[0], End: (all) => all.at(-1) })) {
    on(key, () => {
      if (!focused()) return false;
      const tile = pick([...focused().closest(".grid").querySelectorAll(".cell:not(.leaving) > .tile")]);
      settle(tile);
      tile.focus();
      return true;
    });
  }
  shelf.addEventListener("focusin", (event) => settle(event.target.closest(".tile")));
  shelf.addEventListener("limner:filled", () => stop?.isConnected || settle(tiles()[0]));
  settle(tiles()[0]);
}
