"""`marquee dlq`: what was refused and why, and the way back for what can be taken now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of
from streams.commands.where import SINCE, WHERE

if TYPE_CHECKING:
    from streams.cores.redrive import Letter, Verdict
    from streams.roles.letters import Desk
    from streams.settings import Settings
    from streams.transport.connection import Connection

SHOWN_LETTERS = 50
SHOWN_CHARS = 4_096

where_option = click.option(
    "--where",
    type=WHERE,
    multiple=True,
    metavar="FIELD=TEXT",
    help="Only letters whose reason or key holds TEXT, or whose topic or stage is TEXT. May be given several times: "
    "texts of one field are alternatives, and every field named must agree.",
)
since_option = click.option(
    "--since",
    type=SINCE,
    metavar="TIME",
    help="Only of records from TIME on: 2026-01-31, 2026-01-31T12:00, 90m, 2h, 7d.",
)


@click.group(epilog="Example: marquee dlq ls --where topic=interactions.v1 --since 2h")
def dlq() -> None:
    """See what was refused and why (ls, show), and send it back to its topic once it can be taken (redrive)."""


@dlq.command(epilog="Example: marquee dlq ls --where stage=schema --where reason=dwell_ms --limit 20")
@where_option
@since_option
@click.option(
    "--limit", type=click.IntRange(min=0), default=SHOWN_LETTERS, show_default=True, help="Most letters, the newest."
)
@broker_options
@json_option
def ls(
    where: tuple[tuple[str, str], ...],
    since: int | None,
    limit: int,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    as_json: bool,
) -> None:
    """List dead letters, and count them by reason; reads the whole topic and changes nothing."""
    from streams.cores import redrive
    from streams.roles.letters import letters_in

    settings, connection = _reached(config, broker, prefix)
    every = letters_in(connection, prefix=settings.prefix, desk=_desk(settings))
    found = [one for one in every if redrive.matches(one, where, since_ms=since)]
    counts = redrive.count_kinds(found)
    shown = found[-limit:] if limit else []
    if as_json:
        by = [{"stage": stage, "reason": reason, "count": count} for (stage, reason), count in counts]
        print_json({"count": len(found), "by_reason": by, "letters": [_plain(one) for one in shown]})
        return
    _print_letters(shown, [_state(one) for one in shown])
    _print_counts(counts, len(found), len(shown))


@dlq.command(epilog="Example: marquee dlq show 0/17 --raw > letter.json")
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="The original bytes alone, as they came, to standard output.")
@broker_options
@json_option
def show(letter_id: str, raw: bool, config: Path | None, broker: str | None, prefix: str | None, as_json: bool) -> None:
    """Show the letter ID whole: its headers, why it was refused, what this version says of it, and its bytes."""
    from streams.cores import redrive
    from streams.roles.letters import one_letter, place_of

    place_of(letter_id)
    settings, connection = _reached(config, broker, prefix)
    read = one_letter(connection, letter_id, prefix=settings.prefix)
    (letter,) = redrive.letters_of([read], _desk(settings).judge())
    value = read.value or b""
    if raw:
        click.get_binary_stream("stdout").write(value)
        return
    headers = [(name, (text or b"").decode("utf-8", "backslashreplace")) for name, text in read.headers]
    text = value.decode("utf-8", "backslashreplace")
    if as_json:
        print_json(_plain(letter) | {"headers": headers, "refusal": letter.refusal, "value": text, "hex": value.hex()})
        return
    _print_letter(letter, headers, text)


@dlq.command(epilog="Example: marquee dlq redrive --where reason=dwell_ms --yes")
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@where_option
@since_option
@click.option("--yes", is_flag=True, help="Do it; without this it only says what it would do.")
@click.option(
    "--again", is_flag=True, help="Also letters that were redriven, failed --most times, or would be refused again."
)
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Redrives after which the same bytes are left alone.",
)
@click.option(
    "--now",
    is_flag=True,
    help="Stamp the records with the present, not with their own time: takes what came ahead of its time.",
)
@click.option(
    "--value",
    "value_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Send the letter (one ID) back with the bytes of this file.",
)
@broker_options
@json_option
def redrive(
    letter_ids: tuple[str, ...],
    where: tuple[tuple[str, str], ...],
    since: int | None,
    yes: bool,
    again: bool,
    most: int,
    now: bool,
    value_file: Path | None,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    as_json: bool,
) -> None:
    """Publish letters again to the topics that they came from, each once: those named or found, or all.

    A record keeps its key, its bytes and its time, and says in its headers where it stood first and how often it was
    redriven. One that is refused again becomes a new letter that says the same.
    """
    import asyncio
    import time

    from streams.cores import redrive as core
    from streams.roles import letters as shell

    if value_file is not None and len(letter_ids) != 1:
        raise click.UsageError(f"--value mends one letter: expected one ID, got {len(letter_ids)}")
    if value_file is not None and not value_file.is_file():
        raise click.UsageError(f"--value must be a file with the mended bytes, got {value_file}: no such file")
    for one in letter_ids:
        shell.place_of(one)
    settings, connection = _reached(config, broker, prefix)
    mended = {} if value_file is None else {letter_ids[0]: value_file.read_bytes()}
    at_ms = time.time_ns() // 1_000_000 if now else None
    desk = _desk(settings)
    names = desk.origins
    found = [
        letter
        for letter in shell.letters_in(connection, prefix=settings.prefix, desk=desk, at_ms=at_ms, mended=mended)
        if core.matches(letter, where, since_ms=since, ids=letter_ids)
    ]
    _refuse_missing(letter_ids, found, shell.topic_of(settings.prefix))
    newest = shell.newest_in(connection, core.keys_to_look_up(found, names), prefix=settings.prefix, desk=desk)
    verdicts = [core.plan(letter, names, newest, most=most, again=again) for letter in found]
    ready = [letter for letter, verdict in zip(found, verdicts, strict=True) if verdict == "ready"]
    sent = 0
    if yes and ready:
        sending = shell.send_back(connection, ready, prefix=settings.prefix, at_ms=at_ms, mended=mended)
        sent = asyncio.run(sending)
    if as_json:
        rows = [_plain(one) | {"verdict": verdict} for one, verdict in zip(found, verdicts, strict=True)]
        print_json({"ready": len(ready), "redriven": sent, "is_dry_run": not yes, "letters": rows})
        return
    _print_verdicts(found, verdicts, sent=sent, yes=yes)


def _desk(settings: Settings) -> Desk:
    from streams.roles.letters import Desk

    return Desk.of(settings.prefix, settings.topics, settings.mapping)


def _reached(config: Path | None, broker: str | None, prefix: str | None) -> tuple[Settings, Connection]:
    """The settings, and a connection to their broker, which answers.

    Raises:
      BrokerUnavailableError: it does not.
    """
    from streams.connect import connection_of
    from streams.transport import admin

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=click.echo, timeout_s=0.0)
    return settings, connection


def _refuse_missing(letter_ids: tuple[str, ...], found: list[Letter], topic: str) -> None:
    from streams.errors import DeadLetterError

    if missing := sorted(set(letter_ids) - {letter.id for letter in found}):
        raise DeadLetterError(
            f"expected letters {', '.join(missing)} on {topic}, got none, or copies of earlier ones, or ones that "
            "--where and --since leave out; see `marquee dlq ls`"
        )


def _plain(letter: Letter) -> dict[str, Any]:
    """A letter as JSON has it."""
    origin = letter.origin
    return {
        "id": letter.id,
        "topic": None if origin is None else origin.topic,
        "partition": None if origin is None else origin.partition,
        "offset": None if origin is None else origin.offset,
        "key": None if origin is None or origin.key is None else origin.key.decode("utf-8", "backslashreplace"),
        "first_origin": letter.first_origin or None,
        "redrives": letter.redrives,
        "is_redriven": letter.is_redriven,
        "stage": letter.stage,
        "reason": letter.reason,
        "size_bytes": letter.size_bytes,
        "original_bytes": letter.original_bytes,
        "timestamp_ms": letter.timestamp_ms,
        "copies": letter.copies,
    }


def _state(letter: Letter) -> str:
    """What became of a letter, in a word or two."""
    said = "redriven" if letter.is_redriven else ""
    return f"{said} (failed {letter.redrives} x)".strip() if letter.redrives else said


def _when(timestamp_ms: int) -> str:
    """A time as people read it, UTC."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(timestamp_ms / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"


def _print_letters(letters: list[Letter], states: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streams.printable import printable

    table = Table("id", "origin", "when", "bytes", "stage", "reason", "", box=None, header_style="bold")
    for letter, state in zip(letters, states, strict=True):
        place = "?" if letter.origin is None else letter.origin.place
        cells = (letter.id, place, _when(letter.timestamp_ms), f"{letter.original_bytes:,}", letter.stage)
        table.add_row(*(Text(printable(cell)) for cell in (*cells, letter.reason, state)))
    Console().print(table)


def _print_counts(counts: list[tuple[tuple[str, str], int]], total: int, shown: int) -> None:
    from streams.printable import printable

    click.echo(f"\n{total:,} letters" + (f", the newest {shown:,} shown" if shown < total else ""))
    for (stage, reason), count in counts[:20]:
        click.echo(f"{count:>9,}  {printable(stage)}: {printable(reason, most=100)}")


def _print_letter(letter: Letter, headers: list[tuple[str, str]], text: str) -> None:
    from streams.printable import printable

    click.echo(f"letter {letter.id}, of {_when(letter.timestamp_ms)} UTC, {letter.original_bytes:,} bytes")
    for name, value in headers:
        click.echo(f"  {printable(name)}: {printable(value, most=2_100)}")
    click.echo(f"this version says: {printable(letter.refusal or 'it can be taken', most=2_100)}")
    if letter.original_bytes > letter.size_bytes:
        click.echo(f"kept are the first {letter.size_bytes:,} bytes")
    click.echo(printable(text, most=SHOWN_CHARS))
    if len(text) > SHOWN_CHARS:
        click.echo("(cut; --raw gives it whole)")


def _print_verdicts(letters: list[Letter], verdicts: list[Verdict], *, sent: int, yes: bool) -> None:
    from collections import Counter

    from streams.cores.redrive import WHY

    if not yes:
        _print_letters(letters[-SHOWN_LETTERS:], [str(verdict) for verdict in verdicts[-SHOWN_LETTERS:]])
    for verdict, count in Counter(verdicts).most_common():
        if verdict != "ready":
            click.echo(f"{count:>9,}  {verdict}: {WHY[verdict]}")
    ready = verdicts.count("ready")
    click.echo(f"{sent:,} letters redriven" if yes else f"{ready:,} letters would be redriven; --yes does it")
