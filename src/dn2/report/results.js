// Shows what Python wrote into the element `data`: columns, not rows; names are places in lists.
//
// What only one kind of data has is drawn by the kind's own script, which is the last one and calls
//     mount((page) => ({ card, plain, stage, detail, text, controls, panels, decided }))
// with as many of these as it needs:
//     card(item)     what a card shows below the verdict: an element; null for the names of the nearest
//     plain(item)    the same of an item that a person is to judge unseen: nothing that tells how it was scored
//     stage(item)    what the large view shows large: an element, such as a `zoomable` one; null for none
//     detail(item)   what the large view shows below the verdict: elements; null for the names of the nearest
//     text(item)     what the search looks through beside the name
//     controls()     elements above the items
//     panels()       sections below the items: [{ id, title, content: elements }]
//     decided()      is called whenever the slider decided anew
// page : { data, later, items, reference, words, neighbors, nearest, listOfNearest, mark, isHidden, openItem }, data being
// what the kind's `page.py` made, and later() what it made for later.

const data = JSON.parse(at("data").textContent);
const { items, reference, calibration, words } = data;
const { ranks, warn } = calibration;

const asked = ranks.indexOf(calibration.rank);
const state = { stop: asked, order: [], shown: 0, open: -1 };
const limit = () => ranks[state.stop];

// The words for what is decided, by the class of elements that show it.
const DECISIONS = {
  ...(warn ? { anomalous: "reject", warned: "warn", normal: "accept" } : { anomalous: "anomalous", normal: "normal" }),
  ...([...items.rank, ...data.parts.map((part) => part[3])].includes(null) ? { undecided: "not decided" } : {}),
};
const MARKS = { anomalous: "alarm-mark", warned: "warn-mark", normal: "query-mark", undecided: "query-mark" };

let kind = {
  card: () => null, plain: () => "", stage: () => null, detail: () => null, text: () => "", controls: () => [],
  panels: () => [], decided: () => {},
};

let parsedLater = null;

// Parsed when it is first asked for: it is large.
function later() {
  parsedLater ??= JSON.parse(at("later").textContent);
  return parsedLater;
}

// Lets a kind of data show what it alone has; `data.kind` is null where these rows have nothing of it.
function mount(module) {
  if (data.kind) {
    const page = { data: data.kind, later, items, reference, words, neighbors, nearest, listOfNearest, mark, isHidden, openItem };
    kind = { ...kind, ...module(page) };
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

function verdictOf(rank, score) {
  const decided = decisionAt(rank), words = rank === null ? "" : ` · p-value ${number(calibration.values[rank - 1], 2)}`;
  return make("span", { class: `verdict ${decided}` }, make("b", {}, DECISIONS[decided]),
    `${words} · score ${number(score, 3)}`);
}

function verdict(item) {
  return isHidden(item) ? make("span", { class: "verdict" }, make("b", {}, "to audit")) : verdictOf(items.rank[item], items.score[item]);
}

// A part is not told before its items are judged that are to be judged unseen.
function listParts() {
  const shown = data.parts.filter(([, , , , audits]) => !audits.some(isHidden));
  at("parts").hidden = !data.parts.length;
  at("part-rows").replaceChildren(...shown.map(([name, count, score, rank]) => make("tr", {},
    make("td", { class: "text" }, name), make("td", { class: "number" }, whole(count)), make("td", {}, verdictOf(rank, score)))));
}

function decide() {
  const { stop } = state, known = stop !== asked || calibration.rate !== null;
  const upTo = (last) => items.rank.reduce((sum, rank) => sum + (rank !== null && rank <= last), 0);
  const found = upTo(limit()) + calibration.unlisted[stop];
  const all = warn ? Math.max(upTo(warn.rank) + warn.unlisted, found) : found, warned = all - found;
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
  markPoints();
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

function addPanels() {
  at("kind-controls").append(...kind.controls());
  for (const { id, title, content } of kind.panels()) {
    at("panels").append(make("section", { id: `${id}-section`, "aria-labelledby": `${id}-title` },
      make("h2", { id: `${id}-title` }, title), ...content));
  }
}

// Names what there is to decide, and shows what only warnings need.
function addDecisions() {
  at("filter").append(...Object.entries(DECISIONS).map(([value, word]) => make("option", { value }, word)),
    make("option", { value: "marked" }, "marked"), make("option", { value: "unmarked" }, "not marked"));
  if (audits.size) at("filter").prepend(make("option", { value: "audit" }, "to audit"));
  at("filter").value = "all";
  at("warnings").hidden = !warn;
  for (const element of document.querySelectorAll("[data-decision]")) {
    element.hidden = !(element.dataset.decision in DECISIONS);
    element.append(DECISIONS[element.dataset.decision] ?? "");
  }
}

function listErrors() {
  at("errors").hidden = !data.errors.length;
  for (const [name, reason] of data.errors) {
    const cells = [name, reason].map((text) => make("td", { class: "text" }, text));
    at("error-rows").append(make("tr", {}, ...cells));
  }
}

function addLinks() {
  for (const section of document.querySelectorAll("main section[aria-labelledby]:not([hidden]), footer")) {
    const title = section.querySelector("h2");
    title.id ||= `title-${at("links").children.length}`;
    at("links").append(make("a", { href: `#${title.id}` }, title.textContent));
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
  prepareScale();
  loadMarks();
  listErrors();
  addDecisions();
  addPanels();
  startMap();
  startMarks();
  startGallery();
  startLarge();
  decide();
  addLinks();
  document.documentElement.dataset.ready = "yes";
}

document.addEventListener("DOMContentLoaded", start);  // once the kind's script has run, too
