// A study under way: its numbers as they come, its pictures and tree a few times a minute, the verdict when it is over.
import { say } from "./troubles.js";

const EVERY = 2500; // milliseconds between two looks at what was found
let news = false;

const card = () => document.querySelector("[data-job]");

function look() {
  news = false;
  card()?.dispatchEvent(new CustomEvent("look"));
}

function duration(seconds) {
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

document.body.addEventListener("limner:tiding", ({ detail }) => {
  const root = card();
  if (!root || detail.job !== root.dataset.job) return;
  if (detail.type === "note") {
    const words = root.querySelector("[data-note]");
    const bar = root.querySelector("[data-progress]");
    const left = root.querySelector("[data-left]");
    if (words && detail.text) words.textContent = detail.text;
    if (bar && detail.total) {
      bar.max = detail.total;
      bar.value = detail.done ?? 0;
    }
    if (left) left.textContent = detail.seconds ? `about ${duration(detail.seconds)} left` : "";
    news = true;
  } else if (detail.type === "loading") {
    const words = root.querySelector("[data-note]");
    if (words) words.textContent = `loading ${detail.model}: ${detail.part.replaceAll("_", " ")}`;
  } else if (["started", "moved", "restarted", "done", "failed", "cancelled"].includes(detail.type)) {
    if (["started", "done", "failed", "cancelled"].includes(detail.type)) say(`The study: ${detail.type}`);
    look();
  } else news = true;
});

setInterval(() => {
  if (news && !document.hidden) look();
}, EVERY);

// A new study: Ctrl+Enter begins it from any field. Where the words are there already, Enter alone does.
const form = document.getElementById("new-study");
form?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
if (form) {
  const words = form.querySelector("#prompt, #a_prompt");
  const next = words.value.trim() ? form.querySelector("button[type=submit]") : words;
  if (matchMedia("(pointer: fine)").matches && location.search.includes("new=")) next.focus({ preventScroll: true });
}
