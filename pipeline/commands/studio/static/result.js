// The curves of one training, or of several.

import { byId } from "./page.js";
import { chart, curvesOf, legend } from "./chart.js";

const place = byId("chart");
if (place?.dataset.curve) {
  const curve = JSON.parse(place.dataset.curve);
  const series = curvesOf(curve);
  if (curve.train.length > 1) {
    place.append(...(series.length > 1 ? [legend(series)] : []), chart(series, { total: curve.total, marks: curve.marks, label: "Loss by step" }));
  }
}
if (place?.dataset.series) {
  const series = JSON.parse(place.dataset.series).slice(0, 6);
  if (series.length) place.append(legend(series), chart(series, { label: "Loss by step" }));
}
