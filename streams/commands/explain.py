"""`marquee explain`: why an item stands where it stands in a user's slate, and what it would take to move it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of


@click.command(epilog="Example: marquee explain 4711 tt0816692 --as-of 2026-11-24T20:15:00Z --broker 127.0.0.1:9092")
@click.argument("user")
@click.argument("item")
@click.option("--as-of", metavar="MOMENT", default="now", show_default=True, help="As of `marquee recommend`.")
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the user's last events are left out, one at a time.",
)
@broker_options
@json_option
def explain(
    user: str, item: str, as_of: str, events: int, config: Path | None, broker: str | None, prefix: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Rebuild a moment and say why ITEM stands where it stands in USER's slate then.

    Beside its place, source and reasons: its place if USER had not done one of the last things. Those are real reruns
    of the same model on the history without that event; what the model learned of it stays.
    """
    settings = settings_of(config=config, broker=broker, prefix=prefix)
    from streams.commands.rebuilding import prepare, progress

    prepare(settings)
    from streams.cores.overlap import place_of, without_each
    from streams.roles.moments import Moment
    from streams.roles.past import recommender_at
    from streams.roles.rebuild import rebuild

    moment = Moment.parse(as_of, prefix=settings.prefix, names=settings.topic_names)
    with progress("rebuilding", is_shown=not as_json) as heard:
        past = recommender_at(settings, rebuild(settings, moment, compares=False, heard=heard))
    made = past.recommender
    now_ms = made.serving.newest_ms if moment.time_ms is None else moment.time_ms
    place = place_of(made, user, item, now_ms=now_ms)
    without = without_each(made, user, item, now_ms=now_ms, most=events)
    result: dict[str, Any] = {
        "user_id": user,
        "item_id": item,
        "step": past.rebuilt.step,
        "rank": place.rank if place else None,
        "score": place.score if place else None,
        "source": place.source if place else None,
        "reasons": place.reasons if place else [],
        "longest": made.config.max_k,
        "without": [one._asdict() for one in without],
    }
    if as_json:
        print_json(result)
    else:
        _say(result)


def _say(result: dict[str, Any]) -> None:
    from streams.printable import printable

    who = printable(f"{result['item_id']} for {result['user_id']}, step {result['step']}")
    if result["rank"] is None:
        click.echo(f"{who}: not among the first {result['longest']}, or the user had it, or it may not be shown")
    else:
        why = printable("; ".join(result["reasons"]))
        click.echo(f"{who}: rank {result['rank']}, score {result['score']:.3f}, {result['source']}: {why}")
    for one in result["without"]:
        then = "in no slate" if one["rank"] is None else f"rank {one['rank']}, score {one['score']:.3f}"
        click.echo(printable(f"  without {one['item_id']} at {one['at_ms']} ms: {then}"))
