"""`marquee eval` and `marquee compare` from the command line: what comes out, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from streams.cli import run
from tests.planted import random_log

pytestmark = pytest.mark.usefixtures("in_its_own_folder")


@pytest.fixture
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No marquee.toml of somebody else's is read; tables are as wide as they need; no encoder is looked for.

    The commands name cache folders in the environment: that ends with the test.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("MARQUEE_TEXT_ENCODER", "hashed")
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log with columns of its own names, and the mapping that explains them."""
    rows = (f"u{e.user},i{e.item},{e.at_ms},{n % 3 != 2:d},tab{e.user % 2}\n" for n, e in enumerate(random_log(300)))
    (tmp_path / "plays.csv").write_text("who,what,when,ok,where\n" + "".join(rows), encoding="utf-8")
    (tmp_path / "plays.toml").write_text(
        """
        [events]
        user = "who"
        item = "what"
        time = "when"
        time_unit = "ms"
        surface = "where"
        rules = [{ column = "ok", equals = 1, action = "play" }]
        """,
        encoding="utf-8",
    )
    return str(tmp_path / "plays.csv")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json", "--resamples", "20"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    found: dict[str, Any] = json.loads(last)
    return found


def test_eval_says_its_figures_as_json(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("eval", log, "--mapping", "plays.toml", "--model", "counts")
    found = answer(capsys, *asked, "--baselines", "popularity, knn")
    assert found["events"] == 200, "two of three rows are events"
    assert {"hr_at_10", "ndcg_at_10", "scored", "hr_at_10_interval"} <= set(found)
    assert set(found["baselines"]) == {"decayed_popularity", "transitions", "popularity", "knn"}
    assert (found["order"], found["model"], found["protocol"]) == ("file", "counts", "prequential")
    assert found["text_encoder"] == "hashed"
    assert {part["is"] for part in found["segments"] if part["by"] == "surface"} == {"tab0", "tab1"}
    assert answer(capsys, *asked, "--first", "100")["events"] == 100
    assert answer(capsys, *asked, "--repeats", "score")["scored"] > found["scored"]
    frozen = answer(capsys, *asked, "--protocol", "temporal")["frozen"]
    assert frozen["learned"] == 180


def test_eval_says_what_slates_cost(log: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "still.toml").write_text("[slates]\ndiversity = 0.0\n", encoding="utf-8")
    asked = ("eval", log, "--mapping", "plays.toml", "--model", "counts", "--slates", "--config", "still.toml")
    found = answer(capsys, *asked)
    slates, off = found["slates"], found["slates"]["off"]
    assert next(iter(slates)) == "off"
    assert "as set" in slates
    assert off["hr_at_10"] == pytest.approx(found["hr_at_10"], abs=0.02), "but for ties, the model's own"
    assert off["coverage"] == found["lists"]["model"]["coverage"]
    assert (off["price_hr_at_10"], off["against_first"]["hr_at_10"]["difference"]) == (0.0, 0.0)
    assert {name: slates["as set"][name] for name in off} == off, "nothing is asked for, so nothing is changed"
    assert run([*asked]) == 0
    assert "slates of 10" in capsys.readouterr().out


def test_where_nothing_is_hit_nothing_has_a_price(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "again.csv").write_text("user_id,item_id,timestamp\nu,i,5\nu,i,6\n", encoding="utf-8")
    asked = ("eval", "again.csv", "--model", "counts", "--slates")
    assert answer(capsys, *asked)["slates"]["as set"]["price_hr_at_10"] is None
    assert run([*asked]) == 0
    assert "nan" not in capsys.readouterr().out


def test_eval_prints_a_table(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", log, "--mapping", "plays.toml", "--model", "counts", "--protocol", "leave-one-out"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("plays", "leave-one-out", "Marquee", "transitions", "surface", "coverage"))
    assert "text encoder: hashed" in out


def test_compare_tells_two_configurations_apart(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rate in (("a.toml", 0.05), ("b.toml", 0.5)):
        Path(name).write_text(f'[model]\nbias_rate = {rate}\n[model.towers]\nflavour = "counts"\n', encoding="utf-8")
    found = answer(capsys, "compare", "a.toml", "b.toml", log, "--mapping", "plays.toml")
    assert (found["first"]["config"], found["second"]["config"]) == ("a.toml", "b.toml")
    apart = found["second"]["hr_at_10"] - found["first"]["hr_at_10"]
    assert found["hr_at_10"]["difference"] == pytest.approx(apart)
    assert run(["compare", "a.toml", "b.toml", log, "--mapping", "plays.toml"]) == 0
    assert "second less first" in capsys.readouterr().out


def test_each_of_the_two_has_the_text_encoder_of_its_file(
    log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MARQUEE_TEXT_ENCODER")  # it would go before the files
    for name, encoder in (("a.toml", "hashed"), ("b.toml", "minilm")):
        content = f'text_encoder = "{encoder}"\n[model.towers]\nflavour = "counts"\n'
        Path(name).write_text(content, encoding="utf-8")
    found = answer(capsys, "compare", "a.toml", "b.toml", log, "--mapping", "plays.toml")
    assert found["text_encoders"] == ["hashed", "minilm"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--mapping", "nothing.toml"), 1, "expected a mapping, one of"),
        (("--mapping", "kuairand"), 1, "expected a column"),
        (("--mapping", "plays.toml", "--baselines", "magic"), 1, "expected baselines among"),
        (("--mapping", "plays.toml", "--plot", "figure.doc"), 1, "expected a picture ending in"),
        (("--protocol", "k-fold"), 2, "Invalid value for '--protocol'"),
        (("--resamples", "1"), 2, "Invalid value for '--resamples'"),
        ((), 1, "without user_id"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(
    log: str, arguments: tuple[str, ...], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", log, *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert reason in captured.err
