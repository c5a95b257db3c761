"use strict";
// Shows what Python wrote into the element `data`: columns, not rows; names are places in lists.  Texts come to the page
// as text, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const { items, reference, calibration, words } = data;
const at = (id) => document.getElementById(id);
const PER_PAGE = 48, TIMELINES = 6, BARS = 2000;

const state = { rank: calibration.rank, order: [], shown: 0, open: -1 };

// A p-value is rank / (m + 1); the same division as in Python decides alike, to the bit.
const pValue = (item) => items.rank[item] / (calibration.size + 1);
const isAnomalous = (item) => items.rank[item] <= state.rank;
const rateOf = (rank) => rank / (calibration.size + 1);
// Decided as was asked: at a rate, or in another way, which no rate describes.
const asked = () => state.rank === calibration.rank;

function number(value, digits = 3) {
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}

function whole(value) {
  return value.toLocaleString("en");
}

// A rate as a person says it: so many in so many.
function soManyIn(rate) {
  const times = 1 / rate;
  const near = Math.abs(times - Math.round(times)) < 1e-9 * times;
  return near ? ["1", whole(Math.round(times))] : [number(100 * rate), "100"];
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function draw(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function picture(source, caption, alternative) {
  const image = source === undefined
    ? make("span", { class: "gone" }, words.gone)
    : make("img", { src: `data:image/jpeg;base64,${source}`, alt: alternative });
  return make("span", { class: "picture" }, image, make("span", { class: "text" }, caption));
}

// The n-th item's neighbours: places in the list of reference names, and distances.
function neighbors(item) {
  const from = items.starts[item], to = items.starts[item + 1];
  return Array.from({ length: to - from }, (_, i) => [items.near[from + i], items.distance[from + i]]);
}

function itemPicture(item, caption) {
  return picture(items.pictures[item], caption, `picture of ${items.name[item]}`);
}

function neighborPicture([place, distance], caption) {
  return picture(reference.pictures[place], caption, `normal item ${reference.name[place]}, distance ${number(distance)}`);
}

const explained = new Map((data.columns?.items ?? []).map((item, i) => [item, i]));

// The columns that make an item strangest, first of all; none where the page does not have them.
function contributions(item) {
  const place = explained.get(item);
  if (place === undefined) return [];
  const { name, starts, column, share, value, near } = data.columns, from = starts[place];
  return share.slice(from, starts[place + 1]).map((one, i) => (
    { column: name[column[from + i]], share: one, value: value[from + i], near: near[from + i] }));
}

const said = new Map((data.texts?.items ?? []).map((item, i) => [item, i]));

// What a message says, the words marked that none of its neighbours has: every second piece is one.
function message(item) {
  const pieces = data.texts.value[said.get(item)];
  return make("span", { class: "message text" }, ...pieces.map((piece, i) => (i % 2 ? make("mark", {}, piece) : piece)));
}

function quote([place, distance]) {
  const text = data.texts.reference[place] ?? reference.name[place];
  return make("span", { class: "quote" }, make("span", { class: "message text" }, text), ` (${number(distance)})`);
}

function cell(value, name = "span") {
  return value === null ? make(name, { class: "missing" }, "missing") : make(name, { class: "text" }, String(value ?? ""));
}

function percent(share) {
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

function shareBar(share) {
  return make("span", { class: "share" }, make("span", { class: "track" },
    make("span", { class: "part", style: `width: ${(100 * share).toFixed(1)}%` })), " ",
    make("span", { class: "percent" }, percent(share)), " ");
}

// A line of a card: a column, its share, its value beside those of the neighbours, each once.
function reason({ column, share, value, near }) {
  const different = [...new Set(near)], shown = different.slice(0, 3).flatMap((one, i) => [i ? ", " : "", cell(one)]);
  return make("span", { class: "reason" }, make("span", { class: "column text" }, column), " ", shareBar(share),
    make("span", { class: "values" }, make("b", {}, cell(value)), " beside ", ...shown, different.length > 3 ? ", …" : ""));
}

function nearest(one) {
  return make("span", { class: "near" }, make("span", { class: "text" }, reference.name[one[0]]), ` (${number(one[1])}) `);
}

// The least and the largest of any number of values.
function range(values) {
  return values.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
}

const drawn = new Map((data.series?.items ?? []).map((item, i) => [item, data.series.curves[i]]));

// A column of a window, and of its neighbours below it, over each other.
function overlay([column, share, value, near], wide, high) {
  const [low, most] = range([value, ...near].flat()), span = most - low || 1, edge = 4;
  const line = (values) => values.map((one, i) => {
    const x = edge + (i * (wide - 2 * edge)) / Math.max(1, values.length - 1);
    return `${x.toFixed(1)},${(high - edge - ((one - low) * (high - 2 * edge)) / span).toFixed(1)}`;
  }).join(" ");
  const chart = draw("svg", { class: "overlay", viewBox: `0 0 ${wide} ${high}`, role: "img",
    "aria-label": `${column}: this window over its nearest, from ${number(low)} to ${number(low + span)}` });
  chart.append(...near.map((one) => draw("polyline", { class: "reference-line", points: line(one) })),
    draw("polyline", { class: "own-line", points: line(value) }));
  return chart;
}

// What a card shows: pictures, what a message and the nearest say, or the columns that make a row strange, or else what is nearest.
function evidence(item) {
  const near = neighbors(item).slice(0, 3);
  if (items.pictures) {
    const beside = near.map((one) => neighborPicture(one, number(one[1])));
    return make("span", { class: "strip" }, itemPicture(item, words.item), ...beside);
  }
  if (drawn.has(item)) {
    return make("span", { class: "reasons" }, overlay(drawn.get(item)[0], 300, 72),
      make("span", { class: "column" }, `to ${data.series.end[item]}`, drawn.get(item).length > 1 ? `; ${drawn.get(item)[0][0]}` : ""));
  }
  if (said.has(item)) {
    return make("span", { class: "reasons" }, message(item), ...near.slice(0, 1).flatMap((one) => [make("span", { class: "column" }, "nearest"), quote(one)]));
  }
  const strange = contributions(item).slice(0, 3).filter(({ share }, i) => !i || share >= 0.05);
  return strange.length
    ? make("span", { class: "reasons" }, ...strange.map(reason))
    : make("span", { class: "reasons" }, make("span", { class: "column" }, "nearest "), ...near.map(nearest));
}

function verdict(item) {
  const word = isAnomalous(item) ? "anomalous" : "normal";
  return make("span", { class: `verdict ${word}` }, make("b", {}, word),
    ` · p-value ${number(pValue(item), 2)} · score ${number(items.score[item], 4)}`);
}

function card(item, place) {
  const button = make("button", {
    type: "button", class: "card", "data-place": place, tabindex: place ? "-1" : "0", onclick: () => open(place),
  }, make("span", { class: "name" }, items.name[item]), verdict(item), evidence(item));
  button.classList.toggle("anomalous", isAnomalous(item));
  return make("li", {}, button);
}

function showMore() {
  const next = state.order.slice(state.shown, state.shown + PER_PAGE);
  at("gallery").append(...next.map((item, i) => card(item, state.shown + i)));
  state.shown += next.length;
  at("more").hidden = state.shown >= state.order.length;
  at("more").textContent = `Show more (${whole(state.order.length - state.shown)} left)`;
}

const SORTS = {
  score: (a, b) => items.score[b] - items.score[a],
  least: (a, b) => items.score[a] - items.score[b],
  name: (a, b) => (items.name[a] < items.name[b] ? -1 : items.name[a] > items.name[b] ? 1 : 0),
  input: () => 0,
};
const sorted = {};

function inOrder(sort) {
  const compare = SORTS[sort];
  sorted[sort] ??= items.name.map((_, item) => item).sort((a, b) => compare(a, b) || a - b);
  return sorted[sort];
}

// What the search looks through: the name, and what a message says.
function searched(item) {
  return `${items.name[item]} ${said.has(item) ? data.texts.value[said.get(item)].join("") : ""}`.toLowerCase();
}

function choose() {
  const wanted = at("search").value.trim().toLowerCase(), kind = at("filter").value;
  state.order = inOrder(at("sort").value).filter((item) =>
    (kind === "all" || (kind === "anomalous") === isAnomalous(item)) &&
    (!wanted || searched(item).includes(wanted)));
  state.shown = 0;
  at("gallery").replaceChildren();
  at("count").textContent = `${whole(state.order.length)} of ${whole(items.name.length)} match`;
  showMore();
}

function sentence(found, decided) {
  const scored = `${whole(items.name.length)} ${items.name.length === 1 ? words.one : words.many}`;
  const lost = data.lost ? `; ${whole(data.lost)} could not be read` : "";
  return `${scored}, ${whole(found)} anomalous${decided}${lost}`;
}

const ranks = calibration.ranks;

function decide() {
  const known = !asked() || calibration.rate !== null;
  const rate = asked() && known ? calibration.rate : rateOf(state.rank);
  const [count, base] = soManyIn(rate);
  const found = items.rank.reduce((sum, rank) => sum + (rank <= state.rank), 0);
  const inWords = known ? `${count} in ${base}` : "as it was decided";
  at("rate").value = ranks.indexOf(state.rank);
  at("rate").setAttribute("aria-valuetext", inWords);
  at("rate-words").textContent = inWords;
  at("found").textContent = whole(found);
  at("expected").textContent = known ? number(rate * items.name.length) : "–";
  const how = asked() ? words.decided : ` at ${count} false alarm${count === "1" ? "" : "s"} in ${base}`;
  at("sentence").textContent = document.title = sentence(found, how);
  at("reset").disabled = asked();
  drawHistogram();
  for (const point of at("map").querySelectorAll("[data-item]")) markPoint(point);
  for (const bar of at("times").querySelectorAll("[data-item]")) {
    bar.setAttribute("class", `bar-mark ${isAnomalous(Number(bar.dataset.item)) ? "alarm-mark" : "query-mark"}`);
  }
  choose();
}

// Flagged is what scores more than this.
function threshold() {
  return calibration.thresholds[ranks.indexOf(state.rank)] ?? Infinity;
}

function axis(low, high) {
  if (low > 0 && high > 30 * low) {
    const first = Math.log10(low), span = Math.log10(high) - first;
    const ticks = [];
    for (let power = Math.ceil(first); power <= Math.log10(high); power++) ticks.push(10 ** power);
    return { to: (value) => (Math.log10(Math.max(value, low)) - first) / span, ticks };
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
  const positive = (scores) => scores.reduce((least, score) => (score > 0 && score < least ? score : least), Infinity);
  const largest = (scores) => scores.reduce((most, score) => Math.max(most, score), 0);
  const low = Math.min(positive(reference.scores), positive(items.score));
  const high = Math.max(largest(reference.scores), largest(items.score));
  const scale = axis(Number.isFinite(low) ? low : 0, high || 1), bins = 48;
  scoreScale = { ...scale, bins, shares: [reference.scores, items.score].map((scores) => histogram(scores, scale, bins)) };
}

function drawHistogram() {
  const [left, right, top, bottom] = [12, 628, 16, 228];
  const x = (value) => left + scoreScale.to(value) * (right - left);
  const highest = Math.max(...scoreScale.shares.flat(), 1e-9), wide = (right - left) / scoreScale.bins;
  const parts = [draw("line", { x1: left, x2: right, y1: bottom, y2: bottom })];
  scoreScale.shares.forEach((shares, kind) => shares.forEach((share, bin) => {
    const high = ((bottom - top) * share) / highest, inset = kind ? wide / 4 : 0.5;
    if (high > 0) {
      parts.push(draw("rect", { class: kind ? "query-mark" : "reference-mark", x: left + bin * wide + inset,
        width: wide - 2 * inset, y: bottom - high, height: high }));
    }
  }));
  for (const tick of scoreScale.ticks) {
    parts.push(draw("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, number(tick)));
  }
  const limit = threshold();
  if (Number.isFinite(limit)) {
    const place = Math.max(left, Math.min(right, x(limit)));
    parts.push(draw("line", { class: "threshold-mark", x1: place, x2: place, y1: top - 8, y2: bottom }));
  }
  at("histogram").replaceChildren(...parts);
  at("histogram-words").textContent = Number.isFinite(limit)
    ? `Flagged is what scores above ${number(limit, 4)}. Each kind is drawn as shares of its own.`
    : "Nothing is flagged. Each kind is drawn as shares of its own.";
}

function markPoint(point) {
  const alarm = isAnomalous(Number(point.dataset.item));
  point.setAttribute("class", `point ${alarm ? "alarm-mark" : "query-mark"}`);
  point.setAttribute("d", alarm ? "M-6 0L0 -6L6 0L0 6Z" : "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0");
}

function drawMap() {
  if (!data.map) return;
  at("map-section").hidden = false;
  if (data.map.note) at("map-words").append(` ${data.map.note}`);
  const place = ([x, y]) => `translate(${20 + 0.96 * x} ${20 + 0.56 * y})`;
  for (const point of data.map.reference) {
    at("map").append(draw("circle", { class: "reference-mark", r: 3, transform: place(point) }));
  }
  data.map.queries.forEach((point, i) => {
    const mark = draw("path", { "data-item": data.map.items[i], transform: place(point) });
    mark.append(draw("title", {}, items.name[data.map.items[i]]));
    at("map").append(mark);
  });
  at("map").addEventListener("click", (event) => {
    const mark = event.target.closest("[data-item]");
    if (mark) openItem(Number(mark.dataset.item));
  });
}

function openItem(item) {
  if (!state.order.includes(item)) {
    at("search").value = "";
    at("filter").value = "all";
    choose();
  }
  open(state.order.indexOf(item));
}

function besidePictures(item) {
  const near = neighbors(item).map((one) => neighborPicture(one, `${reference.name[one[0]]} (${number(one[1])})`));
  return [make("div", { class: "beside" },
    make("div", {}, make("h3", {}, words.item), make("div", { class: "strip" }, itemPicture(item, items.name[item]))),
    make("div", {}, make("h3", {}, words.neighbors), make("div", { class: "strip" }, ...near)))];
}

function tableOf(label, head, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, ...head), make("tbody", {}, ...rows)));
}

function besideColumns(item, listed) {
  const near = neighbors(item), heading = (text, more) => make("th", { scope: "col", ...more }, text);
  const head = [make("tr", {}, heading("column", { rowspan: 2 }), heading("share", { rowspan: 2 }),
    heading(`this ${words.one}`, { rowspan: 2 }), heading(words.neighbors, { scope: "colgroup", colspan: near.length || 1 })),
  make("tr", {}, ...near.map((one) => heading(nearest(one), {})))];
  const rows = listed.map(({ column, share, value, near: values }) => make("tr", {},
    make("th", { scope: "row", class: "text" }, column), make("td", {}, shareBar(share)), make("td", { class: "own" }, cell(value)),
    ...near.map((_, i) => cell(values[i], "td"))));
  const others = 1 - listed.reduce((sum, { share }) => sum + share, 0);
  if (others >= 0.01) {
    rows.push(make("tr", {}, make("th", { scope: "row" }, "others"), make("td", {}, shareBar(others)),
      make("td", { colspan: near.length + 1 })));
  }
  return [tableOf("Columns", head, rows), make("p", { class: "quiet" }, `Shares are of the squared distance to the nearest ${words.many}, `
    + "which is the anomaly score. Those of all columns add up to 100 %; up to five are listed.")];
}

function besideTexts(item) {
  const rows = neighbors(item).map((one) => make("tr", {}, make("th", { scope: "row", class: "text" }, reference.name[one[0]]),
    make("td", { class: "message text" }, data.texts.reference[one[0]] ?? ""),
    make("td", { class: "number" }, number(one[1], 4))));
  const heading = (text, more) => make("th", { scope: "col", ...more }, text);
  const head = [make("tr", {}, heading("name"), heading("message"), heading("distance", { class: "number" }))];
  return [make("p", {}, message(item)), make("p", { class: "quiet" }, "Marked are the words that none of its neighbours has."),
    make("h3", {}, words.neighbors), tableOf(words.neighbors, head, rows)];
}

function besideCurves(item) {
  const several = drawn.get(item).length > 1;
  const charts = drawn.get(item).map((one) => make("figure", {},
    make("figcaption", {}, make("span", { class: "text" }, one[0]), several ? ` (${percent(one[1])} of the distance)` : ""), overlay(one, 640, 150)));
  return [make("p", {}, `From ${data.series.start[item]} to ${data.series.end[item]}.`), ...charts,
    make("p", { class: "quiet" }, make("span", { class: "key own" }, "the strangest window of it"),
      make("span", { class: "key reference" }, "its nearest windows, in their own time"))];
}

// When intervals are and how they score, series by series; those with the highest scores first.
function drawTimelines() {
  if (!data.series) return;
  const { series, owner, start, end } = data.series, dates = start.some((one) => /^\d{4,}-\d\d-\d\d/.test(one));
  const when = (text) => (dates ? Date.parse(`${text}Z`) : Number(text));
  const of = series.map(() => []);
  owner.forEach((one, item) => of[one].push(item));
  const top = (one) => one.reduce((most, item) => Math.max(most, items.score[item]), 0);
  const order = series.map((_, i) => i).sort((a, b) => top(of[b]) - top(of[a])).slice(0, TIMELINES);
  at("times-section").hidden = false;
  at("expected-words").textContent = "false alarms to expect, if nothing drifts";  // no rate of series is guaranteed
  if (series.length > TIMELINES) at("times-words").append(` Shown are ${TIMELINES} of ${whole(series.length)} series.`);
  let capped = false;
  for (const one of order) {
    const [first, last] = range(of[one].flatMap((item) => [when(start[item]), when(end[item])]));
    const highest = new Set([...of[one]].sort((a, b) => items.score[b] - items.score[a]).slice(0, BARS));
    const x = (text) => 8 + (984 * (when(text) - first)) / (last - first || 1), high = 120, most = top(of[one]) || 1;
    const chart = draw("svg", { viewBox: `0 0 1000 ${high + 24}`, role: "img", "aria-label": `scores of ${series[one]}` });
    if (of[one].length > BARS) capped = true;
    chart.append(...of[one].filter((item) => highest.has(item)).map((item) => {
      const tall = Math.max(1, (high * items.score[item]) / most);
      const bar = draw("rect", { "data-item": item, x: x(start[item]), width: Math.max(1.5, x(end[item]) - x(start[item]) - 0.5), y: high + 2 - tall, height: tall });
      bar.append(draw("title", {}, `${items.name[item]}, score ${number(items.score[item])}`));
      return bar;
    }), draw("text", { x: 8, y: high + 18 }, start[of[one][0]]),
    draw("text", { x: 992, y: high + 18, "text-anchor": "end" }, end[of[one].at(-1)]));
    chart.addEventListener("click", (event) => {
      const mark = event.target.closest("[data-item]");
      if (mark) openItem(Number(mark.dataset.item));
    });
    at("times").append(make("figure", {}, make("figcaption", { class: "text" }, series[one]), chart));
  }
  if (capped) at("times-words").append(` Of each series the ${whole(BARS)} highest are shown.`);
}

function besideNames(item) {
  const rows = neighbors(item).map(([place, distance]) => make("tr", {},
    make("td", { class: "text" }, reference.name[place]), make("td", { class: "number" }, number(distance, 4))));
  const head = make("tr", {}, make("th", { scope: "col" }, "name"), make("th", { scope: "col", class: "number" }, "distance"));
  const why = items.score[item] ? "The columns that make it strange are in the results file." : "It differs from them in no column.";
  return [...data.columns ? [make("p", { class: "quiet" }, why)] : [], make("h3", {}, words.neighbors), tableOf(words.neighbors, [head], rows)];
}

function open(place) {
  const item = state.order[place];
  if (item === undefined) return;
  state.open = place;
  const listed = contributions(item);
  const beside = items.pictures ? besidePictures(item) : drawn.has(item) ? [...besideCurves(item), ...besideNames(item)] : said.has(item) ? besideTexts(item) : listed.length ? besideColumns(item, listed) : besideNames(item);
  const body = [make("p", {}, verdict(item)), ...beside];
  const members = items.members ? items.members[item] : [];
  if (members.length) {
    body.push(make("h3", {}, "Pictures that pull it away, with their share of the score"),
      make("div", { class: "strip" }, ...members.map(([name, share, source]) =>
        picture(source ?? undefined, `${name} (${Math.round(100 * share)} %)`, `member ${name}`))));
  }
  at("large-name").textContent = items.name[item];
  at("large-body").replaceChildren(...body);
  at("large-body").classList.toggle("anomalous", isAnomalous(item));
  at("previous").disabled = place === 0;
  at("next").disabled = place === state.order.length - 1;
  if (!at("large").open) {
    at("large").showModal();
    at("large-name").focus();
  }
}

// Back to the card, unless it is so far down that all before it would have to be made.
function close() {
  if (state.open < state.shown + PER_PAGE) {
    while (state.shown <= state.open) showMore();
    focusCard(state.open);
  } else {
    at("map").focus();
  }
}

function focusCard(place) {
  const cards = at("gallery").querySelectorAll(".card"), card = cards[place];
  if (!card) return;
  for (const one of at("gallery").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
  card.tabIndex = 0;
  card.focus();
}

function columns() {
  const cards = [...at("gallery").children];
  return cards.filter((one) => one.offsetTop === cards[0].offsetTop).length;
}

function moveInGallery(event) {
  const card = event.target.closest(".card");
  if (!card) return;
  const place = Number(card.dataset.place);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -place, End: state.shown - 1 - place };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const next = Math.max(0, Math.min(state.order.length - 1, place + steps[event.key]));
  while (state.shown <= next) showMore();
  focusCard(next);
}

function moveInLarge(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") open(state.open - 1);
  if (event.key === "ArrowRight") open(state.open + 1);
}

function listErrors() {
  at("errors").hidden = !data.errors.length;
  for (const [name, reason] of data.errors) {
    const cells = [name, reason].map((text) => make("td", { class: "text" }, text));
    at("error-rows").append(make("tr", {}, ...cells));
  }
}

const waiting = new Map();

// Once before the next picture, however often it is asked for.
function soon(work) {
  cancelAnimationFrame(waiting.get(work));
  waiting.set(work, requestAnimationFrame(work));
}

at("rate").max = ranks.length - 1;
at("rate").addEventListener("input", () => {
  state.rank = ranks[Number(at("rate").value)];
  soon(decide);
});
at("reset").addEventListener("click", () => {
  state.rank = calibration.rank;
  decide();
});
for (const id of ["search", "filter", "sort"]) at(id).addEventListener("input", () => soon(choose));
at("more").addEventListener("click", () => {
  const first = state.shown;
  showMore();
  focusCard(first);
});
at("gallery").addEventListener("keydown", moveInGallery);
at("large").addEventListener("keydown", moveInLarge);
at("large").addEventListener("close", close);
at("close").addEventListener("click", () => at("large").close());
at("previous").addEventListener("click", () => open(state.open - 1));
at("next").addEventListener("click", () => open(state.open + 1));
document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("select, input:not([type=range])");
  if (event.key === "/" && !at("large").open && !writes) {
    event.preventDefault();
    at("search").focus();
  }
});
prepareScale();
listErrors();
drawMap();
drawTimelines();
decide();
document.documentElement.dataset.ready = "yes";
