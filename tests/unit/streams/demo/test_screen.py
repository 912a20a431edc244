"""The screen fits its terminal, says what it should, and nobody's title can steer it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streams.demo import screen, summary
from streams.demo.making import Line, Making
from streams.demo.screen import Scene
from streams.demo.summary import Outcome
from streams.demo.watch import RANKERS, Figures, Place, Quality, Shown

LINE = Line(
    kind="image",
    title="Bikes",
    audience="everybody",
    gain="+9 clicks",
    why="clicked 2 of 61",
    state="wanted",
    became="",
)
NASTY = "\x1b[2J[bold]Evil[/bold]\n\x07"


def figures(**changes: object) -> Figures:
    places = tuple(
        Place(
            rank=rank, title=f"Film {rank}", score=9.5 - rank, source="tower", reason="often follows Alien", moved=moved
        )
        for rank, moved in enumerate((0, 3, -2, None) * 5, start=1)
    )
    default = {
        "produced": 20_000, "learned": 12_345, "per_second": 398.0, "steps": 210, "items": 12_611, "users": 4_321,
        "slates": 9_999, "fresh_p50_ms": 41.4, "fresh_p99_ms": 149.6, "reflected": 11_000, "waiting": 3,
        "dead_letters": 4, "last_reason": "expected JSON",
        "quality": {
            ranker: Quality(hr_at_10=0.25 - n / 20, ndcg_at_10=0.125, curve=(0.1, 0.2, None, None))
            for n, ranker in enumerate(RANKERS)
        },
        "shown": Shown(user_id="4711", chose="Alien (1979)", value=9.0, number=3, places=places),
    }  # fmt: skip
    return Figures(**(default | changes))  # type: ignore[arg-type]


def scene(**changes: object) -> Scene:
    default = {"phase": "learns", "steps": (), "elapsed_s": 75.0, "total": 20_000, "broken": 5}
    return Scene(**(default | changes))  # type: ignore[arg-type]


def drawn(renderable: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, height=60, force_terminal=False)
    console.print(renderable)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (100, 36), (120, 40), (200, 60)])
@pytest.mark.parametrize("is_early", [False, True])
def test_it_fits_the_terminal(width, height, is_early):
    seen = figures(quality={}, shown=None, fresh_p50_ms=None, fresh_p99_ms=None) if is_early else figures()
    for making in (Making(), Making(lines=(LINE,) * 20, tasks=20)):
        lines = drawn(screen.picture(scene(making=making), seen, width=width, height=height), width).splitlines()
        assert len(lines) == height
        assert max(map(len, lines)) <= width


def test_what_the_studio_makes_is_there_when_there_is_room():
    making = Making(lines=(LINE,), tasks=1)
    for height, is_there in ((30, False), (40, True)):
        text = drawn(screen.picture(scene(making=making), figures(), width=120, height=height), 120)
        assert ("clicked 2 of 61" in text) == is_there
        assert ("1 tasks, 0 made" in text) == is_there


def test_every_figure_is_on_the_smallest_terminal():
    text = drawn(screen.picture(scene(), figures(), width=80, height=24), 80)
    for word in ("12,345 of 20,000", "398/s", "210", "12,611", "4,321", "41 ms", "150 ms", "4 of 5 fed", "0.250",
                 "0.200", "0.125", "Marquee", "transitions", "popularity", "4711", "Alien (1979)", "9 of 10",
                 "▲3", "▼2", "new", "Film 1", "8.50", "tower", "1:15", "Ctrl-C"):  # fmt: skip
        assert word in text, word


def test_reasons_are_there_when_there_is_room():
    assert "often follows Alien" in drawn(screen.picture(scene(), figures(), width=120, height=40), 120)


def test_setting_up_ticks_off_what_is_done():
    text = drawn(screen.picture(scene(steps=("the one", "the other")), figures(), width=80, height=24), 80)
    assert "✓ the one" in text
    assert "✓ the other" not in text
    assert "the other" in text


def test_a_restart_is_told():
    assert "trainer: met an error" in drawn(
        screen.picture(scene(notice="trainer: met an error"), figures(), width=80, height=24), 80
    )


def test_titles_and_ids_are_shown_as_text_whatever_they_hold():
    place = Place(rank=1, title=NASTY, score=1.0, source="tower", reason=NASTY, moved=None)
    nasty = Shown(user_id=NASTY, chose=NASTY, value=None, number=1, places=(place,))
    seen = figures(shown=nasty, last_reason=NASTY)
    text = drawn(screen.picture(scene(notice=NASTY), seen, width=140, height=40), 140)
    text += screen.line(scene(notice=NASTY), seen)
    assert "[bold]Evil[/bold]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_plain_line_says_it_all():
    line = screen.line(scene(), figures())
    assert "\n" not in line
    for word in (
        "12,345 of 20,000",
        "398/s",
        "HR@10 0.250 (transitions 0.200, popularity 0.150)",
        "p50 41 p99 150 ms",
        "4",
    ):
        assert word in line


def test_a_plain_line_before_the_stream_is_the_step():
    assert screen.line(scene(steps=("one", "two")), figures()).endswith("two")


@pytest.mark.parametrize(
    ("points", "thinned"), [(2, [1, 3]), (4, [1, 2, 3, 4]), (8, [1, 1, 2, 2, 3, 3, 4, 4]), (0, [])]
)
def test_a_curve_is_cut_to_its_room(points, thinned):
    assert screen.thinned([1, 2, 3, 4], points) == thinned


def test_a_curve_is_stretched_in_straight_lines():
    assert screen.stretched([0.0, 1.0], 4) == [0.0, 0.25, 0.75, 1.0]
    assert screen.stretched([3.0], 3) == [3.0, 3.0, 3.0]
    assert screen.stretched([1.0, 1.0, None, None], 8) == [1.0, 1.0, 1.0, 1.0, None, None, None, None]
    assert screen.stretched([None, None, 2.0, 2.0], 4) == [None, None, 2.0, 2.0]


def outcome(**changes: object) -> Outcome:
    default = {"figures": figures(), "total": 20_000, "films": 12_611, "broken": 6, "streamed": 18_500,
               "streamed_s": 37.0, "is_complete": True}  # fmt: skip
    return Outcome(**(default | changes))  # type: ignore[arg-type]


def test_the_summary_has_the_figures_and_the_way_on():
    text = drawn(summary.summary(outcome()))
    for word in ("20,000", "12,611", "500 events/s", "0.250", "41 ms (p50)", "150 ms (p99)", "6 broken", "marquee run"):
        assert word in text


def test_an_early_end_is_not_called_success():
    text = drawn(summary.summary(outcome(is_complete=False, is_interrupted=True)))
    assert "12,345 of 20,000" in text
    assert "✓" not in text


def test_json_has_the_same_figures():
    found = summary.to_json(outcome())
    assert (found["learned"], found["per_second"], found["dead_letters"]) == (12_345, 500.0, 4)
    assert found["model"] == {"hr_at_10": 0.25, "ndcg_at_10": 0.125}
