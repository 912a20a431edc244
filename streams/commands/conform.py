"""`marquee conform`: does a producer keep the contract? For people, and as a step of the producer's own checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of
from streams.contract import rules
from streams.contract.topics import TOPICS, TopicSpec, topic_name
from streams.printable import printable

if TYPE_CHECKING:
    from streams.cores.conform import Came, Report
    from streams.settings import Settings

NEWEST: Final = 10_000
"""Records of a topic that are read where nothing is said."""
KEPT_BYTES: Final = 2 * rules.MAX_RECORD_BYTES
"""How much of a line is kept, bytes: more than any record and its key may have."""
CARRIED: Final = {spec.name: spec for spec in TOPICS if spec.event_type is not None}


@click.command(epilog="Example: marquee conform events.jsonl --as interactions.v1 --json")
@click.argument("source", metavar="FILE|TOPIC")
@click.option(
    "--as",
    "topic",
    type=click.Choice(list(CARRIED)),
    metavar="TOPIC",
    help="Whose records these are, as in interactions.v1; by default what the topic's or the file's name begins with.",
)
@click.option(
    "--most",
    type=click.IntRange(min=1),
    help=f"Most records: of a topic the newest, evenly over its partitions, {NEWEST} by default; of a file the first.",
)
@click.option(
    "--key-separator",
    metavar="TEXT",
    help="For a file: each line is key, TEXT, value, as Kafka's console consumer prints them; by default values alone, "
    "and keys are not checked.",
)
@broker_options
@json_option
def conform(
    source: str,
    topic: str | None,
    most: int | None,
    key_separator: str | None,
    config: Path | None,
    broker: str | None,
    prefix: str | None,
    as_json: bool,
) -> int:
    """Check a producer's records as the engine does: JSON lines of FILE (- is standard input), or those of a TOPIC.

    Tells each kind of what is wrong with its count and the first record of it. With --broker it is a TOPIC; otherwise a
    FILE where there is one. Exits with 1 when anything is refused or has a wrong key.
    """
    from streams.cores import conform as core

    settings = settings_of(config=config, broker=broker, prefix=prefix)
    is_file = source == "-" or (broker is None and Path(source).exists() and not Path(source).is_dir())  # or a pipe
    spec = _spec_of(source, topic, settings, is_file=is_file)
    if key_separator is not None and not (is_file and key_separator):
        raise click.UsageError("--key-separator is for a file, and must not be empty; a topic's keys are known")
    records = _lines(source, key_separator) if is_file else _newest(source, most or NEWEST, settings)
    if spec.event_type is None:
        raise TypeError(f"expected a topic that carries records, got {spec.name}")
    report = core.conform(spec, spec.event_type, islice(records, most) if is_file else records)
    if as_json:
        print_json({"topic": spec.name, "source": source, "ok": report.is_ok} | asdict(report))
    else:
        _print(report, spec, source)
    return int(not report.is_ok)


def _spec_of(source: str, topic: str | None, settings: Settings, *, is_file: bool) -> TopicSpec:
    """The topic that was named, or that the source is named after."""
    if topic is not None:
        return CARRIED[topic]
    name = Path(source).name if is_file else source.removeprefix(f"{settings.prefix}." if settings.prefix else "")
    found = [spec for spec in CARRIED.values() if name == spec.name or (is_file and name.startswith(f"{spec.name}."))]
    if found:
        return found[0]
    what = "a file that is there, or a topic" if not is_file else "to be told what the file holds"
    raise click.UsageError(
        f"expected {what}, got {printable(source)}; where that is right, name the topic that its records are for: "
        f"--as, with one of {', '.join(CARRIED)}"
    )


def _newest(source: str, most: int, settings: Settings) -> Iterator[Came]:
    """The newest records of a topic, by its name with or without the prefix."""
    from streams.connect import connection_of
    from streams.cores.conform import Came, newest
    from streams.transport import admin
    from streams.transport.whole import edges_of, read_whole

    name = topic_name(settings.prefix, source) if source in CARRIED else source
    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=lambda line: click.echo(line, err=True), timeout_s=0.0)
    edges = {partition: edge for (_, partition), edge in edges_of(connection, [name]).items()}
    for message in read_whole(connection, name, first=newest(edges, most)):
        key, value = message.key(), message.value()
        yield Came(
            place=f"partition {message.partition()}, offset {message.offset()}",
            key=key.encode() if isinstance(key, str) else key,
            value=value.encode() if isinstance(value, str) else value,
            timestamp_ms=message.timestamp()[1],
        )


def _lines(source: str, separator: str | None) -> Iterator[Came]:
    """The records of a file, one a line; blank lines are none. Memory does not grow with the length of a line."""
    from streams.cores.conform import Came

    try:
        with click.open_file(source, "rb") as file:
            for number, (line, size_bytes) in enumerate(_cut_lines(file), start=1):
                key: bytes | None = None
                value: bytes | None = line
                if separator is not None:
                    before, found, after = line.partition(separator.encode())
                    key, value = (_unless_null(before), _unless_null(after)) if found else (None, line)
                if line.strip():
                    yield Came(
                        place=f"line {number}", key=key, value=value, knows_key=separator is not None,
                        size_bytes=size_bytes - len(line) + len(value or b""),
                    )  # fmt: skip
    except OSError as error:
        raise click.ClickException(f"expected a file that can be read, got {source}: {error.strerror}") from None


def _cut_lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The beginning of each line, without its end, and how many bytes it has."""
    while head := file.readline(KEPT_BYTES):
        size_bytes, last, end = len(head), head, head[-2:]
        while not last.endswith(b"\n") and (last := file.readline(KEPT_BYTES)):
            size_bytes += len(last)
            end = (end + last)[-2:]
        ending = 0 if not end.endswith(b"\n") else 2 if end == b"\r\n" else 1
        yield head.removesuffix(b"\n").removesuffix(b"\r"), size_bytes - ending


def _unless_null(part: bytes) -> bytes | None:
    """Kafka's console consumer writes "null" where there is nothing."""
    return None if part == b"null" else part


def _print(report: Report, spec: TopicSpec, source: str) -> None:
    """For people: a line of counts, then each kind of problem with its first record; nothing steers the terminal."""
    taken = report.records - report.refused - report.without_value
    counts = [f"{report.records} records of {printable(source)} as {spec.name}", f"{taken} taken"]
    counts.append(f"{report.refused} refused")
    if report.without_value:
        meaning = spec.tombstone or "they are skipped"
        counts.append(f"{report.without_value} without a value ({meaning})")
    if report.wrong_keys:
        counts.append(f"{report.wrong_keys} with a wrong key")
    click.echo(", ".join(counts))
    if not report.records:
        click.echo("nothing was checked")
    for one in report.problems:
        wrong = one.wrong
        what = f"{wrong.stage}{' of ' * bool(wrong.field)}{printable(wrong.field)}"
        came = f", got {printable(wrong.got)}" if wrong.got else ""
        click.echo(f"\n{one.count} x {what}: expected {printable(wrong.expected, most=500)}{came}")
        click.echo(f"    first at {one.place}: {printable(one.value)}")
    for unknown in report.unknown:
        like = f"; is `{unknown.like}` meant?" if unknown.like else ""
        click.echo(f"\n{unknown.count} x field `{unknown.name}` is not read, first at {unknown.place}{like}")
