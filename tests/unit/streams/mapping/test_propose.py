"""Proposals: what fields of common shapes are taken for, and what the proposal then does with the sample."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.mapping.decoders import KINDS, decoder_of
from streams.mapping.looks import Sampled, look, time_unit_of, words_of
from streams.mapping.propose import Proposal, propose
from streams.mapping.shapes import shape_of
from streams.mapping.trial import Trial, tried
from tests.factories import NOW_MS


def proposed(records: list[Any], *, keys: list[bytes | None] | None = None) -> tuple[Proposal, Trial | None]:
    """The proposal for a sample, and its trial."""
    values = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in records]
    sample = [Sampled(value, key) for value, key in zip(values, keys or [None] * len(values), strict=True)]
    proposal = propose(look(sample))
    if proposal.missing:
        return proposal, None
    shape = shape_of(proposal.kind, proposal.table, where="test")
    return proposal, tried(sample, decoder_of(KINDS[proposal.kind], shape))


def feed(count: int = 40) -> list[dict[str, Any]]:
    """Nested records with words, as a player sends them."""
    kinds = ("WATCHED", "LIKED", "video_start", "LOGIN")
    return [
        {
            "messageId": f"m-{n}",
            "userId": n % 7,
            "content": {"id": f"v{n % 5}", "title": "T"},
            "eventType": kinds[n % 4],
            "ts": NOW_MS + n,
            "ingestedAt": "2023-11-14T22:13:25Z",
            "watchedSeconds": n,
            "device": {"type": "tv"},
            "position": n % 3,
        }
        for n in range(count)
    ]


def test_a_player_s_events_are_understood_and_the_proposal_takes_them() -> None:
    proposal, trial = proposed(feed(), keys=[str(n % 7).encode() for n in range(40)])
    assert proposal.table == {
        "user": "userId",
        "item": "content.id",
        "time": "ts",
        "time_unit": "ms",
        "event_id": "messageId",
        "action": "eventType",
        "words": {"WATCHED": "play", "LIKED": "like", "video_start": "play", "LOGIN": ""},
        "dwell_ms": "watchedSeconds",
        "dwell_unit": "s",
        "position": "position",
        "position_from": 0,
    }
    sure = {one.name for one in proposal.choices if one.is_sure}
    assert {"user", "time", "time_unit", "event_id"} <= sure
    assert "words" not in sure  # spelling is no proof
    assert trial is not None
    assert (trial.records, trial.taken, trial.skipped, trial.refused, trial.keyed) == (40, 30, 10, 0, 30)
    assert trial.actions == {"play": 20, "like": 10}


def test_flags_become_rules_the_strongest_first() -> None:
    rows = [
        {
            "user_id": n,
            "video_id": n % 5,
            "time_ms": NOW_MS + n,
            "is_click": n % 2,
            "is_like": int(n % 8 == 1),
            "is_hate": int(n == 3),
            "play_time_ms": n,
            "duration_ms": 50,
            "tab": 1,
        }
        for n in range(40)
    ]
    proposal, trial = proposed(rows)
    assert [(one["action"], one.get("column")) for one in proposal.table["rules"]] == [
        ("hide", "is_hate"),
        ("like", "is_like"),
        ("click", "is_click"),
        ("impression", None),
    ]
    assert (proposal.table["dwell_ms"], proposal.table["duration_ms"]) == ("play_time_ms", "duration_ms")
    assert trial is not None
    assert trial.actions == {"impression": 20, "click": 14, "like": 5, "hide": 1}


def test_rows_of_text_as_a_csv_has_them() -> None:
    proposal, trial = proposed(
        [
            {"UserID": str(n), "MovieID": str(n % 5), "Rating": "4.5", "Timestamp": str(NOW_MS // 1000 + n)}
            for n in range(30)
        ]
    )
    assert proposal.table == {
        "user": "UserID",
        "item": "MovieID",
        "time": "Timestamp",
        "time_unit": "s",
        "value": "Rating",
    }
    assert trial is not None
    assert trial.actions == {"rate": 30}


def test_a_catalogue_is_known_as_one() -> None:
    proposal, trial = proposed(
        [
            {
                "film": {"id": n},
                "title": f"Film {n}",
                "genres": "a|b",
                "runtime_ms": 5,
                "year": 1999,
                "director": "D",
                "overview": "text",
            }
            for n in range(30)
        ]
    )
    assert proposal.kind == "items"
    assert proposal.table == {
        "item": "film.id",
        "title": "title",
        "text": "overview",
        "tags": "genres",
        "tags_separator": "|",
        "creator": "director",
        "duration_s": "runtime_ms",
        "duration_unit": "ms",
        "published": "year",
        "published_unit": "year",
    }
    assert trial is not None
    assert trial.taken == 30


def test_what_nothing_speaks_for_is_said_and_bad_records_are_shown() -> None:
    proposal, trial = proposed([{"a": n, "b": "x"} for n in range(10)])
    assert (proposal.missing, trial) == (["user", "item", "time"], None)
    records = [*feed(), b"{", feed()[0] | {"userId": None}]
    _, trial = proposed(records)
    assert trial is not None
    assert (trial.refused, [place for place, _, _ in trial.bad]) == (2, [41, 42])
    assert "at `$.userId`" in trial.bad[1][1]


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (NOW_MS, "ms"),
        (NOW_MS // 1000, "s"),
        (NOW_MS * 1000, "us"),
        (str(NOW_MS), "ms"),
        ("2023-11-14T22:13:20Z", "iso"),
        ("2023-11-14", "iso"),
        (7, None),
        ("soon", None),
        (True, None),
        ([1], None),
        (None, None),
    ],
)
def test_units_of_time_are_told_by_their_numbers(value: object, unit: str | None) -> None:
    fields = look([Sampled(json.dumps({"t": value}).encode())]).fields
    assert (time_unit_of(fields["t"]) if "t" in fields else None) == unit


def test_words_of_a_path() -> None:
    assert words_of("user.lastSeenAt_ms") == ("user", "last", "seen", "at", "ms")
    assert words_of("UserID") == ("user", "id")
    assert words_of("a-b c") == ("a", "b", "c")
