"""CPU an interaction of another shape costs to read, beside the contract's own decoder on the same events.

The same events are written twice, as the contract has them and as a platform's own nested document with fields that
nobody asks for; both decoders run in this process, in turns, and the least of the rounds counts: what a decoder takes
when nothing else has the core. Learning an event takes some 200 us of CPU (`benchmarks.bench_learn`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.report import Figure, report
from streams.contract import codec
from streams.contract.codec import Decode
from streams.contract.events import Interaction
from streams.mapping.decoders import decoder_of
from streams.mapping.shapes import shape_of

EVENTS: Final = 20_000
ROUNDS: Final = 25
START_MS: Final = 1_700_000_000_000
NESTED: Final[dict[str, Any]] = {
    "user": "viewer.id", "item": "content.id", "time": "sentAt", "time_unit": "ms", "action": "kind",
    "words": {"WATCHED": "play", "OPENED": "click", "HEARTBEAT": ""}, "dwell_ms": "player.watchedMs",
    "surface": "screen",
}  # fmt: skip
FLAGS: Final = {name: one for name, one in NESTED.items() if name not in ("action", "words")} | {
    "rules": [
        {"action": "like", "when": {"liked": True}}, {"action": "click", "column": "clicked", "equals": 1},
        {"action": "impression"},
    ]
}  # fmt: skip
SHAPES: Final = {
    "words, with event ids": NESTED | {"event_id": "uuid"},
    "words, ids of the bytes": NESTED,
    "flags, with event ids": FLAGS | {"event_id": "uuid"},
}


def records(seed: int = 0) -> tuple[list[bytes], list[bytes]]:
    """The same events as the contract has them, and in a shape of their own."""
    rng = np.random.default_rng(seed)
    users, items, stays = (rng.integers(1, most, EVENTS).tolist() for most in (50_000, 10_000, 600_000))
    ours, theirs = [], []
    for at in range(EVENTS):
        event = Interaction(
            event_id=f"{seed:08x}-{at:08x}", user_id=str(users[at]), item_id=str(items[at]), action="play",
            occurred_at_ms=START_MS + at, dwell_ms=stays[at], surface="home",
        )  # fmt: skip
        ours.append(codec.encode(event))
        theirs.append(
            msgspec.json.encode({
                "uuid": event.event_id, "kind": "WATCHED", "sentAt": event.occurred_at_ms,
                "viewer": {"id": users[at], "plan": "basic"}, "content": {"id": items[at], "title": "A title"},
                "player": {"watchedMs": stays[at], "bitrate": 4500}, "screen": "home", "clicked": 1, "liked": False,
            })
        )  # fmt: skip
    return ours, theirs


def us_each(decode: Decode, values: Sequence[bytes]) -> float:
    """CPU time of one pass, us a record."""
    started_s = time.process_time()
    for value in values:
        decode(value, START_MS + EVENTS)
    return (time.process_time() - started_s) / len(values) * 1e6


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "").parse_args()
    ours, theirs = records()
    plain: Any = codec.decoder(Interaction)
    decoders = {
        name: decoder_of(Interaction, shape_of("interactions", one, where=name)) for name, one in SHAPES.items()
    }
    for decode in decoders.values():
        assert isinstance(decode(theirs[0], START_MS + EVENTS), Interaction)
    best = {name: us_each(decode, theirs) for name, decode in decoders.items()}
    least = us_each(plain, ours)
    for _ in range(ROUNDS):
        least = min(least, us_each(plain, ours))
        best = {name: min(best[name], us_each(decode, theirs)) for name, decode in decoders.items()}
    for name, us in best.items():
        print(f"{name}: {us:.2f} us, the contract's own {least:.2f} us")
    figures = [
        Figure(
            name=f"mapped interactions read, {name}", ours=1e6 / us, unit="events/s of CPU", limit=1e6 / least,
            goal="ratio >= 0.15" if "bytes" in name else "ratio >= 0.2",
        )
        for name, us in best.items()
    ]  # fmt: skip
    report(*figures)


if __name__ == "__main__":
    main()
