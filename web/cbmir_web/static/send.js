/* A form with files, sent so that one sees how far it is, and that a refusal is shown beside it. */

export function sendWithProgress(form) {
  const state = form.querySelector("[data-upload-state]");
  const button = form.querySelector("button:not([type=button])");

  form.addEventListener("submit", (event) => {
    if (!form.querySelector("input[type=file]").files.length) return; // nothing to upload: the browser's own way
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json, text/html;q=0.5");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      state.textContent = loaded < total ? `Sending: ${Math.round((100 * loaded) / total)} %` : "Sent; one moment.";
    });
    request.addEventListener("load", () => (request.status < 400 ? follow(request) : refuse(reason(request))));
    request.addEventListener("error", () => refuse("The server did not take the files. Is it running?"));
    request.addEventListener("abort", () => refuse("Sending was stopped. Nothing was handed in."));
    button.disabled = true;
    state.classList.remove("refused");
    request.send(new FormData(form));
  });

  addEventListener("pageshow", () => (button.disabled = false)); // also where one came back to the page

  const refuse = (text) => {
    state.textContent = text;
    state.classList.add("refused");
    button.disabled = false;
  };
}

function follow(request) {
  location.assign(request.responseURL);
}

function reason(request) {
  try {
    const { error } = JSON.parse(request.responseText);
    return `${error.reason} ${error.remedy}`.trim();
  } catch {
    return `The server refused the files (${request.status}).`;
  }
}
