// Blind votes: answers in an order that tells nothing; who gave them is told once one is chosen.

import { address, ask, byId, form, lines, made, show } from "./page.js";

const config = byId("vote").dataset.config;
const LETTERS = "ABCDEFGH";
let item = null;

function complain(error) {
  byId("vote-said").textContent = "";
  byId("vote-error").textContent = error.message;
  show(byId("vote-error"), true);
}

function bubble(who, role, words) {
  const turn = made("li", who);
  turn.append(made("span", "role", role), made("span", "words", words));
  return turn;
}

function answerOf(words, place) {
  const button = made("button", "answer quiet");
  button.type = "button";
  button.append(made("span", "role", LETTERS[place]), made("span", "words", words || "(nothing)"));
  button.addEventListener("click", () => cast(String(place)));
  return button;
}

function count(standings) {
  const counted = standings.filter((each) => each.share);
  show(byId("count"), counted.length > 0);
  const percent = (part) => `${Math.round(100 * part)}`;
  byId("standings").replaceChildren(
    ...counted.map(({ label, chosen, votes, share }) => {
      const row = made("tr");
      const name = made("th", "", label);
      name.scope = "row";
      row.append(name, made("td", "number", `${chosen} of ${votes}`), made("td", "number", `${percent(share.value)} % (${percent(share.low)} to ${percent(share.high)})`));
      return row;
    }),
  );
}

async function next() {
  try {
    const now = await (await ask(address("/vote/next", { config }))).json();
    item = now.item;
    count(now.standings);
    show(byId("item"), Boolean(item));
    byId("vote-said").textContent = item ? "" : now.all ? "All of these are voted on." : "There is nothing to compare: the models say the same.";
    if (!item) return;
    byId("item-title").textContent = `${now.all - now.waiting + 1} of ${now.all}`;
    byId("context").replaceChildren(...item.context.map(({ role, content }) => bubble(role === "assistant" ? "learnt" : "user", role === "assistant" ? "them" : "the other", content)));
    byId("answers").replaceChildren(...item.answers.map(answerOf));
    show(byId("unsure"), true);
    show(byId("next"), false);
    byId("item-title").focus();
  } catch (error) {
    complain(error);
  }
}

async function cast(chosen) {
  for (const button of byId("answers").children) button.disabled = true;
  try {
    const told = await (await ask(address("/vote/cast", { config }), form({ item: item.id, chosen }))).json();
    [...byId("answers").children].forEach((button, place) => {
      button.querySelector(".role").textContent = `${LETTERS[place]}: ${told.labels[place]}`;
      button.classList.toggle("true", place === told.true);
      button.classList.toggle("chosen", place === told.chosen);
    });
    byId("vote-said").textContent = told.chosen === null ? "Not counted." : told.chosen === told.true ? "Right." : `No: this is the ${told.labels[told.chosen]} one.`;
    show(byId("unsure"), false);
    show(byId("next"), true);
    byId("next").focus();
  } catch (error) {
    complain(error);
  }
}

async function begin() {
  const wrong = [];
  let code = "";
  try {
    await lines(await ask(address("/vote/begin", { config }), form({})), ({ what, line }) => {
      if (what === "code") code = line;
      if (what === "err") {
        wrong.push(line);
        byId("vote-said").textContent = line.trim();
      }
    });
    if (code !== "0") throw new Error(wrong.at(-1) ?? "The models could not be asked.");
    await next();
  } catch (error) {
    complain(error);
  }
}

byId("unsure").addEventListener("click", () => cast(""));
byId("next").addEventListener("click", next);
begin();
