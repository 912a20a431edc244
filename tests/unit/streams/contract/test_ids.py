"""Derived ids: known values, worked out with b2sum, and what they must tell apart."""

from __future__ import annotations

from streams.contract import ids


def test_an_id_is_blake2b_128_over_length_and_text() -> None:
    # printf '\5\0\0\0\0\0\0\0hello' | b2sum -l 128
    assert ids.derive("hello") == "75abcde22a0c83a399870449cf0a47dc"
    # printf '\3\0\0\0\0\0\0\0a\303\274\1\0\0\0\0\0\0\0c' | b2sum -l 128
    assert ids.derive("aü", "c") == "44ee513d04e1ae70530152b6c4e0093c"


def test_where_a_part_ends_matters() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("c", "ab"), ()]
    assert len({ids.derive(*each) for each in parts}) == len(parts)


def test_an_id_fits_the_contract_whatever_it_was_made_of() -> None:
    assert len(ids.derive("x" * 1_000_000, "\ud800", "\x00")) == 32


def test_a_pushed_slate_hangs_on_user_and_event() -> None:
    first = ids.pushed_request_id(user_id="u", event_id="e")
    assert first == ids.pushed_request_id(user_id="u", event_id="e")
    assert first != ids.pushed_request_id(user_id="e", event_id="u")
    assert first != ids.replayed_event_id(log="u", position=0)


def test_replayed_events_hang_on_log_and_position() -> None:
    made = {ids.replayed_event_id(log=log, position=n) for log in ("ml-1m", "ml-1m1") for n in (0, 1, 10, 11)}
    assert len(made) == 8


def test_a_content_task_is_the_same_wish_in_any_order_of_keys() -> None:
    def task(audience: dict[str, object], locale: str | None = "fr") -> str:
        return ids.content_task_id(item_id="i", kind="dub", audience=audience, locale=locale, spec={"voice": "warm"})

    assert task({"a": 1, "b": 2}) == task({"b": 2, "a": 1})
    assert len({task({"a": 1}), task({"a": "1"}), task({}), task({}, None)}) == 4
