// The items as cards: searched, filtered, sorted, marked, and written as a file.

const PER_PAGE = 48;

function namesOfNearest(item) {
  const near = neighbors(item).slice(0, 3).map(nearest);
  return make("span", { class: "reasons" }, make("span", { class: "column" }, "nearest "), ...near);
}

function card(item, place) {
  const hidden = isHidden(item), tabindex = place ? "-1" : "0";
  const button = make("button", { type: "button", class: `card ${hidden ? "unseen" : decision(item)}`, "data-place": place, tabindex,
    onclick: () => open(place) }, make("span", { class: "name" }, items.name[item]), verdict(item),
  hidden ? kind.plain(item) : kind.card(item) ?? namesOfNearest(item));
  const group = marksOf(item);
  for (const control of group.querySelectorAll("button, input")) control.setAttribute("tabindex", tabindex);
  return make("li", { "data-item": item }, button, group);
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

const FILTERS = {
  audit: (item) => audits.has(item),
  all: (item) => !isHidden(item),
  marked: (item) => marks.has(item),
  unmarked: (item) => !marks.has(item) && !isHidden(item),
};

function choose() {
  const wanted = at("search").value.trim().toLowerCase(), shown = at("filter").value;
  const fits = FILTERS[shown] ?? ((item) => !isHidden(item) && decision(item) === shown);
  const order = inOrder(shown === "audit" ? "input" : at("sort").value);
  state.order = order.filter((item) => fits(item) && (!wanted || searched(item).includes(wanted)));
  state.shown = 0;
  at("gallery").replaceChildren();
  at("count").textContent = `${whole(state.order.length)} of ${whole(items.name.length)} match`;
  showMore();
}

// All that match, also those that are not drawn yet.
function saveShown() {
  const rows = state.order.map((item) => {
    const rank = items.rank[item], decided = decision(item);
    const told = isHidden(item) ? ["", "", ""] : [items.score[item], rank === null ? "" : calibration.values[rank - 1],
      decided === "undecided" ? "" : DECISIONS[decided]];
    return [nameOf(item), ...told, fileOf(item)];
  });
  download("shown.csv", toCsv([["item", "anomaly_score", "p_value", "decision", "path"], ...rows]));
}

function openItem(item) {
  if (!state.order.includes(item)) {
    at("search").value = "";
    at("filter").value = "all";
    choose();
  }
  open(state.order.indexOf(item));
}

// One card, with its buttons, is reached by Tab; the others by arrows.
function focusCard(card) {
  if (!card) return;
  for (const one of at("gallery").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
  for (const one of card.parentElement.querySelectorAll("button, input")) one.tabIndex = 0;
  card.focus();
}

function focusPlace(place) {
  while (state.shown <= place) showMore();
  focusCard(at("gallery").children[place]?.querySelector(".card"));
}

function columns() {
  const cards = [...at("gallery").children];
  return cards.filter((one) => one.offsetTop === cards[0].offsetTop).length;
}

function moveInGallery(event) {
  const card = event.target.closest("li")?.querySelector(".card");
  if (!card || event.target.matches("input")) return;
  const place = Number(card.dataset.place);
  if (markByKey(event, state.order[place])) return;
  const steps = { ArrowRight: 1, j: 1, ArrowLeft: -1, k: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -place, End: state.shown - 1 - place };
  if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  focusPlace(Math.max(0, Math.min(state.order.length - 1, place + steps[event.key])));
}

function resize() {
  document.documentElement.style.setProperty("--size", `${at("size").value}rem`);
}

function startGallery() {
  for (const id of ["search", "filter", "sort"]) at(id).addEventListener("input", () => soon(choose));
  at("size").addEventListener("input", resize);
  at("save").addEventListener("click", saveShown);
  at("more").addEventListener("click", () => focusPlace(state.shown));
  at("gallery").addEventListener("keydown", moveInGallery);
  document.addEventListener("keydown", (event) => {
    const elsewhere = at("large").open || event.target.matches("select, input:not([type=range])") || event.defaultPrevented;
    if (elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") at("search").focus();
    else if (["j", "k"].includes(event.key) && !at("gallery").contains(event.target)) focusCard(at("gallery").querySelector('.card[tabindex="0"]'));
    else return;
    event.preventDefault();
  });
}
