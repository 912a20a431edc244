"""`marquee studio` on files: what it writes, prints and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.cli import run
from streams.contract.events import Item
from streams.cores.cues import parse
from tests.films import film

ITEM = Item(item_id="ada", title="Engine", text="In 1843 Ada writes to Charles. She plans an engine.", language="en")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "item.json").write_bytes(msgspec.json.encode(ITEM))
    return tmp_path


def test_engines_are_listed_with_what_they_lack(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studio", "engines", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["engines"]
    assert {one["capability"] for one in listed} == {"cut", "image", "subtitles", "dub", "blurb"}
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


@pytest.mark.slow
def test_what_a_file_says_steers_no_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;mine\x07\x1b[2J"
    (here / "item.json").write_bytes(msgspec.json.encode(Item(item_id="a", title="T", text="T.", language=hostile)))
    assert run(["studio", "blurb", "item.json", "--locale", "de"]) == 1
    assert run(["studio", "subtitle", f"{hostile}.mp4", "--from", "item.json"]) == 1
    said = capsys.readouterr()
    assert "\\x1b" in said.err
    assert not {"\x1b", "\x07"} & set(said.out + said.err)


def test_what_is_no_item_or_no_length_is_wrong_usage(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.json").write_text("{}")
    for arguments in (["blurb", "bad.json"], ["blurb", "none.json"], ["cut", "film.mp4", "--target", "long"]):
        assert run(["studio", *arguments]) == 2
        assert "expected" in capsys.readouterr().err


@pytest.mark.slow
def test_a_film_is_dubbed_and_then_heard(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(here / "film.mp4", scenes=(0, 1), frames=60)
    (here / "lines.srt").write_text("1\n00:00:01,000 --> 00:00:03,500\nNobody has lived here since the war.\n")
    assert run(["studio", "dub", "film.mp4", "--script", "lines.srt", "--voice", "piper", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"][0]["path"] == "film.dub.mp4"
    assert (told["figures"]["lines"], told["figures"]["lines_unfit"]) == (1, 0)
    assert run(["studio", "subtitle", "film.dub.mp4", "--format", "srt", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engine"]["name"] == "whisper"
    (cue,) = parse((here / "film.dub.subtitles.srt").read_text())
    assert abs(cue.start_ms - 1_000) <= 200
    assert "since the war" in " ".join(cue.text.split())


@pytest.mark.slow
def test_a_dub_without_a_script_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(here / "film.mp4", scenes=(0,), frames=30)
    assert run(["studio", "dub", "film.mp4", "--locale", "de"]) == 1
    assert "expected a script in 'de'" in capsys.readouterr().err
