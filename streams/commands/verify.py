"""`marquee verify`: is the state what the log makes of it, bit for bit?"""

from __future__ import annotations

from pathlib import Path

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of


@click.command(epilog="Example: marquee verify --from 0 --broker 127.0.0.1:9092")
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=0),
    help="Begin with the newest snapshot of at most this step; 0: with the log.",
)
@click.option("--to", type=click.IntRange(min=1), help="End with this step; by default with the ledger.")
@broker_options
@json_option
def verify(
    start: int | None, to: int | None, config: Path | None, broker: str | None, prefix: str | None, as_json: bool
) -> int:
    """Learn the ledger's steps again beside the engine, and compare the state with the hashes that it told.

    Begins with the oldest snapshot unless --from says otherwise. Changes nothing. The exit status is 1 where a hash
    differs, or where there is none to compare with.
    """
    from streams.commands.rebuilding import prepare, progress

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    prepare(settings)
    from streams.durability import snapshots
    from streams.durability.ledger import learned_hash
    from streams.durability.manifest import entries_of
    from streams.roles.moments import Moment
    from streams.roles.rebuild import rebuild

    oldest = next(iter(snapshots.versions(settings.snapshot_dir)), 0)
    with progress("verifying", is_shown=not as_json) as heard:
        rebuilt = rebuild(settings, Moment(step=to), start=oldest if start is None else start, heard=heard)
    from models.recommend.state import to_arrays

    same = [check for check in rebuilt.checks if check.is_same]
    result = {
        "from_step": rebuilt.start,
        "to_step": rebuilt.step,
        "compared": len(rebuilt.checks),
        "same": len(same),
        "differ": [check._asdict() for check in rebuilt.checks if not check.is_same],
        "is_whole": rebuilt.is_whole,
        "learned": rebuilt.learner.state.learned_events,
        "state_hash": learned_hash(entries_of(to_arrays(rebuilt.learner.state))),
        "ok": bool(same) and len(same) == len(rebuilt.checks),
    }
    if as_json:
        print_json(result)
    else:
        _say(result)
    return 0 if result["ok"] else 1


def _say(result: dict[str, object]) -> None:
    click.echo(
        f"steps {result['from_step']} to {result['to_step']}: {result['learned']:,} interactions learned, "
        f"state {result['state_hash']}"
    )
    for check in result["differ"]:  # type: ignore[attr-defined]
        click.echo(f"step {check['step']}: expected {check['expected']}, got {check['found']}")
    if not result["is_whole"]:
        click.echo("compaction removed records since they were learned: no hash behind that step can be compared")
    if not result["compared"]:
        click.echo("no hash to compare with: the ledger has one a snapshot; choose an earlier --from or a later --to")
    else:
        click.echo(f"{result['same']} of {result['compared']} hashes are the same")
