"""The settings that `guarantee.py` measures: from which pools is drawn, and what a detector is asked for."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache, partial
from typing import Any

import numpy as np

from common import CIFAR10, Run
from dn2 import Cache, ImageEmbedder, KNNDetector, TextEmbedder
from dn2.arrays import Array
from dn2.kinds.image.presets import PRESETS, Preset
from guarantee_draws import Got, Labels, Random, Setting, by_parts, columns_of, detected, mixture, modelled, some

Options = dict[str, Any]
Table = dict[str, Array]

ROOT_UNIT: Options = {"normalize": "root-unit"}
CLEANED: Options = {**ROOT_UNIT, "contaminated": True, "n_neighbors": 10}
SMOOTH: Options = {"smooth": True}
SHARES = (0.1, 0.2, 0.4)  # of anomalies
PRODUCTS = (0.85, 0.15)  # common and rare
HIDES = "anomalies among the items calibrate, too"
MESSAGE_TEMPLATES = 30
UNKNOWN = "0"  # the light of one photo


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws, and in each the reference items, and the new ones tested.

    references : for leave-one-out alone; learning : where half may be learnt from; mixed : of a common and a rare
    product; tiles, scenes, copies : parts, and items of one that is made up; messages; sets, rows : ADBench's, and rows
    of each."""

    presets: dict[str, Preset] = field(default_factory=lambda: PRESETS)
    draws: int = 200
    tested: int = 200
    references: tuple[int, ...] = (19, 49, 99, 299)
    learning: int = 398
    mixed: int = 1_000
    tiles: int = 110
    scenes: int = 60
    copies: int = 5
    messages: int = 299
    sets: int = 10
    rows: int = 398


SMALLEST = Sizes(
    presets={name: Preset("lite0@32", preset.n_neighbors, preset.whiten) for name, preset in PRESETS.items()},
    draws=2,
    tested=6,
    references=(12,),
    learning=24,
    mixed=24,
    tiles=6,
    scenes=14,
    messages=60,
    sets=1,
    rows=40,
)


def pictures(run: Run[Sizes]) -> list[Setting]:
    """One class of pictures, by turns, with every preset, index and storage; a common and a rare product."""
    sizes, n, pools = run.sizes, run.sizes.learning, classes(run, "default")
    short = [np.ascontiguousarray(pool[:, :16]) for pool in pools]

    def one(options: Options, pools: Sequence[Array], n: int, rng: Random) -> Got:
        rows = some(rng, pools[rng.integers(len(pools))], n + sizes.tested)
        return detected(rng, {**ROOT_UNIT, **options}, rows[:n], rows[n:])

    indices = ("exact", "kdtree", "kmeans-tree", "kmeans-tree:4", "approximate")
    settings = [Setting(f"default, {size} pictures", partial(one, {}, pools, size)) for size in sizes.references]
    for name, preset in sizes.presets.items():
        options, cats = {"n_neighbors": preset.neighbors_among(n)}, classes(run, name, "cat")
        settings.append(Setting(f"{name}, {n} pictures", partial(one, options, cats, n)))
        if preset.whiten:
            settings.append(Setting("  the same, whitened", partial(one, {**options, "whiten": True}, cats, n)))
    return [
        *settings,
        *(Setting(f"storage {name}", partial(one, {"storage": name}, pools, n)) for name in ("float16", "uint8")),
        *(Setting(f"index {name}, 16 numbers", partial(one, {"index": name}, short, n)) for name in indices),
        Setting("index kmeans:10", partial(one, {"index": "kmeans:10", "n_neighbors": 1}, pools, n)),
        Setting("confidence 0.95", partial(one, {"confidence": 0.95}, pools, n)),
        *products(sizes, np.concatenate([pools[3], pools[5]]), pools[8]),
    ]


def products(sizes: Sizes, common: Array, rare: Array) -> list[Setting]:
    """Pictures of two products, one of them rare: the rate of both, and of the rare one."""
    n = sizes.mixed

    def two(per: bool, only_rare: bool, rng: Random) -> Got:
        left = rng.permutation(rare)
        new, left = left[: sizes.tested], left[sizes.tested :]
        rows, names = mixture(rng, [common, left], PRODUCTS, n if only_rare else n + sizes.tested)
        names_new = np.ones(len(new), np.int64)
        if not only_rare:
            new, names_new = rows[n:], names[n:]
        got = detected(rng, ROOT_UNIT, rows[:n], new, per=(names[:n], names_new) if per else None)
        if only_rare and got.calibration.strata:
            return got._replace(calibration=min(got.calibration.strata.values(), key=lambda one: one.sample_size))
        return got

    return [
        Setting("two products, 15 % rare, new items of both", partial(two, False, False)),
        Setting("  the same, --per product", partial(two, True, False)),
        Setting("  new items of the rare one", partial(two, False, True), broken="the rate is not per product"),
        Setting("  the same, --per product, the rare one", partial(two, True, True)),
    ]


def parts(run: Run[Sizes]) -> list[Setting]:
    """Photos of tiles, about six of each, and frames of made-up scenes."""
    count = run.sizes.tiles
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["label"] == "0" and row["exposure"] != UNKNOWN]
    with zipfile.ZipFile(run.need("magnetic_tile/magnetic_tile.zip")) as archive:
        photos = embedded(run.sizes.presets["default"], [archive.read(row["image"]) for row in listed])
    tiles, lights = (np.array([row[name] for row in listed]) for name in ("tile_group", "exposure"))

    def photos_of(options: Options, by_part: bool, by_light: bool, rng: Random) -> Got:
        inside, outside = by_parts(rng, tiles, count)
        labels, per = (tiles[inside], tiles[outside]), (lights[inside], lights[outside]) if by_light else None
        part = labels if by_part else None
        options = {**ROOT_UNIT, **options}
        got = detected(rng, options, photos[inside], photos[outside], parts=part, per=per, looks=not by_part)
        return got._replace(parts=labels[1])

    def whole(rng: Random) -> Got:
        inside, outside = by_parts(rng, tiles, count)
        detector = KNNDetector(2, **ROOT_UNIT).fit(photos[inside], parts=tiles[inside])
        names, which = np.unique(tiles[outside], return_inverse=True)
        largest = np.full(len(names), -np.inf)
        np.maximum.at(largest, which, detector.anomaly_score(photos[outside]))
        assert detector.calibration_.of_parts is not None
        return Got(detector.calibration_.of_parts, detector.calibration_.of_parts.p_value(largest))

    def any_photos(rng: Random) -> Got:
        order = rng.permutation(len(photos))
        n = round(len(photos) * count / len(np.unique(tiles)))
        return detected(rng, ROOT_UNIT, photos[order[:n]], photos[order[n:]])

    ways: dict[str, Options] = {
        "whitened": {"whiten": True},
        "kmeans:5": {"index": "kmeans:5", "n_neighbors": 1},
        "confidence 0.95": {"confidence": 0.95},
        "smooth": SMOOTH,
        "contaminated": CLEANED,
    }
    several = "several photos of a part"
    return [
        Setting(f"{count} tiles, by photo, photos of new tiles", partial(photos_of, {}, False, False), broken=several),
        Setting("  the same, --part tile", partial(photos_of, {}, True, False)),
        *(Setting(f"  --part tile, {name}", partial(photos_of, ways[name], True, False)) for name in ways),
        Setting("  --part tile, --per light", partial(photos_of, {}, True, True)),
        Setting("  --part tile, a whole tile decided", whole),
        Setting("as many photos at random, new photos of any", any_photos),
        *scenes(run.sizes),
    ]


def scenes(sizes: Sizes) -> list[Setting]:
    """Frames that differ by a twentieth of what scenes differ by."""
    n = sizes.scenes * sizes.copies

    def frames(options: Options, by_part: bool, rng: Random) -> Got:
        labels = np.repeat(np.arange(sizes.scenes + sizes.tested), sizes.copies)
        rows = rng.normal(size=(labels.max() + 1, 8))[labels] + 0.05 * rng.normal(size=(len(labels), 8))
        part = (labels[:n], labels[n:]) if by_part else None
        return detected(rng, options, rows[:n], rows[n:], parts=part, looks=not by_part)._replace(parts=labels[n:])

    name = f"{sizes.scenes} scenes x {sizes.copies} frames, by frame, new scenes"
    return [
        Setting(name, partial(frames, {}, False), broken="several frames of a scene"),
        Setting("  the same, --part scene", partial(frames, {}, True)),
        Setting("  --part scene, smooth", partial(frames, SMOOTH, True)),
    ]


def messages(run: Run[Sizes]) -> list[Setting]:
    """Private messages: as they come, with copies of templates, and each sent to several people."""
    n, tested, copies = run.sizes.messages, run.sizes.tested, run.sizes.copies
    with open(run.need("text/sms_spam.csv"), newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file) if row["label"] == "ham"]
    vectors = TextEmbedder(cache=Cache()).transform(texts)
    distinct = vectors[np.unique(texts, return_index=True)[1]]

    def any_of(pool: Array, rng: Random) -> Got:
        rows = some(rng, pool, n + tested)
        return detected(rng, {}, rows[:n], rows[n:])

    def templates(options: Options, rng: Random) -> Got:
        rows = some(rng, distinct, n + tested)
        often, copied = 1 / np.arange(1, MESSAGE_TEMPLATES + 1), rng.random(len(rows)) < 0.5
        rows[copied] = distinct[rng.choice(len(often), size=int(copied.sum()), p=often / often.sum())]
        return detected(rng, options, rows[:n], rows[n:])

    def sent(by_part: bool, rng: Random) -> Got:
        rows = some(rng, distinct, n // copies + tested)
        labels = np.repeat(np.arange(n // copies), copies)
        part = (labels, n + np.arange(tested)) if by_part else None
        return detected(rng, {}, rows[labels], rows[n // copies :], parts=part, looks=not by_part)

    return [
        Setting("SMS, with the copies that people write", partial(any_of, vectors)),
        Setting("SMS, no copies", partial(any_of, distinct)),
        Setting(f"SMS, half are copies of {MESSAGE_TEMPLATES} templates", partial(templates, {})),
        Setting("  the same, smooth", partial(templates, SMOOTH)),
        Setting(f"SMS, each {copies} times, new ones", partial(sent, False), broken="several copies of a message"),
        Setting("  the same, --part message", partial(sent, True)),
    ]


def cleaning(run: Run[Sizes]) -> list[Setting]:
    """Sets that are said to be contaminated: clean ones of several kinds and with categories, and others."""
    n, tested, pools = run.sizes.learning, run.sizes.tested, classes(run, "default")

    def clean(shares: Sequence[float], rng: Random) -> Got:
        chosen = [pools[place] for place in rng.permutation(len(pools))[: len(shares)]]
        rows, _ = mixture(rng, chosen, shares, n + tested)
        return detected(rng, CLEANED, rows[:n], rows[n:])

    def dirty(share: float, options: Options, rng: Random) -> Got:
        own, count = int(rng.integers(len(pools))), round(share * n)
        normal = some(rng, pools[own], n - count + tested)
        others = some(rng, np.concatenate(pools[:own] + pools[own + 1 :]), count + tested)
        reference = rng.permutation(np.concatenate([normal[tested:], others[tested:]]))
        queries = np.concatenate([normal[:tested], others[:tested]])
        got = detected(rng, {**CLEANED, **options}, reference, queries)
        return got._replace(p_values=got.p_values[:tested], found=got.p_values[tested:])

    contaminated = {"contaminated": True}
    return [
        Setting("clean, one class", partial(clean, (1.0,))),
        Setting("clean, two classes, 80 and 20 %", partial(clean, (0.8, 0.2))),
        Setting("clean, three classes, 60, 25 and 15 %", partial(clean, (0.6, 0.25, 0.15))),
        Setting("clean table, a category of three", partial(made_table, run.sizes, contaminated)),
        Setting("clean KDD, three columns of categories", partial(connections, run.sizes, kdd(run), contaminated)),
        *(Setting(f"{one:.0%} of other classes", partial(dirty, one, {}), below=HIDES) for one in SHARES),
        *(
            Setting(f"{one:.0%} of other classes, --drop {one}", partial(dirty, one, {"drop": one}), below=HIDES)
            for one in SHARES
        ),
    ]


def tables(run: Run[Sizes]) -> list[Setting]:
    """ADBench's tables with dn2's defaults; whole numbers and categories, with and without smoothing."""
    n, tested = run.sizes.rows, run.sizes.tested
    with open(run.need("tabular_adbench/list.csv"), newline="") as file:
        listed = [row for row in csv.DictReader(file) if int(row["n"]) - int(row["anomalies"]) >= n + tested]

    def rows_of(normal: Array, options: Options, rng: Random) -> Got:
        rows = some(rng, normal, n + tested)
        return modelled(rng, columns_of(rows), len(rows) - tested, **options)

    def counts(options: Options, rng: Random) -> Got:
        rows = rng.poisson(2, size=(n + tested, 3)).astype(np.float32)
        return detected(rng, options, rows[:n], rows[n:])

    of_kdd = partial(connections, run.sizes, kdd(run))
    whole = "45_wine" if run.smallest else "4_breastw"
    whole_numbers = normals(run, f"{whole}.npz")
    return [
        *(
            Setting(row["file"].removesuffix(".npz"), partial(rows_of, normals(run, row["file"]), {}))
            for row in listed[: run.sizes.sets]
        ),
        Setting(f"{whole}, whole numbers", partial(rows_of, whole_numbers, {})),
        Setting("  the same, smooth", partial(rows_of, whole_numbers, SMOOTH)),
        Setting("made counts, three columns", partial(counts, {})),
        Setting("  the same, smooth", partial(counts, SMOOTH)),
        Setting("made table, a category of three", partial(made_table, run.sizes, {})),
        Setting("KDD, three columns of categories", partial(of_kdd, {})),
        Setting("  KDD, smooth", partial(of_kdd, SMOOTH)),
    ]


def made_table(sizes: Sizes, options: Options, rng: Random) -> Got:
    """Make a table of four numbers and a category."""
    size = sizes.rows + sizes.tested
    kinds: Labels = rng.choice(["usual", "other", "rare"], size=size, p=[0.7, 0.2, 0.1])
    return modelled(rng, {**columns_of(rng.normal(size=(size, 4))), "kind": kinds.tolist()}, sizes.rows, **options)


def connections(sizes: Sizes, table: Table, options: Options, rng: Random) -> Got:
    """Draw rows of the normal connections in KDD Cup 99."""
    places = rng.choice(len(table["flag"]), size=sizes.rows + sizes.tested, replace=False)
    drawn = {name: column[places] for name, column in table.items()}
    columns = {name: one.tolist() if one.dtype.kind == "U" else one for name, one in drawn.items()}
    return modelled(rng, columns, sizes.rows, **options)


def kdd(run: Run[Sizes]) -> Table:
    """Return the normal connections in KDD Cup 99: 38 columns of numbers, and three of categories."""
    with np.load(run.need("tabular_goad/kddcup99_10pct.npz")) as arrays:
        normal = np.flatnonzero(arrays["label_names"][arrays["label"]] == "normal")
        categories = ("protocol", "service", "flag")
        named = {name: arrays[f"cat_{name}_names"][arrays[f"cat_{name}"][normal]] for name in categories}
        return {**columns_of(arrays["X_num"][normal]), **named}


def normals(run: Run[Sizes], file: str) -> Array:
    """Return the normal rows of one of ADBench's sets."""
    with np.load(run.need(f"tabular_adbench/{file}")) as arrays:
        return arrays["X"][arrays["y"] == 0].astype(np.float64)


def classes(run: Run[Sizes], preset: str, only: str = "*") -> list[Array]:
    """Return the embeddings of CIFAR-10's test pictures, or all made ones, class by class."""
    with zipfile.ZipFile(run.need(CIFAR10)) as archive:
        pattern = f"{'*' if run.smallest else 'test'}/{only}/*.png"
        paths = [name for name in sorted(archive.namelist()) if fnmatch(name, pattern)]
        vectors = embedded(run.sizes.presets[preset], [archive.read(path) for path in paths])
    names = np.array([path.split("/")[1] for path in paths])
    return [vectors[names == name] for name in np.unique(names)]


def embedded(preset: Preset, pictures: Sequence[bytes]) -> Array:
    """Embed pictures, (n, d), through the user's cache."""
    return embedder_of(preset.backbone).transform(pictures)


@cache
def embedder_of(backbone: str) -> ImageEmbedder:
    """Make an embedder once, with the user's cache."""
    return ImageEmbedder(backbone, cache=Cache())


SECTIONS: dict[str, Callable[[Run[Sizes]], list[Setting]]] = {
    "pictures": pictures,
    "parts": parts,
    "messages": messages,
    "cleaning": cleaning,
    "tables": tables,
}
