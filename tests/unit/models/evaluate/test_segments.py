"""Groups of events, by hand."""

import numpy as np

from models.evaluate.passage import passage_of
from models.evaluate.segments import ACTIVITY_MS, SURFACES_SHOWN, curve_of, segments_of


def passage(events, gap_ms=0):
    """One user takes one item again and again."""
    return passage_of(
        np.zeros(events, np.int32), np.zeros(events, np.int32), gap_ms * np.arange(events), place=np.arange(events),
        learns=np.ones(events, bool), judged=np.ones(events, bool),
    )  # fmt: skip


def shown(segments):
    return [segments.labels[group] for group in segments.group]


def test_history_sightings_and_activity_are_told_apart_at_their_edges():
    made = passage(501)
    nothing = np.zeros(501, np.int32)
    history, sightings, active = segments_of(made, np.arange(501), nothing, [""])
    at = [0, 4, 5, 19, 20, 99, 100, 500]
    assert [shown(history)[n] for n in at] == [
        "0-4 (new)", "0-4 (new)", "5-19", "5-19", "20-99", "20-99", "100 or more", "100 or more",
    ]  # fmt: skip
    assert [shown(sightings)[n] for n in at] == [
        "0-4 (new)", "0-4 (new)", "5-49", "5-49", "5-49", "50-499", "50-499", "500 or more",
    ]  # fmt: skip
    assert [shown(active)[n] for n in at] == ["0", "1-4", "5-19", "5-19", "20 or more"] + ["20 or more"] * 3


def test_activity_forgets_after_a_week():
    made = passage(10, gap_ms=ACTIVITY_MS // 2 + 1)
    active = segments_of(made, np.arange(10), np.zeros(10, np.int32), [""])[2]
    assert shown(active) == ["0"] + ["1-4"] * 9


def test_surfaces_from_the_commonest_down_and_the_rest_together():
    names = [f"s{n}" for n in range(SURFACES_SHOWN + 3)] + ["", "never"]
    codes = np.repeat(np.arange(SURFACES_SHOWN + 4), np.arange(1, SURFACES_SHOWN + 5)).astype(np.int32)
    made = passage(len(codes))
    surface = segments_of(made, np.arange(len(codes)), codes, names)[3]
    assert surface.name == "surface"
    assert surface.labels == ("(none)", *[f"s{n}" for n in range(SURFACES_SHOWN + 2, 3, -1)], "all others")
    assert [shown(surface)[n] for n in (0, len(codes) - 1)] == ["all others", "(none)"]


def test_two_surfaces_leave_no_others():
    made = passage(3)
    surface = segments_of(made, np.arange(3), np.array([1, 0, 1], np.int32), ["home", "tab"])[3]
    assert (surface.labels, shown(surface)) == (("tab", "home"), ["tab", "home", "tab"])


def test_the_curve_has_points_of_as_many_events():
    assert np.bincount(curve_of(np.arange(100)).group).tolist() == [5] * 20
    assert curve_of(np.arange(7)).group.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert curve_of(np.arange(0)).group.tolist() == []
    counts = np.bincount(curve_of(np.arange(113)).group)
    assert (len(counts), counts.min(), counts.max()) == (20, 5, 6)
