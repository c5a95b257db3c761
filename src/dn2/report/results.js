// Shows what Python wrote into the element `data`: columns, not rows; names are places in lists.
//
// What only one kind of data has is drawn by the kind's own script, which follows this one and calls
//     mount((page) => ({ card, detail, text, panels, decided }))
// with as many of these as it needs:
//     card(item)     what a card shows below the verdict: an element; null for the names of the nearest
//     detail(item)   what the large view shows below the verdict: elements; null for the names of the nearest
//     text(item)     what the search looks through beside the name
//     panels()       sections above the items: [{ id, title, content: elements }]
//     decided()      is called whenever the slider decided anew
// page : { data, items, reference, words, neighbors, nearest, listOfNearest, mark, openItem }, data being what the kind's
// `page.py` made.

const data = JSON.parse(at("data").textContent);
const { items, reference, calibration, words } = data;
const { ranks, warn } = calibration;
const PER_PAGE = 48;

const asked = ranks.indexOf(calibration.rank);
const state = { stop: asked, order: [], shown: 0, open: -1 };
const limit = () => ranks[state.stop];

// The words for what is decided, by the class of elements that show it.
const DECISIONS = {
  ...(warn ? { anomalous: "reject", warned: "warn", normal: "accept" } : { anomalous: "anomalous", normal: "normal" }),
  ...([...items.rank, ...data.parts.map((part) => part[3])].includes(null) ? { undecided: "not decided" } : {}),
};
const MARKS = { anomalous: "alarm-mark", warned: "warn-mark", normal: "query-mark", undecided: "query-mark" };
const SHAPES = { anomalous: "M-6 0L0 -6L6 0L0 6Z", warned: "M-6 5L0 -6L6 5Z", normal: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" };
SHAPES.undecided = SHAPES.normal;

let kind = { card: () => null, detail: () => null, text: () => "", panels: () => [], decided: () => {} };

// Lets a kind of data show what it alone has; `data.kind` is null where these rows have nothing of it.
function mount(module) {
  if (data.kind) {
    kind = { ...kind, ...module({ data: data.kind, items, reference, words, neighbors, nearest, listOfNearest, mark, openItem }) };
  }
}

// Ranks count the p-values on the page, and so decide as these do; an item that has none is not decided.

const decision = (item) => decisionAt(items.rank[item]);

function decisionAt(rank) {
  if (rank === null) return "undecided";
  return rank <= limit() ? "anomalous" : warn && rank <= warn.rank ? "warned" : "normal";
}

function mark(item) {
  return MARKS[decision(item)];
}

// The n-th item's neighbours: places in the list of reference names, and distances.
function neighbors(item) {
  const from = items.starts[item], to = items.starts[item + 1];
  return Array.from({ length: to - from }, (_, i) => [items.near[from + i], items.distance[from + i]]);
}

function nearest(one) {
  return make("span", { class: "near" }, make("span", { class: "text" }, reference.name[one[0]]), ` (${number(one[1])}) `);
}

function listOfNearest(item) {
  const rows = neighbors(item).map(([place, distance]) => make("tr", {},
    make("td", { class: "text" }, reference.name[place]), make("td", { class: "number" }, number(distance, 4))));
  const head = make("tr", {}, make("th", { scope: "col" }, "name"), make("th", { scope: "col", class: "number" }, "distance"));
  return [make("h3", {}, words.neighbors), tableOf(words.neighbors, [head], rows)];
}

function namesOfNearest(item) {
  const near = neighbors(item).slice(0, 3).map(nearest);
  return make("span", { class: "reasons" }, make("span", { class: "column" }, "nearest "), ...near);
}

function verdictOf(rank, score) {
  const decided = decisionAt(rank), words = rank === null ? "" : ` · p-value ${number(calibration.values[rank - 1], 2)}`;
  return make("span", { class: `verdict ${decided}` }, make("b", {}, DECISIONS[decided]),
    `${words} · score ${number(score, 4)}`);
}

function verdict(item) {
  return verdictOf(items.rank[item], items.score[item]);
}

function listParts() {
  at("parts").hidden = !data.parts.length;
  at("part-rows").replaceChildren(...data.parts.map(([name, count, score, rank]) => make("tr", {},
    make("td", { class: "text" }, name), make("td", { class: "number" }, whole(count)), make("td", {}, verdictOf(rank, score)))));
}

function card(item, place) {
  const button = make("button", {
    type: "button", class: "card", "data-place": place, tabindex: place ? "-1" : "0", onclick: () => open(place),
  }, make("span", { class: "name" }, items.name[item]), verdict(item), kind.card(item) ?? namesOfNearest(item));
  button.classList.add(decision(item));
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

function searched(item) {
  return `${items.name[item]} ${kind.text(item)}`.toLowerCase();
}

function choose() {
  const wanted = at("search").value.trim().toLowerCase(), verdicts = at("filter").value;
  state.order = inOrder(at("sort").value).filter((item) =>
    (verdicts === "all" || verdicts === decision(item)) &&
    (!wanted || searched(item).includes(wanted)));
  state.shown = 0;
  at("gallery").replaceChildren();
  at("count").textContent = `${whole(state.order.length)} of ${whole(items.name.length)} match`;
  showMore();
}

function decide() {
  const { stop } = state, known = stop !== asked || calibration.rate !== null;
  const upTo = (last) => items.rank.reduce((sum, rank) => sum + (rank !== null && rank <= last), 0);
  const found = upTo(limit()), warned = warn ? upTo(Math.max(warn.rank, limit())) - found : 0;
  const expected = calibration.expected[stop];
  at("rate").value = stop;
  at("rate").setAttribute("aria-valuetext", calibration.rates[stop]);
  at("rate-words").textContent = calibration.rates[stop];
  at("found").textContent = whole(found);
  at("warned").textContent = whole(warned);
  at("expected").textContent = !known ? "–" : warn
    ? `${about(expected)} + ${about(Math.max(0, warn.expected - expected))}` : about(expected);
  at("sentence").textContent = document.title =
    `${words.scored}, ${whole(found)} anomalous${calibration.decided[stop]}${warn ? saidOfWarnings(warned) : ""}${words.lost}`;
  at("reset").disabled = stop === asked;
  drawHistogram();
  listParts();
  for (const point of at("map").querySelectorAll("[data-item]")) markPoint(point);
  kind.decided();
  choose();
}

function about(count) {
  return count >= 1 ? whole(Math.floor(count + 0.5)) : number(count, 1);
}

function saidOfWarnings(count) {
  return `, ${whole(count)} ${count === 1 ? "warning" : "warnings"}${warn.words}`;
}

// Flagged is what scores more than this.
function threshold() {
  return calibration.thresholds[state.stop] ?? Infinity;
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
  scoreScale.shares.forEach((shares, scored) => shares.forEach((share, bin) => {
    const high = ((bottom - top) * share) / highest, inset = scored ? wide / 4 : 0.5;
    if (high > 0) {
      parts.push(draw("rect", { class: scored ? "query-mark" : "reference-mark", x: left + bin * wide + inset,
        width: wide - 2 * inset, y: bottom - high, height: high }));
    }
  }));
  for (const tick of scoreScale.ticks) {
    const share = scoreScale.to(tick), anchor = share > 0.95 ? "end" : share < 0.05 ? "start" : "middle";
    parts.push(draw("text", { x: x(tick), y: bottom + 18, "text-anchor": anchor }, short(tick)));
  }
  const above = threshold(), warns = warn && warn.rank > limit();
  for (const [name, value] of [["warn-threshold-mark", warns ? warn.threshold : Infinity], ["threshold-mark", above]]) {
    const place = Math.max(left, Math.min(right, x(value)));
    if (Number.isFinite(value)) parts.push(draw("line", { class: name, x1: place, x2: place, y1: top - 8, y2: bottom }));
  }
  const further = warns ? ` Warned of is what scores above ${number(warn.threshold, 4)}.` : "";
  at("histogram").replaceChildren(...parts);
  at("histogram-words").textContent = Number.isFinite(above)
    ? `Flagged is what scores above ${number(above, 4)}.${further} Each kind is drawn as shares of its own.`
    : `Nothing is flagged.${further} Each kind is drawn as shares of its own.`;
}

function markPoint(point) {
  const decided = decision(Number(point.dataset.item));
  point.setAttribute("class", `point ${MARKS[decided]}`);
  point.setAttribute("d", SHAPES[decided]);
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

function addPanels() {
  for (const { id, title, content } of kind.panels()) {
    at("panels").append(make("section", { id: `${id}-section`, "aria-labelledby": `${id}-title` },
      make("h2", { id: `${id}-title` }, title), ...content));
  }
}

// Names what there is to decide, and shows what only warnings need.
function addDecisions() {
  at("filter").append(...Object.entries(DECISIONS).map(([value, word]) => make("option", { value }, word)));
  at("warnings").hidden = !warn;
  for (const element of document.querySelectorAll("[data-decision]")) {
    element.hidden = !(element.dataset.decision in DECISIONS);
    element.append(DECISIONS[element.dataset.decision] ?? "");
  }
}

function open(place) {
  const item = state.order[place];
  if (item === undefined) return;
  state.open = place;
  at("large-name").textContent = items.name[item];
  at("large-body").replaceChildren(make("p", {}, verdict(item)), ...(kind.detail(item) ?? listOfNearest(item)));
  at("large-body").className = decision(item);
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

function start() {
  at("rate").max = ranks.length - 1;
  at("rate").addEventListener("input", () => {
    state.stop = Number(at("rate").value);
    soon(decide);
  });
  at("reset").addEventListener("click", () => {
    state.stop = asked;
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
  addDecisions();
  addPanels();
  drawMap();
  decide();
  document.documentElement.dataset.ready = "yes";
}

document.addEventListener("DOMContentLoaded", start);  // once the kind's script has run, too
