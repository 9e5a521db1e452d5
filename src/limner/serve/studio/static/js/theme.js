// Light or dark: shown at once, kept in a cookie by the server. What the system has anyway is not kept.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

document.querySelector("form.theme").addEventListener("submit", (event) => {
  event.preventDefault();
  const systems = system.matches ? "dark" : "light";
  const wanted = (root.dataset.theme || systems) === "dark" ? "light" : "dark";
  const kept = wanted === systems ? "" : wanted;
  if (kept) root.dataset.theme = kept;
  else delete root.dataset.theme;
  fetch("/ui/theme", { method: "POST", body: new URLSearchParams({ theme: kept }), headers: { "hx-request": "true" } });
});
