"""Which events each protocol learns and judges, by hand and as rules that hold for any log."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate import protocols

LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=60
)


def columns(log):
    user, item, gap, choice = (np.array(column) for column in zip(*log, strict=True))
    return user.astype(np.int32), item.astype(np.int32), np.cumsum(gap), choice.astype(bool)


@given(LOGS)
def test_rules_of_every_protocol(log):
    user, item, at_ms, choice = columns(log)
    split_ms = at_ms[int(len(log) * 0.9)]
    made = protocols.prequential(user, item, at_ms, choice)
    assert made.place.tolist() == np.flatnonzero(choice).tolist()
    assert made.learns.all()
    assert made.judged.tolist() == (made.place >= len(log) // 10).tolist()

    going_on = protocols.successive(user, item, at_ms, choice)
    frozen = protocols.frozen(user, item, at_ms, choice)
    for one in (going_on, frozen):
        assert one.place.tolist() == made.place.tolist()
    later = at_ms[made.place] >= split_ms
    assert going_on.learns.all()
    assert going_on.judged.tolist() == later.tolist()
    assert frozen.learns.tolist() == (~later).tolist()
    pairs = [
        pair for pair, is_later in zip(zip(user[choice], item[choice], strict=True), later, strict=True) if is_later
    ]
    assert frozen.judged[later].tolist() == [pair not in pairs[:n] for n, pair in enumerate(pairs)]
    assert not frozen.judged[~later].any()


@given(LOGS)
def test_leave_one_out_keeps_one_choice_of_each_user_with_two(log):
    user, item, at_ms, choice = columns(log)
    made = protocols.leave_one_out(user, item, at_ms, choice)
    assert sorted(made.place.tolist()) == np.flatnonzero(choice).tolist()
    assert (made.learns != made.judged).all()
    assert not made.learns[np.flatnonzero(made.judged)[:1].sum() :].any() or not made.judged.any()
    for who in range(5):
        own = [place for place in np.flatnonzero(choice) if user[place] == who]
        judged = made.place[made.judged & (made.user == who)].tolist()
        assert judged == (own[-1:] if len(own) > 1 else [])


def test_by_hand():
    log = [(0, 0, 1, True), (0, 1, 1, True), (1, 0, 1, False), (1, 1, 1, True), (0, 2, 1, True)] * 4
    user, item, at_ms, choice = columns(log)
    assert np.flatnonzero(~protocols.prequential(user, item, at_ms, choice).judged).tolist() == [0, 1]
    assert protocols.successive(user, item, at_ms, choice).place[-2:].tolist() == [18, 19]
    assert np.flatnonzero(protocols.successive(user, item, at_ms, choice).judged).tolist() == [14, 15]
    made = protocols.leave_one_out(user, item, at_ms, choice)
    assert made.place[made.judged].tolist() == [18, 19]
