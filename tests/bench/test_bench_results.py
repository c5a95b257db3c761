"""Means, tables, figures, and the paper's numbers beside them."""

from __future__ import annotations

import csv
import io
import math
import sys
from pathlib import Path

import pytest
from PIL import Image

from dn2.bench.figure import _style, draw
from dn2.bench.output import write
from dn2.bench.result import FurtherRow, Mean, Measurement, ReportedFigures, Result, mean_over_seeds
from dn2.bench.table import AVERAGE, to_csv, to_markdown
from dn2.errors import InputError, MissingExtra
from dn2.kinds.image.bench import FEW_SHOT, MULTIMODAL, ONE_CLASS, paper

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def make_result(seeds: tuple[int | None, ...] = (0, 1, 2), positions: dict[str, float] | None = None) -> Result:
    """Two methods, two settings, two classes: method B is a tenth better, `y` a twentieth; seeds add a hundredth."""
    result = Result("Title", "row", positions=positions or {}, seconds={"A": 1.25, "B": 2})
    for place, method in enumerate("AB"):
        for row, setting in enumerate("xy"):
            for seed in seeds:
                for number, normal in enumerate(("cat", "dog")):
                    value = 0.5 + 0.1 * place + 0.05 * row + 0.01 * (seed or 0) + 0.2 * number
                    result.measurements.append(Measurement(method, setting, normal, seed, 40, value))
    return result


def test_the_mean_is_over_classes_and_then_over_seeds_with_its_standard_error() -> None:
    # Seed 0: 0.5 and 0.7; seed 1: 0.9 and 0.5; seed 2: 0.8.  Means 0.6, 0.7, 0.8; their deviation 0.1, over root 3.
    mean = mean_over_seeds([(0, 0.5), (1, 0.9), (0, 0.7), (1, 0.5), (2, 0.8)])
    assert mean is not None
    assert mean == pytest.approx((0.7, 0.1 / math.sqrt(3)))


def test_one_draw_has_no_standard_error() -> None:
    assert mean_over_seeds([(None, 0.5), (None, 0.7)]) == Mean(0.6, None)
    assert mean_over_seeds([(4, 0.5)]) == Mean(0.5, None)
    assert mean_over_seeds([]) is None


def test_a_result_averages_by_method_and_setting() -> None:
    result = make_result()
    assert result.mean("A", "x") == pytest.approx((0.61, 0.01 / math.sqrt(3)))
    assert result.mean("B", "y") == pytest.approx((0.76, 0.01 / math.sqrt(3)))
    assert result.mean("A") == pytest.approx((0.635, 0.01 / math.sqrt(3)))
    assert result.mean("A", "z") is None


def test_one_row_has_no_average() -> None:
    result = make_result()
    result.measurements = [one for one in result.measurements if one.setting == "x"]
    assert AVERAGE not in to_markdown(result)


def test_settings_with_positions_come_in_their_order() -> None:
    assert make_result(positions={"x": 20.0, "y": 3.0}).settings == ["y", "x"]


def test_the_markdown_table_shows_means_times_and_what_others_report() -> None:
    result = make_result()
    result.reported = [
        ReportedFigures("paper", {"x": 0.9, AVERAGE: 0.925}, frozenset({"x"})),
        ReportedFigures("of another table", {"w": 0.1}),
    ]
    result.notes = ["A note."]
    assert to_markdown(result) == (
        "### Title\n"
        "\n"
        "| row | A | B | paper |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| x | 61.00 ± 0.58 | 71.00 ± 0.58 | 90.0† |\n"
        "| y | 66.00 ± 0.58 | 76.00 ± 0.58 |  |\n"
        "| **average** | 63.50 ± 0.58 | 73.50 ± 0.58 | 92.5 |\n"
        "| fit and search, all rows | 1.2 s | 2.0 s |  |\n"
        "\n"
        "- ROC AUC in %; ± is the standard error over 3 seeds.\n"
        "- † as reported, unconfirmed.\n"
        "- A note.\n"
    )


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((None,), "ROC AUC in %; a figure without ± comes from one run, in which nothing is random."),
        ((None, 3), "ROC AUC in %; a figure without ± comes from one run."),
        ((3,), "ROC AUC in %; one random draw, so without a standard error (--seeds gives more)."),
    ],
)
def test_the_table_says_what_has_no_standard_error_and_why(seeds: tuple[int | None, ...], words: str) -> None:
    text = to_markdown(make_result(seeds))
    assert words in text
    assert len(set(seeds)) > 1 or "±" not in text.split("\n\n")[1]


def test_further_figures_have_columns_of_their_own() -> None:
    result = make_result(seeds=(0,))
    result.measurements.append(Measurement("C", "x", "cat", 0, 40, 0.5, {"share": 0.25}))
    lines = to_markdown(result).splitlines()
    assert lines[2:5] == ["| row | A | B | C | share |", "| --- | ---: | ---: | ---: | ---: |", lines[4]]
    assert lines[4] == "| x | 60.00 | 70.00 | 50.00 | 25.00 |"
    assert [row["share"] for row in csv.DictReader(io.StringIO(to_csv(result)))][-2:] == ["", "0.25"]


def test_further_figures_have_rows_where_the_protocol_says_so() -> None:
    result = make_result(seeds=(0,))
    result.further_rows = [FurtherRow("share", "y"), FurtherRow("share")]
    for method, setting, share in (("A", "x", 0.25), ("A", "y", 0.5), ("C", "y", 0.125)):
        result.measurements.append(Measurement(method, setting, "cat", 0, 40, 0.5, {"share": share, "speed": 0.75}))
    result.reported = [ReportedFigures("paper", {"x": 0.9})]
    assert [column.name for column in result.columns] == ["A", "speed", "B", "C", "speed"]
    lines = to_markdown(result).splitlines()
    assert lines[2] == "| row | A | speed | B | C | speed | paper |"
    assert lines[7:10] == [
        "| share, y | 50.00 |  |  | 12.50 |  |  |",
        "| share, all rows | 37.50 |  |  | 12.50 |  |  |",
        "| fit and search, all rows | 1.2 s |  | 2.0 s |  |  |  |",
    ]


def test_the_csv_holds_every_measurement_and_where_it_is_from() -> None:
    result = make_result(seeds=(None, 1))
    result.reported = [ReportedFigures("paper", {"x": 0.9, "y": 0.8}, frozenset({"x"}))]
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert list(rows[0]) == ["method", "row", "normal", "seed", "n_reference", "roc_auc", "source"]
    assert list(rows[0].values()) == ["A", "x", "cat", "", "40", "0.500000", "measured"]
    assert len(rows) == len(result.measurements) + 2
    assert [(row["roc_auc"], row["source"]) for row in rows[-2:]] == [
        ("0.9000", "reported, unconfirmed"),
        ("0.8000", "reported"),
    ]


@pytest.mark.parametrize("positions", [{}, {"x": 1.0, "y": 10.0}])
def test_a_figure_is_drawn_and_the_same_one_twice(tmp_path: Path, positions: dict[str, float]) -> None:
    result = make_result(positions=positions)
    result.reported = [ReportedFigures("paper", {"x": 0.9}, frozenset({"x"}))]
    for kind in ("png", "svg"):
        for name in ("one", "two"):
            draw(result, kind, tmp_path / f"{name}.{kind}")
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert 600 <= picture.width <= 900
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10
    text = (tmp_path / "one.svg").read_text()
    for words in ("Title", "row", "ROC AUC (%)", "paper (reported, unconfirmed)"):
        assert words in text


def test_a_figure_does_without_the_global_state_of_pyplot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # PyOD, of another test, imports it
    draw(make_result(), "png", tmp_path / "f.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_sixteen_methods_look_different_without_colour() -> None:
    looks = {
        (style["marker"], style["markerfacecolor"] == "white") for style in (_style("", n, False) for n in range(16))
    }
    assert len(looks) == 16


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from dn2.bench.figure import import_figure

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[bench\]'"):
        import_figure()


def test_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    files = write(make_result(), tmp_path / "new" / "folder", "one-class", "svg")
    assert [path.name for path in files] == ["one-class.csv", "one-class.md", "one-class.svg"]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(path.name for path in files)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        write(make_result(), tmp_path / "file" / "folder", "one-class", "svg")


# The paper's numbers


def test_cifar10_is_known_by_the_names_of_its_classes() -> None:
    known = paper.recognise(CIFAR10)
    assert known is not None
    assert known.name == "CIFAR-10"
    assert paper.recognise([name.upper() for name in known.classes]) is known
    assert paper.recognise(CIFAR10[1:]) is None
    assert paper.recognise(["a", "b"]) is None


def test_the_average_of_the_classes_is_the_average_reported() -> None:
    (known,) = paper.reported_figures(ONE_CLASS, CIFAR10, CIFAR10)
    assert known.values["automobile"] == 0.977
    classes = [value for name, value in known.values.items() if name != AVERAGE]
    assert len(classes) == 10
    assert sum(classes) / 10 == pytest.approx(known.values[AVERAGE], abs=0.002)
    assert known.unconfirmed == set(known.values)


def test_an_average_over_all_is_not_set_beside_one_over_some() -> None:
    (known,) = paper.reported_figures(ONE_CLASS, CIFAR10, ["cat"])
    assert known.values == {"cat": 0.855}
    assert paper.reported_figures(MULTIMODAL, CIFAR10, ["cat", "dog"]) == []
    assert paper.reported_figures(FEW_SHOT, CIFAR10, CIFAR10) == []


def test_what_others_report_is_named_with_what_is_unconfirmed() -> None:
    shown = paper.reported_figures(ONE_CLASS, CIFAR10, CIFAR10)
    conditions, others = paper.notes(ONE_CLASS, CIFAR10, shown)
    assert "ResNet-101 (unconfirmed), all 5,000 training pictures a class" in conditions
    assert "OC-SVM 62.0 (unconfirmed)" in others
    assert "GOAD 88.2," in others
    assert paper.notes(ONE_CLASS, ["a", "b"], []) == []
