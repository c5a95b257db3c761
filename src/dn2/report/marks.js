// What a person says of items, kept in the browser for this page's data, and written as a file for dn2.

const { marking } = data;
const audits = new Set(marking.audits);
const marks = new Map();  // { verdict, kind } by item
const KEYS = { n: "normal", d: "defect", u: "unsure", a: "defect", x: null, Backspace: null };
const STORE = `dn2 marks ${marking.digest}`;
const made = [];  // [item, its mark before], to undo
let isKept = true;

// Where marks are kept: in this browser, unless a later script keeps them elsewhere.
let keeper = {
  load: () => JSON.parse(localStorage.getItem(STORE) ?? "[]"),
  keep: () => localStorage.setItem(STORE, JSON.stringify([...marks].map(([item, one]) => [item, one.verdict, one.kind]))),
};

// An item of an audit is judged before anything tells how it was scored.
const isHidden = (item) => audits.has(item) && !marks.has(item);

const nameOf = (item) => marking.whole[item] ?? items.name[item];

function fileOf(item) {
  const place = marking.files?.[item] ?? null;
  if (place === null) return "";
  return Array.isArray(place) ? marking.texts[place[0]] : marking.texts[place] + nameOf(item);
}

function loadMarks() {
  try {
    for (const [item, verdict, kind] of keeper.load()) marks.set(item, { verdict, kind });
  } catch {
    isKept = false;
  }
}

function keepMarks(item) {
  try {
    keeper.keep(item);
    isKept = true;
  } catch {
    isKept = false;
  }
  showBar();
}

// Marks an item, or takes its mark away where the verdict is null.
function markItem(item, verdict) {
  made.push([item, marks.get(item)]);
  setMark(item, verdict && { verdict, kind: verdict === "defect" ? marks.get(item)?.kind ?? "" : "" });
}

function undoMark() {
  const last = made.pop();
  if (last) setMark(...last);
}

function setMark(item, mark) {
  const wasHidden = isHidden(item);
  if (mark) marks.set(item, mark);
  else marks.delete(item);
  keepMarks(item);
  if (wasHidden !== isHidden(item)) redraw(item);
  else for (const group of document.querySelectorAll(`.marks[data-item="${item}"]`)) fillMarks(group, item);
}

// The same item again, now that it may, or may not, be told how it was scored.
function redraw(item) {
  const old = at("gallery").querySelector(`li[data-item="${item}"]`);
  if (old) {
    const held = old.contains(document.activeElement), made = card(item, Number(old.querySelector(".card").dataset.place));
    old.replaceWith(made);
    if (held) focusCard(made.querySelector(".card"));
  }
  if (at("large").open && state.order[state.open] === item) open(state.open);
  markPoints();
  listParts();
}

function marksOf(item) {
  const group = make("div", { class: "marks", "data-item": item, role: "group", "aria-label": "What it is" });
  for (const [key, verdict] of Object.entries(KEYS).slice(0, 3)) {
    group.append(make("button", { type: "button", class: "small", "data-verdict": verdict, "aria-keyshortcuts": key,
      title: `key: ${key}`, onclick: () => markItem(item, marks.get(item)?.verdict === verdict ? null : verdict) }));
  }
  const kind = make("input", { class: "kind", maxlength: 80, placeholder: "kind of defect", "aria-label": "Kind of defect",
    list: "kinds", autocomplete: "off", oninput: () => {
      marks.get(item).kind = kind.value;
      keepMarks(item);
    }, onchange: listKinds });
  group.append(kind);
  return fillMarks(group, item);
}

function fillMarks(group, item) {
  const made = marks.get(item), flagged = !isHidden(item) && decision(item) === "anomalous";
  group.dataset.verdict = made?.verdict ?? "";
  for (const button of group.querySelectorAll("button")) {
    const { verdict } = button.dataset;
    button.textContent = verdict === "normal" && flagged ? "false alarm" : verdict;
    button.setAttribute("aria-pressed", made?.verdict === verdict);
  }
  const kind = group.querySelector(".kind");
  kind.hidden = made?.verdict !== "defect";
  if (kind !== document.activeElement) kind.value = made?.kind ?? "";
  return group;
}

// Tells whether a key was one that marks.
function markByKey(event, item) {
  if (item === undefined || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === "z") undoMark();
  if (event.key === "z" || !(event.key in KEYS)) return event.key === "z";
  event.preventDefault();
  markItem(item, KEYS[event.key]);
  return true;
}

function listKinds() {
  const kinds = new Set([...marks.values()].map((one) => one.kind).filter(Boolean));
  at("kinds").replaceChildren(...[...kinds].sort().map((value) => make("option", { value })));
}

function showBar() {
  const counts = Object.values(KEYS).slice(0, 3).map((verdict) => [verdict, [...marks.values()].filter((one) => one.verdict === verdict).length]);
  const left = marking.audits.filter(isHidden).length;
  const said = counts.filter(([, count]) => count).map(([verdict, count]) => `${whole(count)} ${verdict}`).join(", ");
  at("marks-count").textContent = `${whole(marks.size)} marked${said ? `: ${said}` : ""}`
    + `${left ? ` · ${whole(left)} to audit` : ""}${isKept ? "" : " · kept until the page is closed"}`;
  at("marks-bar").hidden = !marks.size && !left;
  at("marks-done").hidden = !marks.size;
  at("marks-audit").hidden = !left;
}

function saveVerdicts() {
  const rows = [...marks].sort(([one], [other]) => one - other).map(([item, { verdict, kind }]) => (
    [nameOf(item), verdict, fileOf(item), audits.has(item) ? "true" : "", kind]));
  download(marking.file, toCsv([["item", "verdict", "path", "audit", "kind"], ...rows]));
}

function startMarks() {
  at("marks-save").append(marking.file);
  at("marks-save").addEventListener("click", saveVerdicts);
  at("marks-command").append(copyable(marking.command, "Copy the command"));
  at("marks-audit").addEventListener("click", () => {
    at("filter").value = "audit";
    at("search").value = "";
    choose();
    focusCard(at("gallery").querySelector(".card"));
  });
  listKinds();
  showBar();
}
