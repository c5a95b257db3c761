"""Pictures for a page with where they are strange: the map over each, and its worst regions beside what is normal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image

from dn2.arrays import Progress
from dn2.errors import UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.exchange import Judge
from dn2.kinds.image.again import OfPictures, judged_again
from dn2.kinds.image.evidence import Region
from dn2.kinds.image.patches.drawing import COLORS, SHARES, to_png
from dn2.kinds.image.pictures import ItemPictures
from dn2.neighbors.patches.joining import Map
from dn2.networks.pixels import decode, is_thumbnail, to_thumbnail
from dn2.networks.sources import open_picture
from dn2.results.rows import Row
from dn2.store.kept import KeptArrays
from dn2.store.packed import PackedBytes
from dn2.system.processes import cpu_count

PICTURE_SIZE = 384  # pixels a side: a defect is small
CROP_SIZE = 160
REGIONS_SHOWN = 3  # of a picture, with crops
AROUND = 1.6  # times the sides of a region, or of a normal patch, that a crop shows

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Scale(NamedTuple):
    """What the colours of maps mean: colours at values of maps, from the threshold of regions on outlined.

    rate : of normal pictures that have a region."""

    threshold: float
    rate: float
    colors: Sequence[tuple[float, tuple[int, ...]]]


class Crop(NamedTuple):
    """A region beside the normal patch that is nearest to its peak.

    own, box : a JPEG, and what of the picture it shows, in its pixels.
    near, near_size, near_box, mark : the same of the reference picture, None if that has been removed since; (width,
        height) of the JPEG; what it shows, and the patch in it, in shares of the sides."""

    own: bytes
    box: Box
    near: bytes | None
    near_size: tuple[int, int]
    near_box: Box
    mark: Box


class Located(NamedTuple):
    """A picture, and where it is strange: JPEG; (width, height) that its regions count; its map, PNG; its crops."""

    picture: bytes
    size: tuple[int, int]
    map: bytes | None
    crops: Sequence[Crop]


class LocatedPictures(ItemPictures):
    """Reads the pictures of a model of patches; opens scored files, and files that reference items were read from."""

    def __init__(
        self,
        kind: OfPictures,
        judge: Judge,
        thumbnails: PackedBytes,
        files: Sequence[Item | None],
        progress: Progress | None,
        scale: tuple[float, float],
    ) -> None:
        super().__init__(thumbnails, judge.items, files, progress, kind.embedder.white)
        self._kind, self._judge = kind, judge
        threshold, rate = scale
        ends = [threshold * share for share in SHARES]
        self.scale = Scale(threshold, rate, list(zip(ends, COLORS, strict=True)))

    def located(self, rows: Sequence[Row]) -> dict[str, Located]:
        """Return rows whose pictures can be read with where these are strange, by name."""
        rows = [row for row in rows if row.item in self._files]
        maps = self._maps(rows)
        found: dict[str, Located] = {}
        windows: dict[str, list[tuple[str, int, Box]]] = {}
        with ThreadPoolExecutor(cpu_count()) as pool:
            each = pool.map(lambda row: self._locate(row, maps.get(row.item)), rows)
            for row, located in zip(rows, each, strict=True):
                if located is None:
                    continue
                found[row.item] = located
                for number, (crop, region) in enumerate(zip(located.crops, row.regions or (), strict=False)):
                    windows.setdefault(region.nearest, []).append((row.item, number, crop.near_box))
            places = {item.name: place for place, item in enumerate(self._reference)}
            known = [name for name in windows if name in places]
            near = pool.map(lambda name: self._near(places[name], windows[name]), known)
            for name, cuts in zip(known, near, strict=True):
                for (item, number, _), cut in zip(windows[name], cuts, strict=True):
                    crops = list(found[item].crops)
                    crops[number] = crops[number]._replace(near=cut[0], near_size=cut[1])
                    found[item] = found[item]._replace(crops=crops)
        return found

    def _maps(self, rows: Sequence[Row]) -> dict[str, Map]:
        """Return the maps of rows, those that are not kept computed again."""
        kept = {row.item: row.evidence.anomaly_map for row in rows if row.evidence.anomaly_map is not None}
        gone = [row for row in rows if row.item not in kept and _is_there(self._files[row.item])]
        again = judged_again(
            self._kind, self._judge, [self._files[row.item] for row in gone], [row.part for row in gone]
        )
        named, keeper = zip(gone, again, strict=True), KeptArrays()
        return kept | {row.item: keeper.keep(judged.found.anomaly_map) for row, judged in named if judged is not None}

    def _locate(self, row: Row, anomaly_map: Map | None) -> Located | None:
        """Read a picture with its crops; None if that cannot be done."""
        item, regions = self._files[row.item], (row.regions or ())[:REGIONS_SHOWN]
        try:
            with self._opened(item) as picture:
                size = row.evidence.size if item.in_memory and row.evidence.size is not None else picture.size
                crops = [_crop(picture, size, region) for region in regions]
                drawn = None if anomaly_map is None else to_png(anomaly_map, self.scale.threshold)
                return Located(to_thumbnail(picture, PICTURE_SIZE), size, drawn, crops)
        except UnreadableItem:
            return None

    @contextmanager
    def _opened(self, item: Item) -> Iterator[Image.Image]:
        if not item.in_memory:
            with open_picture(item.path, self._white) as source, source.decoded(None) as picture:
                yield picture
        elif item.content is None:
            raise UnreadableItem("nothing of it is kept")
        else:
            yield decode(item.content)

    def _near(self, place: int, wanted: Sequence[tuple[str, int, Box]]) -> list[tuple[bytes | None, tuple[int, int]]]:
        """Cut the surroundings of patches out of a reference picture: out of its file if that is what it was."""
        item = self._reference[place]
        try:
            if not item.path:
                raise UnreadableItem("it came from memory")
            with open_picture(item.path, self._white) as source:
                if source.digest != item.sha256:
                    raise UnreadableItem("another file by now")
                with source.decoded(None) as picture:
                    return [_cut(picture, box) for _, _, box in wanted]
        except UnreadableItem:
            small = bytes(self._thumbnails[place])
            if not is_thumbnail(small):
                return [(None, (1, 1)) for _ in wanted]
            thumbnail = decode(small)
            return [_cut(thumbnail, box) for _, _, box in wanted]


def _is_there(item: Item) -> bool:
    return not item.in_memory or item.content is not None


def _crop(picture: Image.Image, size: tuple[int, int], region: Region) -> Crop:
    """Cut the surroundings of a region out of a picture; size : that its box counts."""
    (width, height), (left, top, right, bottom) = size, region.box
    across, down = (
        AROUND * (high - low) for low, high in zip(region.nearest_box[:2], region.nearest_box[2:], strict=True)
    )
    side = max(AROUND * (right - left), AROUND * (bottom - top), across * width, down * height)
    share = min(1.0, side / width), min(1.0, side / height)
    box = _around(((left + right) / 2 / width, (top + bottom) / 2 / height), share)
    mark = region.nearest_box
    near_box = _around(((mark[0] + mark[2]) / 2, (mark[1] + mark[3]) / 2), share)
    in_pixels = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    return Crop(_cut(picture, box)[0], in_pixels, None, (1, 1), near_box, mark)


def _around(middle: tuple[float, float], share: tuple[float, float]) -> Box:
    """Lay a window of some shares of the sides around a place, within the picture."""
    low = [min(max(0.0, at - side / 2), 1 - side) for at, side in zip(middle, share, strict=True)]
    return low[0], low[1], low[0] + share[0], low[1] + share[1]


def _cut(picture: Image.Image, box: Box) -> tuple[bytes, tuple[int, int]]:
    """Cut a box, in shares of the sides, out of a picture: a JPEG, and how many pixels of the picture it shows."""
    left, top, right, bottom = (
        round(share * side) for share, side in zip(box, (*picture.size, *picture.size), strict=True)
    )
    part = picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return to_thumbnail(part, CROP_SIZE), part.size
