// Shows when intervals are and how they score, and lays the strangest window of each over its nearest.
mount(({ data, items, listOfNearest, mark, openItem }) => {
  const TIMELINES = 6, BARS = 2000;
  const drawn = new Map(data.items.map((item, i) => [item, data.curves[i]]));
  const times = make("div", { id: "times" });

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

  function besideCurves(item) {
    const several = drawn.get(item).length > 1;
    const charts = drawn.get(item).map((one) => make("figure", {},
      make("figcaption", {}, make("span", { class: "text" }, one[0]), several ? ` (${percent(one[1])} of the distance)` : ""), overlay(one, 640, 150)));
    return [make("p", {}, `From ${data.start[item]} to ${data.end[item]}, highest at ${data.peak[item]}.`), ...charts,
      make("p", { class: "quiet" }, make("span", { class: "key own" }, "the strangest window of it"),
        make("span", { class: "key reference" }, "its nearest windows, in their own time"))];
  }

  // One bar an interval; of a series with very many the highest.
  function timeline(name, intervals, when, top) {
    const { start, end } = data, high = 120, most = top || 1;
    const [first, last] = range(intervals.flatMap((item) => [when(start[item]), when(end[item])]));
    const x = (text) => 8 + (984 * (when(text) - first)) / (last - first || 1);
    const highest = new Set([...intervals].sort((a, b) => items.score[b] - items.score[a]).slice(0, BARS));
    const chart = draw("svg", { viewBox: `0 0 1000 ${high + 24}`, role: "img", "aria-label": `scores of ${name}` });
    chart.append(...intervals.filter((item) => highest.has(item)).map((item) => {
      const tall = Math.max(1, (high * items.score[item]) / most);
      const bar = draw("rect", { "data-item": item, x: x(start[item]), width: Math.max(1.5, x(end[item]) - x(start[item]) - 0.5), y: high + 2 - tall, height: tall });
      bar.append(draw("title", {}, `${items.name[item]}, score ${number(items.score[item])}`));
      return bar;
    }), draw("text", { x: 8, y: high + 18 }, start[intervals[0]]),
    draw("text", { x: 992, y: high + 18, "text-anchor": "end" }, end[intervals.at(-1)]));
    chart.addEventListener("click", (event) => {
      const bar = event.target.closest("[data-item]");
      if (bar) openItem(Number(bar.dataset.item));
    });
    return make("figure", {}, make("figcaption", { class: "text" }, name), chart);
  }

  return {
    card(item) {
      const curves = drawn.get(item);
      if (!curves) return null;
      return make("span", { class: "reasons" }, overlay(curves[0], 300, 72),
        make("span", { class: "column" }, `to ${data.end[item]}`, curves.length > 1 ? `; ${curves[0][0]}` : ""));
    },
    detail: (item) => (drawn.has(item) ? [...besideCurves(item), ...listOfNearest(item)] : null),
    // When intervals are and how they score, series by series; those with the highest scores first.
    panels() {
      const { series, owner, start } = data, dates = start.some((one) => /^\d{4,}-\d\d-\d\d/.test(one));
      const when = (text) => (dates ? Date.parse(`${text}Z`) : Number(text));
      const of = series.map(() => []);
      owner.forEach((one, item) => of[one].push(item));
      const tops = of.map((intervals) => intervals.reduce((most, item) => Math.max(most, items.score[item]), 0));
      const order = series.map((_, i) => i).sort((a, b) => tops[b] - tops[a]).slice(0, TIMELINES);
      times.append(...order.map((one) => timeline(series[one], of[one], when, tops[one])));
      const said = ["The highest score of each interval. A click opens it.",
        series.length > TIMELINES ? `Shown are ${TIMELINES} of ${whole(series.length)} series.` : "",
        order.some((one) => of[one].length > BARS) ? `Of each series the ${whole(BARS)} highest are shown.` : ""];
      return [{ id: "times", title: "When", content: [make("p", { class: "quiet" }, said.filter(Boolean).join(" ")), times] }];
    },
    decided() {
      for (const bar of times.querySelectorAll("[data-item]")) {
        bar.setAttribute("class", `bar-mark ${mark(Number(bar.dataset.item))}`);
      }
    },
  };
});
