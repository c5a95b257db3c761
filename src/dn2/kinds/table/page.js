// Shows the columns that make a row strange, with its values beside those of its nearest.
mount(({ data, items, words, neighbors, nearest, listOfNearest }) => {
  const explained = new Map(data.items.map((item, i) => [item, i]));

  // The columns that make a row strangest, first of all; none where the page does not have them.
  function contributions(item) {
    const place = explained.get(item);
    if (place === undefined) return [];
    const { name, starts, column, share, value, near } = data, from = starts[place];
    return share.slice(from, starts[place + 1]).map((one, i) => (
      { column: name[column[from + i]], share: one, value: value[from + i], near: near[from + i] }));
  }

  function cell(value, name = "span") {
    return value === null ? make(name, { class: "missing" }, "missing") : make(name, { class: "text" }, String(value ?? ""));
  }

  function shareBar(share) {
    return make("span", { class: "share" }, make("span", { class: "track" },
      make("span", { class: "part", style: `width: ${(100 * share).toFixed(1)}%` })), " ",
      make("span", { class: "percent" }, percent(share)), " ");
  }

  // A line of a card: a column, its share, its value beside those of the neighbours, each once.
  function reason({ column, share, value, near }) {
    const different = [...new Set(near)], shown = different.slice(0, 3).flatMap((one, i) => [i ? ", " : "", cell(one)]);
    return make("span", { class: "reason" }, make("span", { class: "column text" }, column), " ", shareBar(share),
      make("span", { class: "values" }, make("b", {}, cell(value)), " beside ", ...shown, different.length > 3 ? ", …" : ""));
  }

  // Coloured by how much of the score its column makes.
  function differing(element, share) {
    element.classList.add("differing");
    element.style.setProperty("--share", `${Math.round(60 * share)}%`);
    return element;
  }

  function beside(item, listed) {
    const near = neighbors(item), heading = (text, more) => make("th", { scope: "col", ...more }, text);
    const head = [make("tr", {}, heading("column", { rowspan: 2 }), heading("share", { rowspan: 2 }),
      heading(`this ${words.one}`, { rowspan: 2 }), heading(words.neighbors, { scope: "colgroup", colspan: near.length || 1 })),
    make("tr", {}, ...near.map((one) => heading(nearest(one), {})))];
    const rows = listed.map(({ column, share, value, near: values }) => make("tr", {},
      make("th", { scope: "row", class: "text" }, column), make("td", {}, shareBar(share)), differing(make("td", { class: "own" }, cell(value)), share),
      ...near.map((_, i) => (values[i] === value ? cell(values[i], "td") : differing(cell(values[i], "td"), share / 2)))));
    const others = 1 - listed.reduce((sum, { share }) => sum + share, 0);
    if (others >= 0.01) {
      rows.push(make("tr", {}, make("th", { scope: "row" }, "others"), make("td", {}, shareBar(others)),
        make("td", { colspan: near.length + 1 })));
    }
    return [tableOf("Columns", head, rows), make("p", { class: "quiet" }, `Shares are of the squared distance to the nearest ${words.many}, `
      + "which is the anomaly score. Those of all columns add up to 100 %; up to five are listed. Values that differ are coloured, the more of the score the stronger.")];
  }

  return {
    card(item) {
      const strange = contributions(item).slice(0, 3).filter(({ share }, i) => !i || share >= 0.05);
      return strange.length ? make("span", { class: "reasons" }, ...strange.map(reason)) : null;
    },
    // The columns in the order of their names: that of their shares would tell which are strange.
    plain(item) {
      const listed = contributions(item).sort((one, other) => (one.column < other.column ? -1 : 1));
      return make("span", { class: "reasons" }, ...listed.map(({ column, value }) => make("span", { class: "reason" },
        make("span", { class: "column text" }, column), make("span", { class: "values" }, make("b", {}, cell(value))))));
    },
    detail(item) {
      const listed = contributions(item);
      if (listed.length) return beside(item, listed);
      const why = items.score[item] ? "The columns that make it strange are in the results file." : "It differs from them in no column.";
      return [make("p", { class: "quiet" }, why), ...listOfNearest(item)];
    },
  };
});
