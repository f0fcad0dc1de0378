// Taking the model along, line by line; and removing: first what would go is shown, then it goes.

import { address, ask, byId, form, lines, made, show } from "./page.js";

const config = byId("remove").dataset.config;
let part = "";

async function plan() {
  const place = byId("plan");
  place.replaceChildren();
  byId("ask-yes").disabled = true;
  byId("ask-said").textContent = "Looking …";
  show(place, false);
  byId("ask").showModal();
  const wrong = [];
  try {
    await lines(await ask(address("/remove/plan", { config }), form({ part })), ({ what, line }) => {
      if (what === "err") wrong.push(line);
      if (what === "out" && !line.startsWith("Nothing was deleted")) place.append(made("li", "", line));
      if (what === "code") byId("ask-yes").disabled = line !== "0" || !place.querySelector("li") || place.textContent.startsWith("There is nothing");
    });
    byId("ask-said").textContent = wrong.join(" ");
  } catch (error) {
    byId("ask-said").textContent = error.message;
  }
  show(place, place.childElementCount > 0);
}

async function remove() {
  byId("ask-yes").disabled = true;
  byId("ask-said").textContent = "Removing …";
  const fields = { part };
  if (part !== "model" && byId("archive")?.checked) fields.archive = "yes";
  try {
    const said = await (await ask(address("/remove/do", { config }), form(fields))).json();
    byId("ask").close();
    byId("removed").textContent = said.filter((line) => line.startsWith("Deleted") || line.startsWith("The archive")).join(" ");
    show(byId("removed"), true);
    byId("removed").tabIndex = -1;
    byId("removed").focus();
  } catch (error) {
    byId("ask-said").textContent = error.message;
  }
}

async function take(button) {
  const buttons = document.querySelectorAll("button[data-form]");
  const place = byId("export-list");
  for (const each of buttons) each.disabled = true;
  place.replaceChildren(made("li", "soft", "Writing it …"));
  show(place, true);
  try {
    await lines(await ask(address("/export", { config }), form({ to: button.dataset.form })), ({ what, line }) => {
      if (what !== "code" && line.trim()) place.append(made("li", "", line.trim()));
    });
  } catch (error) {
    place.append(made("li", "", error.message));
  }
  for (const each of buttons) each.disabled = false;
}

for (const button of document.querySelectorAll("button[data-form]")) {
  button.addEventListener("click", () => take(button));
}
for (const button of document.querySelectorAll("button[data-part]")) {
  button.addEventListener("click", () => {
    part = button.dataset.part;
    if (byId("archive-part")) show(byId("archive-part"), part !== "model");
    plan();
  });
}
byId("ask-yes").addEventListener("click", remove);
byId("ask-no").addEventListener("click", () => byId("ask").close());
