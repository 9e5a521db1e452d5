// The settings: dice, number beside range, folds and the last model remembered, the start picture.
const FOLDS = "limner.folds";

document.addEventListener("click", (event) => {
  const seed = document.getElementById("seed");
  if (event.target.closest("#dice")) put(seed, String(crypto.getRandomValues(new Uint32Array(1))[0]));
  const clears = event.target.closest("[data-clears]");
  if (clears) {
    put(document.getElementById(clears.dataset.clears), "");
    document.getElementById(clears.dataset.clears).focus();
  }
  if (event.target.closest("[data-clears-start]")) clearStart();
  const carries = event.target.closest("[data-carries]");
  if (carries) carry(carries);
});

function put(field, value) {
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  const { target } = event;
  if (target.dataset.range) document.getElementById(target.dataset.range).value = target.value;
  else if (target.type === "number") {
    const range = document.querySelector(`[data-range="${target.id}"]`);
    if (range && target.value !== "") range.value = target.value;
  }
});

document.addEventListener("change", (event) => {
  if (event.target.name === "styles") {
    const chosen = [...document.querySelectorAll("input[name=styles]:checked")].map((each) => each.value);
    document.querySelector("[data-chosen=styles]").textContent = chosen.join(", ");
  }
  if (["width", "height"].includes(event.target.name) && event.target.value) {
    const own = document.querySelector("input[name=shape][value=custom]");
    if (own) own.checked = true;
  }
});

// Folds stay as they were left.
document.addEventListener(
  "toggle",
  (event) => {
    const name = event.target.dataset?.fold;
    if (!name) return;
    const folds = JSON.parse(localStorage.getItem(FOLDS) ?? "{}");
    folds[name] = event.target.open;
    localStorage.setItem(FOLDS, JSON.stringify(folds));
  },
  true,
);
function unfold(root) {
  const folds = JSON.parse(localStorage.getItem(FOLDS) ?? "{}");
  for (const each of root.querySelectorAll("details[data-fold]")) if (folds[each.dataset.fold]) each.open = true;
}
unfold(document);
document.addEventListener("htmx:afterSwap", (event) => unfold(event.detail.target));

// Without a start picture nothing about one is asked.
function clearStart() {
  const start = document.getElementById("start");
  for (const each of start.querySelectorAll("input[name=init], input[name=start_picture]")) each.value = "";
  const model = document.getElementById("model");
  htmx.trigger(model, "change");
}

// A link that takes the form along.
function carry(link) {
  const address = new URL(link.href);
  const form = new FormData(document.getElementById("create"));
  for (const [name, value] of form) {
    if (typeof value === "string" && value && !["key", "file", "start_picture"].includes(name)) address.searchParams.append(name, value);
  }
  link.href = address.pathname + address.search;
}
