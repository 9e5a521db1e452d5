// Ask the server for something a form would: the answer's HTML, or null where it said no; then its card is shown.
import { lost } from "./live.js";

export async function ask(url, values) {
  let answer;
  try {
    answer = await fetch(url, { method: "POST", body: new URLSearchParams(values), headers: { "hx-request": "true" } });
  } catch {
    lost();
    return null;
  }
  const text = await answer.text();
  if (answer.ok) return text;
  const cards = document.getElementById("troubles");
  const made = document.createElement("template");
  made.innerHTML = text;
  cards.append(made.content);
  window.htmx.process(cards);
  cards.lastElementChild?.scrollIntoView({ block: "nearest" });
  return null;
}
