// Shows when intervals are and how they score, and lays the strangest window of each over its nearest.
mount(({ data, items, listOfNearest, mark, openItem }) => {
  const TIMELINES = 6, BARS = 2000;
  const drawn = new Map(data.items.map((item, i) => [item, i]));  // where the values of intervals are
  const times = make("div", { id: "times" });

  const dated = data.start.some((one) => /^\d{4,}-\d\d-\d\d/.test(one));
  const when = (text) => (dated ? Date.parse(`${text}Z`) : Number(text));

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

  // Lines over axes with values; ends : what stands below the first and the last value.
  function chartOf(label, lines, ends, beneath = []) {
    const [wide, high, left, top, bottom] = [640, 200, 64, 10, 168], [low, most] = range(lines.flatMap(([, values]) => values));
    const scale = axis(low, most, true), y = (value) => bottom - scale.to(value) * (bottom - top), right = wide - 8;
    const x = (share) => left + share * (right - left);
    const chart = draw("svg", { class: "chart", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label });
    chart.append(...beneath.map(([name, from, to]) => draw("rect", { class: name, x: x(from), width: Math.max(1, x(to) - x(from)), y: top, height: bottom - top })),
      ...scale.ticks.flatMap((tick) => [draw("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) }),
        draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick))]),
      ...lines.map(([name, values]) => draw("polyline", { class: name, points: values.map((one, i) => (
        `${x(i / Math.max(1, values.length - 1)).toFixed(1)},${y(one).toFixed(1)}`)).join(" ") })),
      draw("text", { x: left, y: high - 10 }, ends[0]), draw("text", { x: right, y: high - 10, "text-anchor": "end" }, ends[1]));
    return chart;
  }

  // The series around an interval; the intervals in it are shaded, this one more.
  function surroundings(item) {
    const around = data.around[drawn.get(item)];
    if (!around) return [];
    const [from, to, values] = around, first = when(from), span = when(to) - first || 1;
    const share = (text) => Math.min(1, Math.max(0, (when(text) - first) / span));
    const others = data.owner.flatMap((owner, one) => (owner === data.owner[item] && when(data.start[one]) < first + span
      && when(data.end[one]) > first ? [one] : []));
    const shaded = others.map((one) => [one === item ? "interval this" : "interval", share(data.start[one]), share(data.end[one])]);
    const [column] = data.curves[drawn.get(item)][0];
    return [make("figure", {}, make("figcaption", {}, make("span", { class: "text" }, column), " as it was, its intervals shaded, this one darker"),
      chartOf(`${column} from ${from} to ${to}`, [["own-line", values]], [from, to], shaded))];
  }

  function besideCurves(item) {
    const curves = data.curves[drawn.get(item)], several = curves.length > 1;
    const charts = curves.map(([column, share, value, near]) => make("figure", {},
      make("figcaption", {}, make("span", { class: "text" }, column), several ? ` (${percent(share)} of the distance)` : ""),
      chartOf(`${column}: this window over its nearest`, [...near.map((one) => ["reference-line", one]), ["own-line", value]],
        ["start of the window", "its end"])));
    return [make("p", {}, `From ${data.start[item]} to ${data.end[item]}, highest at ${data.peak[item]}.`), ...surroundings(item),
      make("h3", {}, "Its strangest window over the nearest normal ones"), ...charts,
      make("p", { class: "quiet" }, make("span", { class: "key own" }, "the strangest window of it"),
        make("span", { class: "key reference" }, "its nearest windows, in their own time"))];
  }

  // One bar an interval; of a series with very many the highest.
  function timeline(name, intervals, top) {
    const { start, end } = data, [left, right, ceiling, floor] = [56, 992, 8, 128], scale = axis(0, top || 1);
    const [first, last] = range(intervals.flatMap((item) => [when(start[item]), when(end[item])]));
    const x = (text) => left + ((right - left) * (when(text) - first)) / (last - first || 1);
    const highest = new Set([...intervals].sort((a, b) => items.score[b] - items.score[a]).slice(0, BARS));
    const chart = draw("svg", { viewBox: "0 0 1000 152", role: "img", "aria-label": `anomaly scores of ${name}` });
    const high = (score) => (floor - ceiling) * scale.to(score);
    chart.append(...scale.ticks.flatMap((tick) => [draw("line", { x1: left, x2: right, y1: floor - high(tick), y2: floor - high(tick) }),
      draw("text", { x: left - 6, y: floor - high(tick) + 4, "text-anchor": "end" }, short(tick))]),
    ...intervals.filter((item) => highest.has(item)).map((item) => {
      const tall = Math.max(1, high(items.score[item]));
      const bar = draw("rect", { "data-item": item, x: x(start[item]), width: Math.max(1.5, x(end[item]) - x(start[item]) - 0.5), y: floor - tall, height: tall });
      bar.append(draw("title", {}, `${items.name[item]}, score ${number(items.score[item])}`));
      return bar;
    }), draw("text", { x: left, y: floor + 20 }, start[intervals[0]]),
    draw("text", { x: right, y: floor + 20, "text-anchor": "end" }, end[intervals.at(-1)]));
    chart.addEventListener("click", (event) => {
      const bar = event.target.closest("[data-item]");
      if (bar) openItem(Number(bar.dataset.item));
    });
    return make("figure", {}, make("figcaption", { class: "text" }, name), chart);
  }

  return {
    card(item) {
      if (!drawn.has(item)) return null;
      const curves = data.curves[drawn.get(item)];
      return make("span", { class: "reasons" }, overlay(curves[0], 300, 72),
        make("span", { class: "column" }, `to ${data.end[item]}`, curves.length > 1 ? `; ${curves[0][0]}` : ""));
    },
    detail: (item) => (drawn.has(item) ? [...besideCurves(item), ...listOfNearest(item)] : null),
    // When intervals are and how they score, series by series; those with the highest scores first.
    panels() {
      const { series, owner } = data;
      const of = series.map(() => []);
      owner.forEach((one, item) => of[one].push(item));
      const tops = of.map((intervals) => intervals.reduce((most, item) => Math.max(most, items.score[item]), 0));
      const order = series.map((_, i) => i).sort((a, b) => tops[b] - tops[a]).slice(0, TIMELINES);
      times.append(...order.map((one) => timeline(series[one], of[one], tops[one])));
      const said = ["The highest anomaly score of each interval, upwards, over time. A click opens it.",
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
