// The large view of one item.

function open(place) {
  const item = state.order[place];
  if (item === undefined) return;
  const hidden = isHidden(item), file = fileOf(item);
  state.open = place;
  viewer = null;
  const stage = kind.stage(item);
  const told = hidden ? [make("p", { class: "quiet" }, "Its score is shown once it is judged."), ...(stage ? [] : [kind.plain(item)])]
    : kind.detail(item) ?? listOfNearest(item);
  const path = file ? [make("p", { class: "path" }, copyable(file, "Copy the path"))] : [];
  at("large-name").textContent = items.name[item];
  at("large-body").replaceChildren(...(stage ? [make("div", { class: "stage" }, stage)] : []),
    make("div", { class: "side" }, make("p", {}, verdict(item)), marksOf(item), ...path, ...told));
  at("large-body").className = `${hidden ? "unseen" : decision(item)}${stage ? " staged" : ""}`;
  at("previous").disabled = place === 0;
  at("next").disabled = place === state.order.length - 1;
  if (!at("large").open) at("large").showModal();
  if (!at("large").contains(document.activeElement) || document.activeElement.disabled || document.activeElement === at("large")) {
    at("large-name").focus();
  }
  at("large-body").scrollTop = 0;
}

// Back to the card, unless it is so far down that all before it would have to be made.
function close() {
  viewer = null;
  if (state.open < state.shown + PER_PAGE) focusPlace(state.open);
  else at("map").querySelector('[tabindex="0"]')?.focus();
}

// Arrows move the picture once it is enlarged, and else go to the item before or after.
function moveInLarge(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input:not([type=range])")) return;
  const arrow = event.key.startsWith("Arrow");
  if (arrow && event.target.matches("input, .scroll")) return;
  if (markByKey(event, state.order[state.open]) || viewer?.key(event.key)) event.preventDefault();
  else if (event.key === "ArrowLeft" || event.key === "k") open(state.open - 1);
  else if (event.key === "ArrowRight" || event.key === "j") open(state.open + 1);
}

function startLarge() {
  at("large").addEventListener("keydown", moveInLarge);
  at("large").addEventListener("close", close);
  at("close").addEventListener("click", () => at("large").close());
  at("previous").addEventListener("click", () => open(state.open - 1));
  at("next").addEventListener("click", () => open(state.open + 1));
}
