"""`marquee forget` refuses what no user can be called, before it asks anybody anything."""

from __future__ import annotations

import pytest

from streams import cli
from streams.commands.forget import is_id


@pytest.mark.parametrize("user", ["", "x" * 1_000_000, "\udcff"])
def test_what_no_user_is_called_is_one_clear_line(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["forget", "u-1", user]) == cli.WRONG_USAGE
    _, err = capsys.readouterr()
    assert "expected user ids of 1 to" in err
    assert len(err) < 1_000


def test_ids_in_any_script_are_ids() -> None:
    assert all(map(is_id, ("4711", "ユーザー", "a b/../c", "🎬")))
