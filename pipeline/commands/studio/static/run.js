// The page of a run: follows what the studio tells of it, and draws it anew each time.

import { address, ask, byId, duration, form, lines, made, show } from "./page.js";
import { chart, curvesOf, legend } from "./chart.js";

const config = byId("run").dataset.config;
const WORDS = {
  new: ["not begun", "Nothing has run yet. It begins when you say so."],
  running: ["at work", "It is at work. This page may be closed; it goes on."],
  busy: ["in use", "Somebody is talking to it, or looks at it."],
  failed: ["failed", "It stopped, for the reason below. What was done is kept."],
  stopped: ["stopped half-way", "It was stopped in the middle. Nothing is lost: it goes on from its last saved step."],
  begun: ["begun", "The examples are made. The training has not begun."],
  outdated: ["something changed", "Something was changed since. What depends on it is done again; the rest is kept."],
  done: ["finished", "It is finished."],
  broken: ["cannot be read", "The settings or the state cannot be read."],
};
const STEP_WORDS = { done: "done", running: "at work", failed: "failed", pending: "to come", stopped: "stopped half-way", again: "to be done again" };

function stateOf(step, isAtWork) {
  if (step.state === "running") return isAtWork ? "running" : "stopped";
  return step.state === "done" && step.why ? "again" : step.state;
}

function stepOf(step, isAtWork) {
  const state = stateOf(step, isAtWork);
  const item = made("li", state);
  if (step.seconds >= 0.95 && step.state === "done") item.append(made("span", "time", duration(step.seconds)));
  item.append(made("span", "title", step.title), made("span", ["done", "pending"].includes(state) ? "unseen" : "soft", ` ${STEP_WORDS[state]}`));
  const more = step.error ?? (step.why ? `again, because ${step.why}` : step.made);
  if (more) item.append(made("span", "soft", more));
  return item;
}

function drawWork(now) {
  const { progress, curve } = now;
  show(byId("work"), Boolean(progress));
  if (!progress) return;
  const bar = byId("bar");
  if (progress.total) {
    bar.max = progress.total;
    bar.value = progress.done;
  } else {
    bar.removeAttribute("value");
  }
  const step = now.steps.find((each) => each.state === "running");
  const left = curve?.left ? `about ${duration(curve.left)} left` : "";
  byId("bar-said").textContent = [step?.title, progress.text, left].filter(Boolean).join(" · ");
}

function drawCurve(curve) {
  show(byId("curve"), Boolean(curve?.train.length > 1));
  if (!(curve?.train.length > 1)) return;
  const series = curvesOf(curve);
  const about = { total: curve.total, marks: curve.marks, label: "Loss by step" };
  byId("chart").replaceChildren(...(series.length > 1 ? [legend(series)] : []), chart(series, about));
}

function say(element, words) {
  if (element.textContent !== words) element.textContent = words; // what is the same is not read out again
}

function draw(now) {
  const isAtWork = now.standing === "running";
  const [badge, words] = WORDS[now.standing];
  byId("badge").className = `badge ${now.standing}`;
  byId("badge").textContent = now.pausing ? "pausing" : badge;
  show(byId("badge"), true);
  const owner = now.owner ? ` It was started elsewhere (${now.owner}).` : "";
  say(byId("standing"), now.pausing ? "Pausing: the training saves where it is." : words + owner);
  show(byId("error"), Boolean(now.error));
  if (now.error && byId("error").dataset.said !== now.error) {
    byId("error").dataset.said = now.error;
    byId("error").replaceChildren(...now.error.split("\n").map((line) => made("p", "", line)));
  }
  drawWork(now);
  drawCurve(now.curve);
  byId("steps").replaceChildren(...now.steps.map((step) => stepOf(step, isAtWork)));
  show(byId("notes-part"), now.notes.length > 0);
  byId("notes").replaceChildren(...now.notes.map((words) => made("li", "", words)));
  const canBegin = !isAtWork && !["done", "broken"].includes(now.standing);
  show(byId("start"), canBegin);
  byId("start").querySelector("button").textContent = now.standing === "new" ? "Begin" : now.standing === "begun" ? "Train it" : "Go on";
  show(byId("prepare"), now.standing === "new");
  show(byId("pause"), isAtWork && !now.pausing);
  show(byId("cancel"), now.training && !now.pausing);
  show(byId("talk"), Boolean(now.model) && !isAtWork);
  show(byId("result"), Boolean(now.model));
}

const LOST = "The studio does not answer. A training that it began goes on by itself. This page tries again; if the studio was ended, start it again with `finetune studio` in the same folder.";

function follow() {
  const source = new EventSource(address("/run/events", { config }));
  source.onmessage = (event) => {
    show(byId("lost"), false);
    draw(JSON.parse(event.data));
  };
  source.onerror = async () => {
    byId("lost").textContent = LOST;
    show(byId("lost"), true);
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    try {
      await ask(address("/run/alive", { config }));
    } catch (error) {
      byId("lost").textContent = error.message;
    }
    setTimeout(follow, 2000);
  };
}

async function cancel() {
  const said = byId("ask-said");
  show(said, true);
  said.textContent = "Cancelling …";
  byId("ask-yes").disabled = true;
  const told = [];
  try {
    await lines(await ask(address("/run/cancel", { config }), form({})), ({ what, line }) => {
      if (what !== "code") told.push(line);
      said.textContent = told.join("\n") || "Done.";
    });
  } catch (error) {
    said.textContent = error.message;
  }
  byId("ask-no").textContent = "Close";
}

byId("cancel").addEventListener("click", () => {
  byId("ask-yes").disabled = false;
  byId("ask-no").textContent = "Let it go on";
  show(byId("ask-said"), false);
  byId("ask").showModal();
});
byId("ask-yes").addEventListener("click", cancel);
byId("ask-no").addEventListener("click", () => byId("ask").close());
follow();
