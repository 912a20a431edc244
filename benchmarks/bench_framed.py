"""What a record behind a schema registry's header costs to decode, beside the same record as plain JSON.

Pure: no broker and no registry, interactions with some context, decoded one after the other as a topic's reader does.
Plain JSON is measured beside the bare parser as well: looking for headers must cost it nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.report import Figure, report
from streams.contract import codec, framed, languages, topics
from streams.contract.events import Interaction
from streams.registry import avro, protobuf
from tests import framed as write

AVRO_ID, PROTO_ID = 1, 2
TURNS = 7


def events(count: int) -> list[Interaction]:
    """Interactions as a platform sends them."""
    return [
        Interaction(
            event_id=f"event-{at}", user_id=f"user-{at % 997}", item_id=f"item-{at % 4_001}", action="play",
            occurred_at_ms=1_700_000_000_000 + at, surface="home", position=1 + at % 20, request_id=f"request-{at}",
            context={"device": "tv", "hour": at % 24},
        )
        for at in range(count)
    ]  # fmt: skip


def us_each(decode: Callable[[bytes, int], Any], values: list[bytes]) -> float:
    """Processor time a record, microseconds."""
    began_s = time.process_time()
    for value in values:
        decode(value, -1)
    return (time.process_time() - began_s) / len(values) * 1e6


def main() -> None:
    """Write, decode in turns, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few records: to see that it runs")
    count = 2_000 if parser.parse_args().quick else 50_000
    told = events(count)
    plain = [codec.encode(event) for event in told]
    framed.KNOWN[AVRO_ID] = avro.transcoder(json.dumps(languages.avro_schema(topics.INTERACTIONS)))
    framed.KNOWN[PROTO_ID] = protobuf.transcoder(languages.proto_file())
    with tempfile.TemporaryDirectory() as folder:
        proto = write.Proto(languages.proto_file(), Path(folder))
    by_avro = [write.avro(topics.INTERACTIONS, AVRO_ID, event) for event in told]
    by_proto = [
        write.header(PROTO_ID) + b"\0" + proto.body("marquee.Interaction", write.plain(event)) for event in told
    ]
    decode, parse = codec.decoder(Interaction), msgspec.json.Decoder(Interaction).decode
    for values in (plain, by_avro, by_proto):
        if any(decode(value, -1) != event for value, event in zip(values, told, strict=True)):
            raise RuntimeError("expected the same records, got others")
    turns = [
        (
            us_each(decode, plain), us_each(decode, by_avro), us_each(decode, by_proto),
            us_each(lambda value, _: parse(value), plain),
        )
        for _ in range(TURNS)
    ]  # fmt: skip
    ours, of_avro, of_proto, bare = (statistics.median(column) for column in zip(*turns, strict=True))
    report(
        Figure(name="an interaction in Avro, header to event, beside plain JSON", ours=of_avro, limit=ours, unit="us",
               goal="ours <= 20"),
        Figure(name="the same in Protobuf", ours=of_proto, limit=ours, unit="us", goal="ours <= 40"),
        Figure(name="plain JSON, beside the bare parser", ours=ours, limit=bare, unit="us"),
        turns=TURNS, records=count, bytes_each={
            "json": sum(map(len, plain)) / count, "avro": sum(map(len, by_avro)) / count,
            "protobuf": sum(map(len, by_proto)) / count,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
