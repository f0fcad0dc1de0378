// Whom and what to train: the models for the person who is chosen, and what to expect of the model that is chosen.

import { address, byId, fill, made, show } from "./page.js";

const choose = byId("choose");
const page = `/new/${choose.dataset.look}`;
let asked = new AbortController();

const chosen = (name) => new FormData(choose).get(name) ?? "";

function complain(element, error) {
  if (error.name === "AbortError") return;
  element.replaceChildren(made("p", "note bad", error.message));
}

async function models() {
  asked.abort();
  asked = new AbortController();
  const signal = asked.signal;
  const place = byId("models");
  const before = chosen("model");
  place.setAttribute("aria-busy", "true");
  try {
    await fill(place, address(`${page}/models`, { me: chosen("me") }), signal);
    const same = before && place.querySelector(`input[name=model][value="${CSS.escape(before)}"]`);
    if (same) same.checked = true;
    await expect(signal);
  } catch (error) {
    complain(place, error);
  } finally {
    if (!signal.aborted) place.setAttribute("aria-busy", "false");
  }
}

async function expect(signal) {
  const model = chosen("other_model") || chosen("model");
  try {
    await fill(byId("expect"), address(`${page}/expect`, { me: chosen("me"), model, backend: chosen("backend") }), signal);
  } catch (error) {
    complain(byId("expect"), error);
  }
}

choose.addEventListener("change", (event) => {
  const { name } = event.target;
  if (name === "me") {
    show(byId("called-part"), chosen("me") === "me");
    models();
  } else if (["model", "other_model", "backend"].includes(name)) {
    asked.abort();
    asked = new AbortController();
    expect(asked.signal);
  }
});
models();
