"""`marquee map`: what a topic or file of another shape holds, as a mapping, and what that mapping does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of
from streams.printable import printable

if TYPE_CHECKING:
    from streams.mapping.looks import Sampled
    from streams.mapping.propose import Proposal
    from streams.mapping.trial import Trial
    from streams.settings import Settings

SAMPLED = 5_000


@click.command("map", epilog="Example: marquee map --sample plays --broker 127.0.0.1:9092 > plays.toml")
@click.option("--sample", "source", required=True, metavar="TOPIC|FILE", help="What to look at; nothing is changed.")
@click.option("--as", "kind", type=click.Choice(["interactions", "items"]), help="What its records are.")
@click.option("--mapping", type=click.Path(path_type=Path), help="Judge this mapping instead of proposing one.")
@click.option(
    "--most", type=click.IntRange(min=1), default=SAMPLED, show_default=True,
    help="Records: of a topic the newest, evenly over its partitions; of a file the first.",
)  # fmt: skip
@broker_options
@json_option
def propose_mapping(
    source: str,
    kind: str | None,
    mapping: Path | None,
    most: int,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    as_json: bool,
) -> int:
    """Propose a mapping for the records of a topic or file, as TOML on standard output, and try it on them.

    What it is sure of and what it guesses stand beside each line; how many records it would take, and the first that it
    would refuse, on standard error. It goes into marquee.toml for a topic, to `marquee import --mapping` for a file.
    Exits with 1 when the mapping takes nothing, or cannot be made.
    """
    from streams.mapping.decoders import KINDS, decoder_of
    from streams.mapping.looks import look
    from streams.mapping.propose import propose
    from streams.mapping.shapes import shape_of
    from streams.mapping.trial import tried
    from streams.replay.formats import read_mappings

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    is_file = broker is None and Path(source).is_file()
    records = list(islice(_rows(Path(source)) if is_file else _newest(source, most, settings), most))
    looks = look(records)
    if not looks.records:
        raise click.ClickException(
            f"expected records that are JSON objects in {printable(source)}, got {looks.broken} others; look at it"
        )
    proposal = None
    if mapping is not None:
        own = read_mappings(mapping)
        chosen = kind or ("interactions" if own is None or own.interactions is not None else "items")
        shape = None if own is None else getattr(own, chosen)
        if shape is None:
            raise click.ClickException(f"expected [mapping.{chosen}] in {mapping}, got none; add it")
    else:
        proposal = propose(looks, kind=kind)
        chosen = proposal.kind
        shape = None if proposal.missing else shape_of(chosen, proposal.table, where="the proposal")
    trial = None if shape is None else tried(records, decoder_of(KINDS[chosen], shape))
    if as_json:
        print_json(_plain(source, proposal, trial, looks.broken))
    else:
        if proposal is not None:
            click.echo(_toml(proposal, source, is_file=is_file))
        _tell(proposal, trial, chosen, keyed=not is_file)
    return int(trial is None or trial.taken == 0)


def _rows(path: Path) -> Iterator[Sampled]:
    from streams.contract.codec import Rejected
    from streams.mapping.looks import Sampled
    from streams.replay.rows import read_rows, reading_of

    for rows in read_rows(path, reading_of(path)):
        for row in rows.values:
            value = row.payload if isinstance(row, Rejected) else row
            if value and not value.isspace():
                yield Sampled(value)


def _newest(topic: str, most: int, settings: Settings) -> Iterator[Sampled]:
    """The newest records of a topic, by its full name."""
    from streams.connect import connection_of
    from streams.cores.conform import newest
    from streams.mapping.looks import Sampled
    from streams.transport import admin
    from streams.transport.whole import edges_of, read_whole

    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=lambda line: click.echo(line, err=True), timeout_s=0.0)
    edges = {partition: edge for (_, partition), edge in edges_of(connection, [topic]).items()}
    for message in read_whole(connection, topic, first=newest(edges, most)):
        key: Any = message.key()
        value: Any = message.value()
        headers: Any = message.headers() or ()
        if value is not None:
            yield Sampled(bytes(value), None if key is None else bytes(key), message.timestamp()[1], tuple(headers))


def _toml(proposal: Proposal, source: str, *, is_file: bool) -> str:
    lines = []
    if not is_file:
        lines += ["[topics]", f"{proposal.kind} = {json.dumps(source)}", ""]
    lines.append(f"[mapping.{proposal.kind}]")
    rows = [
        (f"{one.name} = {_value(one.value)}", f"{'sure' if one.is_sure else 'a guess'}: {one.why}")
        for one in proposal.choices
    ]
    for text, why in rows:
        lines += (
            [f"{text:40}  # {printable(why, most=200)}"]
            if "\n" not in text
            else [f"# {printable(why, most=200)}", text]
        )
    lines += [f"# {name} = ?  # needed, and nothing speaks for it: say where it is" for name in proposal.missing]
    return "\n".join(lines)


def _value(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(str(name))} = {_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return "[\n" + "".join(f"    {_value(one)},\n" for one in value) + "]"
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _tell(proposal: Proposal | None, trial: Trial | None, kind: str, *, keyed: bool) -> None:
    if trial is None:
        missing = ", ".join(proposal.missing) if proposal else ""
        click.echo(f"\nno mapping of {kind} without {missing}: write it by hand, see docs/connect.md", err=True)
        return
    click.echo(
        f"\n{trial.records:,} records: {trial.taken:,} taken, {trial.skipped:,} left out, {trial.refused:,} refused",
        err=True,
    )
    if trial.actions:
        click.echo("  " + ", ".join(f"{count:,} {action}" for action, count in trial.actions.most_common()), err=True)
    if keyed and kind == "interactions" and trial.taken:
        share = trial.keyed / trial.taken
        told = "run one recommender" if share < 1 else "recommenders may share the partitions"
        click.echo(f"  {share:.0%} are keyed by their user: {told}", err=True)
    if trial.first:
        click.echo(f"  the first: {printable(trial.first, most=400)}", err=True)
    for place, reason, value in trial.bad:
        shown = printable(value[:160].decode("utf-8", "replace"))
        click.echo(f"  record {place}: {printable(reason, most=300)}\n    {shown}", err=True)
    for reason, count in trial.by_reason.most_common(10) if trial.refused > len(trial.bad) else ():
        click.echo(f"  {count:,} x {printable(reason, most=300)}", err=True)


def _plain(source: str, proposal: Proposal | None, trial: Trial | None, broken: int) -> dict[str, Any]:
    told: dict[str, Any] = {"sample": source, "broken": broken}
    if proposal is not None:
        told |= {"kind": proposal.kind, "missing": proposal.missing, "mapping": proposal.table}
        told["choices"] = [one._asdict() for one in proposal.choices]
    if trial is not None:
        told["trial"] = {
            "records": trial.records, "taken": trial.taken, "skipped": trial.skipped, "refused": trial.refused,
            "keyed_by_user": trial.keyed, "actions": dict(trial.actions),
            "bad": [
                {"record": place, "reason": reason, "value": value[:500].decode("utf-8", "backslashreplace")}
                for place, reason, value in trial.bad
            ],
        }  # fmt: skip
    return told
