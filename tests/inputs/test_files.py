"""From what a user names to items: which files, in which order, under which names."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dn2.errors import InputError
from dn2.inputs.files import find_groups, find_items
from dn2.inputs.items import Item
from dn2.inputs.leaving_out import leaving_out
from dn2.kinds.guess import guess_kind
from dn2.networks.pixels import SUFFIXES

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty working folder called `here`."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Path(tmp_path / "here")


def touch(*paths):
    for path in paths:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "w").close()


def names(*inputs):
    return [item.name for item in find_items(inputs, SUFFIXES)]


# Folders


def test_a_folder_is_searched_recursively_each_level_in_the_order_of_names(folder):
    touch(
        "good/b.png", "good/a.png", "good/z.png", "good/c/2.jpg", "good/c/1.jpg", "good/a.d/x.bmp", "good/c/e/f/g.gif"
    )
    assert names("good") == ["a.png", "b.png", "z.png", "a.d/x.bmp", "c/1.jpg", "c/2.jpg", "c/e/f/g.gif"]


def test_an_item_knows_its_file(folder):
    touch("good/sub/a.png")
    assert find_items("good", SUFFIXES) == [Item("sub/a.png", Path("good/sub/a.png"), in_folder=True)]
    absolute = folder / "good" / "sub" / "a.png"
    assert find_items(str(folder / "good"), SUFFIXES) == [Item("sub/a.png", absolute, in_folder=True)]
    assert find_items(str(absolute), SUFFIXES) == [Item(absolute.as_posix(), absolute)]


@pytest.mark.parametrize("suffix", ["png", "PNG", "Jpg", "jpeg", "JPEG", "bmp", "tif", "TIFF", "webp", "gif"])
def test_pictures_are_known_by_their_suffix_in_either_case(folder, suffix):
    touch(f"good/a.{suffix}")
    assert names("good") == [f"a.{suffix}"]


def test_other_files_of_a_folder_are_passed_over_and_counted(folder, caplog):
    touch("good/a.png", "good/readme.txt", "good/a.png.bak", "good/png", "good/sub/labels.csv")
    with caplog.at_level(logging.INFO, "dn2"):
        assert names("good") == ["a.png"]
    assert "good: 4 files passed over, 1 .bak, 1 without an ending, 1 .txt, 1 .csv; taken are those" in caplog.text


def test_where_no_item_is_found_it_is_said_what_there_is(folder):
    touch(*[f"good/{number}.HEIC" for number in range(3)], "good/x.cr2")
    with pytest.raises(
        InputError, match=r"no item found in 'good'; it holds 3 \.heic, 1 \.cr2; files ending in \.avif "
    ):
        names("good")


OF_A_SET = ("a/1.png", "a/1_mask.png", "a/deep/2.png", "a/old/3.png", "b/old/4.png", "b/x/old/5.png", "old/6.png")


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ("*_mask.png", "a/1.png a/deep/2.png a/old/3.png b/old/4.png b/x/old/5.png old/6.png"),
        ("old", "a/1.png a/1_mask.png a/deep/2.png"),
        ("old/", "a/1.png a/1_mask.png a/deep/2.png"),
        ("./a/old", "a/1.png a/1_mask.png a/deep/2.png b/old/4.png b/x/old/5.png old/6.png"),
        ("a/*.png", "a/deep/2.png a/old/3.png b/old/4.png b/x/old/5.png old/6.png"),
        ("b/**/old", "a/1.png a/1_mask.png a/deep/2.png a/old/3.png old/6.png"),
        ("a/**", "b/old/4.png b/x/old/5.png old/6.png"),
        ("**/*.png", None),
        (["a", "b"], "old/6.png"),
        (np.array(["a", "b"]), "old/6.png"),
        ([], "a/1.png a/1_mask.png a/deep/2.png a/old/3.png b/old/4.png b/x/old/5.png old/6.png"),
    ],
)
def test_what_is_excluded_by_its_name_or_its_path_is_left_out(folder, globs, left):
    touch(*(f"set/{path}" for path in OF_A_SET))
    with leaving_out(globs):
        if left is None:
            with pytest.raises(InputError, match="no item found"):
                names("set")
            return
        assert names("set") == sorted(left.split(), key=left.split().index)
        assert names("set/a", "set/old") == names("set/a", "set/old")


def test_what_is_excluded_is_said_once_and_a_glob_that_matches_nothing_too(folder, caplog):
    touch(*(f"set/{path}" for path in OF_A_SET), "set/@eaDir/1.png/THUMB.png", "set/a/@eaDir/x.png")
    with caplog.at_level(logging.INFO, "dn2"), leaving_out(["old", "*.tiff"]):
        assert names("set") == names("set") == ["a/1.png", "a/1_mask.png", "a/deep/2.png"]
    assert [record.getMessage() for record in caplog.records] == [
        "exclude='old': a/old, b/old, b/x/old and 1 more left out",
        "exclude='*.tiff' matches nothing in the folders",
        "folders that a drive keeps for itself left out: @eaDir, a/@eaDir",
    ]


def test_folders_of_drives_are_left_out_unless_they_are_named(folder):
    touch(
        "a/1.png", "a/@eaDir/1.png", "a/$RECYCLE.BIN/2.png", "a/#recycle/3.png", "a/__MACOSX/4.png", "a/@eadir2/5.png"
    )
    assert names("a") == ["1.png", "@eadir2/5.png"]
    assert names("a/@eaDir") == ["1.png"]
    assert names("a/**/*.png") == ["a/1.png", "a/@eadir2/5.png"]
    assert names("a/@eaDir/*.png") == ["a/@eaDir/1.png"]
    assert [item.name for item in find_groups("a", SUFFIXES)] == ["@eadir2"]


def test_globs_groups_and_files_named_by_themselves_may_be_excluded_too(folder):
    touch("a/1.png", "a/1_mask.png", "a/g/2.png", "a/g/2_mask.png", "a/old/3.png")
    with leaving_out(["*_mask.png", "old"]):
        assert names("a/**/*.png") == ["a/1.png", "a/g/2.png"]
        assert names("a/1_mask.png") == ["a/1_mask.png"]
        (group,) = find_groups("a", SUFFIXES)
        assert [member.name for member in group.members] == ["2.png"]


@pytest.mark.parametrize(
    ("given", "globs", "left"),
    [
        ("set/a/*.png", "a", "1 1_mask"),
        ("set/a/*.png", "set/**", "1 1_mask"),
        ("set/a/**/*.png", ["a", "old"], "1 1_mask deep/2"),
        ("set/**/*.png", "a/**", "b/old/4 b/x/old/5 old/6"),
        ("set/*/old/*.png", "a/old", "b/old/4"),
        ("set/?/**/old/*.png", "b/*", "a/old/3"),
        ("set/[a]/*", "a", None),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_what_is_excluded_from_a_glob_lies_in_the_folder_before_its_first_wildcard(
    folder, given, globs, left, absolute
):
    touch(*(f"set/{path}" for path in OF_A_SET))
    start = f"{folder}/" if absolute else "./"
    base = given[: min(given.index(sign) for sign in "*?[" if sign in given)].rpartition("/")[0]
    with leaving_out([*([globs] if isinstance(globs, str) else globs), "here"]):
        if left is None:
            with pytest.raises(InputError, match="no item found"):
                names(start + given)
        else:
            found = [Path(name).relative_to(folder / base if absolute else base) for name in names(start + given)]
            assert [path.with_suffix("").as_posix() for path in found] == left.split()


@pytest.mark.parametrize("glob", ["", "/", ".", "./", 3, None, Path("x"), b"x"])
def test_what_is_no_glob_excludes_nothing(glob):
    for globs in [[glob], (one for one in ["x", glob]), *([] if glob is None else [glob])]:
        with pytest.raises(InputError, match="exclude must be globs such as"), leaving_out(globs):
            pass


def test_hidden_files_and_folders_are_left_out(folder):
    touch("good/a.png", "good/.b.png", "good/.cache/c.png", "good/sub/.d.png", "good/.png")
    assert names("good") == ["a.png"]


def test_a_hidden_folder_named_by_itself_is_searched(folder):
    touch(".good/a.png")
    assert names(".good") == ["a.png"]


def test_the_working_folder_is_a_folder(folder):
    touch("a.png", "sub/b.png")
    assert names(".") == ["a.png", "sub/b.png"]
    touch("other/c.png")
    assert names(".", "other") == ["here/a.png", "here/other/c.png", "here/sub/b.png", "other/c.png"]


@pytest.mark.parametrize("written", ["good", "good/", "./good", "../here/good", "good/sub/.."])
def test_a_name_does_not_depend_on_how_its_folder_is_written(folder, written):
    touch("good/sub/a.png", "bad/b.png")
    assert names(written) == ["sub/a.png"]
    assert names(written, "bad") == ["good/sub/a.png", "bad/b.png"]


def test_an_empty_folder_holds_no_item(folder):
    (folder / "good").mkdir()
    with pytest.raises(InputError, match=r"no item found in 'good'; files ending in .*\.png.* are searched for"):
        find_items("good", SUFFIXES)


def test_one_empty_folder_among_others_does_no_harm(folder):
    (folder / "empty").mkdir()
    touch("good/a.png")
    assert names("empty", "good") == ["good/a.png"]


# Links


def test_links_that_lead_back_are_followed_once(folder):
    touch("good/a.png", "good/sub/b.png")
    (folder / "good/sub/up").symlink_to("..")
    (folder / "good/sub/self").symlink_to(".")
    (folder / "good/loop").symlink_to("loop")
    assert names("good") == ["a.png", "sub/b.png"]


def test_a_folder_reached_in_two_ways_is_searched_once(folder):
    touch("good/z/a.png")
    (folder / "good/b").symlink_to("z")
    assert names("good") == ["b/a.png"]


def test_links_to_folders_and_files_elsewhere_are_followed(folder):
    touch("elsewhere/a.png", "elsewhere/b.png", "good/own.png")
    (folder / "good/there").symlink_to("../elsewhere")
    (folder / "good/copy.png").symlink_to("../elsewhere/b.png")
    assert names("good") == ["copy.png", "own.png", "there/a.png", "there/b.png"]


def test_a_link_to_nothing_is_an_item_that_will_be_reported_unreadable(folder):
    (folder / "lost.png").symlink_to("none.png")
    assert names("lost.png") == ["lost.png"]
    assert names(".") == ["lost.png"]


def test_a_glob_finds_each_file_once_also_where_links_lead_back(folder):
    touch("good/sub/x.png", "good/y.png")
    (folder / "good/sub/up").symlink_to("..")
    assert names("good/**/*.png") == ["good/sub/x.png", "good/y.png"]


def test_a_double_star_ends_where_links_lead_in_all_directions(folder):
    for name in "abcdefgh":
        touch(f"good/{name}/x.png")
        for other in "abcdefgh":
            (folder / f"good/{name}/to_{other}").symlink_to(f"../{other}")
    assert names("good/**/*.png") == [f"good/{name}/x.png" for name in "abcdefgh"]
    assert names("good/**/to_c/*.png") == ["good/a/to_c/x.png"]
    found = find_items("good", SUFFIXES)
    assert sorted(os.path.realpath(item.path.parent)[-1] for item in found) == list("abcdefgh")


def test_a_double_star_leaves_hidden_folders_out_unless_they_are_named(folder):
    touch("good/.x/a.png", "good/b/.x/c.png", "good/b/.d.png", "good/b/e.png")
    assert names("good/**/*.png") == ["good/b/e.png"]
    assert names("good/**") == ["good/b/e.png"]
    assert names("good/**/.x/*.png") == ["good/.x/a.png", "good/b/.x/c.png"]
    assert names("**/b/**/e.png") == ["good/b/e.png"]
    assert names("g*/**/e.png") == ["good/b/e.png"]


@pytest.fixture
def nest(folder):
    """Return a function that makes folders in each other, deeper than a path can say, with files at some depths.

    They go at the end: pytest, which removes the folders of earlier runs, recurses."""
    yield _nest
    subprocess.run(["rm", "-rf", "dd"], cwd=folder, check=True)


def _nest(depth, *files):
    place = os.open(".", os.O_RDONLY)
    for level in range(1, depth + 1):
        os.mkdir("dd", dir_fd=place)
        inner = os.open("dd", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
        if level in files:
            os.close(os.open("x.png", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)


@ON_LINUX
def test_folders_deeper_than_python_recurses_are_searched_and_what_no_path_reaches_is_said(folder, nest, caplog):
    nest(2_000, 1_300, 1_900)
    for inputs in (".", "**/*.png", write_list(".\n")):
        caplog.clear()
        (item,) = find_items(inputs, SUFFIXES)
        assert item.path.name == "x.png"
        assert len(item.path.parts) == 1_301
        (message,) = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
        assert "File name too long" in message
        assert len(message) < 300
    assert guess_kind(".") == "image"
    assert [len(group.members) for group in find_groups(".", SUFFIXES)] == [1]


def test_a_glob_of_very_many_parts_is_refused_in_one_line(folder):
    with pytest.raises(InputError, match=r"has too many parts") as caught:
        names("*/" * 3_000 + "*.png")
    assert len(str(caught.value)) < 300


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads any folder")
def test_a_folder_that_may_not_be_read_is_said_and_passed_over(folder, caplog):
    touch("good/a.png", "good/shut/b.png")
    os.chmod("good/shut", 0)
    assert names("good") == ["a.png"]
    assert "the folder good/shut cannot be read: Permission denied; it is passed over" in caplog.text
    os.chmod("good/shut", 0o700)


# Files, globs and several inputs


@pytest.mark.parametrize("name", ["a.png", "noending", "a.xyz", ".hidden", "sub/a.png"])
def test_a_file_named_by_itself_is_an_item_whatever_its_suffix(folder, name):
    touch(name)
    assert find_items(name, SUFFIXES) == [Item(name, Path(name))]


def test_an_absolute_file_is_named_by_its_whole_path(folder):
    touch("a.png")
    assert names(str(folder / "a.png")) == [(folder / "a.png").as_posix()]


def test_paths_and_strings_are_the_same(folder):
    touch("good/a.png", "b.png")
    assert find_items([Path("good"), Path("b.png")], SUFFIXES) == find_items(["good", "b.png"], SUFFIXES)
    assert find_items(Path("good"), SUFFIXES) == find_items("good", SUFFIXES)
    assert find_items(iter(["good"]), SUFFIXES) == find_items("good", SUFFIXES)


def test_of_several_inputs_each_folder_gives_its_name_to_its_items_in_the_order_given(folder):
    touch("z/a.png", "b/a.png", "c.png")
    assert names("z", "c.png", "b") == ["z/a.png", "c.png", "b/a.png"]


def test_a_glob_is_expanded_in_the_order_of_names_without_folders_and_hidden_files(folder):
    touch("b2.png", "b10.png", "a.png", "b.txt", ".b.png", "b.dir/x.png")
    assert names("b*") == ["b.txt", "b10.png", "b2.png"]
    assert names("[ab]?.png") == ["b2.png"]
    assert names("?.png") == ["a.png"]


def test_a_double_star_matches_any_depth(folder):
    touch("good/a.png", "good/s/b.png", "good/s/t/c.png", "good/s/t/d.txt", "e.png")
    assert names("good/**/*.png") == ["good/a.png", "good/s/b.png", "good/s/t/c.png"]
    assert names("**/c.png") == ["good/s/t/c.png"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    touch("a[1].png", "a1.png", "b*.png")
    assert names("a[1].png") == ["a[1].png"]
    assert names("b*.png") == ["b*.png"]


def test_a_glob_without_matches_finds_nothing(folder):
    with pytest.raises(InputError, match=r"no item found in '\*\.png'"):
        find_items("*.png", SUFFIXES)


def test_what_does_not_exist_is_refused_by_its_name(folder):
    touch("good/a.png")
    with pytest.raises(InputError, match=r"'godo' does not exist; name a folder, a file, a glob or @list\.txt"):
        find_items(["good", "godo"], SUFFIXES)


@pytest.mark.parametrize("nothing", [[], ()])
def test_no_input_is_refused(nothing):
    with pytest.raises(InputError, match="no input given"):
        find_items(nothing, SUFFIXES)


def test_an_empty_input_is_not_the_working_folder(folder):
    touch("a.png")
    for inputs in ("", ["a.png", ""]):
        with pytest.raises(InputError, match="an input is empty"):
            find_items(inputs, SUFFIXES)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "a/" * 3000])
def test_a_name_that_no_file_can_have_does_not_exist(folder, name):
    with pytest.raises(InputError, match="does not exist"):
        find_items(name, SUFFIXES)


# Names


def test_folders_of_one_name_are_told_apart_by_as_much_of_their_paths_as_it_takes(folder):
    touch("bottle/train/good/a.png", "cable/train/good/a.png", "new/b.png")
    told = ["bottle/train/good/a.png", "cable/train/good/a.png", "b.png"]
    assert names("bottle/train/good", "cable/train/good/", "new") == [*told[:2], "new/b.png"]
    assert names(str(folder / "bottle/train/good"), "./cable/train/good") == told[:2]
    assert names(write_list("bottle/train/good\ncable/train/good\n")) == told[:2]
    (folder / "link").symlink_to("cable/train/good")
    assert names("bottle/train/good", "link") == told[:2]


def test_names_of_folders_do_not_depend_on_what_lies_in_them(folder):
    touch("one/good/a.png", "two/good/b.png")
    assert names("one/good", "two/good") == ["one/good/a.png", "two/good/b.png"]


def test_of_two_items_of_one_name_both_files_are_told_and_advice_that_works(folder):
    touch("x/good/a.png", "good/a.png")
    with pytest.raises(InputError) as caught:
        find_items(["x/good", "good/a.png"], SUFFIXES)
    for part in ("'good/a.png'", str(Path("x/good/a.png")), str(Path("good/a.png")), "name a file by its whole path"):
        assert part in str(caught.value)
    whole = str(folder / "good/a.png")
    assert names("x/good", whole) == ["good/a.png", whole]
    os.rename("good/a.png", "good/b.png")
    assert names("x/good", "good/b.png") == ["good/a.png", "good/b.png"]


@pytest.mark.parametrize(
    "inputs",
    [
        ["good/a.png", "good/a.png"],
        ["good/a.png", "./good/a.png"],
        ["good/a.png", "good/../good/a.png"],
        ["good", "good"],
        ["good", "./good/"],
        ["good", "link"],
        ["good", "link/a.png"],
        ["good/a.png", "good/*.png"],
        ["good", "good/a.png"],
        ["@list.txt"],
        ["@list.txt", "good/a.png"],
    ],
)
def test_a_file_that_is_named_again_is_one_item_and_that_is_said(folder, caplog, inputs):
    touch("good/a.png")
    (folder / "link").symlink_to("good")
    write_list("good/a.png\n./good/a.png\n")
    assert names(*inputs) == ["good/a.png"]
    assert "named more than once, and taken once: " in caplog.text
    caplog.clear()
    assert names(str(folder / "good/a.png"), "good/a.png") == [str(folder / "good/a.png")]
    assert "1 item is named more than once" in caplog.text


@pytest.mark.parametrize(
    "name", ["with space.png", " a .png", "Prüfung ü.png", "検査.png", "🙂.png", "a;b,c'.png", "-x.png"]
)
def test_any_name_is_kept(folder, name):
    touch(f"good/{name}")
    assert names("good") == [name]
    assert names(f"good/{name}") == [f"good/{name}"]
    assert names("good/*") == [f"good/{name}"]


@ON_LINUX
@pytest.mark.parametrize(
    "name", ["line\nbreak.png", "tab\t.png", "back\\slash.png", "carriage\r.png", "next\x85line.png"]
)
def test_a_name_with_odd_characters_is_kept(folder, name):
    touch(f"good/{name}")
    assert names("good") == [name]


@ON_LINUX
def test_bytes_that_are_no_text_are_shown_as_numbers_and_their_file_is_found(folder):
    raw = os.path.join(os.fsencode(folder), b"caf\xe9 \xff.png")
    open(raw, "w").close()
    (item,) = find_items(".", SUFFIXES)
    assert item.name == r"caf\xe9 \xff.png"
    assert item.name.encode()
    assert os.fsencode(item.path) == b"caf\xe9 \xff.png"
    assert item.path.exists()


# Lists


def write_list(text, path="list.txt"):
    Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"@{path}"


@pytest.mark.parametrize(
    "text",
    [
        "good/a.png\nb.png\n",
        "good/a.png\nb.png",
        "good/a.png\r\nb.png\r\n",
        "\ufeffgood/a.png\nb.png\n",
        "\n\ngood/a.png\n\n   \nb.png\n\n",
    ],
)
def test_a_list_names_one_path_a_line(folder, text):
    touch("good/a.png", "b.png")
    assert names(write_list(text)) == ["good/a.png", "b.png"]


def test_a_list_may_name_folders_and_globs(folder):
    touch("good/a.png", "x/b1.png", "x/b2.png")
    assert names(write_list("good\nx/b*\n")) == ["good/a.png", "x/b1.png", "x/b2.png"]


def test_a_list_and_a_folder_may_be_given_together(folder):
    touch("good/a.png", "b.png")
    assert names("good", write_list("b.png\n")) == ["good/a.png", "b.png"]


@ON_LINUX
@pytest.mark.parametrize(
    "name", [b" spaces .png", b"caf\xe9.png", "Prüfung.png".encode(), b"x\x0by.png", "a\u2028b.png".encode()]
)
def test_a_list_may_name_any_file(folder, name):
    open(os.path.join(os.fsencode(folder), name), "w").close()
    (item,) = find_items(write_list(name + b"\n"), SUFFIXES)
    assert os.fsencode(item.path) == name


@pytest.mark.parametrize("text", ["", "\n\n", "   \n"])
def test_an_empty_list_finds_nothing(folder, text):
    with pytest.raises(InputError, match=r"no item found in '@list\.txt'"):
        find_items(write_list(text), SUFFIXES)


def test_a_list_that_names_a_missing_file_is_refused(folder):
    touch("a.png")
    with pytest.raises(InputError, match=r"'none\.png' does not exist"):
        find_items(write_list("a.png\nnone.png\n"), SUFFIXES)


def test_a_list_in_utf_16_is_read_as_one(folder):
    touch("good/ä.png", "b.png")
    assert names(write_list("good/ä.png\r\nb.png\r\n".encode("utf-16"))) == ["good/ä.png", "b.png"]
    with pytest.raises(InputError, match=r"the list 'list\.txt' begins as UTF-16 and does not go on as such"):
        names(write_list(b"\xff\xfe" + b"\x00\xd8" * 9))


def test_a_line_of_a_list_is_no_longer_than_a_path(folder):
    with pytest.raises(InputError, match=r"the list 'list\.txt', line 1: a path has at most 65,536 characters"):
        names(write_list("x" * 1_000_000))


def test_a_missing_list_or_a_folder_for_a_list_is_refused(folder):
    (folder / "good").mkdir()
    for named, path in (("@none.txt", "none.txt"), ("@good", "good"), ("@", "")):
        with pytest.raises(InputError, match=f"the list '{path}' cannot be read"):
            find_items(named, SUFFIXES)


def test_a_list_that_names_a_list_is_refused_even_if_it_is_itself(folder):
    touch("a.png")
    with pytest.raises(InputError, match=r"the list 'list\.txt' names a list, '@list\.txt'; give both lists instead"):
        find_items(write_list("a.png\n@list.txt\n"), SUFFIXES)


def test_a_file_or_folder_whose_name_starts_with_at_is_itself(folder):
    touch("@a.png", "@good/b.png")
    assert names("@a.png") == ["@a.png"]
    assert names("@good") == ["b.png"]
    assert names(write_list("@a.png\n")) == ["@a.png"]


# Always

PART = st.text("ab.ü ", min_size=1, max_size=3).filter(lambda part: part.strip(". ") and not part.startswith("."))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.sets(st.tuples(PART, PART), max_size=8), noise=st.sets(PART, max_size=3))
def test_a_folder_and_a_list_of_its_files_hold_the_same_items(tmp_path_factory, files, noise):
    root = tmp_path_factory.mktemp("root")
    expected = {f"{parent}/{name}.png" for parent, name in files}
    for name in expected | {f"{name}.txt" for name in noise}:
        touch(str(root / name))
    if not expected:
        with pytest.raises(InputError, match="no item found"):
            find_items(root, SUFFIXES)
        return
    found = find_items(root, SUFFIXES)
    assert {item.name for item in found} == expected
    assert len(found) == len(expected)
    listed = find_items([item.path for item in found], SUFFIXES)
    assert [item.path for item in listed] == [item.path for item in found]


def test_a_folder_without_items_gives_one_error_and_no_note_beside_it(tmp_path, caplog):
    (tmp_path / "notes.txt").write_text("no picture")
    with caplog.at_level(logging.INFO, "dn2"), pytest.raises(InputError, match="no item found"):
        find_items(tmp_path, frozenset({".png"}))
    assert caplog.records == []


# Groups


def groups(*inputs):
    return {group.name: [member.name for member in group.members] for group in find_groups(inputs, SUFFIXES)}


def test_each_subfolder_is_a_group_of_all_pictures_in_it(folder):
    touch("lots/b/2.png", "lots/b/1.JPG", "lots/a/x.png", "lots/a/deep/er/y.png", "lots/a/notes.txt", "lots/c.d/z.gif")
    assert groups("lots") == {"a": ["x.png", "deep/er/y.png"], "b": ["1.JPG", "2.png"], "c.d": ["z.gif"]}
    assert list(groups("lots")) == ["a", "b", "c.d"]
    assert groups("./lots/../lots") == groups(folder / "lots") == groups(str(folder / "lots") + "/") == groups("lots")


def test_a_group_and_its_members_know_their_places(folder):
    touch("lots/a/deep/x.png")
    member = Item("deep/x.png", Path("lots/a/deep/x.png"))
    assert find_groups("lots", SUFFIXES) == [Item("a", Path("lots/a"), (member,))]


def test_the_working_folder_may_hold_the_groups(folder):
    touch("a/1.png", "b/1.png")
    assert groups(".") == {"a": ["1.png"], "b": ["1.png"]}


def test_files_beside_the_groups_are_passed_over_and_counted(folder, caplog):
    caplog.set_level(logging.INFO, "dn2")
    touch("lots/a/1.png", "lots/loose.png", "lots/readme.txt", "lots/.hidden.png")
    assert groups("lots") == {"a": ["1.png"]}
    assert "2 files beside the groups passed over" in caplog.text


def test_a_group_without_pictures_is_one_that_will_be_reported(folder):
    touch("lots/a/1.png", "lots/b/readme.txt")
    os.mkdir("lots/c")
    assert groups("lots") == {"a": ["1.png"], "b": [], "c": []}


def test_hidden_folders_are_no_groups_and_hidden_files_no_members(folder):
    touch("lots/.git/1.png", "lots/a/.2.png", "lots/a/.x/3.png", "lots/a/4.png")
    assert groups("lots") == {"a": ["4.png"]}


def test_of_several_folders_each_gives_its_name_to_its_groups(folder):
    touch("day/a/1.png", "night/a/1.png", "night/b/2.png")
    assert groups("night", "day/") == {"night/a": ["1.png"], "night/b": ["2.png"], "day/a": ["1.png"]}


def test_groups_of_one_name_are_told_apart_by_the_paths_of_their_folders(folder, caplog):
    touch("x/lots/a/1.png", "y/lots/a/1.png")
    assert groups("x/lots", "y/lots") == {"x/lots/a": ["1.png"], "y/lots/a": ["1.png"]}
    assert groups("x/lots", "./x/lots") == {"lots/a": ["1.png"]}
    assert "1 item is named more than once, and taken once: x/lots/a" in caplog.text


def test_links_to_groups_and_back_up_are_followed_once(folder):
    touch("lots/a/1.png", "elsewhere/2.png")
    os.symlink(folder / "elsewhere", "lots/b")
    os.symlink(folder / "lots", "lots/a/up")
    os.symlink(folder / "nothing", "lots/c")
    assert groups("lots") == {"a": ["1.png", "up/b/2.png"], "b": ["2.png"]}


@pytest.mark.parametrize("given", ["lots/a/1.png", "nothing", "lots/*", "@list.txt", ""])
def test_groups_that_are_no_subfolders_of_a_folder_are_refused(folder, given):
    touch("lots/a/1.png", "list.txt")
    with pytest.raises(InputError, match=r"groups are the subfolders of a folder, got .* not a folder"):
        find_groups(given, SUFFIXES)
    with pytest.raises(InputError, match=r"groups are the subfolders of a folder, got .* not a folder"):
        find_groups(["lots", given], SUFFIXES)


def test_a_folder_without_subfolders_holds_no_group(folder):
    touch("lots/1.png", "empty/.keep")
    for folders in ("lots", "empty", ["lots", "empty"]):
        with pytest.raises(InputError, match=r"no group found in .*: each subfolder is one, with its pictures in it"):
            find_groups(folders, SUFFIXES)


@pytest.mark.parametrize("nothing", [[], (), iter([])])
def test_no_folder_of_groups_is_refused_like_no_input(nothing):
    with pytest.raises(InputError, match="no input given"):
        find_groups(nothing, SUFFIXES)
