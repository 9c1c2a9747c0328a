"use strict";
for (const maps of document.querySelectorAll(".maps")) {
  const slider = maps.querySelector(".slider");
  if (!slider) continue;
  const input = slider.querySelector("input");
  const output = slider.querySelector("output");
  const show = () => {
    const words = `${input.value} of ${input.max}`;
    output.textContent = words;
    input.setAttribute("aria-valuetext", `step ${words}`);
    for (const step of maps.querySelectorAll("[data-step]")) step.hidden = step.dataset.step !== input.value;
  };
  input.addEventListener("input", show);
  slider.hidden = false;
  show();
}
