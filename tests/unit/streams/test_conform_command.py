"""`marquee conform` on files, and `marquee contract`: what they print, write and exit with."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from streams.cli import run
from streams.contract import asyncapi, codec, rules, schemas
from tests.factories import make_interaction

DOCS = Path(__file__).parents[3] / "docs"
GOOD = codec.encode(make_interaction(user_id="u-1"))


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    assert run(["conform", *arguments]) == code
    return capsys.readouterr().out


def test_good_lines_pass_blank_and_windows_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("interactions.v1.jsonl").write_bytes(GOOD + b"\r\n\n  \n" + GOOD)
    assert said(capsys, "interactions.v1.jsonl", code=0).startswith(
        "2 records of interactions.v1.jsonl as interactions.v1, 2 taken, 0 refused\n"
    )


def test_what_is_wrong_is_told_with_its_line_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    broken = json.loads(GOOD) | {"user_id": "\x1b]0;owned\x07\u202e", "dwell_ms": -1, "dwellms": 2}
    Path("log").write_bytes(GOOD + b"\n" + json.dumps(broken, ensure_ascii=False).encode() + b"\n\xff\x9b31m\n")
    text = said(capsys, "log", "--as", "interactions.v1", code=1)
    assert "1 x schema of dwell_ms: expected `int` >= 0, got -1\n    first at line 2: {" in text
    assert "1 x syntax: expected UTF-8, got invalid start byte" in text
    assert r"\xff\x9b31m" in text
    assert all(char.isprintable() or char == "\n" for char in text)
    whole = said(capsys, "log", "--as", "interactions.v1", "--json", code=1)
    assert all(char.isprintable() or char == "\n" for char in whole)


def test_the_docs_show_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"```text\n(\d+ records of .*?)```", (DOCS / "events.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [json.dumps(json.loads(GOOD) | ({"dwellms": 1} if 3 <= n < 415 else {})) for n in range(1, 1_001)]
    lines[16] = shown[0].partition("line 17: ")[2].partition("\n")[0]
    lines[499] = json.dumps(json.loads(GOOD) | {"dwell_ms": -2})
    lines[229] = shown[0].partition("line 230: ")[2].partition("\n")[0]
    lines[998] = lines[999] = lines[2]
    Path("events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert shown == [said(capsys, "events.jsonl", "--as", "interactions.v1", code=1)]


def test_a_pipe_is_a_file_and_a_folder_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(GOOD))
    writer.start()
    assert said(capsys, "pipe", "--as", "interactions.v1", code=0).startswith("1 records of pipe")
    writer.join()
    Path("items.v1").mkdir()
    assert run(["conform", "items.v1", "--prefix", "nowhere", "--key-separator", ":"]) == 2


def test_for_machines_it_is_one_object(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(GOOD + b'\n{"event_id":1}\n' + GOOD.replace(b"{", b'{"tenant":1,', 1)))
    monkeypatch.setattr("sys.stdin", stream)
    found: Any = json.loads(said(capsys, "-", "--as", "interactions.v1", "--json", code=1))
    assert (found["topic"], found["ok"], found["records"], found["refused"]) == ("interactions.v1", False, 3, 1)
    (problem,) = found["problems"]
    assert problem["wrong"] == {"stage": "schema", "field": "event_id", "expected": "`str`", "got": "`int`"}
    assert (problem["place"], problem["count"], problem["value"]) == ("line 2", 1, '{"event_id":1}')
    assert [one["name"] for one in found["unknown"]] == ["tenant"]


def test_keys_are_checked_where_the_lines_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("log").write_bytes(b"u-1\t" + GOOD + b"\nu-2\t" + GOOD + b"\nnull\tnull\n" + GOOD)
    text = said(capsys, "log", "--as", "interactions.v1", "--key-separator", "\t", code=1)
    assert "4 records of log as interactions.v1, 3 taken, 0 refused, 1 without a value (they are skipped)" in text
    assert '2 x key: expected the bytes of `user_id` alone, got "u-2", where `user_id` is "u-1"' in text
    assert said(capsys, "log", "--as", "interactions.v1", "--most", "1", "--key-separator", "\t", code=0)


def test_a_line_that_is_far_too_long_is_counted_whole_and_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    for length in (rules.MAX_RECORD_BYTES, rules.MAX_RECORD_BYTES + 1, 5_000_000):
        filled = GOOD[:-1] + b',"x":"' + b"x" * (length - len(GOOD) - 7) + b'"}'
        assert len(filled) == length
        Path("log").write_bytes(filled + b"\n" + GOOD + b"\n")
        text = said(capsys, "log", "--as", "interactions.v1", code=int(length > rules.MAX_RECORD_BYTES))
        assert (f"1 x size: expected a value of <= 1000000 bytes, got {length}\n" in text) == (length > 1_000_000)
        assert text.startswith("2 records")


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("log").write_bytes(b"\n")
    assert "nothing was checked" in said(capsys, "log", "--as", "users.v1", code=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["log"], "name the topic that its records are for: --as"),
        (["nowhere.jsonl"], "expected a file that is there, or a topic, got nowhere.jsonl"),
        (["log", "--as", "dead-letters.v1"], "Invalid value for '--as'"),
        (["items.v1", "--key-separator", ":"], "--key-separator is for a file"),
        (["-", "--as", "items.v1", "--key-separator", ""], "must not be empty"),
        (["log", "--most", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("log").write_bytes(GOOD)
    assert run(["conform", *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_topic_without_a_broker_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["conform", "items.v1", "--broker", "127.0.0.1:1"]) == 3
    assert "no Kafka broker answers" in capsys.readouterr().err


def test_the_contract_is_written_whole_or_in_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "--out", "a/b", "--prefix", "prod"]) == 0
    assert {path.name for path in Path("a/b").iterdir()} == {
        "asyncapi.json", "openapi.json", "marquee.proto", *(f"{name}.schema.json" for name in schemas.json_schemas()),
        *(f"{name}.v1.avsc" for name in ("interactions", "items", "users", "requests")),
    }  # fmt: skip
    document = json.loads(Path("a/b/asyncapi.json").read_bytes())
    assert document == asyncapi.document(version=document["info"]["version"], prefix="prod")
    assert json.loads(Path("a/b/items.v1.schema.json").read_bytes()) == schemas.json_schemas()["items.v1"]
    for only, names in (("asyncapi", ["asyncapi.json"]), ("json-schema", sorted(schemas.json_schemas()))):
        assert run(["contract", "--out", only, "--format", only]) == 0
        assert sorted(path.name.removesuffix(".schema.json") for path in Path(only).iterdir()) == names
    capsys.readouterr()
    assert run(["contract"]) == 0
    assert json.loads(capsys.readouterr().out)["asyncapi"] == "3.0.0"
    assert run(["contract", "--format", "json-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schemas.json_schemas()


def test_a_folder_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_bytes(b"")
    assert run(["contract", "--out", "file/under"]) == 1
    assert "--out must be a folder that can be written" in capsys.readouterr().err
