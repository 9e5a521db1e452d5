// The gallery's stretches: each has its height from the start, is filled when it comes near, and emptied when many
// others are nearer. The months beside it follow.
import "./gallery_choose.js";
import "./gallery_move.js";

const FULL = 12; // stretches that hold their tiles at the same time
const groups = [...document.querySelectorAll(".grid[data-src]")];
const near = new Set();
const asked = new Map();

// Headings stick below the search box, however many lines its filters need.
const finder = document.querySelector(".finder");
const main = document.getElementById("main");
new ResizeObserver(() => main.style.setProperty("--finder", `${finder.offsetHeight}px`)).observe(finder);

for (const group of groups) group.style.setProperty("--n", group.dataset.count);

export function fill(group) {
  if (group.hasAttribute("data-full")) return Promise.resolve();
  if (!asked.has(group)) {
    asked.set(
      group,
      fetch(group.dataset.src, { headers: { "hx-request": "true" } })
        .then((answer) => (answer.ok ? answer.text() : Promise.reject(answer)))
        .then((text) => {
          group.innerHTML = text;
          group.setAttribute("data-full", "");
          group.dispatchEvent(new CustomEvent("limner:filled", { bubbles: true }));
          thin();
        })
        .catch(() => {}) // live.js says that the server does not answer; the next look asks again
        .finally(() => asked.delete(group)),
    );
  }
  return asked.get(group);
}

function thin() {
  const full = groups.filter((each) => each.hasAttribute("data-full"));
  if (full.length <= FULL) return;
  const middle = innerHeight / 2;
  const away = (each) => {
    const box = each.getBoundingClientRect();
    return Math.max(0, box.top - middle, middle - box.bottom);
  };
  full.sort((a, b) => away(b) - away(a));
  for (const each of full.slice(0, full.length - FULL)) {
    if (near.has(each) || each.contains(document.activeElement)) continue;
    each.removeAttribute("data-full");
    each.replaceChildren();
  }
}

const ahead = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) near.add(target);
      else near.delete(target);
    }
    // who scrolls past many does not wait for those in between
    clearTimeout(ahead.timer);
    ahead.timer = setTimeout(() => near.forEach((each) => fill(each)), 60);
  },
  { rootMargin: "1400px 0px" },
);
groups.forEach((each) => ahead.observe(each));

// The month in sight, in the index.
const links = [...document.querySelectorAll("[data-month][href]")];
const months = [...document.querySelectorAll(".month[data-month]")];
const seen = new IntersectionObserver(
  () => {
    const now = months.find((each) => each.getBoundingClientRect().bottom > 160);
    for (const link of links) {
      const on = link.dataset.month === now?.dataset.month;
      link.toggleAttribute("aria-current", on);
      if (!on) continue;
      link.setAttribute("aria-current", "true");
      const nav = link.closest(".months");
      if (nav?.getClientRects().length) nav.scrollTop = Math.max(0, link.offsetTop - nav.clientHeight / 2);
    }
  },
  { rootMargin: "-160px 0px 0px 0px", threshold: [0, 0.01, 0.99, 1] },
);
months.forEach((each) => seen.observe(each));

document.getElementById("jump")?.addEventListener("click", (event) => {
  if (event.target.closest("a")) event.currentTarget.close();
});

// Menus close by Escape, a click elsewhere, or another one opening.
document.addEventListener("click", (event) => {
  for (const each of document.querySelectorAll(".menu[open]")) if (!each.contains(event.target)) each.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector(".menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
  event.preventDefault();
});

// From another page by the key for it.
if (location.hash === "#q") document.getElementById("q").focus();
