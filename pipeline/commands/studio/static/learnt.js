// The messages that were left out for one reason, as they come.

import { address, ask, byId, form, lines, made, show } from "./page.js";

const MOST = 500;
const part = byId("dropped");
let asked = new AbortController();

async function list(button) {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  for (const each of part.querySelectorAll("button")) each.setAttribute("aria-expanded", String(each === button));
  const place = byId("dropped-list");
  const said = byId("dropped-said");
  place.replaceChildren();
  show(place, true);
  said.textContent = "Looking …";
  let count = 0;
  const wrong = [];
  try {
    const answer = await ask(address("/learnt/dropped", { config: part.dataset.config }), { ...form({ reason: button.dataset.reason }), signal });
    await lines(answer, ({ what, line }) => {
      if (what === "err") wrong.push(line);
      if (what !== "out") return;
      count += 1;
      if (count <= MOST) place.append(made("li", "", line));
    });
    said.textContent = wrong.join(" ") || (count > MOST ? `The first ${MOST} of ${count.toLocaleString("en")}` : "");
  } catch (error) {
    if (error.name !== "AbortError") said.textContent = error.message;
  }
}

part?.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-reason]");
  if (button) list(button);
});
