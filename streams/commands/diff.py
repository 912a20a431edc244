"""`marquee diff`: what changed in slates between two moments, or under another configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of

if TYPE_CHECKING:
    from streams.roles.past import Past

SHOWN = 10
"""Items named of those that entered and left."""


@click.command(epilog="Example: marquee diff 1200 now --user 4711 --broker 127.0.0.1:9092")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--user", "users", multiple=True, help="Whose slates; several times for several users.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Without --user: so many of the users that A knows.",
)
@click.option("--k", type=click.IntRange(min=1), default=20, show_default=True, help="Length of the slates.")
@click.option(
    "--config-b",
    type=click.Path(path_type=Path, dir_okay=False),
    help="B under this settings file: its model learns the same batches.",
)
@broker_options
@json_option
def diff(
    first: str, second: str, users: tuple[str, ...], sample: int, k: int, config_b: Path | None, config: Path | None,
    broker: str | None, prefix: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Rebuild the moments A and B and compare the slates that were served then.

    A and B: a step (120), a time (2026-11-24T20:15:00Z), a record (interactions.v1/0:4711), or now. Prints the
    rank-biased overlap (1: the same), and what entered and left, with its reasons.
    """
    settings = settings_of(config=config, broker=broker, prefix=prefix)
    other = settings_of(config=config_b, broker=broker, prefix=prefix) if config_b else settings
    from streams.commands.rebuilding import prepare, progress

    prepare(settings)
    from streams.roles.moments import Moment
    from streams.roles.past import recommender_at
    from streams.roles.rebuild import rebuild

    pasts: list[Past] = []
    for each, word, is_other in ((settings, first, False), (other, second, config_b is not None)):
        with progress(f"rebuilding {word}", is_shown=not as_json) as heard:
            moment = Moment.parse(word, prefix=each.prefix, names=each.topic_names)
            start = 0 if is_other else None  # another configuration shares no snapshot
            built = rebuild(each, moment, start=start, accepts_other=is_other, compares=False, heard=heard)
            pasts.append(recommender_at(each, built))
    chosen = list(users) or _sample(pasts[0], sample)
    results = [_of_user(pasts, user, k) for user in chosen]
    overlap = sum(result["overlap"] for result in results) / max(1, len(results))
    if as_json:
        steps = [past.rebuilt.step for past in pasts]
        print_json({"steps": steps, "users": len(results), "overlap": overlap, "k": k, "of": results})
    else:
        _say(results, overlap)


def _sample(past: Past, count: int) -> list[str]:
    """Users evenly drawn over all that the state knows, the same ones each time."""
    keys = past.recommender.serving.users.keys()
    return keys[:: max(1, len(keys) // count)][:count]


def _of_user(pasts: list[Past], user: str, k: int) -> dict[str, Any]:
    from streams.contract.events import Request
    from streams.cores.overlap import difference_of

    request = Request(request_id="diff", user_id=user, k=k)
    found = difference_of(*(past.slate(request) for past in pasts))
    entered = [
        {"item_id": one.item_id, "rank": one.rank, "source": one.source, "reasons": one.reasons}
        for one in found.entered
    ]
    left = [{"item_id": one.item_id, "rank": one.rank, "source": one.source} for one in found.left]
    return {"user_id": user, "overlap": found.overlap, "entered": entered, "left": left, "moved": found.moved}


def _say(results: list[dict[str, Any]], overlap: float) -> None:
    from streams.printable import printable

    for result in results:
        click.echo(f"{printable(result['user_id'])}: overlap {result['overlap']:.3f}")
        for item in result["entered"][:SHOWN]:
            why = "; ".join(item["reasons"])
            click.echo(printable(f"  + {item['item_id']} at {item['rank']}, {item['source']}: {why}"))
        for item in result["left"][:SHOWN]:
            click.echo(printable(f"  - {item['item_id']} from {item['rank']}, {item['source']}"))
    click.echo(f"{len(results)} users, mean rank-biased overlap {overlap:.3f}")
