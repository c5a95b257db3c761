"""From what a user names to items: which files, in which order, under which names."""

import logging
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dn2.embed.images import SUFFIXES
from dn2.errors import InputError
from dn2.inputs.files import Item, find_groups, find_items

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
    assert "good: 4 files passed over" in caplog.text


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


def test_two_items_of_one_name_are_refused_with_both_files(folder):
    touch("one/good/a.png", "two/good/a.png")
    with pytest.raises(InputError) as caught:
        find_items(["one/good", "two/good"], SUFFIXES)
    for part in ("'good/a.png'", str(Path("one/good/a.png")), str(Path("two/good/a.png")), "common folder"):
        assert part in str(caught.value)


def test_a_file_given_twice_is_refused(folder):
    touch("good/a.png")
    for inputs in (["good/a.png", "good/a.png"], ["good", "good"], ["good/a.png", "good/*.png"]):
        with pytest.raises(InputError, match=r"two inputs give an item the name 'good/a\.png'"):
            find_items(inputs, SUFFIXES)


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


def test_two_groups_of_one_name_are_refused_with_both_folders(folder):
    touch("x/lots/a/1.png", "y/lots/a/1.png")
    with pytest.raises(InputError, match=r"the name 'lots/a': x/lots/a and y/lots/a"):
        groups("x/lots", "y/lots")
    with pytest.raises(InputError, match="the name 'lots/a'"):
        groups("x/lots", "x/lots")


def test_links_to_groups_and_back_up_are_followed_once(folder):
    touch("lots/a/1.png", "elsewhere/2.png")
    os.symlink(folder / "elsewhere", "lots/b")
    os.symlink(folder / "lots", "lots/a/up")
    os.symlink(folder / "nothing", "lots/c")
    assert groups("lots") == {"a": ["1.png", "up/b/2.png"], "b": ["2.png"]}


@pytest.mark.parametrize("given", ["lots/a/1.png", "nothing", "lots/*", "@list.txt", ""])
def test_groups_that_are_no_subfolders_of_a_folder_are_refused(folder, given):
    touch("lots/a/1.png", "list.txt")
    with pytest.raises(InputError, match=r"groups are the subfolders of a folder, and .* is none"):
        find_groups(given, SUFFIXES)
    with pytest.raises(InputError, match=r"groups are the subfolders of a folder, and .* is none"):
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
