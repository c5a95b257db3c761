// Sends what a person says of items to the service, instead of keeping it in the browser, and takes dropped items.

const { served } = data;
const sending = new Map();  // by item, its last request, so that verdicts arrive in the order in which they were given

async function call(address, options = {}) {
  const response = await fetch(address, { method: "POST", ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function tell(words) {
  at("served-said").textContent = words;
}

function send(item) {
  const mark = marks.get(item);
  const body = JSON.stringify({ verdict: mark?.verdict ?? null, kind: mark?.kind ?? "" });
  const before = sending.get(item) ?? Promise.resolve();
  const sent = before.then(() => call(`/v1/items/${served.ids[item]}/verdict`, { headers: { "content-type": "application/json" }, body }));
  sending.set(item, sent.then(() => tell(""), (error) => {
    tell(`Not kept: what you said of ${items.name[item]}: ${error.message}`);
  }));
}

keeper = { load: () => served.marks, keep: (item) => send(item) };

async function score(files) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  tell("Scoring ...");
  try {
    const { results } = await call(`/v1/score?keep=true&model=${encodeURIComponent(served.model)}`, { body: form });
    const unread = results.filter((one) => one.error);
    if (unread.length) tell(`${unread[0].item} cannot be read: ${unread[0].error}`);
    const kept = results.find((one) => one.id);
    if (kept) location.assign(`?open=${kept.id}`);
  } catch (error) {
    tell(`Not scored: ${error.message}`);
  }
}

function startServed() {
  const drop = at("served-drop"), input = at("served-file");
  drop.hidden = !served.takes_files;
  input.addEventListener("change", () => score(input.files));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  document.addEventListener("drop", (event) => {
    if (served.takes_files && event.dataTransfer.files.length) score(event.dataTransfer.files);
  });
  if (served.title) at("sentence").textContent = document.title = served.title;
  const wanted = served.ids.indexOf(new URLSearchParams(location.search).get("open"));
  if (wanted >= 0) openItem(wanted);
  else focusCard(at("gallery")?.querySelector(".card"));
}

document.addEventListener("DOMContentLoaded", startServed);  // after the page's own
