"""`marquee studio train` and `eval`: what they print and leave; figures are those of a handful of scenes."""

from __future__ import annotations

import json

import pytest

from streams.cli import run
from tests.vision_weights import blind


@pytest.mark.parametrize(
    ("what", "figure"),
    [
        ("detect", "map50"),
        ("segment", "iou_figures"),
        ("track", "mota"),
        ("reframe", "portrait_jerk_naive"),
    ],
)
def test_a_judgement_ends_with_one_line_of_json(what, figure, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = ["--scenes", "8", "--clips", "1", "--seed", "3", "--weights", str(blind(tmp_path))]
    assert run(["studio", "eval", what, *told]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    told = json.loads(last)
    assert told["name"].startswith(f"{what}: ")
    assert told["ok"] == (told["ours"] >= float(told["goal"].removeprefix("ours >= ")))
    assert told["ours"] in told["figures"].values()
    assert figure in told["figures"]
    assert len(table) == len(told["figures"])


def test_weights_that_are_not_there_end_with_the_reason(tmp_path, capsys):
    assert run(["studio", "eval", "detect", "--weights", str(tmp_path)]) == 1
    assert "marquee studio train detect" in capsys.readouterr().err
    assert run(["studio", "train", "segment", "--out", str(tmp_path / "o"), "--start", str(tmp_path)]) == 1
    assert "expected weights of 'detect'" in capsys.readouterr().err
