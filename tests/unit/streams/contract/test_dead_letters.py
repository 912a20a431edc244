"""What a dead letter keeps of the record that was refused."""

from __future__ import annotations

from streams.contract import rules
from streams.contract.codec import Rejected
from streams.contract.dead_letters import DeadLetter, Origin, dead_letter

ORIGIN = Origin(topic="prod.interactions.v1", partition=3, offset=2**40, timestamp_ms=1_700_000_000_000, key=b"user-1")


def test_bytes_origin_reason_and_stage_are_kept() -> None:
    assert dead_letter(Rejected(b"\xff{", "expected UTF-8", "syntax"), ORIGIN) == DeadLetter(
        key=b"prod.interactions.v1/3/1099511627776",
        value=b"\xff{",
        headers=(
            ("origin-topic", b"prod.interactions.v1"),
            ("origin-partition", b"3"),
            ("origin-offset", b"1099511627776"),
            ("origin-timestamp-ms", b"1700000000000"),
            ("reason", b"expected UTF-8"),
            ("stage", b"syntax"),
            ("origin-key", b"user-1"),
        ),
        timestamp_ms=1_700_000_000_000,
    )


def test_a_record_without_key_has_no_key_header_and_an_empty_key_has() -> None:
    bare = Origin(topic="t", partition=0, offset=0, timestamp_ms=-1)
    assert "origin-key" not in dict(dead_letter(Rejected(b"", "r", "s"), bare).headers)
    empty = Origin(topic="t", partition=0, offset=0, timestamp_ms=-1, key=b"")
    assert dict(dead_letter(Rejected(b"", "r", "s"), empty).headers)["origin-key"] == b""


def test_a_value_too_long_for_the_topic_is_cut_and_says_so() -> None:
    whole = b"x" * rules.MAX_RECORD_BYTES
    kept = dead_letter(Rejected(whole, "r", "s"), ORIGIN)
    assert kept.value == whole
    assert "original-bytes" not in dict(kept.headers)
    cut = dead_letter(Rejected(whole + b"yz", "r", "size"), ORIGIN)
    assert cut.value == whole
    assert dict(cut.headers)["original-bytes"] == b"1000002"


def test_headers_stay_small_and_encodable_whatever_came() -> None:
    origin = Origin(topic="t", partition=0, offset=0, timestamp_ms=0, key=b"k" * 1_000_000)
    headers = dict(dead_letter(Rejected(b"", "é\ud800" * 10_000, "s"), origin).headers)
    assert len(headers["reason"]) <= 4 * rules.MAX_REASON_CHARS
    assert headers["origin-key"] == b"k" * 1024
