// Shows what messages say, the words marked that none of their nearest has, beside what these say.
mount(({ data, reference, words, neighbors }) => {
  const said = new Map(data.items.map((item, i) => [item, i]));

  // Every second piece of a message is a word that is marked.
  function message(item) {
    const pieces = data.value[said.get(item)];
    return make("span", { class: "message text" }, ...pieces.map((piece, i) => (i % 2 ? make("mark", {}, piece) : piece)));
  }

  function quote([place, distance]) {
    const text = data.reference[place] ?? reference.name[place];
    return make("span", { class: "quote" }, make("span", { class: "message text" }, text), ` (${number(distance)})`);
  }

  return {
    card(item) {
      if (!said.has(item)) return null;
      const near = neighbors(item).slice(0, 1).flatMap((one) => [make("span", { class: "column" }, "nearest"), quote(one)]);
      return make("span", { class: "reasons" }, message(item), ...near);
    },
    plain(item) {
      return said.has(item) ? make("span", { class: "message text" }, data.value[said.get(item)].join("")) : "";
    },
    detail(item) {
      if (!said.has(item)) return null;
      const rows = neighbors(item).map((one) => make("tr", {}, make("th", { scope: "row", class: "text" }, reference.name[one[0]]),
        make("td", { class: "message text" }, data.reference[one[0]] ?? ""),
        make("td", { class: "number" }, number(one[1], 4))));
      const heading = (text, more) => make("th", { scope: "col", ...more }, text);
      const head = [make("tr", {}, heading("name"), heading("message"), heading("distance", { class: "number" }))];
      return [make("p", {}, message(item)), make("p", { class: "quiet" }, "Marked are the words that none of its neighbours has."),
        make("h3", {}, words.neighbors), tableOf(words.neighbors, head, rows)];
    },
    text: (item) => (said.has(item) ? data.value[said.get(item)].join("") : ""),
  };
});
