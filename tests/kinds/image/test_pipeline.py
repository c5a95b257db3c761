"""Files to embeddings: in order, with errors between, never twice, never all at once."""

import hashlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from dn2.kinds.image import pipeline
from dn2.kinds.image.pipeline import ImagePipeline
from dn2.networks import sources
from dn2.networks.backbone import AnyNetwork
from dn2.networks.openvino import Network
from dn2.networks.pixels import Preprocessing, to_thumbnail
from dn2.networks.registry import get_backbone
from dn2.system.processes import cpu_count

SMALL = Preprocessing(8, 8)


@dataclass(frozen=True)
class FakeBackbone:
    digest: str = "fake"
    preprocessing: Preprocessing = SMALL


class FakeNetwork(AnyNetwork):
    """Embeds a picture as its mean color, and answers as late and in as wrong an order as it may."""

    def __init__(self, backbone=FakeBackbone(), precision="f32"):
        self.backbone = backbone
        self.precision = precision
        self.started = 0
        self._waiting = []

    def start(self, pixels, receive):
        self.started += 1
        self._waiting.append((pixels.copy(), receive))

    def wait(self):
        for pixels, receive in reversed(self._waiting):
            receive(pixels.mean(axis=(0, 1)).astype(np.float32))
        self._waiting.clear()


class FakeCache(dict):
    """A dictionary that counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.puts = []

    def put(self, entries):
        self.puts.append(len(entries))
        self.update(entries)


@pytest.fixture
def decoded(monkeypatch):
    """Count the pictures decoded from here on."""
    count = Counter()
    decoded = sources.open_decoded

    def counting(*arguments):
        count["decoded"] += 1
        return decoded(*arguments)

    monkeypatch.setattr(sources, "open_decoded", counting)
    return count


@pytest.fixture
def colors(tmp_path):
    """Return 40 files of one color each, whose red tells their number."""
    paths = [tmp_path / f"{number:02}.png" for number in range(40)]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number, 100, 200)).save(path)
    return paths


def run(paths, network=None, cache=None, **options):
    return list(ImagePipeline([network or FakeNetwork()], cache, **options).embed(paths))


class Brightness(FakeNetwork):
    """Embeds a picture as its size and its mean."""

    def __init__(self, size=16, digest="brightness"):
        super().__init__(FakeBackbone(digest, Preprocessing(size, size)))

    def wait(self):
        for pixels, receive in self._waiting:
            receive(np.array([len(pixels), pixels.mean()], np.float32))
        self._waiting.clear()


def several(paths, *networks, cache=None, **options):
    return list(ImagePipeline(networks or (FakeNetwork(), Brightness()), cache, **options).embed(paths))


def reader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("dn2-read")]


# Order and errors


@pytest.mark.parametrize("window", [1, 3, 16, 40, 128])
def test_embeddings_come_in_the_order_of_the_files(colors, monkeypatch, window):
    monkeypatch.setattr(pipeline, "WINDOW", window)
    order = np.random.default_rng(window).permutation(40)
    items = run([colors[place] for place in order])
    assert [item.vector.tolist() for item in items] == [[place, 100, 200] for place in order]
    assert {item.error for item in items} == {None}


def test_files_that_are_read_at_different_speeds_come_in_order(colors, monkeypatch):
    monkeypatch.setattr(pipeline, "WINDOW", 8)
    to_pixels = pipeline.to_pixels

    def slow_at_first(image, preprocessing):
        time.sleep(0.02 if image.getpixel((0, 0))[0] % 8 == 0 else 0)
        return to_pixels(image, preprocessing)

    monkeypatch.setattr(pipeline, "to_pixels", slow_at_first)
    assert [item.vector[0] for item in run(colors)] == list(range(40))


def test_what_cannot_be_read_comes_in_its_place_with_its_error(colors, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    broken = [tmp_path / name for name in ("text.png", "empty.png", "folder.png", "missing.png")]
    paths = [*colors[:2], *broken, *colors[2:4], broken[0]]
    items = run(paths)
    assert [item.vector is None for item in items] == [False] * 2 + [True] * 4 + [False] * 2 + [True]
    assert [item.vector[0] for item in items if item.vector is not None] == [0, 1, 2, 3]
    for item, word in zip(items[2:6], ["not a picture", "empty", "director|regular", "No such file"], strict=True):
        assert any(one in item.error for one in word.split("|"))


def test_nothing_but_broken_files_and_no_files_at_all_end_well(tmp_path):
    (tmp_path / "a.png").touch()
    assert [item.vector for item in run([tmp_path / "a.png"] * 3)] == [None] * 3
    assert run([]) == []


def test_the_digest_is_that_of_the_file(colors):
    items = run(colors[:3])
    assert [item.digest for item in items] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in colors[:3]]


def test_files_of_the_same_content_have_the_same_embedding(colors, tmp_path):
    twin = tmp_path / "twin.png"
    twin.write_bytes(colors[5].read_bytes())
    items = run([colors[5], colors[6], twin, colors[5]], cache=FakeCache())
    assert [item.vector[0] for item in items] == [5, 6, 5, 5]
    assert len({item.digest for item in items}) == 2


def test_an_exception_that_is_no_pictures_fault_ends_the_run_and_the_threads(colors):
    class Broken(FakeNetwork):
        def wait(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(colors, Broken())
    assert not reader_threads()


@pytest.mark.parametrize("step", ["to_pixels", "to_thumbnail"])
@pytest.mark.parametrize(
    ("raised", "said"),
    [(MemoryError(), "not enough memory"), (ValueError("odd"), "damaged picture: odd"), (ZeroDivisionError(), "Zero")],
)
def test_whatever_one_picture_makes_a_step_raise_is_its_own_error(colors, monkeypatch, step, raised, said):
    plain = getattr(pipeline, step)

    def broken_at_five(image, *arguments):
        if image.getpixel((0, 0))[0] == 5:
            raise raised
        return plain(image, *arguments)

    monkeypatch.setattr(pipeline, step, broken_at_five)
    items = run(colors, thumbnails=True)
    assert [place for place, item in enumerate(items) if item.vector is None] == [5]
    assert said in items[5].error


def test_memory_that_ends_beside_a_picture_is_that_pictures_error(colors, monkeypatch):
    plain, unlucky = hashlib.sha256, colors[5].read_bytes()

    def sha256(data):
        if data == unlucky:
            raise MemoryError
        return plain(data)

    monkeypatch.setattr(hashlib, "sha256", sha256)
    items = run(colors)
    assert [place for place, item in enumerate(items) if item.vector is None] == [5]
    assert items[5].error == "cannot be read: not enough memory"


# The cache


def test_the_second_run_decodes_nothing_and_gives_the_same_bits(colors, monkeypatch):
    cache, network = FakeCache(), FakeNetwork()
    first = run(colors, network, cache)

    def forbidden(*_):
        raise AssertionError("decoded, though in the cache")

    monkeypatch.setattr(sources, "open_decoded", forbidden)
    second = run(colors, network, cache)
    assert [item.vector.tobytes() for item in second] == [item.vector.tobytes() for item in first]
    assert network.started == 40
    assert all(item.vector.dtype == np.float32 for item in second)


def test_a_renamed_file_is_found_and_an_edited_one_is_not(colors, tmp_path, decoded):
    cache = FakeCache()
    run(colors[:4], cache=cache)
    renamed = colors[0].rename(tmp_path / "renamed.png")
    Image.new("RGB", (8, 8), (77, 100, 200)).save(colors[1])
    decoded.clear()
    items = run([renamed, *colors[1:4]], cache=cache)
    assert decoded["decoded"] == 1
    assert [item.vector[0] for item in items] == [0, 77, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        FakeNetwork(precision="bf16"),
        FakeNetwork(FakeBackbone(digest="other")),
        FakeNetwork(FakeBackbone(preprocessing=Preprocessing(8, 9))),
        FakeNetwork(FakeBackbone(preprocessing=Preprocessing(9, 8))),
        FakeNetwork(FakeBackbone(preprocessing=Preprocessing(8, 8, "pad"))),
    ],
    ids=["precision", "backbone", "width", "height", "shape"],
)
def test_what_another_recipe_embedded_is_not_used(colors, decoded, other):
    cache = FakeCache()
    run(colors[:3], cache=cache)
    decoded.clear()
    run(colors[:3], other, cache)
    assert decoded["decoded"] == 3
    run(colors[:3], cache=cache)
    run(colors[:3], other, cache)
    assert decoded["decoded"] == 3


def test_another_way_of_reading_pictures_does_not_use_what_this_one_embedded(colors, decoded, monkeypatch):
    from dn2.networks import pixels as images

    cache = FakeCache()
    run(colors[:3], cache=cache)
    monkeypatch.setattr(images, "READING_VERSION", images.READING_VERSION + 1)
    run(colors[:3], cache=cache)
    assert decoded["decoded"] == 6


def test_what_cannot_be_read_is_tried_again_in_the_next_run(tmp_path):
    cache, path = FakeCache(), tmp_path / "a.png"
    path.touch()
    assert run([path], cache=cache)[0].vector is None
    Image.new("RGB", (8, 8), (3, 4, 5)).save(path)
    assert run([path], cache=cache)[0].vector.tolist() == [3, 4, 5]


def test_a_run_that_ends_early_has_kept_every_embedding_it_gave(colors, monkeypatch, decoded):
    monkeypatch.setattr(pipeline, "WINDOW", 8)
    cache = FakeCache()
    for consumed in (1, 8, 9, 30):
        cache.clear()
        running = ImagePipeline([FakeNetwork()], cache).embed(colors)
        given = list(itertools.islice(running, consumed))
        assert len(cache) >= consumed
        running.close()
        decoded.clear()
        again = run(colors[:consumed], cache=cache)
        assert decoded["decoded"] == 0
        assert [item.vector.tobytes() for item in again] == [item.vector.tobytes() for item in given]


def test_the_cache_is_filled_after_every_window(colors, monkeypatch):
    monkeypatch.setattr(pipeline, "WINDOW", 8)
    cache = FakeCache()
    run(colors, cache=cache)
    assert cache.puts == [8] * 5


def test_a_real_cache_gives_back_the_same_bits(files, lite0, tmp_path, monkeypatch):
    from dn2.store.cache import Cache

    cache = Cache(tmp_path / "cache.sqlite")
    first = run(files, lite0, cache, thumbnails=True)
    monkeypatch.setattr(sources, "open_decoded", None)
    second = run(files, lite0, cache, thumbnails=True)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.vector, other.vector)
        assert one.thumbnail == other.thumbnail
    cache.close()


def test_with_and_without_cache_and_among_errors_an_embedding_has_the_same_bits(files, lite0, tmp_path):
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:1000])
    plain = run(files, lite0)
    mixed = run([tmp_path / "broken.png", *files[::-1]], lite0, FakeCache(), thumbnails=True)
    assert mixed[0].vector is None
    assert np.array_equal(np.stack([item.vector for item in mixed[:0:-1]]), np.stack([item.vector for item in plain]))


# Thumbnails


def test_thumbnails_are_made_only_where_asked_for(files):
    assert {item.thumbnail for item in run(files[:2])} == {None}
    with Image.open(files[0]) as picture:
        expected = to_thumbnail(picture)
    assert run(files[:1], thumbnails=True)[0].thumbnail == expected


def test_thumbnails_are_kept_in_the_cache_too(files, monkeypatch):
    cache = FakeCache()
    first = run(files, cache=cache, thumbnails=True)
    monkeypatch.setattr(sources, "open_decoded", None)
    second = run(files, cache=cache, thumbnails=True)
    assert [item.thumbnail for item in second] == [item.thumbnail for item in first]
    assert None not in {item.thumbnail for item in second}


def test_thumbnails_missing_from_the_cache_are_made_without_embedding_again(files, decoded):
    cache, network = FakeCache(), FakeNetwork()
    run(files, network, cache)
    items = run(files, network, cache, thumbnails=True)
    assert network.started == len(files)
    assert decoded["decoded"] == 2 * len(files)
    assert all(item.thumbnail and item.vector is not None for item in items)


def test_thumbnails_are_shared_by_all_backbones(files):
    cache = FakeCache()
    run(files, cache=cache, thumbnails=True)
    before = len(cache)
    run(files, FakeNetwork(FakeBackbone("other")), cache, thumbnails=True)
    assert len(cache) == before + len(files)  # the embeddings alone


def test_a_picture_too_long_for_its_thumbnail_is_embedded_like_any_other(tmp_path):
    Image.new("RGB", (30_000, 20), (1, 2, 3)).save(tmp_path / "long.png")
    item = run([tmp_path / "long.png"], thumbnails=True)[0]
    assert (item.error, item.vector.tolist()) == (None, [1, 2, 3])
    assert item.thumbnail.startswith(b"\xff\xd8")


# Bounds


def test_no_more_than_two_windows_are_read_ahead(colors, monkeypatch):
    monkeypatch.setattr(pipeline, "WINDOW", 8)
    asked = Counter()

    def endless():
        for path in itertools.cycle(colors):
            asked["paths"] += 1
            yield path

    running = ImagePipeline([FakeNetwork()]).embed(endless())
    ahead = []
    for consumed, _ in enumerate(itertools.islice(running, 200), 1):
        ahead.append(asked["paths"] - consumed)
    running.close()
    assert 0 < max(ahead) <= 16


def test_pixels_are_let_go_as_soon_as_the_network_has_them(colors):
    assert [item.pixels for item in run(colors)] == [{}] * 40
    assert [item.pixels for item in several(colors)] == [{}] * 40


def test_of_large_pictures_fewer_are_in_memory(colors, monkeypatch, decoded):
    monkeypatch.setattr(pipeline, "WINDOW_BYTES", 4 * 8 * 8 * 3)  # four pictures
    network, ahead, together = FakeNetwork(), [], []
    waited = network.wait
    monkeypatch.setattr(network, "wait", lambda: (together.append(len(network._waiting)), waited()))
    for consumed, item in enumerate(ImagePipeline([network]).embed([*colors[:3], __file__, *colors[3:]]), 1):
        ahead.append(decoded["decoded"] - consumed)
        assert (item.error is None) == (consumed != 4)
    assert max(together) == 4
    assert max(ahead) <= 4 + 4 + cpu_count()


def test_closing_early_ends_the_threads_and_reads_no_further(colors, monkeypatch):
    monkeypatch.setattr(pipeline, "WINDOW", 4)
    asked = Counter()

    def counted():
        for path in colors:
            asked["paths"] += 1
            yield path

    running = ImagePipeline([FakeNetwork()]).embed(counted())
    next(running)
    assert reader_threads()
    running.close()
    assert not reader_threads()
    assert asked["paths"] <= 8


def test_forgetting_a_run_ends_its_threads(colors):
    running = ImagePipeline([FakeNetwork()]).embed(colors)
    next(running)
    del running
    assert not reader_threads()


def test_an_error_in_the_list_of_files_ends_the_threads(colors):
    def paths():
        yield colors[0]
        raise KeyError("list")

    with pytest.raises(KeyError):
        run(paths())
    assert not reader_threads()


def test_two_runs_at_once_on_one_network_do_not_mix(files, lite0):
    plain = np.stack([item.vector for item in run(files, lite0)])
    working = ImagePipeline([lite0])
    pairs = list(zip(working.embed(files), working.embed(files[::-1]), strict=True))
    assert np.array_equal(np.stack([one.vector for one, _ in pairs]), plain)
    assert np.array_equal(np.stack([other.vector for _, other in pairs]), plain[::-1])


@pytest.mark.usefixtures("needs_bf16")
def test_embeddings_of_both_precisions_are_kept_side_by_side(files, lite0):
    cache, coarse = FakeCache(), Network(get_backbone("lite0"), "bf16")
    exact = run(files[:2], lite0, cache)
    again = run(files[:2], coarse, cache)
    assert len(cache) == 4
    assert not np.array_equal(exact[0].vector, again[0].vector)
    assert np.array_equal(run(files[:2], lite0, cache)[0].vector, exact[0].vector)


# Several networks


def test_what_several_networks_give_is_joined_in_their_order(colors):
    for number, item in enumerate(several(colors)):
        assert item.vector.tolist() == pytest.approx([number, 100, 200, 16, (number + 300) / 3], rel=1e-6)
    for number, item in enumerate(several(colors, Brightness(), FakeNetwork())):
        assert item.vector.tolist() == pytest.approx([16, (number + 300) / 3, number, 100, 200], rel=1e-6)


def test_a_file_is_read_once_and_decoded_once_for_networks_of_any_size_unless_it_is_a_jpeg(
    files, decoded, tmp_path, encode, crops
):
    several(files, FakeNetwork(), Brightness(16), Brightness(32, "other"))
    assert decoded["decoded"] == 8
    (tmp_path / "x.jpg").write_bytes(encode(crops[0], "JPEG"))
    several([tmp_path / "x.jpg"], FakeNetwork(), Brightness(16), Brightness(16, "other"))
    assert decoded["decoded"] == 8 + 2  # at 1/n of its size, by the size wanted


def test_a_jpeg_is_embedded_by_each_network_as_it_would_be_alone(tmp_path, encode, crops):
    (tmp_path / "x.jpg").write_bytes(encode(np.tile(crops[0], (3, 3, 1)), "JPEG"))
    networks = [Brightness(8, "small"), Brightness(200, "large")]
    (joined,) = several([tmp_path / "x.jpg"], *networks)
    alone = [run([tmp_path / "x.jpg"], network)[0].vector for network in networks]
    assert joined.vector.tolist() == np.concatenate(alone).tolist()
    assert alone[0][1] != alone[1][1]


def test_each_network_is_kept_by_itself_and_only_what_is_missing_is_computed(files, decoded):
    cache, first, second = FakeCache(), FakeNetwork(), Brightness()
    run(files, first, cache)
    expected = [item.vector.tolist() for item in several(files)]
    decoded.clear()
    items = several(files, first, second, cache=cache)
    assert [item.vector.tolist() for item in items] == expected
    assert (first.started, second.started, decoded["decoded"], len(cache)) == (8, 8, 8, 16)
    items = several(files, second, first, cache=cache)
    assert [item.vector.tolist() for item in items] == [row[3:] + row[:3] for row in expected]
    assert (first.started, second.started, decoded["decoded"]) == (8, 8, 8)


def test_a_thumbnail_that_is_missing_takes_no_network(files, decoded):
    cache, networks = FakeCache(), (FakeNetwork(), Brightness())
    several(files, *networks, cache=cache)
    decoded.clear()
    items = several(files, *networks, cache=cache, thumbnails=True)
    assert all(item.thumbnail.startswith(b"\xff\xd8") for item in items)
    assert [network.started for network in networks] == [8, 8]
    assert decoded["decoded"] == 8
    assert len(cache) == 24


def test_what_cannot_be_read_has_an_error_and_no_part_of_an_embedding(colors, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    items = several([colors[0], tmp_path / "text.png", colors[1]])
    assert [item.vector is None for item in items] == [False, True, False]
    assert items[1].parts == [None, None] or items[1].parts == []
    assert "not a picture" in items[1].error


def test_the_same_network_twice_gives_its_part_twice(colors):
    for item in several(colors[:3], FakeNetwork(), FakeNetwork(), cache=FakeCache()):
        assert item.vector[:3].tolist() == item.vector[3:].tolist()


def test_parts_are_joined_as_told(colors):
    (item,) = several(colors[7:8], join=lambda parts: np.concatenate(parts[::-1]) * 2)
    assert item.vector.tolist() == pytest.approx([32, 614 / 3, 14, 200, 400], rel=1e-6)
