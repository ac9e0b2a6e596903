"use strict";
// Shows the crop of the face that the pointer or the arrow keys are at.  Without this script all crops are below.
(() => {
  const line = document.querySelector("#time svg");
  if (!line) return;
  const shown = document.getElementById("shown");
  const crops = Array.from(document.querySelectorAll("#crops [data-face]"));
  let current = -1;

  const show = (number) => {
    if (number < 0 || number >= crops.length) return;
    current = number;
    for (const mark of line.querySelectorAll(".at")) mark.classList.remove("at");
    for (const mark of line.querySelectorAll(`[data-face="${number}"]`)) mark.classList.add("at");
    const image = crops[number].querySelector("img");
    shown.querySelector("img").src = image.src;
    shown.querySelector("img").alt = image.alt;
    const words = Array.from(crops[number].querySelectorAll("span"), (span) => span.textContent);
    shown.querySelector("figcaption").textContent = words.join(" · ");
    shown.hidden = false;
  };

  const faceOf = (event) => {
    const mark = event.target.closest("[data-face]");
    return mark ? Number(mark.dataset.face) : -1;
  };
  line.addEventListener("pointerover", (event) => show(faceOf(event)));
  line.addEventListener("click", (event) => show(faceOf(event)));
  line.setAttribute("tabindex", "0");
  line.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(Math.min(crops.length - 1, Math.max(0, current + step)));
  });
  show(0);
})();
