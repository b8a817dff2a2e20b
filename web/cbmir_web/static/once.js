/* A form is sent once: the second click of a double click, or an impatient one, would start the same work again. */

export function sendOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return; // sent by a script, or asking for a page
    if (form.getAttribute("aria-busy")) event.preventDefault();
    form.setAttribute("aria-busy", "true");
    setTimeout(() => sendable(form), STOPPED_SECONDS * 1000);
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach(sendable));
}

/* Of a sending that was stopped (Escape) nothing tells: then the form can be sent again after this time. */
const STOPPED_SECONDS = 10;

function sendable(form) {
  form.removeAttribute("aria-busy");
}
