"""The figures as a picture for the terminal, as one line, and as a summary. Decides how they look, and nothing else.

Titles and ids are somebody else's text: they go through `printable` into rich Text, never into markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams.demo.curve import chart, sparkline
from streams.demo.making import Making
from streams.demo.making_screen import ROWS as MAKING_ROWS
from streams.demo.making_screen import making_table, making_title
from streams.demo.watch import RANKERS, Figures, Place, Shown
from streams.printable import printable

NAMES: Final = {"model": "Marquee", "transitions": "transitions", "decayed_popularity": "popularity"}
STYLES: Final = {"model": "bold cyan", "transitions": "magenta", "decayed_popularity": "yellow"}
SOURCE_STYLES: Final = {"tower": "cyan", "successor": "magenta", "popular": "yellow", "fresh": "green"}
SOURCES: Final = {
    "tower": "near what you chose",
    "successor": "often follows it",
    "popular": "much watched now",
    "fresh": "new here",
}
FRAME_ROWS: Final = 3
"""Rows of title and progress."""
FIGURE_ROWS: Final = 9
CHART_FROM_ROWS: Final = 32
"""Terminals with at least so many rows get a chart."""
CHART_ROWS: Final = 8
STUDIO_FROM_ROWS: Final = 36
"""Terminals with at least so many rows show what the studio makes."""
LEFT_COLUMNS: Final = 33
WIDE_COLUMNS: Final = 100
"""From here on there is room for the reasons."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the figures don't know: where the demo stands.

    Attributes:
      phase: what is going on, in words.
      steps: what is done, while it sets up; empty once the stream flows.
      elapsed_s: since the start.
      total: interactions of the whole stream. broken: broken records fed so far.
      notice: one line of the supervisor's, when a process had to be started again.
      making: what the planner found and the studio made, on the small platform beside the log.
      address: of the console.
    """

    phase: str
    steps: tuple[str, ...]
    elapsed_s: float
    total: int
    broken: int
    notice: str = ""
    making: Making = field(default_factory=Making)
    address: str = ""


def picture(scene: Scene, figures: Figures, *, width: int, height: int) -> RenderableType:
    """The whole screen, at most ``width`` x ``height`` characters."""
    inner = width - 2
    if scene.steps:
        return Padding(Group(_head(scene, figures, inner), Text(), _set_up(scene)), (0, 1))
    has_chart = height >= CHART_FROM_ROWS
    top_rows = FIGURE_ROWS + (CHART_ROWS + 1 if has_chart else 0)
    body = Table.grid(expand=True)
    body.add_column(width=LEFT_COLUMNS)
    body.add_column(ratio=1)
    quality = _quality(figures, inner - LEFT_COLUMNS - 4, has_chart=has_chart)
    body.add_row(
        _panel(Group(_counts(scene, figures), *(_legend() if has_chart else ())), "learning", rows=top_rows),
        _panel(quality, "ranking each event before it is learned", rows=top_rows),
    )
    making_rows = MAKING_ROWS if height >= STUDIO_FROM_ROWS and scene.making.lines else 0
    slate_rows = height - FRAME_ROWS - top_rows - making_rows
    slate = _panel(_slate(figures.shown, slate_rows - 3, inner), "a slate, live", rows=slate_rows)
    parts: list[RenderableType] = [_head(scene, figures, inner), body, slate]
    if making_rows:
        table = making_table(scene.making, making_rows - 2)
        parts.append(_panel(table, making_title(scene.making), rows=making_rows))
    return Padding(Group(*parts), (0, 1))


def _panel(content: RenderableType, title: str, *, rows: int) -> Panel:
    return Panel(
        content, title=Text(title, "dim"), title_align="left", border_style="bright_black", box=ROUNDED, height=rows
    )


def _head(scene: Scene, figures: Figures, width: int) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(ratio=1, no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    title = Text.assemble(("Marquee", "bold cyan"), ("  " + printable(scene.phase), ""))
    clock = f"{int(scene.elapsed_s) // 60}:{int(scene.elapsed_s) % 60:02d}"
    line.add_row(title, Text(clock, "dim"))
    done = Text(f" {figures.learned:,} of {scene.total:,}", "dim")
    bar = Table.grid(expand=True)
    bar.add_column(ratio=1)
    bar.add_column(justify="right", no_wrap=True)
    progress = ProgressBar(
        total=max(1, scene.total), completed=figures.learned, style="bright_black", complete_style="cyan",
        finished_style="cyan",
    )  # fmt: skip
    bar.add_row(progress, done)
    hint = scene.notice or "Ctrl-C stops everything" + (f"; the console: {scene.address}" if scene.address else "")
    return Group(line, bar, Text(printable(hint, most=width), "yellow" if scene.notice else "bright_black"))


def _set_up(scene: Scene) -> RenderableType:
    lines = [Text.assemble(("  ✓ ", "green"), printable(step)) for step in scene.steps[:-1]]
    turning = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(scene.elapsed_s * 8) % 10]
    return Group(*lines, Text.assemble((f"  {turning} ", "cyan"), printable(scene.steps[-1])))


def _counts(scene: Scene, figures: Figures) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_row("learned", Text(f"{figures.learned:,}", "bold"), f"{figures.per_second:,.0f}/s")
    grid.add_row("steps", f"{figures.steps:,}", "")
    grid.add_row("catalogue", f"{figures.items:,}", "films")
    grid.add_row("users", f"{figures.users:,}", "")
    grid.add_row("fresh p50", _ms(figures.fresh_p50_ms), "ms")
    grid.add_row("      p99", _ms(figures.fresh_p99_ms), "ms")
    letters = Text(f"{figures.dead_letters}", "yellow" if figures.dead_letters else "")
    grid.add_row("dead letters", letters, f"of {scene.broken} fed")
    return grid


def _legend() -> Sequence[Text]:
    """What the sources of a slate mean, for terminals with room."""
    lines = [Text(), Text("why a film is in a slate", "dim")]
    for source, meaning in SOURCES.items():
        lines.append(Text.assemble((f"{source:<10}", SOURCE_STYLES[source]), (meaning, "dim")))
    return lines


def _quality(figures: Figures, width: int, *, has_chart: bool) -> RenderableType:
    if not figures.quality:
        return Text("the first window is not full yet", "dim")
    top = max((point for one in figures.quality.values() for point in one.curve if point is not None), default=0.0)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    along = Text("" if has_chart else "NDCG@10 so far", "dim")
    table.add_row(Text(), Text("HR@10", "dim"), Text("NDCG@10", "dim"), along)
    room = 0 if has_chart else max(0, width - 28)
    for ranker in RANKERS:
        one, style = figures.quality[ranker], STYLES[ranker]
        curve = Text(sparkline(thinned(one.curve, room), top=top), style)
        table.add_row(Text(NAMES[ranker], style), f"{one.hr_at_10:.3f}", f"{one.ndcg_at_10:.3f}", curve)
    below: list[RenderableType] = [Text()]
    if has_chart:
        below += [Text("NDCG@10 along the stream", "dim"), *_chart(figures, width, top=top), Text()]
    if figures.last_reason:
        below.append(Text(printable(f"refused: {figures.last_reason}", most=max(1, width)), "bright_black"))
    return Group(table, *below)


def _chart(figures: Figures, width: int, *, top: float) -> Sequence[Text]:
    rows = chart(
        [stretched(figures.quality[ranker].curve, 2 * (width - 6)) for ranker in RANKERS], height=CHART_ROWS, top=top
    )
    styles = [STYLES[ranker] for ranker in RANKERS]
    lines = []
    for at, row in enumerate(rows):
        mark = f"{top:.2f} " if at == 0 else "0.00 " if at == len(rows) - 1 else "     "
        pieces = [(char, "" if owner is None else styles[owner].replace("bold ", "")) for char, owner in row]
        lines.append(Text.assemble((mark, "bright_black"), *pieces))
    return lines


def thinned(curve: Sequence[float | None], points: int) -> list[float | None]:
    """The curve with ``points`` points, each the nearest of its own."""
    return [curve[at * len(curve) // points] for at in range(points)] if curve and points > 0 else []


def stretched(curve: Sequence[float | None], points: int) -> list[float | None]:
    """The curve with ``points`` points, straight between the middles of its own, None near none."""
    made: list[float | None] = []
    for at in range(points):
        place = (at + 0.5) * len(curve) / points - 0.5
        left = min(max(int(place), 0), len(curve) - 1)
        right = min(left + 1, len(curve) - 1)
        low, high = curve[left], curve[right]
        share = min(max(place - left, 0.0), 1.0)
        if low is None or high is None:
            made.append(low if share < 0.5 else high)
        else:
            made.append(low + share * (high - low))
    return made


def _slate(shown: Shown | None, rows: int, width: int) -> RenderableType:
    if shown is None:
        return Text("nobody has acted yet", "dim")
    stars = f", {shown.value:g} of 10" if shown.value is not None else ""
    room = width - 4
    user = printable(shown.user_id, most=24)
    line = Text.assemble(("user ", "dim"), (user, "bold"), (" just rated ", "dim"),
                         printable(shown.chose, most=max(8, room - 40 - len(user))), (stars, "dim"))  # fmt: skip
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", style="dim", width=2)
    table.add_column(width=3)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", width=6)
    table.add_column(width=9)
    is_wide = width >= WIDE_COLUMNS
    if is_wide:
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    for place in shown.places[: max(1, rows)]:
        cells: list[RenderableType] = [
            str(place.rank), _moved(place), Text(printable(place.title)), f"{place.score:.2f}",
            Text(place.source, SOURCE_STYLES.get(place.source, "")),
        ]  # fmt: skip
        table.add_row(*cells, *([Text(printable(place.reason), "dim")] if is_wide else []))
    return Group(line, table)


def _moved(place: Place) -> Text:
    if place.moved is None:
        return Text("new", "green")
    if place.moved == 0:
        return Text("")
    return Text(f"▲{place.moved}", "green") if place.moved > 0 else Text(f"▼{-place.moved}", "red")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def line(scene: Scene, figures: Figures) -> str:
    """One plain line, for logs."""
    if scene.steps:
        return f"{scene.elapsed_s:4.0f} s  {scene.steps[-1]}"
    parts = [f"{figures.learned:,} of {scene.total:,} learned ({figures.per_second:,.0f}/s)"]
    for name, pick in (("HR@10", "hr_at_10"), ("NDCG@10", "ndcg_at_10")):
        if figures.quality:
            ours, transitions, popularity = (getattr(figures.quality[ranker], pick) for ranker in RANKERS)
            parts.append(f"{name} {ours:.3f} (transitions {transitions:.3f}, popularity {popularity:.3f})")
    if figures.fresh_p50_ms is not None:
        parts.append(f"fresh p50 {_ms(figures.fresh_p50_ms)} p99 {_ms(figures.fresh_p99_ms)} ms")
    parts.append(f"dead letters {figures.dead_letters}")
    if scene.making.tasks:
        parts.append(f"content tasks {scene.making.tasks}, made {scene.making.made}")
    return f"{scene.elapsed_s:4.0f} s  " + "; ".join(parts) + (f"; {printable(scene.notice)}" if scene.notice else "")
