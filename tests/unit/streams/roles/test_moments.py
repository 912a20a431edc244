"""Which past moment a word means, and when a rebuilt state has come to it."""

import pytest

from streams.contract.events import OffsetRange
from streams.durability.ledger import Placed
from streams.errors import SettingsError
from streams.roles.moments import Moment
from tests.factories import make_ledger_record

SOURCE = ("p.interactions.v1", 3)


def placed(*spans):
    return [
        Placed(at, make_ledger_record(step=at + 1, ranges=[
            OffsetRange(topic=SOURCE[0], partition=SOURCE[1], first=first, last=last, records=1)
        ]))
        for at, (first, last) in enumerate(spans)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "moment"),
    [
        ("now", Moment()),
        ("120", Moment(step=120)),
        ("ms:1700000000000", Moment(time_ms=1_700_000_000_000)),
        ("2023-11-14T22:13:20Z", Moment(time_ms=1_700_000_000_000)),
        ("2023-11-14T23:13:20+01:00", Moment(time_ms=1_700_000_000_000)),
        ("interactions.v1/3:17", Moment(source=SOURCE, offset=17)),
        ("p.interactions.v1/3:17", Moment(source=SOURCE, offset=17)),
    ],
)
def test_a_word_means_a_moment(word, moment):
    assert Moment.parse(word, prefix="p") == moment


@pytest.mark.parametrize(
    "word", ["yesterday", "-3", "", "a/b", "ms:", "ms:9" + "9" * 30, "1969-01-01T00:00:00Z", "2023-11-14T22:13:20"]
)
def test_other_words_are_refused(word):
    with pytest.raises(SettingsError, match="expected a "):
        Moment.parse(word)


def test_a_state_beyond_the_moment_is_not_rebuilt_from():
    clocks, offsets = {SOURCE: 500}, {SOURCE: 17}
    assert Moment().is_behind(9, offsets, clocks)
    assert Moment(step=9).is_behind(9, offsets, clocks)
    assert not Moment(step=8).is_behind(9, offsets, clocks)
    assert Moment(time_ms=500).is_behind(9, offsets, clocks)
    assert not Moment(time_ms=499).is_behind(9, offsets, clocks)
    assert Moment(source=SOURCE, offset=17).is_behind(9, offsets, clocks)
    assert not Moment(source=SOURCE, offset=16).is_behind(9, offsets, clocks)


def test_steps_up_to_a_record_and_none_for_one_that_was_not_learned():
    todo = placed((0, 9), (10, 19), (25, 29))
    assert Moment(source=SOURCE, offset=10).steps_of(todo) == todo[:2]
    assert Moment(step=1).steps_of(todo) == todo[:1]
    assert Moment(time_ms=4).steps_of(todo) == Moment().steps_of(todo) == todo
    with pytest.raises(SettingsError, match=r"expected a record that was learned, got p.interactions.v1/3:20"):
        Moment(source=SOURCE, offset=20).steps_of(todo)


def test_a_time_ends_before_the_first_younger_record():
    assert not Moment(time_ms=500).is_before([400, 500])
    assert Moment(time_ms=500).is_before([400, 501])
    assert not Moment(time_ms=500).is_before([400, 450, 2**50])  # one is stamped wrongly
    assert not Moment().is_before([2**40])
    assert not Moment(time_ms=500).is_before([])
