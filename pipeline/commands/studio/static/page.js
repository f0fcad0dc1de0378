// What several pages need: elements by id, words into elements, requests that say why they failed.

export const byId = (id) => document.getElementById(id);

export function show(element, isShown) {
  element.hidden = !isShown;
}

/** An element with a class and words; words are never markup. */
export function made(name, className, words = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = words;
  return element;
}

export const address = (page, values) => `${page}?${new URLSearchParams(values)}`;

const GONE = "The studio does not answer. If it was ended, start it again with `finetune studio`.";

/** Ask the studio; an answer that is no success becomes an Error with its words. */
export async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(GONE);
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error ?? (answer.status === 401 ? "This page is from an earlier studio; open the address that it printed." : GONE));
}

export const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });

/** Call `each` with every JSON object that comes, a line each, as it comes. */
export async function lines(answer, each) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const found = (rest + value).split("\n");
    rest = found.pop();
    for (const line of found) if (line) each(JSON.parse(line));
  }
}

/** Put a part of a page, which the studio has escaped, in the place of what an element holds. */
export async function fill(element, url, signal) {
  const answer = await ask(url, { signal, headers: { Accept: "text/html" } });
  const part = new DOMParser().parseFromString(await answer.text(), "text/html");
  element.replaceChildren(...part.body.childNodes);
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toFixed(unit > 1 && size < 100 ? 1 : 0)} ${units[unit]}`;
}

// A form that takes its time says so, and is not sent twice.
for (const each of document.querySelectorAll("form[data-wait]")) {
  each.addEventListener("submit", () => {
    const button = each.querySelector("button:not([type=button])");
    button.textContent = each.dataset.wait;
    setTimeout(() => (button.disabled = true));
  });
}
