"""The words and sets that several roles decide by."""

from __future__ import annotations

import typing

from streams.contract import events, rules

DESIGNED = {
    "impression", "click", "play", "progress", "complete", "like", "dislike",
    "rate", "share", "skip", "hide", "purchase", "search-click",
}  # fmt: skip


def test_action_words_are_the_design_s_in_every_place() -> None:
    assert set(typing.get_args(events.Action)) == DESIGNED
    assert rules.ACTION_WORDS == DESIGNED


def test_an_action_is_for_against_or_neither() -> None:
    assert rules.LEARNED_ACTIONS < rules.POSITIVE_ACTIONS
    assert not rules.POSITIVE_ACTIONS & rules.NEGATIVE_ACTIONS
    neither = rules.ACTION_WORDS - rules.POSITIVE_ACTIONS - rules.NEGATIVE_ACTIONS
    assert neither == {"impression"}


def test_what_hides_an_item_is_never_rewatchable() -> None:
    assert rules.HIDING_ACTIONS < rules.NEGATIVE_ACTIONS
    assert not rules.HIDING_ACTIONS & rules.REWATCHABLE_ACTIONS


def test_a_full_dead_letter_fits_kafka_s_default_record() -> None:
    kafka_default_bytes = 1_048_588
    headers_bytes = 4 * rules.MAX_ID_CHARS + 4 * rules.MAX_REASON_CHARS + 2_048
    assert rules.MAX_RECORD_BYTES + headers_bytes < kafka_default_bytes
