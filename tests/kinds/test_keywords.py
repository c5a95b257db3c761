"""`dn2.fit` and `dn2.score_self` list their options, though the kinds alone write them down."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dn2
from dn2 import InputError
from dn2.kinds import keywords
from dn2.kinds.keyword_options import keywords_of, source
from dn2.kinds.options import options_in
from dn2.kinds.registry import KINDS, choose_options, options_of
from dn2.system.interface import option, use_command_line

ROOT = Path(dn2.__file__).parents[2]
OPTIONS = {name: option for kind in KINDS for name, option in options_in(options_of(kind)).items()}


def test_the_signature_of_fit_lists_every_option_with_type_and_default() -> None:
    listed = inspect.signature(dn2.fit).parameters
    assert list(listed)[:7] == ["inputs", "kind", "names", "cache", "exclude", "on", "progress"]
    assert set(listed) == {"inputs", "kind", "names", "cache", "exclude", "on", "progress", *OPTIONS}
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for name, one in listed.items() if name != "inputs")
    assert listed["index"].default == "auto"
    assert (listed["window"].default, listed["window"].annotation) == (None, int | None)
    assert (listed["groups"].default, listed["groups"].annotation) == (False, bool)
    assert listed["drop_columns"].default == ()
    own = inspect.signature(dn2.score_self).parameters
    assert set(own) == {"inputs", "kind", "exclude", "progress", *options_in(options_of("series"))}


@pytest.mark.parametrize("function", [dn2.fit, dn2.score_self], ids=lambda one: one.__name__)
def test_the_docstring_has_a_numpydoc_entry_for_each_parameter(function) -> None:
    text = inspect.getdoc(function)
    assert "{options}" not in text
    parameters = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^(\w+) : (.+)$", parameters, re.MULTILINE)
    assert [name for name, _ in entries] == list(inspect.signature(function).parameters)
    assert all("optional" in kind or "default: " in kind for name, kind in entries if name != "inputs")
    for heading in ("Returns", "Raises", "See Also", "Examples"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in text
    assert max(map(len, text.splitlines())) <= 120


def test_an_entry_says_what_an_option_is_and_whose() -> None:
    entries = inspect.getdoc(dn2.fit)
    assert "storage : {'auto', 'float32', 'float16', 'uint8'}, default: 'auto'\n" in entries
    assert "drop_columns : str or list of str, optional\n    Tables: A column to leave out" in entries
    assert "With `contaminated`, the share of items" in " ".join(entries.split())
    assert not re.search(r"--[a-z]", entries)


@pytest.mark.parametrize("function", [dn2.fit, dn2.score_self], ids=lambda one: one.__name__)
def test_the_example_of_a_docstring_runs(function) -> None:
    import doctest

    (test,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__, globs={})
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_what_type_checkers_are_told_is_made_of_the_options() -> None:
    assert Path(keywords.__file__).read_text() == source(), "run make keywords"
    assert set(keywords.FitOptions.__annotations__) == set(OPTIONS)


def test_a_type_checker_sees_the_keywords(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "good.py").write_text(
        "import dn2\n"
        "model = dn2.fit('parts', neighbors=3, storage='uint8', drop_columns=['a'], whiten=None)\n"
        "model.score('new')\n"
        "dn2.score_self('pump.csv', time='t', window=60)\n"
    )
    (tmp_path / "bad.py").write_text(
        "import dn2\n"
        "dn2.fit('parts', neighbours=3)\n"
        "dn2.fit('parts', window='60')\n"
        "dn2.fit('parts', storage='int4')\n"
        "dn2.score_self('pump.csv', groups=True)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent"]
    command += ["--config-file", str(ROOT / "pyproject.toml"), "good.py", "bad.py"]
    environment = {"MYPYPATH": str(ROOT / "src"), "PATH": "/usr/bin"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert sorted(set(re.findall(r"^(\w+\.py:\d+)", done.stdout, re.MULTILINE))) == [
        f"bad.py:{n}" for n in (2, 3, 4, 5)
    ]


def test_defaults_that_kinds_do_not_share_are_left_open() -> None:
    (keyword,) = [one for one in keywords_of(KINDS) if one.name == "normalize"]
    assert keyword.default is None
    assert set(keyword.kinds) == {"image", "vector"}


# What does not belong


def test_an_option_of_another_kind_is_refused_by_the_name_that_it_has_here() -> None:
    with pytest.raises(dn2.InputError, match=r"^drop_columns belongs to the kind table, and the items here are of the"):
        choose_options("image", {"drop_columns": ["a"]})
    with use_command_line(), pytest.raises(dn2.InputError, match=r"^--drop-columns belongs to the kind table"):
        choose_options("image", {"drop_columns": ["a"]})
    assert option("drop_columns") == "drop_columns"


@pytest.mark.parametrize("nothing", [None, False, (), []])
def test_an_option_of_another_kind_that_asks_for_nothing_is_passed_over(nothing) -> None:
    assert choose_options("table", {"groups": nothing}) == options_of("table")()


def test_a_default_that_is_asked_for_of_another_kind_is_refused() -> None:
    with pytest.raises(dn2.InputError, match=r"^preset belongs to the kind image"):
        choose_options("table", {"preset": "default"})


def test_an_option_that_there_is_not_is_refused_with_the_one_that_is_meant() -> None:
    with pytest.raises(dn2.InputError, match=r"there is no option neighbours; is neighbors meant\?"):
        dn2.fit([[1.0]], kind="vector", neighbours=3)  # type: ignore[call-arg]


def test_a_text_where_a_list_may_stand_is_one_element() -> None:
    assert choose_options("table", {"drop_columns": "ab"}).drop_columns == ("ab",)
    assert choose_options("series", {"values": "value"}).values == ("value",)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("vector", {"recall": 0.5, "index": "exact"}, "recall is for a search that may miss some"),
        ("vector", {"recall": 0.5, "index": "kmeans:4"}, "recall is for a search that may miss some"),
        (
            "vector",
            {"neighbors": 2, "index": "kmeans:4"},
            "neighbors must be 1 where items are compared with centroids",
        ),
        ("vector", {"drop": 0.5}, "drop is for a set that is contaminated; say so with contaminated"),
        ("image", {"preset": "fast", "backbone": "lite0", "neighbors": 3}, "preset decides nothing"),
        ("image", {"preset": "fast", "backbone": "lite0", "contaminated": True}, "preset decides nothing"),
        ("image", {"preset": "accurate", "backbone": "lite0", "neighbors": 3, "whiten": False}, "preset decides"),
        ("series", {"window": 1}, "window must be an integer of at least 2, got 1"),
        ("series", {"window": True}, "window must be an integer of at least 2, got True"),
        ("table", {"drop_columns": [1]}, "drop_columns must be a text or a list of texts, got 1 in it"),
        ("series", {"contaminated": True}, "scored against themselves, by dn2.score_self"),
    ],
)
def test_options_that_do_nothing_or_cannot_be_so_are_refused(kind: str, given: dict, words: str) -> None:
    with pytest.raises(dn2.InputError) as error:
        choose_options(kind, given)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("vector", {"recall": 0.5, "index": "approximate"}),
        ("vector", {"recall": 0.5}),
        ("vector", {"recall": 0.5, "index": "kmeans-tree:8"}),
        ("image", {"preset": "fast", "backbone": "lite0"}),
        ("image", {"preset": "accurate", "backbone": "lite0", "neighbors": 3}),
    ],
)
def test_options_that_decide_something_are_taken(kind: str, given: dict) -> None:
    assert all(getattr(choose_options(kind, given), name) == value for name, value in given.items())


def test_only_series_are_scored_against_themselves() -> None:
    with pytest.raises(dn2.InputError, match="items scored against themselves must be of the kind series, got 'table'"):
        dn2.score_self("rows.csv", kind="table")


def test_an_option_of_another_kind_is_refused_where_the_inputs_are_of_none_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    with pytest.raises(InputError, match="window belongs to the kind series, and the items here are of the kind image"):
        dn2.fit(tmp_path, window=9)
