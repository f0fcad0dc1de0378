// The playground: one thing is said to several models at once, and their answers come side by side.

import { address, ask, byId, lines, made, show } from "./page.js";

const config = byId("talk").dataset.config;
const columns = new Map(); // by model: its column, and what was said in it
let answering = null;

function column(choice) {
  const part = made("section", "column");
  const title = made("h2", "", choice.label);
  title.id = `column-${columns.size}`;
  part.setAttribute("aria-labelledby", title.id);
  const said = made("ol", "turns talk");
  said.setAttribute("aria-live", "polite");
  part.append(title, said);
  byId("columns").append(part);
  columns.set(choice.model, { choice, part, said, history: [] });
}

function choiceOf(choice, number) {
  const label = made("label", "check");
  const box = made("input");
  box.type = "checkbox";
  box.checked = number < 2;
  box.addEventListener("change", () => {
    show(columns.get(choice.model).part, box.checked);
  });
  label.append(box, made("span", "", choice.label));
  byId("choices").append(label);
}

function bubble(place, who, role, words = "") {
  const item = made("li", who);
  const text = made("span", "words", words);
  item.append(made("span", "role", role), text);
  place.append(item);
  return text;
}

async function answer(model, words, signal) {
  const { choice, said, history } = columns.get(model);
  history.push({ role: "user", content: words });
  bubble(said, "user", "you", words);
  const text = bubble(said, "learnt", choice.label);
  text.classList.add("waiting");
  const system = byId("system").value.trim();
  const messages = system ? [{ role: "system", content: system }, ...history] : history;
  const temperature = Number(byId("temperature").value);
  try {
    const answered = await ask(address("/talk/say", { config }), { method: "POST", signal, body: JSON.stringify({ model, messages, temperature }) });
    await lines(answered, (piece) => {
      text.classList.remove("waiting");
      if (piece.error) bubble(said, "failed", "it failed", piece.error);
      text.textContent += piece.text ?? "";
    });
  } catch (error) {
    if (error.name !== "AbortError") bubble(said, "failed", "it failed", error.message);
  }
  text.classList.remove("waiting");
  if (text.textContent) {
    history.push({ role: "assistant", content: text.textContent });
  } else {
    history.pop(); // a question without an answer is no part of the conversation
    text.textContent = "(nothing)";
  }
}

async function send(event) {
  event.preventDefault();
  const words = byId("words").value.trim();
  if (!words || answering) return;
  answering = new AbortController();
  byId("words").value = "";
  show(byId("stop"), true);
  const asked = [...columns].filter(([, { part }]) => !part.hidden).map(([model]) => model);
  await Promise.all(asked.map((model) => answer(model, words, answering.signal)));
  answering = null;
  show(byId("stop"), false);
  byId("words").focus();
}

async function begin() {
  try {
    const who = await (await ask(address("/talk/who", { config }))).json();
    who.choices.forEach((choice, number) => {
      column(choice);
      choiceOf(choice, number);
      show(columns.get(choice.model).part, number < 2);
    });
    byId("temperature").value = who.temperature;
    byId("system").value = who.system ?? "";
    byId("temperature").dispatchEvent(new Event("input"));
    byId("talk-said").textContent = "Nothing that is said here is kept.";
    show(byId("talking"), true);
    byId("words").focus();
  } catch (error) {
    byId("talk-said").textContent = "";
    byId("talk-error").textContent = error.message;
    show(byId("talk-error"), true);
  }
}

byId("say").addEventListener("submit", send);
byId("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) byId("say").requestSubmit(event.preventDefault());
});
byId("stop").addEventListener("click", () => answering?.abort());
byId("anew").addEventListener("click", () => {
  answering?.abort();
  for (const each of columns.values()) {
    each.history.length = 0;
    each.said.replaceChildren();
  }
});
byId("temperature").addEventListener("input", () => {
  byId("temperature-said").textContent = byId("temperature").value;
});
begin();
