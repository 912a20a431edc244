"""When events of a replay are due."""

from __future__ import annotations

import numpy as np
import pytest

from streams.errors import ReplayError
from streams.replay.pace import Pace

TIMES_MS = np.array([5_000, 5_000, 25_000, 65_000])


def test_schedules() -> None:
    assert Pace.parse("max").schedule_s(TIMES_MS).tolist() == [0.0, 0.0, 0.0, 0.0]
    assert Pace.parse("10x").schedule_s(TIMES_MS).tolist() == [0.0, 0.0, 2.0, 6.0]
    assert Pace.parse("0.5x").schedule_s(TIMES_MS).tolist() == [0.0, 0.0, 40.0, 120.0]
    assert Pace.parse("4/s").schedule_s(TIMES_MS).tolist() == [0.0, 0.25, 0.5, 0.75]
    assert all(len(Pace.parse(rate).schedule_s(TIMES_MS[:0])) == 0 for rate in ("max", "2x", "3/s"))


@pytest.mark.parametrize("text", ["", "fast", "0x", "-2x", "10", "10 x", "0/s", "nanx", "1e3x", "infx"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ReplayError, match="expected a rate like max, 10x or 500/s"):
        Pace.parse(text)
