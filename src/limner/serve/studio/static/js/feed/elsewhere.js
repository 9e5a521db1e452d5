// Pictures that were asked for elsewhere (another tab, the command line, a client) do not push in: a button shows them.
const line = document.querySelector(".elsewhere");
const button = line?.querySelector("[data-elsewhere]");
const waiting = new Set();
const feed = document.getElementById("feed");

document.body.addEventListener("limner:tiding", ({ detail }) => {
  if (detail.type === "queued") setTimeout(() => offer(detail.job), 1500); // our own are in the feed by then
});

function offer(job) {
  if (document.getElementById(`job-${job}`)) return;
  waiting.add(job);
  line.hidden = false;
  button.textContent = `${waiting.size} new`;
}

button?.addEventListener("click", async () => {
  const jobs = [...waiting];
  waiting.clear();
  line.hidden = true;
  for (const job of jobs) {
    if (!document.getElementById(`job-${job}`)) await htmx.ajax("GET", `/ui/jobs/${job}`, { target: "#feed", swap: "afterbegin" });
  }
  feed.scrollIntoView({ block: "start" });
});

// The same job twice (a sending that was repeated): the newer card stays.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== feed) return;
  const first = feed.querySelector(".job");
  for (const each of feed.querySelectorAll(`[id="${CSS.escape(first?.id ?? "")}"]`)) if (each !== first) each.remove();
});

// What happened to a job before its card was here: how it stands is asked for once, when htmx has taken the card in.
document.addEventListener("htmx:load", (event) => {
  if (!event.detail.elt.matches?.(".job")) return;
  event.detail.elt.querySelector(".live[data-live]")?.dispatchEvent(new CustomEvent("refresh"));
});
