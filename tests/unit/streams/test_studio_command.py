"""`marquee studio` on files: what it writes, prints and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.cli import run
from streams.contract.events import Item

ITEM = Item(item_id="ada", title="Engine", text="In 1843 Ada writes to Charles. She plans an engine.", language="en")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "item.json").write_bytes(msgspec.json.encode(ITEM))
    return tmp_path


def test_engines_are_listed_with_what_they_lack(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studio", "engines", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["engines"]
    assert {one["capability"] for one in listed} == {"cut", "image", "subtitles", "blurb"}
    assert {one["name"] for one in listed if one["unavailable"]} <= {"chat", "smollm"}
    assert {"chat", "smollm"} <= {one["name"] for one in listed}


@pytest.mark.slow
def test_a_blurb_is_written_beside_its_checks(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_STUDIO_ENGINES", "extract")
    assert run(["studio", "blurb", "item.json", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (here / "item.blurb.txt").read_text() == "In 1843 Ada writes to Charles. She plans an engine.\n"
    assert told["files"][0]["path"] == "item.blurb.txt"
    assert told["figures"]["unfounded"] == 0


@pytest.mark.slow
def test_subtitles_come_from_a_file_beside_a_film_that_is_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "film.mp4").write_bytes(b"no film")
    (here / "in.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    assert run(["studio", "subtitle", "film.mp4", "--from", "in.srt"]) == 1
    assert "expected media in film.mp4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_film_that_is_not_there_is_one_clear_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studio", "cut", "nothing.mp4"]) == 1
    assert "expected a file at" in capsys.readouterr().err


def test_what_is_no_item_or_no_length_is_wrong_usage(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.json").write_text("{}")
    for arguments in (["blurb", "bad.json"], ["blurb", "none.json"], ["cut", "film.mp4", "--target", "long"]):
        assert run(["studio", *arguments]) == 2
        assert "expected" in capsys.readouterr().err
