// A over B, parted by a slider; and arrows stay with sliders and stars that have the focus.
const words = (value) => (value >= 100 ? "A alone" : value <= 0 ? "B alone" : value === 50 ? "A and B, half each" : `A ${value} %, B ${100 - value} %`);

function part(controls, value) {
  const range = controls.querySelector("input[type=range]");
  range.value = value;
  range.setAttribute("aria-valuetext", words(Number(value)));
  const pair = controls.parentElement.querySelector("[data-ab] .ab-pair");
  pair.style.setProperty("--split", `${value}%`);
}

document.addEventListener("input", (event) => {
  const controls = event.target.closest?.(".ab-controls");
  if (controls && event.target.type === "range") part(controls, event.target.value);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest(".ab-controls [data-to]");
  if (button) part(button.closest(".ab-controls"), button.dataset.to);
});

// Dragging on the pictures themselves parts them too.
document.addEventListener("pointerdown", (event) => {
  const pair = event.target.closest?.("[data-ab] .ab-pair");
  if (!pair || event.button) return;
  const controls = pair.closest(".viewer-left").querySelector(".ab-controls");
  const follow = ({ clientX }) => {
    const box = pair.getBoundingClientRect();
    part(controls, Math.round(Math.max(0, Math.min(100, ((clientX - box.left) / box.width) * 100))));
  };
  const stop = () => {
    removeEventListener("pointermove", follow);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
  };
  addEventListener("pointermove", follow);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
  event.preventDefault();
  follow(event);
});

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key.startsWith("Arrow") && event.target.matches?.("input[type=range], input[type=radio]")) event.stopPropagation();
  },
  true,
);
