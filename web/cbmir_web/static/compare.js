/* The query and one hit, large and side by side; arrow keys go through the hits. */

export function compare(dialog) {
  const buttons = Array.from(document.querySelectorAll("[data-compare]"));
  const left = dialog.querySelector("[data-left]");
  const right = dialog.querySelector("[data-right]");
  const caption = dialog.querySelector("[data-caption]");
  let at = 0;

  const show = (index) => {
    at = (index + buttons.length) % buttons.length;
    left.src = document.getElementById("query-picture").src;
    const hit = buttons[at].closest(".hit");
    const small = hit.querySelector(".picture img");
    right.src = new URL("picture.png", small.src); // beside its thumbnail
    const distance = hit.querySelector(".number").textContent;
    const name = hit.querySelector(".name").title;
    const told = small.alt.endsWith(name) ? [small.alt, distance] : [small.alt, distance, name];
    right.alt = caption.textContent = told.join(" · ");
  };

  buttons.forEach((button, index) =>
    button.addEventListener("click", () => {
      show(index);
      dialog.showModal();
    }),
  );
  dialog.querySelectorAll("[data-step]").forEach((button) =>
    button.addEventListener("click", () => show(at + Number(button.dataset.step))),
  );
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowRight") show(at + 1);
    if (key === "ArrowLeft") show(at - 1);
  });
}
