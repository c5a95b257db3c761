// The figures: how scores lie, and where items lie.

// Where values stand on an axis, 0 to 1, and where it has ticks; a wide one is logarithmic, unless it is to be even.
function axis(low, high, even = false) {
  if (!even && low > 0 && high > 30 * low) {
    const first = Math.log10(low), span = Math.log10(high) - first;
    const ticks = [];
    const times = span > 3 ? [1] : [1, 2, 5];
    for (let power = Math.floor(first); power <= Math.log10(high); power++) ticks.push(...times.map((one) => one * 10 ** power));
    return { to: (value) => (Math.log10(Math.max(value, low)) - first) / span, logarithmic: true,
      ticks: ticks.filter((tick) => tick >= low && tick <= high) };
  }
  const span = high - low || 1, rough = span / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough);
  const ticks = [];
  for (let value = Math.ceil(low / step); value * step <= high; value++) ticks.push(value * step);
  return { to: (value) => (value - low) / span, ticks };
}

function histogram(scores, scale, bins) {
  const counts = new Array(bins).fill(0);
  for (const score of scores) counts[Math.max(0, Math.min(bins - 1, Math.floor(bins * scale.to(score))))]++;
  return counts.map((count) => count / Math.max(1, scores.length));
}

let scoreScale = null;

function prepareScale() {
  const scores = [reference.scores, data.drawn ?? items.score];
  const positive = (some) => some.reduce((least, score) => (score > 0 && score < least ? score : least), Infinity);
  const low = Math.min(...scores.map(positive)), high = Math.max(...scores.map((some) => range([0, ...some])[1]));
  const scale = axis(Number.isFinite(low) ? low : 0, high || 1), bins = 48;
  scoreScale = { ...scale, bins, shares: scores.map((some) => histogram(some, scale, bins)) };
}

function drawHistogram() {
  const [left, right, top, bottom] = [64, 628, 18, 224];
  const x = (value) => left + scoreScale.to(value) * (right - left);
  const highest = Math.max(...scoreScale.shares.flat(), 1e-9), wide = (right - left) / scoreScale.bins;
  const parts = [draw("line", { x1: left, x2: right, y1: bottom, y2: bottom }), draw("line", { x1: left, x2: left, y1: top, y2: bottom })];
  scoreScale.shares.forEach((shares, scored) => shares.forEach((share, bin) => {
    const high = ((bottom - top) * share) / highest, inset = scored ? wide / 4 : 0.5;
    if (high > 0) {
      parts.push(draw("rect", { class: scored ? "query-mark" : "reference-mark", x: left + bin * wide + inset,
        width: wide - 2 * inset, y: bottom - high, height: high }));
    }
  }));
  const middle = (top + bottom) / 2;
  parts.push(
    draw("text", { x: (left + right) / 2, y: 275, "text-anchor": "middle" }, `anomaly score${scoreScale.logarithmic ? ", logarithmic axis" : ""}`),
    draw("text", { transform: `translate(24 ${middle}) rotate(-90)`, "text-anchor": "middle" }, "share of each kind"),
    draw("text", { x: left - 8, y: top + 8, "text-anchor": "end" }, percent(highest)),
    draw("text", { x: left - 8, y: bottom, "text-anchor": "end" }, "0"));
  for (const tick of scoreScale.ticks) {
    const share = scoreScale.to(tick), anchor = share > 0.95 ? "end" : share < 0.05 ? "start" : "middle";
    parts.push(draw("text", { x: x(tick), y: bottom + 22, "text-anchor": anchor }, short(tick)));
  }
  const above = threshold(), warns = warn && warn.rank > limit();
  for (const [name, value] of [["warn-threshold-mark", warns ? warn.threshold : Infinity], ["threshold-mark", above]]) {
    const place = Math.max(left, Math.min(right, x(value)));
    if (Number.isFinite(value)) parts.push(draw("line", { class: name, x1: place, x2: place, y1: top - 8, y2: bottom }));
  }
  const further = warns ? ` Warned of is what scores above ${number(warn.threshold)}.` : "";
  at("histogram").replaceChildren(...parts);
  at("histogram-words").textContent = `${Number.isFinite(above) ? `Flagged is what scores above ${number(above)}.` : "Nothing is flagged."}${further}`;
}

const SHAPES = { anomalous: "M-6 0L0 -6L6 0L0 6Z", warned: "M-6 5L0 -6L6 5Z", normal: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" };
SHAPES.undecided = SHAPES.normal;
const points = [];  // of the map: { mark, item, x, y }

// An item that is to be judged unseen is not on the map.
function markPoints() {
  for (const { mark, item } of points) {
    const decided = decision(item);
    mark.setAttribute("class", `point ${MARKS[decided]}`);
    mark.setAttribute("d", SHAPES[decided]);
    mark.setAttribute("aria-label", `${items.name[item]}: ${DECISIONS[decided]}`);
    mark.toggleAttribute("hidden", isHidden(item));
  }
}

// The point that lies nearest in the direction of an arrow: what lies aside counts twice.
function pointTowards(from, [across, down]) {
  let [best, least] = [null, Infinity];
  for (const one of points) {
    const ahead = (one.x - from.x) * across + (one.y - from.y) * down;
    const far = ahead + 2 * Math.abs((one.x - from.x) * down + (one.y - from.y) * across);
    if (ahead > 0 && far < least && !isHidden(one.item)) [best, least] = [one, far];
  }
  return best;
}

function moveOnMap(event) {
  const from = points.find(({ mark }) => mark === event.target);
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!from || (!step && event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  const next = step ? pointTowards(from, step) : null;
  if (!step) openItem(from.item);
  if (!next) return;
  from.mark.setAttribute("tabindex", "-1");
  next.mark.setAttribute("tabindex", "0");
  next.mark.focus();
}

function startMap() {
  if (!data.map) return;
  at("map-section").hidden = false;
  if (data.map.note) at("map-words").append(` ${data.map.note}`);
  const place = ([x, y]) => [40 + 0.94 * x, 16 + 0.54 * y];
  const moved = (point) => `translate(${place(point).join(" ")})`;
  const of = (direction) => `the direction in which they differ ${direction}`;
  at("map").append(draw("text", { x: 510, y: 592, "text-anchor": "middle" }, of("most")),
    draw("text", { transform: "translate(20 286) rotate(-90)", "text-anchor": "middle" }, of("second most")),
    ...data.map.reference.map((point) => draw("circle", { class: "reference-mark", r: 3, transform: moved(point) })));
  data.map.queries.forEach((point, i) => {
    const item = data.map.items[i], [x, y] = place(point);
    const mark = draw("path", { "data-item": item, transform: moved(point), role: "button", tabindex: "-1" });
    mark.append(draw("title", {}, items.name[item]));
    at("map").append(mark);
    points.push({ mark, item, x, y });
  });
  points.find(({ item }) => !isHidden(item))?.mark.setAttribute("tabindex", "0");
  at("map").addEventListener("click", (event) => {
    const mark = event.target.closest("[data-item]");
    if (mark) openItem(Number(mark.dataset.item));
  });
  at("map").addEventListener("keydown", moveOnMap);
}
