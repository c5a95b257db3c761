// A frame whose content is enlarged by wheel, buttons, pinch and keys, and moved by drag, touch and arrows.

const MOST_ZOOM = 16, ZOOM_STEP = 1.5, PAN_STEP = 60;
let viewer = null;  // of the large view, null where it has none

function zoomable(content, label) {
  const inner = make("div", { class: "zoomed" }, content);
  const frame = make("div", { class: "frame", tabindex: "0", role: "group", "aria-label": label }, inner);
  const shown = make("output", { class: "quiet", "aria-live": "off" });
  const held = new Map();  // pointers that are down, by id: where they are
  let [scale, x, y] = [1, 0, 0];

  function apply() {
    const within = (offset, side) => Math.min(0, Math.max(side * (1 - scale), offset));
    [x, y] = [within(x, frame.clientWidth), within(y, frame.clientHeight)];
    inner.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("enlarged", scale > 1);
    shown.textContent = `${Math.round(100 * scale)} %`;
  }

  // By default about the middle.
  function zoomBy(factor, across = frame.clientWidth / 2, down = frame.clientHeight / 2) {
    const next = Math.min(MOST_ZOOM, Math.max(1, scale * factor)), by = next / scale;
    [x, y, scale] = [across - (across - x) * by, down - (down - y) * by, next];
    apply();
  }

  function pan(across, down) {
    [x, y] = [x + across, y + down];
    apply();
  }

  function reset() {
    [scale, x, y] = [1, 0, 0];
    apply();
  }

  function placeIn(event) {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left - frame.clientLeft, y: event.clientY - box.top - frame.clientTop };
  }

  function moved(event) {
    if (!held.has(event.pointerId)) return;
    const before = [...held.values()];
    held.set(event.pointerId, placeIn(event));
    const after = [...held.values()];
    if (after.length === 1 && scale > 1) pan(after[0].x - before[0].x, after[0].y - before[0].y);
    if (after.length !== 2) return;
    const apart = ([one, other]) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    const middle = ([one, other]) => [(one.x + other.x) / 2, (one.y + other.y) / 2];
    const [from, to] = [middle(before), middle(after)];
    zoomBy(apart(after) / apart(before), ...from);
    pan(to[0] - from[0], to[1] - from[1]);
  }

  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x: across, y: down } = placeIn(event);
    zoomBy(Math.exp(-event.deltaY / (event.deltaMode ? 10 : 300)), across, down);
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    held.set(event.pointerId, placeIn(event));
  });
  frame.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, (event) => held.delete(event.pointerId));
  frame.addEventListener("dblclick", (event) => {
    const { x: across, y: down } = placeIn(event);
    if (scale > 1) reset();
    else zoomBy(3, across, down);
  });

  const button = (text, name, onclick) => make("button", { type: "button", class: "small", "aria-label": name, title: name, onclick }, text);
  const buttons = make("span", { class: "zoom-buttons", role: "group", "aria-label": "Zoom" },
    button("−", "Zoom out (key -)", () => zoomBy(1 / ZOOM_STEP)), button("+", "Zoom in (key +)", () => zoomBy(ZOOM_STEP)),
    button("Fit", "Fit (key 0)", reset), shown);
  const actions = { "+": () => zoomBy(ZOOM_STEP), "=": () => zoomBy(ZOOM_STEP), "-": () => zoomBy(1 / ZOOM_STEP), 0: reset };
  const arrows = { ArrowLeft: [PAN_STEP, 0], ArrowRight: [-PAN_STEP, 0], ArrowUp: [0, PAN_STEP], ArrowDown: [0, -PAN_STEP] };
  viewer = {
    // Tells whether the key was one for it.
    key(key) {
      if (key in actions) actions[key]();
      else if (key in arrows && scale > 1) pan(...arrows[key]);
      else return false;
      return true;
    },
  };
  reset();
  return { frame, buttons };
}
