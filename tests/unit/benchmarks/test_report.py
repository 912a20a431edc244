"""The last line of a benchmark: ratios, goals, and what must never be printed."""

import json

import pytest

from benchmarks.report import Figure, last_line, machine, report, versions

HERE = {"machine": {"cpu": "abacus"}, "versions": {"jax": "1.2.3"}}


@pytest.mark.parametrize(
    ("goal", "ours", "limit", "ok"),
    [
        ("ratio >= 0.8", 80.0, 100.0, True),
        ("ratio >= 0.8", 79.0, 100.0, False),
        ("ratio <= 1.15", 115.0, 100.0, True),
        ("ratio <= 1.15", 116.0, 100.0, False),
        ("ours <= 200", 200.0, None, True),
        ("ours <= 200", 200.5, None, False),
        ("ours >= 10000", 9_999.0, 1.0, False),
        (None, 1.0, None, None),
    ],
)
def test_goal_is_judged_on_the_ratio_or_on_our_value(goal, ours, limit, ok):
    assert Figure(name="f", ours=ours, limit=limit, unit="ms", goal=goal).ok is ok


def test_a_peer_is_compared_like_a_limit():
    figure = Figure(name="search", ours=30.0, peer=10.0, unit="queries/s", goal="ratio >= 2")

    assert figure.ratio == pytest.approx(3.0)
    assert figure.as_dict() == {
        "name": "search",
        "ours": 30.0,
        "peer": 10.0,
        "ratio": 3.0,
        "goal": "ratio >= 2",
        "ok": True,
        "unit": "queries/s",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ours": float("nan")}, "ours must be finite, got nan"),
        ({"ours": 1.0, "limit": float("inf")}, "limit must be finite, got inf"),
        ({"ours": 1.0, "limit": 0.0}, "limit or peer is 0"),
        ({"ours": 1.0, "limit": 2.0, "peer": 3.0}, "expected limit or peer, got both"),
        ({"ours": 1.0, "goal": "fast"}, "must read like 'ratio >= 0.8' or 'ours <= 200', got 'fast'"),
        ({"ours": 1.0, "goal": "ratio >= 0.8"}, "needs a limit or a peer, got neither"),
    ],
)
def test_a_figure_that_says_nothing_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Figure(name="f", unit="ms", **fields)


def test_line_holds_the_figures_the_extras_the_machine_and_the_versions():
    first = Figure(name="rate", ours=8.0, limit=10.0, unit="events/s", goal="ratio >= 0.5")
    second = Figure(name="p99", ours=3.0, unit="ms", goal="ours <= 2")

    line = json.loads(last_line(first, second, **HERE, spread=0.1))

    assert line == {
        "name": "rate",
        "ours": 8.0,
        "limit": 10.0,
        "ratio": 0.8,
        "goal": "ratio >= 0.5",
        "ok": True,
        "unit": "events/s",
        **HERE,
        "also": [{"name": "p99", "ours": 3.0, "ratio": None, "goal": "ours <= 2", "ok": False, "unit": "ms"}],
        "spread": 0.1,
    }


def test_an_extra_never_hides_a_field():
    with pytest.raises(ValueError, match=r"names of their own, got \['ratio', 'unit'\]"):
        last_line(Figure(name="f", ours=1.0, unit="ms"), **HERE, unit="s", ratio=9.0)


def test_an_extra_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        last_line(Figure(name="f", ours=1.0, unit="ms"), **HERE, p99=float("nan"))


def test_report_prints_the_line_last(capsys):
    report(Figure(name="f", ours=1.0, unit="ms"))

    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["name"] == "f"
    assert line["machine"] == machine()
    assert line["versions"] == versions()


def test_machine_names_cores_and_memory_and_versions_leave_out_what_is_not_installed():
    assert int(str(machine()["core_count"])) >= 1
    assert float(str(machine()["memory_gib"])) > 0
    found = versions(["numpy", "no-such-distribution-as-this"])
    assert list(found) == ["numpy"]
    assert found["numpy"].split(".")[0].isdigit()
