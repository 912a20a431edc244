"""What the demo says at its end: for people, and as JSON for machines. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.demo.beside import PREFIX
from streams.demo.making import Making
from streams.demo.screen import NAMES, STYLES
from streams.demo.watch import RANKERS, Figures

OWN_KAFKA: Final = """\
  marquee topics create --broker HOST:9092
  marquee run --broker HOST:9092
  marquee replay movietweetings --broker HOST:9092 --rate 500/s
  marquee recommend USER --broker HOST:9092"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the demo ended.

    Attributes:
      total: interactions to learn. broken: broken records fed. films: items of the catalogue.
      streamed: interactions after the warm-up, and the seconds until the last of them was learned.
      making: what the planner found and the studio made on the small platform beside the log.
      is_complete: everything produced was learned, everything broken refused. is_interrupted: somebody stopped it.
    """

    figures: Figures
    total: int
    films: int
    broken: int
    streamed: int = 0
    streamed_s: float = 0.0
    is_complete: bool = False
    is_interrupted: bool = False
    making: Making = field(default_factory=Making)

    @property
    def per_second(self) -> float:
        """Events learned a second while they were streamed."""
        return self.streamed / self.streamed_s if self.streamed_s > 0 else 0.0


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The summary with the names of the figures, units at their end."""
    figures = outcome.figures
    return {
        "is_complete": outcome.is_complete,
        "is_interrupted": outcome.is_interrupted,
        "produced": figures.produced,
        "learned": figures.learned,
        "per_second": round(outcome.per_second, 1),
        "steps": figures.steps,
        "items": figures.items,
        "users": figures.users,
        "slates": figures.slates,
        "broken": outcome.broken,
        "dead_letters": figures.dead_letters,
        "fresh_p50_ms": figures.fresh_p50_ms,
        "fresh_p99_ms": figures.fresh_p99_ms,
        "reflected": figures.reflected,
        "unreflected": figures.waiting,
        "content_tasks": outcome.making.tasks,
        "assets_made": outcome.making.made,
        "assets_not_made": outcome.making.not_made,
    } | {ranker: {"hr_at_10": one.hr_at_10, "ndcg_at_10": one.ndcg_at_10} for ranker, one in figures.quality.items()}


def summary(outcome: Outcome) -> RenderableType:
    """The summary for people."""
    figures = outcome.figures
    if not outcome.is_complete:
        return Text(
            f"{'Stopped' if outcome.is_interrupted else 'Ended'} early: {figures.learned:,} of {outcome.total:,} "
            f"interactions were learned, {figures.dead_letters} of {outcome.broken} broken records refused.",
            "yellow",
        )
    lines: list[RenderableType] = [
        Text.assemble(
            ("✓ ", "green"),
            f"Learned all of {figures.produced:,} interactions and {outcome.films:,} films: "
            f"{outcome.per_second:,.0f} events/s as they streamed, {figures.steps:,} steps, {figures.users:,} users.",
        ),
        Text(),
    ]
    if figures.quality:
        lines += [_quality(figures), Text()]
    if figures.fresh_p50_ms is not None and figures.fresh_p99_ms is not None:
        lines.append(Text(
            f"Fresh: {figures.reflected:,} interactions were in a slate after {figures.fresh_p50_ms:,.0f} ms (p50), "
            f"{figures.fresh_p99_ms:,.0f} ms (p99), measured from producing the one to receiving the other."
        ))  # fmt: skip
    lines.append(Text(
        f"Bad input: {outcome.broken} broken records were fed on purpose; {figures.dead_letters} went to "
        "dead-letters.v1 with reason and origin, and nothing else was lost."
    ))  # fmt: skip
    making = outcome.making
    if making.tasks:
        lines.append(Text(
            f"Content: a small platform beside the log lacked {making.tasks} things; the studio made {making.made}"
            + (f" and could not make {making.not_made}" if making.not_made else "")
            + ", at low priority (its viewers are simulated; docs/studio.md)."
        ))  # fmt: skip
    return Group(
        *lines,
        Text(),
        Text("With your own Kafka (and your own events, as docs/events.md says them):", "bold"),
        Text(OWN_KAFKA),
    )


def serving(*, broker: str, user_id: str, address: str = "") -> RenderableType:
    """What one can do while the demo keeps serving."""
    return Group(
        Text(),
        Text.assemble(
            ("Still serving on ", "bold"), (broker, "bold cyan"), ("; Ctrl-C stops everything. Try:", "bold")
        ),
        *([Text.assemble("  open ", (address, "bold cyan"), " in a browser")] if address else []),
        Text(f"  marquee recommend {user_id} --k 10 --broker {broker}"),
        Text(f"  marquee replay movietweetings --broker {broker} --rate 500/s --limit 50000"),
        Text(f"  marquee tasks ls --all --prefix {PREFIX} --broker {broker}"),
    )


def _quality(figures: Figures) -> Table:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row(
        Text("  each event ranked before it was learned", "dim"), Text("HR@10", "dim"), Text("NDCG@10", "dim")
    )
    for ranker in RANKERS:
        one = figures.quality[ranker]
        table.add_row(Text(f"  {NAMES[ranker]}", STYLES[ranker]), f"{one.hr_at_10:.3f}", f"{one.ndcg_at_10:.3f}")
    return table
