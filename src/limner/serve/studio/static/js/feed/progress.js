// How far a job is, in its bar; and its start and end in words, for those who do not see it. Steps are never said.
import { say } from "../troubles.js";
import { stateIn } from "./stage.js";

const steps = new Map(); // job -> Map of picture -> share done

document.body.addEventListener("limner:tiding", ({ detail }) => {
  const { job, type } = detail;
  const card = document.getElementById(`job-${job}`);
  if (!card) return;
  const title = card.querySelector("h2").textContent;
  if (type === "step" || type === "made") {
    const shares = steps.get(job) ?? new Map();
    steps.set(job, shares);
    shares.set(detail.index, type === "made" ? 1 : Math.max(shares.get(detail.index) ?? 0, (detail.step / detail.steps) * 0.98));
    fill(card, shares);
    if (type === "step") doing(card, "Drawing");
  } else if (type === "loading") doing(card, `Loading ${detail.model}${detail.part ? `: ${detail.part}` : ""}`);
  else if (type === "note") note(card, detail);
  else if (type === "started") say(`Started: ${title}`);
  else if (["done", "failed", "cancelled"].includes(type)) {
    steps.delete(job);
    say(`${{ done: "Done", failed: "Failed", cancelled: "Cancelled" }[type]}: ${title}`);
  } else if (type === "restarted") steps.delete(job);
});

function fill(card, shares) {
  const bar = card.querySelector(".state progress");
  if (bar) bar.value = Math.max(bar.value, [...shares.values()].reduce((sum, each) => sum + each, 0));
}

function doing(card, words) {
  const place = card.querySelector("[data-doing]");
  if (place && place.textContent !== words) place.textContent = words;
}

function note(card, { text, done, total }) {
  if (text) doing(card, text);
  const bar = card.querySelector(".state progress");
  if (!bar || !total) return;
  bar.max = total;
  bar.value = done;
}

// The state was rendered anew in the middle of a job: the bar goes on from where it was.
document.addEventListener("htmx:afterSettle", (event) => {
  const state = stateIn(event.detail.elt);
  if (!state) return;
  goOn(state);
  const shares = steps.get(state.id.slice("state-".length));
  if (shares) fill(state.closest(".job"), shares);
});

// The model that had to come first is here: what was asked for is sent, once.
function goOn(state) {
  const pending = state.closest(".job")?.querySelector("[data-pending]");
  if (!pending || state.dataset.state !== "done" || pending.dataset.sent) return;
  pending.dataset.sent = "yes";
  pending.dispatchEvent(new CustomEvent("go"));
}
