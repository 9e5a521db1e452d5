// Downloads: bytes as they come; the lists are asked for again when one begins or ends.
import { say } from "./troubles.js";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

function size(count) {
  let step = 0;
  while (count >= 1000 && step < UNITS.length - 1) {
    count /= 1000;
    step += 1;
  }
  return `${step === 0 || count >= 99.5 ? count.toFixed(0) : count.toFixed(1)} ${UNITS[step]}`;
}

function duration(seconds) {
  return seconds < 99.5 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

document.body.addEventListener("limner:tiding", ({ detail }) => {
  const card = document.querySelector(`[data-fetch="${CSS.escape(detail.job)}"]`);
  if (!card) return;
  if (detail.type === "note") {
    card.querySelector("[data-words]").textContent = detail.text;
    if (detail.total) {
      const bar = card.querySelector("[data-progress]");
      bar.max = detail.total;
      bar.value = detail.done;
      card.querySelector("[data-bytes]").textContent = `${size(detail.done)} of ${size(detail.total)}`;
    }
    card.querySelector("[data-left]").textContent = detail.seconds ? `about ${duration(detail.seconds)} left` : "";
  } else if (["started", "moved", "restarted", "done", "failed", "cancelled"].includes(detail.type)) {
    document.getElementById("fetching")?.dispatchEvent(new CustomEvent("look"));
    if (["done", "failed", "cancelled"].includes(detail.type)) {
      say(`The download: ${detail.type}`);
      document.getElementById("models-list")?.dispatchEvent(new CustomEvent("changed-here"));
    }
  }
});

// What was confirmed closes its sheet.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful && detail.elt.querySelector?.("[data-got]")) document.getElementById("get-model")?.close();
});
