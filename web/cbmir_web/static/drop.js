/* A place to drop files on, and to see what was chosen before it is sent. */

const UNITS = ["bytes", "kB", "MB", "GB"];
const NAMES_SHOWN = 6;

export function takeFiles(place) {
  const input = place.querySelector("input[type=file]");
  const take = (files) => {
    if (!files.length) return;
    const chosen = new DataTransfer();
    Array.from(files).slice(0, input.multiple ? undefined : 1).forEach((file) => chosen.items.add(file));
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    const left = files.length - chosen.files.length;
    if (left) place.querySelector("[data-chosen]").append(line(`One at a time: ${left} more left out.`, "too-much"));
  };

  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // the whole page takes files: beside the place, the browser would leave for the file
      place.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => place.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  input.addEventListener("change", () => show(place, input));
  if (input.files.length) show(place, input);
}

function show(place, input) {
  const chosen = place.querySelector("[data-chosen]");
  const files = Array.from(input.files);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const limit = Number(place.dataset.limit);
  chosen.replaceChildren(...preview(files), ...names(files, total));
  if (total > limit) chosen.append(line(`That is more than the ${size(limit)} that are taken at once.`, "too-much"));
  chosen.hidden = !files.length;
  const remedy = files.length > 1 ? "choose fewer files" : "this one has to come by `cbmir ingest`";
  input.setCustomValidity(total > limit ? `More than ${size(limit)}: ${remedy}.` : "");
}

function preview(files) {
  if (files.length !== 1 || !/^image\/(png|jpeg|bmp)$/.test(files[0].type)) return [];
  const image = new Image();
  image.src = URL.createObjectURL(files[0]);
  image.alt = "The chosen image";
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  return [image];
}

function names(files, total) {
  const lines = files.slice(0, NAMES_SHOWN).map((file) => line(`${file.name} · ${size(file.size)}`));
  if (files.length > NAMES_SHOWN) lines.push(line(`… and ${files.length - NAMES_SHOWN} more, ${size(total)} in all`));
  return lines;
}

function line(text, kind = "") {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  paragraph.className = kind;
  return paragraph;
}

function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) [bytes, unit] = [bytes / 1024, unit + 1];
  return `${bytes.toFixed(unit > 2 ? 1 : 0)} ${UNITS[unit]}`;
}
