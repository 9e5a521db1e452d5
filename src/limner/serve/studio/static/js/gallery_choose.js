// Choosing pictures, and what is done with the chosen: rate, compare, delete with ten seconds to undo.
import { ask } from "./gallery_ask.js";
import { focused, settle, tiles } from "./gallery_move.js";
import { on } from "./keys.js";
import { say } from "./troubles.js";

const shelf = document.getElementById("pictures");
const bar = document.getElementById("chosen");
const undo = document.getElementById("undo");
const chosen = new Set(); // also of pictures whose tiles are not on the page at the moment
let last = null;

const cell = (id) => shelf?.querySelector(`.cell[data-id="${id}"]`);
const idOf = (tile) => tile?.closest(".cell").dataset.id;

function choose(id, state) {
  if (state) chosen.add(id);
  else chosen.delete(id);
  const box = cell(id)?.querySelector(".pick");
  if (box) box.checked = state;
  bar.hidden = chosen.size === 0;
  bar.querySelector("[data-chosen-count]").textContent = chosen.size;
  bar.querySelector("[data-compare]").disabled = chosen.size !== 2;
  bar.querySelector("[data-refine]").disabled = chosen.size !== 1;
}

function none() {
  for (const id of [...chosen]) choose(id, false);
}

// What keys are meant for: the chosen ones, or else the one in focus.
function meant() {
  if (chosen.size) return [...chosen];
  const id = idOf(focused());
  return id ? [id] : [];
}

function run(from, to) {
  const all = tiles();
  const [a, b] = [all.indexOf(from), all.indexOf(to)].sort((x, y) => x - y);
  if (a < 0) return;
  for (const tile of all.slice(a, b + 1)) choose(idOf(tile), true);
  say(`${chosen.size} chosen`);
}

async function rate(ids, stars) {
  const answer = await ask("/ui/gallery/rating", { ids: ids.join(","), rating: stars });
  if (answer === null) return;
  for (const id of ids) stamp(id, stars);
  const words = document.createElement("template");
  words.innerHTML = answer;
  say(words.content.textContent.trim());
}

export function stamp(id, stars) {
  const line = cell(id)?.querySelector(".cell-stars");
  if (!line) return;
  line.replaceChildren();
  if (!stars) return;
  const said = document.createElement("span");
  said.className = "vh";
  said.textContent = `Rated ${stars} of 5`;
  const seen = document.createElement("span");
  seen.setAttribute("aria-hidden", "true");
  seen.textContent = "★".repeat(stars);
  line.append(said, seen);
}

export async function remove(ids) {
  const answer = await ask("/ui/gallery/delete", { ids: ids.join(",") });
  if (answer === null) return false;
  const next = after(ids);
  for (const id of ids) {
    choose(id, false);
    cell(id)?.classList.add("leaving");
  }
  settle(next);
  if (next && !document.querySelector("dialog[open]")) next.focus({ preventScroll: true });
  undo.insertAdjacentHTML("beforeend", answer);
  count(undo.lastElementChild);
  say(`${ids.length} deleted; undo within 10 seconds`);
  return true;
}

function after(ids) {
  const all = tiles();
  const from = Math.max(...ids.map((id) => all.findIndex((tile) => idOf(tile) === id)));
  const stays = (tile) => tile && !ids.includes(idOf(tile));
  return all.slice(from + 1).find(stays) ?? all.slice(0, Math.max(from, 0)).findLast(stays);
}

function count(form) {
  const until = Date.now() + Number(form.dataset.undo) * 1000;
  const ids = form.elements.ids.value.split(",");
  const tick = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    form.querySelector("[data-left]").textContent = ` (${Math.max(left, 0)})`;
    if (left > 0 && form.isConnected) return;
    clearInterval(tick);
    form.remove();
    for (const id of ids) if (cell(id)?.classList.contains("leaving")) cell(id).classList.add("gone");
  }, 250);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.querySelector("button").disabled = true;
    if ((await ask("/ui/gallery/restore", { ids: ids.join(",") })) !== null) {
      for (const id of ids) cell(id)?.classList.remove("leaving");
      if (location.search.includes("deleted=")) location.assign("/gallery");
      cell(ids[0])?.querySelector(".tile").focus({ preventScroll: true });
      say("Restored");
    }
    form.remove();
  });
}

if (shelf) {
  shelf.addEventListener("change", (event) => {
    if (!event.target.matches(".pick")) return;
    choose(event.target.value, event.target.checked);
    last = event.target.closest(".cell").querySelector(".tile");
  });
  shelf.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || event.metaKey || event.ctrlKey) return;
    const selecting = document.body.classList.contains("selecting");
    if (event.shiftKey && last?.isConnected) run(last, tile);
    else if (selecting) choose(idOf(tile), !chosen.has(idOf(tile)));
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    last = tile;
  });
  shelf.addEventListener("limner:filled", () => chosen.forEach((id) => cell(id) && choose(id, true)));
  document.addEventListener("limner:run", ({ detail }) => run(detail.from, detail.to));

  on("Space", () => {
    const id = idOf(focused());
    if (!id) return false;
    choose(id, !chosen.has(id));
    last = focused();
    say(chosen.has(id) ? `Chosen, ${chosen.size} in all` : `Not chosen, ${chosen.size} in all`);
    return true;
  });
  on("Escape", () => {
    if (!chosen.size || document.querySelector("dialog[open]")) return false;
    none();
    return true;
  });
  on("c", () => {
    if (document.querySelector("dialog[open]") || !chosen.size) return false;
    if (chosen.size === 2) bar.querySelector("[data-compare]").click();
    else say("Choose two pictures to compare them");
    return true;
  });
  on("Delete", () => {
    if (document.querySelector("dialog[open]") || !meant().length) return false;
    remove(meant());
    return true;
  });
  for (let stars = 0; stars <= 5; stars += 1) {
    on(String(stars), () => {
      if (document.querySelector("dialog[open]") || !meant().length) return false;
      rate(meant(), stars);
      return true;
    });
  }
}

bar?.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.rateAll !== undefined) rate([...chosen], Number(button.dataset.rateAll));
  else if (button?.hasAttribute("data-none")) none();
  else if (button?.hasAttribute("data-refine")) location.assign(`/compare?new=refine&picture=${[...chosen][0]}`);
});
bar?.addEventListener("submit", (event) => {
  event.preventDefault();
  const ids = [...chosen];
  if (event.submitter?.hasAttribute("data-delete")) remove(ids);
  else if (ids.length === 2) location.assign(`/i/${ids[1]}?with=${ids[0]}`);
});

const select = document.getElementById("select");
select?.addEventListener("click", () => {
  const state = document.body.classList.toggle("selecting");
  select.setAttribute("aria-pressed", String(state));
  if (!state) none();
});
undo?.querySelectorAll("form").forEach(count);
