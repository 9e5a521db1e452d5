// The keyboard. In markup: data-key="v" (or "Shift+V", "Delete", "1") on what is to be clicked or, for fields, focused.
// Inside an element with data-keys a key is meant for it while it has the focus, is pointed at, or is the first one
// in sight. In modules: on(key, handler), which returns true where it did something.
const handlers = new Map();
const SWITCH = "limner.keys";
const ELSEWHERE = { "/": "/gallery#q", p: "/" }; // what is on no other page: the search, the prompt

export function on(key, handler) {
  handlers.set(key, [...(handlers.get(key) ?? []), handler]);
}

export function nameOf(event) {
  const letter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  if (letter) return event.shiftKey ? `Shift+${event.key.toUpperCase()}` : event.key.toLowerCase();
  return event.key === " " ? "Space" : event.key;
}

export function inField(target) {
  if (target.isContentEditable) return true;
  if (target.matches("textarea, select")) return true;
  return target.matches("input") && !["checkbox", "radio", "button", "submit", "range", "file"].includes(target.type);
}

// The thing that keys are meant for: it has the focus, or the pointer, or is the first in sight (of a job, its current
// picture). While a dialog is open, nothing outside of it.
export function subject() {
  const dialog = [...document.querySelectorAll("dialog[open]")].pop();
  const root = dialog ?? document;
  const focused = document.activeElement?.closest("[data-keys]");
  if (focused && root.contains(focused)) return focused;
  const pointed = [...root.querySelectorAll("[data-keys]:hover")].pop();
  if (pointed) return pointed;
  const seen = [...root.querySelectorAll("[data-keys]")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.height > 0 && box.bottom > 80 && box.top < innerHeight;
  });
  const first = seen[0];
  return first?.parentElement.querySelector(":scope > [data-keys].current") ?? first ?? dialog;
}

function usable(element) {
  return element && !element.disabled && element.getClientRects().length > 0;
}

function find(key) {
  const among = (root) => [...root.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(usable);
  const dialog = [...document.querySelectorAll("dialog[open]")].pop();
  if (dialog) return among(dialog);
  const within = subject();
  return (within && among(within)) ?? [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((each) => !each.closest("[data-keys], dialog") && usable(each));
}

function act(element) {
  if (element.matches("textarea, input:not([type=checkbox], [type=radio], [type=button], [type=submit]), select")) {
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  } else element.click();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (inField(event.target)) return;
  const key = nameOf(event);
  const printable = event.key.length === 1 && event.key !== " ";
  if (printable && key !== "?" && localStorage.getItem(SWITCH) === "off") return;
  for (const handler of handlers.get(key) ?? []) {
    if (handler(event)) {
      event.preventDefault();
      return;
    }
  }
  if (["Enter", "Space", "Escape"].includes(key)) return; // these are the browser's, unless a handler took them
  const element = find(key);
  if (element) act(element);
  else if (ELSEWHERE[key] && !document.querySelector("dialog[open]")) location.assign(ELSEWHERE[key]);
  else return;
  event.preventDefault();
});

// 0 to 5 rate the subject: the star's own change event sends it.
for (let stars = 0; stars <= 5; stars += 1) {
  on(String(stars), () => {
    const star = subject()?.querySelector(`[data-rate="${stars}"]`);
    star?.click();
    return Boolean(star);
  });
}

const box = document.getElementById("keys-on");
box.checked = localStorage.getItem(SWITCH) !== "off";
box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"));
