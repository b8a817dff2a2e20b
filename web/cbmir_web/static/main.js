/* Everything works without this; with it, parts of a page come alive. */
import { watch } from "./live.js";
import { takeFiles } from "./drop.js";
import { sendOnce } from "./once.js";
import { sendWithProgress } from "./send.js";
import { compare } from "./compare.js";

document.documentElement.classList.add("live");
document.querySelectorAll("[data-live]").forEach(watch);
document.querySelectorAll("[data-drop]").forEach(takeFiles);
document.querySelectorAll("form[data-upload]").forEach(sendWithProgress);
sendOnce();
document.querySelectorAll("dialog#compare").forEach(compare);
document.querySelectorAll("form[data-submit-on-change] select").forEach((select) =>
  select.addEventListener("change", () => select.form.requestSubmit()),
);
document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelector("[role=alert].notice")?.focus();
