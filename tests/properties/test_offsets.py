"""Exact delivery over a framework that drops, delays and rewinds at random: each record once an epoch, in order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transport.merge import Source
from streams.transport.offsets import Chunk, Positions

SOURCES: list[Source] = [("t", 0), ("t", 1)]


@dataclass(frozen=True)
class Rec:
    offset: int


class Broker:
    """Logs with gaps, and the driver's own place in each, which others may move."""

    def __init__(self, offsets: dict[Source, list[int]]) -> None:
        self.offsets, self.place = offsets, dict.fromkeys(offsets, 0)

    def fetch(self, source: Source, count: int) -> list[Rec]:
        found = [Rec(at) for at in self.offsets[source] if at >= self.place[source]][:count]
        if found:
            self.place[source] = found[-1].offset + 1
        return found


@given(
    st.lists(st.lists(st.integers(1, 3), max_size=25), min_size=2, max_size=2),
    st.lists(
        st.tuples(
            st.sampled_from(["fetch", "lose", "lose the middle", "someone seeks", "restart", "stale"]),
            st.integers(0, 1),
            st.integers(1, 9),
            st.integers(0, 40),
        ),
        max_size=60,
    ),
)
@settings(max_examples=300)
def test_every_record_arrives_once_in_order_whatever_happens_on_the_way(
    gaps: list[list[int]], steps: list[tuple[str, int, int, int]]
) -> None:
    logs: dict[Source, list[int]] = {}
    for source, steps_up in zip(SOURCES, gaps, strict=True):
        at, logs[source] = 0, []
        for step in steps_up:
            at += step
            logs[source].append(at)
    broker, positions = Broker(logs), Positions()
    ends = {source: offsets[-1] + 1 if offsets else 0 for source, offsets in logs.items()}
    started_at = dict.fromkeys(SOURCES, 0)
    positions.start(started_at, ends)
    arrived: dict[Source, list[int]] = {source: [] for source in SOURCES}
    late: list[Chunk[Rec]] = []

    def read(source: Source, count: int, lost: range = range(0)) -> None:
        for one, at in positions.to_refetch().items():
            broker.place[one] = at
        positions.refetched(list(positions.to_refetch()))
        chunks = positions.cut(source, broker.fetch(source, count), chunk_records=2)
        late.extend(chunks)
        for i, chunk in enumerate(chunks):
            if i not in lost and positions.deliver(chunk):
                arrived[source] += [record.offset for record in chunk.records]
                positions.done(source, chunk.next_offset)
        positions.note_end(source, position=broker.place[source], end=ends[source])

    for what, index, count, place in steps:
        source = SOURCES[index]
        if what == "fetch":
            read(source, count)
        elif what == "lose":
            read(source, count, lost=range(99))
        elif what == "lose the middle":
            read(source, count, lost=range(1, 2))
        elif what == "someone seeks":
            positions.distrust([source])
            broker.place[source] = place
        elif what == "stale" and late:
            chunk = late[place % len(late)]  # from an earlier fetch, perhaps one that was lost
            if positions.deliver(chunk):
                arrived[chunk.source] += [record.offset for record in chunk.records]
                positions.done(chunk.source, chunk.next_offset)
        elif what == "restart":
            started_at = {one: min(place, ends[one]) for one in SOURCES}
            positions.start(started_at, ends)
            arrived = {one: [] for one in SOURCES}
            late.clear()
    for source in SOURCES:
        for _ in range(60):
            read(source, 9)
        assert arrived[source] == [at for at in logs[source] if at >= started_at[source]]
        assert positions.delivered_offsets()[source] == max(ends[source], started_at[source])
    assert positions.is_ready()
