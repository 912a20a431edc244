"""The merger against a sort of everything at once, over random logs, chunkings and schedules."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transport.merge import Merger, Source, Stamped

TOPICS = ("items", "interactions")


def naive_order(logs: dict[Source, list[Stamped[int]]], topic_order: tuple[str, ...]) -> list[Stamped[int]]:
    """Oracle: tag every record with its partition's running maximum, then sort the lot."""
    tagged = []
    for source, records in logs.items():
        clocks = accumulate((record.timestamp_ms for record in records), max)
        rank = topic_order.index(source[0]) if source[0] in topic_order else len(topic_order)
        tagged += [((clock, rank, source, r.offset), r) for clock, r in zip(clocks, records, strict=True)]
    return [record for _, record in sorted(tagged, key=lambda pair: pair[0])]


@st.composite
def event_logs(draw: st.DrawFn) -> dict[Source, list[Stamped[int]]]:
    """Up to five partitions; timestamps mostly rise, offsets have gaps as compaction leaves them."""
    sources = draw(st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(0, 3)), min_size=1, max_size=5, unique=True))
    logs = {}
    for source in sources:
        stamps = draw(st.lists(st.integers(0, 40), max_size=30))
        if draw(st.booleans()):
            stamps = sorted(stamps)
        steps = draw(st.lists(st.integers(1, 3), min_size=len(stamps), max_size=len(stamps)))
        offsets = list(accumulate(steps, initial=draw(st.integers(0, 5))))[1:]
        logs[source] = [Stamped(source, at, offset, at) for at, offset in zip(stamps, offsets, strict=True)]
    return logs


def assigned(logs: dict[Source, list[Stamped[int]]], *, idle_ms: int = 0) -> Merger[int]:
    merger: Merger[int] = Merger(8, idle_ms=idle_ms, topic_order=TOPICS)
    for source, records in logs.items():
        merger.position(source, 0, records[-1].offset + 1 if records else 0)
    return merger


@given(event_logs(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_schedule_gives_the_order_of_one_sort(logs: dict[Source, list[Stamped[int]]], data: st.DataObject) -> None:
    merger, given_out, left = assigned(logs), [], {source: list(records) for source, records in logs.items()}
    while any(left.values()):
        source = data.draw(st.sampled_from(sorted(s for s, records in left.items() if records)))
        size = data.draw(st.integers(1, 10))
        merger.offer(source, left[source][:size])
        left[source] = left[source][size:]
        given_out += merger.take(data.draw(st.integers(1, 12)))
    while batch := merger.take(5):
        given_out += batch
    assert given_out == naive_order(logs, TOPICS)
    assert len(merger) == 0


@given(event_logs(), st.data())
@settings(max_examples=100, deadline=None)
def test_nothing_leaves_that_a_silent_source_could_still_precede(
    logs: dict[Source, list[Stamped[int]]], data: st.DataObject
) -> None:
    """One source lags behind its highwater: whatever leaves comes before all that it has yet to offer."""
    behind = data.draw(st.sampled_from(sorted(logs)))
    merger = assigned(logs)
    merger.position(behind, 0, 10_000)
    offered = data.draw(st.integers(0, len(logs[behind])))
    for source, records in logs.items():
        merger.offer(source, records[:offered] if source == behind else records)
    given_out = []
    while batch := merger.take(7):
        given_out += batch
    rest = logs[behind][offered:]
    order = naive_order(logs, TOPICS)
    if rest:
        assert all(order.index(record) < order.index(rest[0]) for record in given_out)
    assert given_out == order[: len(given_out)]
    assert merger.max_skew_ms == naive_skew_ms(given_out)


def naive_skew_ms(records: list[Stamped[int]]) -> int:
    worst = 0
    for i, record in enumerate(records):
        worst = max([worst] + [earlier.timestamp_ms - record.timestamp_ms for earlier in records[:i]])
    return worst


@given(event_logs(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_restart_repeats_each_batch_from_its_ranges(
    logs: dict[Source, list[Stamped[int]]], data: st.DataObject
) -> None:
    """Batches cut live while sources come and go are rebuilt from ranges and stored clocks, bit for bit."""
    live, now_ms, batches = assigned(logs, idle_ms=5), 0, []
    left = {source: list(records) for source, records in logs.items()}
    stop = data.draw(st.integers(0, 4))
    stored: tuple[dict[Source, int], int] | None = None
    while any(left.values()) or len(live):
        now_ms += data.draw(st.integers(0, 6))
        if waiting := sorted(s for s, records in left.items() if records):
            source = data.draw(st.sampled_from(waiting))
            size = data.draw(st.integers(1, 10))
            live.position(source, 0, left[source][:size][-1].offset + 1)
            live.offer(source, left[source][:size], now_ms=now_ms)
            left[source] = left[source][size:]
        if batch := live.take(4, now_ms=now_ms):
            batches.append(batch)
        if len(batches) == stop and stored is None:
            stored = (live.clocks(), len(batches))
    clocks, done = stored if stored is not None else ({}, 0)
    read = {r.source: r.offset + 1 for batch in batches[:done] for r in batch}
    again: Merger[int] = Merger(8, topic_order=TOPICS)
    for source, records in logs.items():
        again.position(source, read.get(source, 0), None, clock_ms=clocks.get(source))
        again.offer(source, [r for r in records if r.offset >= read.get(source, 0)])
    for batch in batches[done:]:
        ranges: dict[Source, tuple[int, int]] = {}
        for r in batch:
            ranges[r.source] = (ranges.get(r.source, (r.offset, 0))[0], r.offset)
        assert again.take_ranges(ranges) == batch
