// The mask editor: what is painted is what is drawn anew. The mask stays until it is cleared.
import { ask } from "./gallery_ask.js";
import { on } from "./keys.js";
import { pixels, Paint } from "./mask_paint.js";
import { view } from "./mask_view.js";
import { say, trouble } from "./troubles.js";

const root = document.getElementById("editor");
const board = document.getElementById("board");
const canvas = document.getElementById("mask");
const ghost = document.getElementById("ghost");
const width = Number(root.dataset.width);
const height = Number(root.dataset.height);
const size = document.getElementById("brush-size");
const covered = document.getElementById("covered");
const state = document.getElementById("fill-state");
const form = document.getElementById("fill");

board.style.setProperty("--ratio", String(width / height));
const paint = new Paint(canvas, width, height, changed);
const zoom = view(document.getElementById("easel"), board, document.getElementById("zoom-fit"));
const tool = () => root.querySelector("input[name=tool]:checked").value;
const radius = () => (Number(size.value) / 100) * Math.min(canvas.width, canvas.height);

function changed() {
  const share = paint.share();
  document.getElementById("undo-stroke").disabled = !paint.undoable;
  document.getElementById("clear-mask").disabled = share === 0;
  const said = share && share < 0.01 ? "less than 1 %" : `${Math.round(share * 100)} %`;
  covered.textContent = share ? `${said} of the picture is masked.` : "Paint over what is to be drawn anew.";
}

// Strokes and boxes, by pointer. A second finger ends the stroke and moves the picture instead.
let stroke = null;
canvas.addEventListener("pointerdown", (event) => {
  if (event.button || zoom.down(event)) {
    stroke?.cancel();
    stroke = null;
    return;
  }
  canvas.setPointerCapture(event.pointerId);
  const at = pixels(canvas, event);
  stroke = tool() === "box" ? boxing(at) : painting(at);
});
canvas.addEventListener("pointermove", (event) => {
  if (zoom.move(event)) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) stroke?.to(pixels(canvas, each));
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    zoom.up(event);
    if (end === "pointerup") stroke?.end();
    else stroke?.cancel();
    stroke = null;
  });
}

function painting(at) {
  const erase = tool() === "erase";
  paint.begin();
  let last = at;
  paint.line(at, at, radius(), erase);
  return {
    to: (next) => {
      paint.line(last, next, radius(), erase);
      last = next;
    },
    end: () => paint.finish(),
    cancel: () => paint.undo(),
  };
}

function boxing(at) {
  let box = null;
  return {
    to: (next) => {
      box = { x: Math.min(at.x, next.x), y: Math.min(at.y, next.y), w: Math.abs(next.x - at.x), h: Math.abs(next.y - at.y) };
      outline(box);
    },
    end: () => {
      ghost.hidden = true;
      if (!box || box.w < 2 || box.h < 2) return;
      paint.begin();
      paint.box(box, false);
      paint.finish();
    },
    cancel: () => (ghost.hidden = true),
  };
}

function outline({ x, y, w, h }) {
  const part = (value, of) => `${(value / of) * 100}%`;
  ghost.style.setProperty("left", part(x, canvas.width));
  ghost.style.setProperty("top", part(y, canvas.height));
  ghost.style.setProperty("width", part(w, canvas.width));
  ghost.style.setProperty("height", part(h, canvas.height));
  ghost.hidden = false;
}

// The same by keys: a box is moved, sized and placed.
let held = { x: canvas.width / 4, y: canvas.height / 4, w: canvas.width / 2, h: canvas.height / 2 };
canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && outline(held));
canvas.addEventListener("blur", () => (ghost.hidden = true));
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const way = ways[event.key];
  if (way) {
    const dx = (way[0] * canvas.width) / 32;
    const dy = (way[1] * canvas.height) / 32;
    if (event.shiftKey) {
      held.w = within(held.w + dx, canvas.width / 32, canvas.width - held.x);
      held.h = within(held.h + dy, canvas.height / 32, canvas.height - held.y);
    } else {
      held.x = within(held.x + dx, 0, canvas.width - held.w);
      held.y = within(held.y + dy, 0, canvas.height - held.h);
    }
    outline(held);
    fields(held);
  } else if (event.key === "Enter") {
    paint.begin();
    paint.box(held, tool() === "erase");
    paint.finish();
    say(covered.textContent);
  } else return;
  event.preventDefault();
  event.stopPropagation();
});
const within = (value, low, high) => Math.max(low, Math.min(high, value));

const field = (name) => document.getElementById(`box-${name}`);
function fields(box) {
  field("left").value = Math.round((box.x / canvas.width) * width);
  field("top").value = Math.round((box.y / canvas.height) * height);
  field("wide").value = Math.round((box.w / canvas.width) * width);
  field("high").value = Math.round((box.h / canvas.height) * height);
}
function placed(erase) {
  const across = canvas.width / width;
  const down = canvas.height / height;
  const number = (name) => Number(field(name).value) || 0;
  held = { x: number("left") * across, y: number("top") * down, w: number("wide") * across, h: number("high") * down };
  paint.begin();
  paint.box(held, erase);
  paint.finish();
}
document.getElementById("box-add").addEventListener("click", () => placed(false));
document.getElementById("box-drop").addEventListener("click", () => placed(true));

document.getElementById("undo-stroke").addEventListener("click", () => paint.undo());
document.getElementById("clear-mask").addEventListener("click", () => {
  paint.begin();
  paint.clear();
  paint.finish();
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches("textarea, input")) return;
  event.preventDefault();
  paint.undo();
});
const resize = (by) => () => {
  size.value = Number(size.value) + by;
  return true;
};
on("[", resize(-2));
on("]", resize(2));
on("o", () => {
  const other = root.querySelector("input[name=shown]:not(:checked)");
  other?.click();
  return Boolean(other);
});

// Fill: the mask is sent as a picture, then the question.
const strength = document.getElementById("strength");
strength.addEventListener("input", () => (document.getElementById("strength-out").value = strength.value));
const words = document.getElementById("words");
words.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!paint.share()) {
    covered.textContent = "Nothing is masked yet: paint over what is to be drawn anew.";
    canvas.focus();
    return;
  }
  const button = document.getElementById("fill-button");
  button.disabled = true;
  show("original");
  board.classList.remove("showing");
  try {
    const mask = await sent();
    const answer = mask && (await ask(form.getAttribute("action"), { prompt: words.value, strength: strength.value, mask }));
    if (answer) {
      state.innerHTML = answer;
      window.htmx.process(state);
    }
  } finally {
    button.disabled = false;
  }
});

async function sent() {
  let answer;
  try {
    answer = await fetch("/api/v1/inputs", { method: "POST", body: await paint.png(), headers: { "content-type": "image/png" } });
  } catch {
    trouble("The mask could not be sent.", "try again when the server answers; the mask stays.");
    return null;
  }
  const said = await answer.json();
  if (answer.ok) return said.id;
  trouble(said.error.message, said.error.hint ?? "");
  return null;
}

// What comes back is shown once it is decoded; the mask is hidden over it, and kept.
const result = document.getElementById("result");
async function arrived() {
  const job = state.querySelector("[data-result]");
  if (!job || result.dataset.of === job.dataset.result) return;
  result.dataset.of = job.dataset.result;
  result.src = job.dataset.src;
  await result.decode().catch(() => {});
  show("result");
  say("The result is there");
}
function show(which) {
  result.hidden = which !== "result";
  board.classList.toggle("showing", Boolean(state.querySelector("[data-result]")));
}
document.addEventListener("htmx:afterSettle", arrived);
state.addEventListener("change", (event) => {
  if (event.target.name === "shown") show(event.target.value);
});
state.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-discard]");
  if (!button || (await ask("/ui/gallery/delete", { ids: button.dataset.discard })) === null) return;
  state.replaceChildren();
  result.removeAttribute("data-of");
  show("original");
  words.focus();
  say("Discarded; the mask is as it was");
});
document.body.addEventListener("limner:tiding", ({ detail }) => {
  const job = state.querySelector(`[data-job="${detail.job}"]`);
  if (!job || detail.type !== "step") return;
  const bar = job.querySelector("progress");
  if (!bar) return;
  bar.max = detail.steps;
  bar.value = detail.step;
  const line = job.querySelector("[data-steps]");
  if (line) line.textContent = `Step ${detail.step} of ${detail.steps}`;
});
// The picture's own colours come from the system's: stripes are drawn again when the theme changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint.restripe());
changed();
