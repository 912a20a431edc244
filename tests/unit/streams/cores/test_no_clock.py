"""The machine's clock is no part of the state: learned in another century, the same log gives the same bytes."""

from __future__ import annotations

import random
import time

import pytest

from models.recommend.state import to_arrays
from streams.durability.ledger import learned_hash
from streams.durability.manifest import entries_of
from tests import engines
from tests.announced import LOG

CATALOGUE = engines.catalogue(range(1, 12))


def learned() -> str:
    """Hash of all that the log and a catalogue teach."""
    return learned_hash(entries_of(to_arrays(engines.taught(LOG, items=CATALOGUE).state)))


@pytest.mark.parametrize("at_s", [-1e9, 0.0, 4e9])
def test_the_state_does_not_depend_on_when_it_is_learned(at_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = learned()
    monkeypatch.setattr(time, "time", lambda: at_s)
    monkeypatch.setattr(time, "time_ns", lambda: int(at_s * 1e9))
    random.seed(at_s)
    assert learned() == expected


def test_another_log_gives_another_state() -> None:
    assert learned_hash(entries_of(to_arrays(engines.taught(LOG[:-1], items=CATALOGUE).state))) != learned()
