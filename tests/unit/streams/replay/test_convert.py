"""Rows of a log as events: every field as the log has it, lasting ids, nothing that the codec would refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from streams.contract.codec import decode, encode
from streams.contract.events import Interaction, Item
from streams.contract.ids import replayed_event_id
from streams.errors import LogFormatError
from streams.replay.convert import check_playable, to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import EventLog, read_log


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    (tmp_path / "toy.csv").write_text(
        "user_id,item_id,timestamp_ms,action,value,surface,dwell_ms,completion\n"
        "v,b,2000,play,,,,\nu,a,1000,rate,0.1,home,40,0.3\n"
    )
    (tmp_path / "toy.items.csv").write_text("item_id,title,tags,creator,published_at_ms\na,Film,x|y,Ada,-5\nc,,,,\n")
    return read_log(tmp_path / "toy.csv")


def test_interactions_by_hand(log: EventLog) -> None:
    assert list(to_interactions(log)) == [
        Interaction(
            event_id=replayed_event_id(log="toy", position=1),
            user_id="u",
            item_id="a",
            action="rate",
            occurred_at_ms=1_000,
            value=0.1,
            surface="home",
            dwell_ms=40,
            completion=0.3,
        ),
        Interaction(
            event_id=replayed_event_id(log="toy", position=0),
            user_id="v",
            item_id="b",
            action="play",
            occurred_at_ms=2_000,
        ),
    ]


def test_items_by_hand(log: EventLog) -> None:
    assert list(to_items(log.catalogue)) == [
        Item(item_id="a", title="Film", tags=["x", "y"], creator="Ada", published_at_ms=-5),
        Item(item_id="c"),
    ]


def test_parts_make_the_whole() -> None:
    log = read_log(PACKAGED_DIR / "movietweetings").head(1_000)

    whole = list(to_interactions(log))

    assert [event for first in range(0, 1_000, 300) for event in to_interactions(log, first, first + 300)] == whole
    assert len({event.event_id for event in whole}) == 1_000
    assert list(to_interactions(log, 5, 5)) == []
    for event in whole:
        assert decode(Interaction, encode(event), timestamp_ms=event.occurred_at_ms) == event
    for item in list(to_items(log.catalogue))[:1_000]:
        assert decode(Item, encode(item), timestamp_ms=whole[0].occurred_at_ms) == item


def test_what_every_record_would_be_refused_for_is_said_first(log: EventLog) -> None:
    check_playable(log)
    with pytest.raises(LogFormatError, match="expected the actions click, .* in toy, got watch; map them"):
        check_playable(dataclasses.replace(log, actions=("watch", "play")))
    with pytest.raises(LogFormatError, match="expected event times after 1970-01-01 in toy, got 0 ms"):
        check_playable(dataclasses.replace(log, time_ms=np.array([0, 5])))
