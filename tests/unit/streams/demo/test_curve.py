"""Curves of characters, drawn by hand beside the code's."""

from __future__ import annotations

import pytest

from streams.demo.curve import chart, sparkline


@pytest.mark.parametrize(
    ("points", "top", "drawn"),
    [
        ([0.0, 1.0], 1.0, "▁█"),
        ([0.0, 1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7, 1.0], 1.0, "▁▂▃▄▅▆▇█"),
        ([2.0, -1.0], 1.0, "█▁"),
        ([0.5, None, 0.5], 0.5, "█ █"),
        ([0.0, 0.0], 0.0, "▁▁"),
        ([], 1.0, ""),
    ],
)
def test_a_row_of_blocks(points, top, drawn):
    assert sparkline(points, top=top) == drawn


def characters(rows):
    return ["".join(char for char, _ in row) for row in rows]


def test_two_points_share_a_character_and_the_line_between_levels_is_closed():
    assert characters(chart([[0.0, 1.0]], height=1, top=1.0)) == ["⡸"]


def test_the_bottom_is_0_and_the_top_is_the_top():
    rows = chart([[0.0, 0.0, None, None, 1.0, 1.0]], height=2, top=1.0)
    assert characters(rows) == ["  ⠉", "⣀  "]
    assert rows[0][2][1] == 0
    assert rows[0][0] == (" ", None)


def test_where_two_curves_meet_the_first_gives_the_colour_and_both_give_dots():
    rows = chart([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]], height=1, top=1.0)
    assert rows == [[("⣉", 0)]]


def test_no_curves_are_no_columns():
    assert chart([], height=2, top=1.0) == [[], []]
