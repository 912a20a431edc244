"""What `marquee dlq` refuses before it looks for a broker."""

from __future__ import annotations

import pytest

from streams.cli import run
from streams.commands.where import since_ms


@pytest.mark.parametrize("name", ["ls", "show", "redrive"])
def test_each_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", name, "--help"]) == 0
    assert f"Example: marquee dlq {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--where", "colour=red"], "expected reason=TEXT, topic=TEXT, stage=TEXT, key=TEXT, got 'colour=red'"),
        (["ls", "--where", "reason"], "got 'reason'"),
        (["ls", "--since", "yesterday"], "expected a time like 2026-01-31, 2026-01-31T12:00, 90m, 2h or 7d"),
        (["redrive", "0/1", "--value", "/nowhere"], "must be a file with the mended bytes, got /nowhere"),
        (["redrive", "--most", "0"], "0 is not in the range"),
        (["redrive", "--value", __file__], "--value mends one letter: expected one ID, got 0"),
        (["redrive", "0/1", "0/2", "--value", __file__], "expected one ID, got 2"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("letter_id", ["17", "a/b", "0/-1", "0/1/2", "٣/1"])
def test_an_id_that_is_none_is_said(letter_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", "redrive", letter_id, "--broker", "127.0.0.1:1"]) == 1
    assert f"must be partition/offset, got {letter_id!r}" in capsys.readouterr().err


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert since_ms("1970-01-02", now_ms=0) == 86_400_000
    assert since_ms("1970-01-01T01:00+01:00", now_ms=0) == 0
    assert [since_ms(text, now_ms=700_000_000) for text in ("5s", "5m", "1h", "7d")] == [
        699_995_000, 699_700_000, 696_400_000, 95_200_000,
    ]  # fmt: skip
