// Cards and notices: dismissed by their button, shown once where they say so; what htmx could not do is said too.
import { lost } from "./live.js";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismisses]");
  button?.closest("[data-closable]")?.remove();
  const focuses = event.target.closest("[data-focuses]");
  const field = focuses && document.getElementById(focuses.dataset.focuses);
  if (!field) return;
  event.preventDefault();
  field.focus();
});

for (const each of document.querySelectorAll("[data-once]")) {
  const key = `limner.once.${each.dataset.once}`;
  if (localStorage.getItem(key)) each.remove();
  else {
    each.hidden = false;
    each.addEventListener("click", () => localStorage.setItem(key, "1"));
  }
}

// Say something to those who do not see it.
export function say(text) {
  document.getElementById("said").textContent = text;
}

// A card of our own, for what the server could not answer itself.
export function trouble(message, hint) {
  const card = document.createElement("div");
  card.className = "card trouble failed";
  card.setAttribute("role", "alert");
  card.dataset.closable = "";
  const head = document.createElement("div");
  head.className = "card-head";
  const title = document.createElement("p");
  title.className = "card-title";
  title.textContent = "This did not work";
  const close = document.createElement("button");
  close.className = "button quiet small";
  close.type = "button";
  close.dataset.dismisses = "";
  close.textContent = "Dismiss";
  head.append(title, close);
  const words = document.createElement("p");
  words.textContent = message;
  const next = document.createElement("p");
  next.textContent = `What next: ${hint}`;
  card.append(head, words, next);
  document.getElementById("troubles").append(card);
  card.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:sendError", () => lost());
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) trouble("The server could not do this.", "limner doctor; the server's log says more.");
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "troubles") event.detail.target.lastElementChild?.scrollIntoView({ block: "nearest" });
});
