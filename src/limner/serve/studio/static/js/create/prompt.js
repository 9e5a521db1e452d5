// The prompt: Enter generates, Shift+Enter breaks the line, ↑ in an empty one recalls; what is typed is never lost.
import { say } from "../troubles.js";

const DRAFT = "limner.draft";
const PAST = "limner.prompts";
const MOST = 50;
const form = () => document.getElementById("create");
const prompt = () => document.getElementById("prompt");

let back = -1; // how far into the past ↑ went

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  const anywhere = event.ctrlKey || event.metaKey;
  const inPrompt = event.target === prompt() && !event.shiftKey && !event.altKey;
  if ((anywhere && form().contains(event.target)) || inPrompt) {
    event.preventDefault();
    form().requestSubmit();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.target !== prompt() || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  const past = JSON.parse(localStorage.getItem(PAST) ?? "[]");
  const field = event.target;
  const recalled = back >= 0 && field.value === past[back];
  if (event.key === "ArrowUp" && (field.value === "" || recalled) && back + 1 < past.length) back += 1;
  else if (event.key === "ArrowDown" && recalled) back -= 1;
  else return;
  event.preventDefault();
  set(back < 0 ? "" : past[back]);
});

// Put words into the prompt as if they were typed.
export function set(text) {
  const field = prompt();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.setSelectionRange(text.length, text.length);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-replace], [data-inserts], [data-edits]");
  if (!button) return;
  if (button.dataset.edits !== undefined) {
    if (button.dataset.edits) set(button.dataset.edits);
  } else if (button.dataset.inserts !== undefined) insert(button.dataset.inserts);
  else replace(button.dataset.replace, button.dataset.with);
  prompt().focus();
});

function insert(text) {
  const field = prompt();
  const before = field.value.slice(0, field.selectionStart);
  const after = field.value.slice(field.selectionEnd);
  const gap = before && !/\s$/.test(before) ? " " : "";
  set(`${before}${gap}${text}${after}`);
}

function replace(word, other) {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}'’-])${escaped}(?![\\p{L}\\p{N}'’-])`, "giu");
  set(prompt().value.replace(pattern, other).replace(/ {2,}/g, " ").trim());
  say(other ? `${word} replaced by ${other}` : `${word} left out`);
}

// The draft: kept while it is typed, put back on a page that was opened without words of its own.
document.addEventListener("input", (event) => {
  if (event.target === prompt()) localStorage.setItem(DRAFT, event.target.value);
});
const draft = localStorage.getItem(DRAFT);
if (draft && !prompt().value && form().dataset.given === undefined) {
  prompt().value = draft;
  document.addEventListener("DOMContentLoaded", () => prompt().dispatchEvent(new CustomEvent("relint")), { once: true });
}
document.addEventListener("change", (event) => {
  if (event.target.id === "model") setTimeout(() => prompt().dispatchEvent(new CustomEvent("relint")));
});

// Sent: remember the words, name the next sending anew, so that a repeated one draws nothing twice.
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt !== form()) return;
  if (event.detail.successful) {
    const words = prompt().value;
    const past = JSON.parse(localStorage.getItem(PAST) ?? "[]").filter((each) => each !== words);
    localStorage.setItem(PAST, JSON.stringify([words, ...past].slice(0, MOST)));
    back = -1;
    const key = crypto.getRandomValues(new Uint32Array(3));
    form().elements.key.value = Array.from(key, (each) => each.toString(16)).join("");
  } else if (event.detail.xhr.status === 429) wait(Number(event.detail.xhr.getResponseHeader("retry-after")) || 5);
});

// The queue is full: the words stay, the button comes back when there may be room.
function wait(seconds) {
  const button = document.getElementById("generate");
  const say = (text) => (document.getElementById("generate-words").textContent = text);
  const end = Date.now() + seconds * 1000;
  button.disabled = true;
  const tick = setInterval(() => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left > 0) say(`Room in ${left} s`);
    else {
      clearInterval(tick);
      button.disabled = false;
      say("Generate");
    }
  }, 250);
}

// A phone's keyboard: where it covers the page instead of shrinking it, the dock stands on it.
const view = window.visualViewport;
view?.addEventListener("resize", () => {
  const covered = Math.max(0, innerHeight - view.height - view.offsetTop);
  document.documentElement.style.setProperty("--keyboard", covered > 120 ? `${covered}px` : "0px");
});
