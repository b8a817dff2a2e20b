/* A part of the page that the server draws again and again.

   The part's first element says how: data-every, in milliseconds, until it is asked again (none: never), and data-key:
   when that changes, the page as a whole is another one and is loaded anew. */

const LONGEST_PAUSE = 10_000;

export function watch(part) {
  let failures = 0;

  const pause = () => Number(part.firstElementChild?.dataset.every) || 0;

  const later = () => {
    if (pause()) setTimeout(ask, Math.min(pause() * 2 ** failures, LONGEST_PAUSE));
  };

  const ask = async () => {
    if (document.hidden) return document.addEventListener("visibilitychange", ask, { once: true });
    try {
      const response = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
      if ([401, 404].includes(response.status)) return anew(); // it is gone, or whoever looks: that page says so
      if (!response.ok) throw new Error(response.statusText);
      show(part, await response.text());
      failures = 0;
    } catch {
      failures += 1; // the server may be restarting: ask again, more slowly
    }
    part.classList.toggle("stale", failures > 2);
    later();
  };

  later();
}

function show(part, html) {
  const drawn = new DOMParser().parseFromString(html, "text/html").body;
  const [now, next] = [part.firstElementChild, drawn.firstElementChild];
  if (!next) return;
  if (now.dataset.key !== next.dataset.key) return anew();
  if (now.isEqualNode(next)) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  now.replaceWith(document.adoptNode(next));
  if (focused) document.getElementById(focused)?.focus();
}

/* A page that answered a form is fetched without it: loading it again would send the form a second time. */
function anew() {
  if (document.documentElement.dataset.answers === "form") location.replace(location.pathname + location.search);
  else location.reload();
}
