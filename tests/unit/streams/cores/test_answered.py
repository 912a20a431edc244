"""What a worker remembers of tasks: done for ever, failed until told again, the newest telling; and not too much."""

import itertools

from streams.cores.answered import Answered, Telling, Tellings
from streams.cores.render import Place
from tests.factories import make_content_asset, make_content_task

AT = ("tasks", 0)


def record(status, until_ms, task_id="t"):
    return make_content_asset(task_id=task_id, status=status, not_after_ms=until_ms)


def told(until_ms, task_id="t", **changes):
    return make_content_task(task_id=task_id, not_after_ms=until_ms, **changes)


def known(*records, most=10):
    answered = Answered(most)
    for one in records:
        answered.take(one)
    return answered


def test_what_is_done_is_done_for_ever():
    assert known(record("done", 5)).has(told(10**12))


def test_what_failed_is_tried_again_when_it_is_told_again_later():
    for status in ("failed", "rejected"):
        answered = known(record(status, 5))
        assert answered.has(told(5))
        assert answered.has(told(4))
        assert not answered.has(told(6))
        assert not answered.has(told(5, task_id="other"))


def test_a_task_without_an_end_is_not_told_again_later():
    assert known(record("failed", None)).has(told(None))


def test_it_is_the_same_in_whichever_order_records_are_read():
    records = [record("failed", 5), record("failed", 9), record("rejected", 7)]
    for order in itertools.permutations(records):
        assert [known(*order).has(told(at)) for at in (9, 10)] == [True, False]
        assert known(*order, record("done", 1)).has(told(10))
        older, newer = known(*order[:1]), known(*order[1:])
        older.merge(newer)
        assert [older.has(told(at)) for at in (9, 10)] == [True, False]


def test_it_does_not_grow_for_ever():
    answered = known(*(record("done", 1, task_id=f"t{n}") for n in range(1_000)), most=10)
    assert len(answered) == 10
    assert answered.has(told(1, task_id="t999"))
    other = known(*(record("done", 1, task_id=f"u{n}") for n in range(10)), most=10)
    answered.merge(other)
    assert len(answered) == 10


def telling(until_ms, offset, *, at_ms=0, source=AT, **changes):
    return Telling(told(until_ms, **changes), Place(source, offset, 1), at_ms)


def test_the_last_telling_counts_whichever_is_begun():
    tellings = Tellings()
    old, new = telling(5, 1, at_ms=9), telling(8, 2, at_ms=3)
    for one in (new, old):
        tellings.begin(one)
    assert tellings.newest(old.task) == new.task
    gone = telling(8, 3, withdrawn=True)
    tellings.begin(gone)
    assert tellings.newest(old.task).withdrawn


def test_of_two_partitions_the_later_time_counts():
    tellings = Tellings()
    for one in (telling(5, 1, at_ms=9), telling(8, 2, at_ms=3, source=("tasks", 1))):
        tellings.begin(one)
    assert tellings.newest(told(8)).not_after_ms == 5


def test_what_is_no_longer_under_way_is_let_go_of():
    tellings = Tellings()
    for offset in range(3):
        tellings.begin(telling(5, offset))
    tellings.end("t", 2)
    assert len(tellings) == 1
    tellings.end("t")
    assert len(tellings) == 0
    assert tellings.newest(told(1)).not_after_ms == 1
