// The stage of a picture: previews on one canvas, then the picture itself, once it is decoded. No older frame comes
// back, nothing moves, nothing flashes.
const shown = new WeakMap(); // place -> the newest step that was painted, or is about to be
const coming = new WeakSet(); // places whose picture is on its way

document.body.addEventListener("limner:tiding", ({ detail }) => {
  if (detail.type === "step") step(detail);
  else if (detail.type === "made") arrive(detail.job, detail.index);
  else if (detail.type === "restarted") restart(detail.job);
});

// How a job stands is asked for again after every event and every gap: what was missed comes now.
document.addEventListener("htmx:afterSettle", (event) => {
  const state = stateIn(event.detail.elt);
  if (state) catchUp(state);
});
for (const state of document.querySelectorAll(".live[data-live] .state")) catchUp(state);

// The state that was just rendered: the element itself, or what came into it.
export function stateIn(element) {
  return element?.matches?.(".state") ? element : element?.querySelector?.(":scope > .state");
}

function catchUp(state) {
  const job = state.id.slice("state-".length);
  for (const index of (state.dataset.made ?? "").split(",").filter(Boolean)) arrive(job, Number(index));
  if (["failed", "cancelled"].includes(state.dataset.state)) clear(job);
}

function place(job, index) {
  return document.getElementById(`place-${job}-${index}`);
}

async function step({ job, index, step: at, steps, preview }) {
  const where = place(job, index);
  const canvas = where?.querySelector("canvas");
  if (!canvas || coming.has(where) || (shown.get(where) ?? 0) >= at) return;
  where.querySelector("[data-step]").textContent = `${at}/${steps}`;
  if (!preview) return;
  shown.set(where, at);
  const bytes = Uint8Array.from(atob(preview), (each) => each.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }));
  if (shown.get(where) === at && canvas.isConnected) {
    const brush = canvas.getContext("2d");
    brush.imageSmoothingQuality = "high";
    brush.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
  bitmap.close();
}

function restart(job) {
  for (const each of document.querySelectorAll(`[data-tiles][data-job="${CSS.escape(job)}"] .place`)) shown.delete(each);
}

async function arrive(job, index) {
  const where = place(job, index);
  if (!where?.querySelector("canvas") || coming.has(where)) return;
  coming.add(where);
  const answer = await fetch(`/ui/jobs/${job}/tiles/${index}`, { headers: { "hx-request": "true" } }).catch(() => null);
  if (!answer?.ok) {
    coming.delete(where); // the next state says so again
    return;
  }
  const made = document.createRange().createContextualFragment((await answer.text()).trim());
  const image = made.querySelector("img");
  await image.decode().catch(() => {});
  const focused = where.contains(document.activeElement);
  where.dataset.picture = made.querySelector("a").getAttribute("href").split("/").pop();
  where.querySelector(".stage").replaceWith(made);
  htmx.process(where);
  if (focused) where.querySelector("a").focus();
  where.dispatchEvent(new CustomEvent("limner:arrived", { bubbles: true }));
}

// What will not come leaves its place, once the job is over.
function clear(job) {
  const tiles = document.querySelector(`[data-tiles][data-job="${CSS.escape(job)}"]`);
  for (const each of tiles?.querySelectorAll(".place:not([data-picture])") ?? []) if (!coming.has(each)) each.remove();
  if (tiles && !tiles.children.length) tiles.remove();
}
