"""Names tell orders and parts."""

from __future__ import annotations

import numpy as np
import pytest

from dn2.inputs.part_names import labels_by_name, numbered, orders_of


def test_items_are_ordered_as_they_come_and_by_each_number_that_differs() -> None:
    names = ["exp1_num_30.jpg", "exp1_num_7.jpg", "exp2_num_29.jpg", "exp2_num_8.mp4"]
    as_they_come, by_number = orders_of(names)
    np.testing.assert_array_equal(as_they_come, [0, 1, 2, 3])
    np.testing.assert_array_equal(by_number, [3, 0, 2, 1])
    assert len(orders_of([f"row {place}" for place in range(1, 30)])) == 1
    assert len(orders_of(["a", "b"])) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["photo_012_1.png", "photo_012_2.png", "photo_013_1.png"], ["photo_012", "photo_012", "photo_013"]),
        (["x/part 7-top.png", "x/part 7-side.png", "x/part 8-top.png"], ["x/part 7", "x/part 7", "x/part 8"]),
        (["tile12a.png", "tile12b.png", "tile13a.png"], ["tile12", "tile12", "tile13"]),
        (["unit12_left_dark", "unit12_top_light", "unit3_top_dark"], ["unit12", "unit12", "unit3"]),
        (["cam1_p7_b.png", "cam2_p7_a.png", "cam1_p8_a.png"], ["p7", "p7", "p8"]),
        (["p7/front.png", "p7/back.png", "p8/front.png"], ["p7", "p7", "p8"]),
    ],
)
def test_parts_are_told_by_a_field_or_a_folder(names: list[str], expected: list[str]) -> None:
    assert expected in [labels for _, labels in labels_by_name(names)]


def test_a_pattern_is_tried_where_all_names_match_it() -> None:
    assert list(labels_by_name(["tile", "photo_1.png"])) == []
    assert list(labels_by_name([])) == []


def test_parts_are_numbered_in_the_order_in_which_they_come() -> None:
    assert numbered([4, 4, 1, 4]) == ["part 1", "part 1", "part 2", "part 1"]
