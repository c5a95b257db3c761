// Shows pictures beside those of their nearest, where they are strange, and the members that pull a group away.
mount(({ data, later, items, reference, words, neighbors, isHidden }) => {
  const { located } = data;
  const LAYERS = { map: "Map", regions: "Regions", picture: "Picture alone" };
  let opacity = 100;  // of maps in the large view, in percent

  function source(picture) {
    return `data:image/${picture.startsWith("iVBOR") ? "png" : "jpeg"};base64,${picture}`;
  }

  function framed(content, caption) {
    return make("span", { class: "picture" }, content, ...(caption ? [make("span", { class: "text" }, caption)] : []));
  }

  function picture(encoded, caption, alternative) {
    return framed(encoded === undefined || encoded === null
      ? make("span", { class: "gone" }, "no picture")
      : make("img", { src: source(encoded), alt: alternative }), caption);
  }

  function ofItem(item, caption) {
    const one = located?.items[item];
    if (!one) return picture(data.pictures[item], caption, `picture of ${items.name[item]}`);
    const [width, height] = one.size;
    const regions = located.regions[item];
    const parts = [make("img", { src: source(one.picture), alt: `picture of ${items.name[item]}` })];
    if (one.map) parts.push(make("img", { class: "map", src: source(one.map), alt: "" }));
    parts.push(outlines([0, 0, width, height], regions.map(([outline]) => outline)));
    return framed(layered(width, height, parts), caption);
  }

  // Pictures of one place on top of each other, as wide and high as their sides are to the longer.
  function layered(width, height, parts) {
    const layers = make("span", { class: "layers" }, ...parts), longer = Math.max(width, height);
    layers.style.setProperty("--across", width / longer);
    layers.style.setProperty("--down", height / longer);
    return layers;
  }

  function outlines([left, top, right, bottom], lines) {
    const drawing = draw("svg", { class: "outlines", viewBox: `${left} ${top} ${right - left} ${bottom - top}`,
      preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const line of lines) {
      const points = line.map((corner) => corner.join(",")).join(" ");
      drawing.append(draw("polygon", { class: "halo", points }), draw("polygon", { points }));
    }
    return drawing;
  }

  function ofNeighbor([place, distance], caption) {
    return picture(data.reference[place], caption, `normal item ${reference.name[place]}, distance ${number(distance)}`);
  }

  function strip(...pictures) {
    return make("div", { class: "strip" }, ...pictures);
  }

  function pulling(members) {
    const pictures = members.map(([name, share, encoded]) =>
      picture(encoded, `${name} (${Math.round(100 * share)} %)`, `member ${name}`));
    return [make("h3", {}, "Pictures that pull it away, with their share of the score"), strip(...pictures)];
  }

  // Of a region: its surroundings, and those of the normal patch that is nearest to it.
  function pair(item, place, captions) {
    const [own, box, near, nearSize, nearBox, [left, top, right, bottom]] = located.items[item].crops[place];
    const [outline] = located.regions[item][place], wide = box[2] - box[0], high = box[3] - box[1];
    const normal = located.regions[item][place][6];
    const shown = [framed(layered(wide, high, [make("img", { src: source(own), alt: `region ${place + 1}` }),
      outlines(box, [outline])]), captions[0])];
    const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    shown.push(near === null ? picture(null, captions[1]) : framed(layered(...nearSize, [
      make("img", { src: source(near), alt: `nearest normal patch, of ${normal}` }), outlines(nearBox, [corners])]), captions[1]));
    return shown;
  }

  function layersBar() {
    return make("div", { class: "layers-bar", role: "group", "aria-label": "What is laid over the pictures" },
      ...Object.entries(LAYERS).map(([layer, text]) =>
        make("button", { type: "button", "data-layer": layer, onclick: () => chooseLayer(layer) }, text)));
  }

  function chooseLayer(layer) {
    document.documentElement.dataset.layer = layer;
    markLayer();
  }

  function markLayer(within = document) {
    const chosen = document.documentElement.dataset.layer;
    for (const button of within.querySelectorAll("[data-layer]:not(html)")) {
      button.setAttribute("aria-pressed", button.dataset.layer === chosen);
    }
    return within;
  }

  function legend() {
    const { threshold, rate, colors } = located, last = colors[colors.length - 1][0];
    const stops = colors.map(([value, red, green, blue, opaque]) =>
      `rgb(${red} ${green} ${blue} / ${opaque / 255}) ${(100 * value) / last}%`);
    const bar = make("span", { class: "colors", "aria-hidden": "true" });
    bar.style.backgroundImage = `linear-gradient(to right, ${stops.join(", ")})`;
    const ends = make("span", { class: "ends quiet" }, ...[0, threshold, last].map((value) =>
      make("span", {}, `${number(value)}${value === last ? " and more" : ""}`)));
    ends.children[1].style.left = `${(100 * threshold) / last}%`;
    return [
      make("p", {}, "The map shows how far each place of a picture is from normal; 1 is usual. ",
        `Outlined is what exceeds ${number(threshold)}: about ${rate} of normal pictures has such a region.`),
      make("div", { class: "legend" }, bar, ends),
    ];
  }

  function regionsOf(item) {
    const regions = located?.regions[item];
    if (!regions) return [];
    if (!regions.length) return [make("p", { class: "quiet" }, "No region of it exceeds the threshold.")];
    const columns = ["region", "place", "area", "share of the picture", "peak", "p-value", "nearest normal patch"];
    const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
    const rows = regions.map(([, [left, top, right, bottom], area, share, peak, chance, normal], place) => make("tr", {},
      make("td", { class: "number" }, whole(place + 1)),
      make("td", {}, `${whole(right - left)} x ${whole(bottom - top)} px at ${whole(left)}, ${whole(top)}`),
      make("td", { class: "number" }, `${whole(area)} px`), make("td", { class: "number" }, `${number(100 * share, 2)} %`),
      make("td", { class: "number" }, number(peak)), make("td", { class: "number" }, number(chance, 2)),
      make("td", { class: "text" }, normal)));
    const crops = (located.items[item]?.crops ?? []).map((_, place) => make("div", { class: "strip pair" },
      ...pair(item, place, [`region ${place + 1}`, "nearest normal"])));
    return [...(crops.length ? [make("h3", {}, "Its strangest regions, each beside the nearest normal patch"),
      make("div", { class: "pairs" }, ...crops)] : []), tableOf("Regions", [head], rows)];
  }

  if (located) document.documentElement.dataset.layer = "map";

  function image(encoded, attributes) {
    return make("img", { src: source(encoded), draggable: "false", ...attributes });
  }

  function slider(label, value, onmoved, most = 100) {
    const input = make("input", { type: "range", min: 0, max: most, value, oninput: () => onmoved(Number(input.value)) });
    return make("label", {}, label, input);
  }

  // Dark pictures of all items, up to eight times as bright.
  function lighten(tenths) {
    document.documentElement.style.setProperty("--light", 2 ** (tenths / 10));
  }

  // The picture of an item as large as the page has it, under its map, with its nearest normal one to wipe over it.
  function viewed(item) {
    const hidden = isHidden(item), { items: large, reference: largeNormal } = later();
    const one = located?.items[item], small = one?.picture ?? data.pictures[item];
    if (!small) return null;
    const own = image(large[item] || small, { alt: `picture of ${items.name[item]}` });
    const box = make("div", { class: "whole" }), over = make("div", { class: "over" }, own);
    own.addEventListener("load", () => box.style.setProperty("--ratio", own.naturalWidth / own.naturalHeight));
    const controls = [];
    if (one && !hidden) {
      const parts = [];
      if (one.map) {
        const map = image(one.map, { class: "map", alt: "" });
        const fade = (percent) => {
          opacity = percent;
          map.style.opacity = percent / 100;
        };
        fade(opacity);
        parts.push(map);
        controls.push(slider("Map", opacity, fade));
      }
      over.append(...parts, outlines([0, 0, ...one.size], located.regions[item].map(([outline]) => outline)));
    }
    const near = neighbors(item)[0]?.[0], normal = hidden ? null : largeNormal[near] ?? data.reference[near];
    if (normal) {
      const edge = make("div", { class: "edge", hidden: "" });
      box.append(image(normal, { class: "normal", alt: `nearest normal item ${reference.name[near]}` }));
      controls.push(slider("Nearest normal", 0, (percent) => {
        over.style.clipPath = `inset(0 0 0 ${percent}%)`;
        edge.style.left = `${percent}%`;
        edge.hidden = !percent;
      }));
      box.append(over, edge);
    } else {
      box.append(over);
    }
    const { frame, buttons } = zoomable(box, `Picture of ${items.name[item]}: + and - zoom, arrows move, 0 fits`);
    const note = large[item] === undefined ? [make("p", { class: "quiet" }, "This is a small picture, enlarged: the page holds large ones of "
      + `${whole(Object.keys(large).length)} ${words.many}.`)] : [];
    return make("div", { class: "viewer" }, frame, make("div", { class: "viewer-controls" }, buttons, ...controls, ...note));
  }

  return {
    card(item) {
      const one = located?.items[item];
      if (one?.crops.length) {
        return make("span", { class: "strip located" }, ofItem(item, null),
          make("span", { class: "pair" }, ...pair(item, 0, ["region", "normal"])));
      }
      const near = neighbors(item).slice(0, 2).map((place) => ofNeighbor(place, number(place[1])));
      return make("span", { class: "strip" }, ofItem(item, null), make("span", { class: "pair" }, ...near));
    },
    plain(item) {
      return make("span", { class: "strip" }, picture(located?.items[item]?.picture ?? data.pictures[item], null, `picture of ${items.name[item]}`));
    },
    stage: viewed,
    detail(item) {
      const near = neighbors(item).map((one) => ofNeighbor(one, `${reference.name[one[0]]} (${number(one[1])})`));
      const members = data.members?.[item] ?? [];
      return [...(located?.items[item] ? [markLayer(layersBar())] : []), make("h3", {}, words.neighbors), strip(...near),
        ...regionsOf(item), ...members.length ? pulling(members) : []];
    },
    controls: () => [slider("Brightness", 0, lighten, 30), ...(located ? [markLayer(layersBar())] : [])],
    panels() {
      return located ? [{ id: "layers", title: "Where they are strange", content: legend() }] : [];
    },
  };
});
