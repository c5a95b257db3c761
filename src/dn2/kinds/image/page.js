// Shows pictures beside those of their nearest, and the members that pull a group away.
mount(({ data, items, reference, words, neighbors }) => {
  function picture(source, caption, alternative) {
    const image = source === undefined
      ? make("span", { class: "gone" }, "no picture")
      : make("img", { src: `data:image/jpeg;base64,${source}`, alt: alternative });
    return make("span", { class: "picture" }, image, make("span", { class: "text" }, caption));
  }

  function ofItem(item, caption) {
    return picture(data.pictures[item], caption, `picture of ${items.name[item]}`);
  }

  function ofNeighbor([place, distance], caption) {
    return picture(data.reference[place], caption, `normal item ${reference.name[place]}, distance ${number(distance)}`);
  }

  function strip(...pictures) {
    return make("div", { class: "strip" }, ...pictures);
  }

  function pulling(members) {
    const pictures = members.map(([name, share, source]) =>
      picture(source ?? undefined, `${name} (${Math.round(100 * share)} %)`, `member ${name}`));
    return [make("h3", {}, "Pictures that pull it away, with their share of the score"), strip(...pictures)];
  }

  return {
    card(item) {
      const near = neighbors(item).slice(0, 3).map((one) => ofNeighbor(one, number(one[1])));
      return make("span", { class: "strip" }, ofItem(item, "scored"), ...near);
    },
    detail(item) {
      const near = neighbors(item).map((one) => ofNeighbor(one, `${reference.name[one[0]]} (${number(one[1])})`));
      const members = data.members?.[item] ?? [];
      return [make("div", { class: "beside" },
        make("div", {}, make("h3", {}, "scored"), strip(ofItem(item, items.name[item]))),
        make("div", {}, make("h3", {}, words.neighbors), strip(...near))), ...members.length ? pulling(members) : []];
    },
  };
});
