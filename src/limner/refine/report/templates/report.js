"use strict";
for (const side of document.querySelectorAll(".side")) {
  const slider = side.querySelector(".slider");
  const cases = [...side.querySelectorAll(".case")];
  if (!slider || !cases.length) continue;
  const frame = slider.querySelector(".frame");
  const range = slider.querySelector("input");
  const cut = (value) => frame.style.setProperty("--cut", `${value}%`);
  const units = [...side.querySelectorAll("svg [data-unit]")];

  const light = (unit) => {
    for (const mark of units) mark.classList.toggle("lit", mark.dataset.unit === unit);
  };
  const choose = (chosen) => {
    const [a, b] = ["a", "b"].map((arm) => chosen.querySelector(`img.${arm}`));
    light(chosen.dataset.unit);
    for (const each of cases) each.setAttribute("aria-pressed", String(each === chosen));
    slider.hidden = !(a && b);
    if (slider.hidden) return;
    slider.querySelector(".under").src = a.src;
    slider.querySelector(".top").src = b.src;
    frame.style.aspectRatio = `${a.width} / ${a.height}`;
    slider.querySelector(".says").textContent = `${chosen.dataset.unit}: ${chosen.dataset.words}`;
  };

  range.addEventListener("input", () => cut(range.value));
  const drag = (event) => {
    const box = frame.getBoundingClientRect();
    range.value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
    cut(range.value);
  };
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    drag(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) drag(event);
  });
  for (const each of cases) each.addEventListener("click", () => choose(each));
  for (const mark of units) {
    mark.addEventListener("click", () => {
      const found = cases.find((each) => each.dataset.unit === mark.dataset.unit);
      if (found) choose(found);
      else light(mark.dataset.unit);
    });
  }
  choose(cases.find((each) => each.classList.contains("median")) || cases[0]);
}
