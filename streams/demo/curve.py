"""Numbers as small curves of characters: one row of blocks, or a chart of dots with several lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
BLANK: Final = "\N{BRAILLE PATTERN BLANK}"
DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character by column and row, from the top."""

Points = Sequence[float | None]
"""A curve from left to right; None where there is nothing to show yet."""


def sparkline(points: Points, *, top: float) -> str:
    """One block a point, from 0 up to ``top``; a space where there is none."""
    steps = len(BLOCKS) - 1
    return "".join(
        " " if point is None else BLOCKS[round(steps * min(max(point / top, 0.0), 1.0)) if top > 0 else 0]
        for point in points
    )


def chart(curves: Sequence[Points], *, height: int, top: float) -> list[list[tuple[str, int | None]]]:
    """Lines of dots over each other, four dots to a row and two points to a character.

    Args:
      curves: equally many points each; where two meet in one character, the first curve gives the colour.
      height: rows of characters.
      top: value at the upper edge; the lower edge is 0.

    Returns:
      Rows from the top, each of characters with the number of the curve that colours them, None for blanks.
    """
    columns = max((len(points) + 1) // 2 for points in curves) if curves else 0
    bits = [[0] * columns for _ in range(height)]
    owner: list[list[int | None]] = [[None] * columns for _ in range(height)]
    for number in reversed(range(len(curves))):
        before: int | None = None
        for at, point in enumerate(curves[number]):
            if point is None or top <= 0:
                before = None
                continue
            level = round((4 * height - 1) * min(max(point / top, 0.0), 1.0))
            start = level if before is None else before + (level > before) - (level < before)
            for dot in range(min(start, level), max(start, level) + 1):
                row, column = divmod(4 * height - 1 - dot, 4)[0], at // 2
                bits[row][column] |= DOTS[at % 2][(4 * height - 1 - dot) % 4]
                owner[row][column] = number
            before = level
    return [
        [(chr(ord(BLANK) + mask) if mask else " ", whose) for mask, whose in zip(line, whom, strict=True)]
        for line, whom in zip(bits, owner, strict=True)
    ]
