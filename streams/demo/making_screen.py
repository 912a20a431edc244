"""What is wanted and made, as a part of the demo's picture. Titles and reasons are somebody's text."""

from __future__ import annotations

from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.demo.making import Line, Making
from streams.printable import printable

ROWS: Final = 9
"""Of the panel, its frame included."""
MARKS: Final = {"made": ("✓", "green"), "wanted": ("…", "cyan"), "not made": ("✗", "yellow")}


def making_title(making: Making) -> str:
    """What stands over the panel."""
    rest = f", {making.not_made} not made" if making.not_made else ""
    return f"content that a small platform beside it lacks: {making.tasks} tasks, {making.made} made{rest}"


def making_table(making: Making, rows: int) -> RenderableType:
    """At most ``rows`` lines: those just made, and those with most to gain that wait."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(width=5, no_wrap=True)
    table.add_column(ratio=5, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column(width=11, no_wrap=True, justify="right")
    table.add_column(ratio=6, no_wrap=True, overflow="ellipsis")
    for line in chosen(making, rows):
        mark, style = MARKS[line.state]
        table.add_row(
            Text(mark, style), Text(line.kind, "bold"), Text(printable(f"{line.title}, for {line.audience}")),
            Text(printable(line.why), "dim"), Text(printable(line.gain.replace("completions", "plays")), "dim"),
            Text(printable(line.became or "waits for the studio"), style if line.state != "wanted" else "bright_black"),
        )  # fmt: skip
    return table


def chosen(making: Making, rows: int) -> list[Line]:
    """Half of the room for what waits, if so much does; the order is kept."""
    waiting = [line for line in making.lines if line.state != "made"]
    made = [line for line in making.lines if line.state == "made"]
    room = max(rows - len(waiting), rows // 2 + rows % 2)
    return [*made[:room], *waiting[: rows - min(room, len(made))]]
