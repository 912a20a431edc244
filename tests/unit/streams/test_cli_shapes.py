"""`marquee map` and `marquee import` on files, with no broker."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from streams import cli
from tests.factories import NOW_MS


@pytest.fixture
def plays(tmp_path: Path) -> Path:
    path = tmp_path / "plays.jsonl"
    rows = [
        {"userId": n % 7, "clip": {"id": f"v{n % 5}"}, "eventType": "WATCHED" if n % 2 else "LIKED", "ts": NOW_MS + n}
        for n in range(40)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)) + '\n{"userId": 7, "eventType": "LIKED", "ts": 7}\n')
    return path


def test_a_proposal_is_toml_that_the_import_takes(
    plays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = plays.read_text().replace("clip", "video")
    plays.write_text(text)
    assert cli.run(["map", "--sample", str(plays)]) == 0
    out, err = capsys.readouterr()
    assert tomllib.loads(out)["mapping"]["interactions"]["item"] == "video.id"
    assert "41 records: 40 taken, 0 left out, 1 refused" in err
    assert "at `$.video.id`" in err
    mapping, bad = tmp_path / "plays.toml", tmp_path / "bad.jsonl"
    mapping.write_text(out)
    assert cli.run(["import", str(plays), "--mapping", str(mapping), "--dry-run", "--bad", str(bad), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["sent"], told["bad"]) == (41, {"interactions.v1": 40}, 1)
    assert told["first_bad"][0]["row"] == json.loads(bad.read_text())["row"] == 41
    assert cli.run(["import", str(plays), "--mapping", str(mapping), "--dry-run"]) == 1
    assert "row 41" in capsys.readouterr().out
    assert cli.run(["map", "--sample", str(plays), "--mapping", str(mapping), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trial"]["taken"] == 40


def test_a_shape_that_cannot_be_told_ends_with_one(plays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["map", "--sample", str(plays)]) == 1
    out, err = capsys.readouterr()
    assert "# item = ?" in out
    assert "no mapping of interactions without item" in err


def test_records_of_ours_do_not_go_to_topics_of_others(
    plays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "marquee.toml"
    config.write_text('[topics]\ninteractions = "plays"\n')
    assert cli.run(["replay", "movietweetings", "--config", str(config)]) == 2
    assert "a configuration that reads plays in another" in capsys.readouterr().err
    config.write_text('[mapping.interactions]\nuser = "u"\n')
    assert cli.run(["import", str(plays), "--config", str(config)]) == 2
    assert "[mapping] in" in capsys.readouterr().err
