"""`marquee branch`: the same log under another configuration, from a past moment on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of


@click.command(epilog="Example: marquee branch other.toml --from 0 --broker 127.0.0.1:9092")
@click.argument("other", metavar="OTHER.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Both begin with the newest snapshot of at most this step; 0: with the log.",
)
@click.option("--to", type=click.IntRange(min=1), help="End with this step; by default with the ledger.")
@broker_options
@json_option
def branch(
    other: Path, start: int, to: int | None, config: Path | None, broker: str | None, prefix: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Learn the ledger's batches again under OTHER.toml, and beside it as they were; compare the prequential figures.

    What an A/B test would ask, on the log of the past: every event is ranked before it is learned, by both. From a
    snapshot on only numbers that fit it may differ (rates, slates, heads); sizes of the model need --from 0.
    """
    settings = settings_of(config=config, broker=broker, prefix=prefix)
    others = settings_of(config=other, broker=broker, prefix=prefix)
    from streams.commands.rebuilding import prepare, progress

    prepare(settings)
    from models.recommend import metrics
    from models.recommend.strict import RANKERS
    from streams.roles.moments import Moment
    from streams.roles.rebuild import rebuild

    rows: list[dict[str, Any]] = []
    for name, each, is_other in (("as it was", settings, False), (str(other), others, True)):
        with progress(name, is_shown=not as_json) as heard:
            built = rebuild(each, Moment(step=to), start=start, accepts_other=is_other, compares=False, heard=heard)
        found = metrics.figures(built.sums)
        rows.append({
            "name": name, "from_step": built.start, "to_step": built.step, "events": found.events,
            "hr_at_10": dict(zip(RANKERS, found.hr_at_10, strict=True)),
            "ndcg_at_10": dict(zip(RANKERS, found.ndcg_at_10, strict=True)),
        })  # fmt: skip
    a, b = rows
    change = {figure: b[figure]["model"] - a[figure]["model"] for figure in ("hr_at_10", "ndcg_at_10")}
    if as_json:
        print_json({"branches": rows, "change": change})
        return
    for row in rows:
        click.echo(
            f"{row['name']}: steps {row['from_step']} to {row['to_step']}, {row['events']:,} events ranked, "
            f"HR@10 {row['hr_at_10']['model']:.4f}, NDCG@10 {row['ndcg_at_10']['model']:.4f}"
        )
    click.echo(f"change: HR@10 {change['hr_at_10']:+.4f}, NDCG@10 {change['ndcg_at_10']:+.4f}")
