// Lines over steps as SVG: drawn with attributes and classes alone, for the page allows no other style.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 840;
const HEIGHT = 280;
const EDGE = { left: 46, right: 12, top: 10, bottom: 34 };

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Round numbers from low to high, about `many`. */
function ticks(low, high, many) {
  const rough = (high - low) / many || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / size) * size; at <= high + size / 1e6; at += size) found.push(Number(at.toPrecision(12)));
  return found;
}

/**
 * A chart of series of points.
 * @param {{name: string, points: [number, number][], pale?: [number, number][], dashed?: boolean}[]} series
 * @param {{total?: number, marks?: number[], label: string}} about
 */
export function chart(series, about) {
  const all = series.flatMap((each) => [...each.points, ...(each.pale ?? [])]);
  const right = Math.max(about.total ?? 0, ...all.map(([step]) => step), 2);
  const top = Math.max(...all.map(([, value]) => value), 0.1) * 1.05;
  const x = (step) => EDGE.left + ((step - 1) / (right - 1)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const place = ([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`;

  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": said(series, about) });
  for (const value of ticks(0, top, 4)) {
    drawn.append(svg("line", { class: "rule", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }));
    drawn.append(svg("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const step of ticks(1, right, 6).filter(Number.isInteger)) {
    if (step >= 1) drawn.append(svg("text", { x: x(step), y: HEIGHT - EDGE.bottom + 18, "text-anchor": "middle" }, step.toLocaleString("en")));
  }
  drawn.append(svg("text", { x: WIDTH - EDGE.right, y: HEIGHT - 2, "text-anchor": "end" }, "step"));
  for (const step of about.marks ?? []) {
    drawn.append(svg("line", { class: "mark", x1: x(step), x2: x(step), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
  }
  series.forEach((each, number) => {
    const classes = `s${number % 6} line${each.dashed ? " dashed" : ""}`;
    if (each.pale?.length) drawn.append(svg("polyline", { class: `${classes} pale`, points: each.pale.map(place).join(" ") }));
    drawn.append(svg("polyline", { class: classes, points: each.points.map(place).join(" ") }));
    const last = each.points.at(-1);
    if (last) drawn.append(svg("circle", { class: `s${number % 6}`, cx: x(last[0]), cy: y(last[1]), r: 4 }));
  });
  return drawn;
}

function said(series, about) {
  const told = series
    .filter((each) => each.points.length)
    .map(({ name, points }) => `${name}: ${points[0][1].toPrecision(3)} at step ${points[0][0]}, ${points.at(-1)[1].toPrecision(3)} at step ${points.at(-1)[0]}`);
  return `${about.label}. ${told.join("; ")}`;
}

/** Which line is which. */
export function legend(series) {
  const list = document.createElement("ul");
  list.className = "legend";
  series.forEach(({ name, dashed }, number) => {
    const item = document.createElement("li");
    const sample = svg("line", { class: `s${number % 6} line${dashed ? " dashed" : ""}`, x1: 0, x2: 26, y1: 6, y2: 6 });
    item.append(svg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, sample), name);
    list.append(item);
  });
  return list;
}

/** The curves of one run, as the studio tells them. */
export function curvesOf(curve, names = ["in training", "on what is held out"]) {
  const isRough = curve.smooth.length > 0;
  const found = [{ name: names[0], points: isRough ? curve.smooth : curve.train, pale: isRough ? curve.train : [] }];
  if (curve.valid.length) found.push({ name: names[1], points: curve.valid, dashed: true });
  return found;
}
