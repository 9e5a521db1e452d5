// What happens on the server, told to the page. One EventSource for all tabs of a browser (HTTP/1.1 allows six
// connections a host): the tab that holds the lock listens, and tells the others by BroadcastChannel.
//
// On document.body come, for htmx:  "job-ID"  something changed there (not: a step);  "queue"  the queue changed.
// For modules: "limner:tiding" with detail {seq, job, type, ...}, steps and their previews too.
// After a gap every [data-live] element is sent "refresh": the answer is always current, so nothing races.
const NAME = "limner-live";
const LONGEST = 15_000;
const channel = () => (chat ??= listening(new BroadcastChannel(NAME)));

let chat = null;
let source = null;
let release = null; // gives the lock back
let aborted = null;
let last = null; // the number of the newest tiding that this page heard
let delay = 0;
let timer = 0;
let down = false;

function start() {
  channel();
  const hold = () => new Promise((done) => ((release = done), connect()));
  if (!navigator.locks) {
    hold(); // pages of plain http from other machines have no locks: each listens for itself
    return;
  }
  setTimeout(() => source ?? again(), 500); // another tab listens, and what it told before this one was here is missed
  aborted = new AbortController();
  navigator.locks.request(NAME, { signal: aborted.signal }, hold).catch(() => {});
}

function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
  aborted?.abort();
  release?.();
  release = null;
  chat?.close();
  chat = null;
}

function listening(made) {
  made.onmessage = ({ data }) => {
    if (data.tiding) heard(data.tiding);
    else if (data.lost !== undefined) show(data.lost);
    else if (data.again) again();
    else if (data.now) retry();
  };
  return made;
}

function connect() {
  const address = last === null ? "/api/v1/events" : `/api/v1/events?after=${last}`;
  source = new EventSource(address);
  source.addEventListener("hello", ({ data }) => {
    const { seq, reset } = JSON.parse(data);
    const gap = reset || down;
    last = seq;
    delay = 0;
    show(null);
    share({ lost: null });
    again(); // also the first time: something may have happened since the page was rendered
    if (gap) share({ again: true });
  });
  for (const type of ["queued", "moved", "started", "loading", "step", "made", "warned", "note", "restarted", "done", "failed", "cancelled"]) {
    source.addEventListener(type, ({ data }) => {
      const tiding = JSON.parse(data);
      share({ tiding });
      heard(tiding);
    });
  }
  source.onerror = () => {
    source?.close();
    source = null;
    wait();
  };
}

function share(message) {
  chat?.postMessage(message);
}

function heard(tiding) {
  if (tiding.type !== "step" && last !== null && tiding.seq <= last) return;
  last = Math.max(last ?? 0, tiding.seq);
  show(null);
  emit("limner:tiding", tiding);
  if (tiding.type === "step") return;
  told.set(tiding.job, ++count);
  emit(`job-${tiding.job}`, tiding);
  if (!["loading", "warned", "note"].includes(tiding.type)) soon();
}

// What an element asks for itself is asked again when something was told meanwhile, as it stays. What another one put into
// it, as the answer to a button, may be older than what was told while it was on its way: then it asks too.
const told = new Map(); // job -> the count of tidings when it was last told of
const asked = new WeakMap(); // request -> the count when it was sent
let count = 0;
document.addEventListener("htmx:beforeRequest", ({ detail }) => asked.set(detail.xhr, count));
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const since = asked.get(detail.xhr);
  const live = detail.elt.closest("[data-live]");
  if (since === undefined || !live || live === detail.requestConfig?.elt) return;
  const [, job] = /\bjob-([0-9a-z]+)/.exec(live.getAttribute("hx-trigger") ?? "") ?? [];
  if (told.get(job) > since) live.dispatchEvent(new CustomEvent("refresh"));
});

// Many things happen at once; the queue is asked for a few times a second at most.
let pending = 0;
function soon() {
  pending ||= setTimeout(() => {
    pending = 0;
    emit("queue");
  }, 250);
}

function emit(name, detail) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

function again() {
  for (const each of document.querySelectorAll("[data-live]")) each.dispatchEvent(new CustomEvent("refresh"));
  emit("limner:again");
}

// The link is lost: a bar counts down to the next try. What is typed and shown stays.
function wait() {
  delay = Math.min(LONGEST, delay ? delay * 2 : 1000);
  const until = Date.now() + delay;
  down = true;
  share({ lost: until });
  show(until);
  clearTimeout(timer);
  timer = setTimeout(retry, delay);
}

function retry() {
  if (!release) {
    share({ now: true });
    return;
  }
  clearTimeout(timer);
  if (!source) connect();
}

// Others who noticed that the server does not answer.
export function lost() {
  if (release && source && !down) source.onerror();
}

let ticking = 0;
function show(until) {
  const bar = document.getElementById("link-lost");
  clearInterval(ticking);
  if (until === null && ticking) {
    ticking = 0;
    document.getElementById("said").textContent = "The server answers again.";
  }
  down = until !== null;
  for (const lamp of document.querySelectorAll("[data-lamp]")) {
    lamp.classList.toggle("live", !down);
    lamp.classList.toggle("lost", down);
  }
  bar.hidden = !down;
  if (!down) return;
  const words = bar.querySelector("[data-lost-words]");
  if (!ticking) document.getElementById("said").textContent = "The server does not answer. Nothing you typed is lost.";
  const tell = () => {
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    words.textContent = left ? `The server does not answer. Trying again in ${left} s; nothing you typed is lost.` : "Trying again …";
  };
  tell();
  ticking = setInterval(tell, 1000);
}

document.querySelector("[data-lost-now]").addEventListener("click", retry);
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  start();
  again();
});
start();
