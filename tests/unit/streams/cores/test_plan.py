"""The planner's core on a small platform whose one want is known."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from streams.contract import codec
from streams.contract.absent import Erased, Withdrawn
from streams.contract.events import Asset, ContentAsset, ContentTask, Interaction, Item, User
from streams.cores.plan import Entry, PlanConfig, Planner, Unmade
from streams.cores.plan_state import PlanStateError, from_arrays, to_arrays
from streams.cores.task_list import listed, why
from tests.platform import DAY_MS, START_MS, catalogue, views

WEEK = 7 * 144
"""Views of a week at one every ten minutes."""


def planned(*entries: object, config: PlanConfig | None = None) -> tuple[Planner, list[ContentTask]]:
    planner = Planner(config)
    return planner, planner.take([*catalogue(), *entries])  # type: ignore[list-item]


def made(task: ContentTask, asset_id: str = "a1") -> ContentAsset:
    asset = Asset(asset_id=asset_id, uri="file:///a1", media_type="audio/mp4", language=task.locale)
    return ContentAsset(task_id=task.task_id, item_id=task.item_id, status="done", asset=asset)


def test_the_deprived_audience_gets_a_dub_and_subtitles_and_nobody_else_a_task() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    assert {(task.kind, task.item_id, task.locale) for task in tasks} == {
        ("dub", "f0", "de"), ("subtitles", "f0", "de"),
    }  # fmt: skip
    assert {task.task_id for task in tasks} == set(planner.open)


def test_evidence_has_the_counts_that_were_in_the_log() -> None:
    events = views(2 * WEEK)
    planner, tasks = planned(*events)
    last = [task for task in tasks if task.kind == "dub"][-1]
    end_ms = (last.not_after_ms or 0) - planner.config.open_ms
    german = [e for e in events if e.item_id == "f0" and e.user_id[0] == "d" and e.occurred_at_ms < end_ms]
    own = last.evidence[0]
    assert own["views"] == sum(e.action == "play" for e in german)
    assert own["finished"] == sum(e.action == "complete" for e in german)
    english = [e for e in events if e.item_id == "f0" and e.user_id[0] == "e" and e.occurred_at_ms < end_ms]
    assert last.evidence[1]["finished"] == sum(e.action == "complete" for e in english)
    words = " ".join(why(last))
    assert str(own["views"]) in words
    assert "finished" in words


def test_every_task_is_a_record_of_the_contract() -> None:
    _, tasks = planned(*views(2 * WEEK), Withdrawn("f0"))
    for task in tasks:
        assert codec.decode(ContentTask, codec.encode(task), timestamp_ms=-1) == task


def test_a_satisfied_platform_has_no_tasks() -> None:
    _, tasks = planned(*views(3 * WEEK, deprived=()))
    assert tasks == []


def test_before_there_is_evidence_there_are_no_tasks() -> None:
    _, tasks = planned(*views(60))
    assert tasks == []


def test_a_withdrawn_item_loses_its_tasks_at_once_and_has_none_later() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    gone = planner.take([Withdrawn("f0")])
    assert {task.task_id for task in gone} == {task.task_id for task in tasks}
    assert all(task.withdrawn and task.priority == 0 for task in gone)
    assert planner.take(views(WEEK, seed=1, start_ms=START_MS + 14 * DAY_MS)) == []


def test_an_item_that_is_no_longer_available_loses_its_tasks_when_the_window_ends() -> None:
    planner, _ = planned(*views(2 * WEEK))
    until_ms = START_MS + 15 * DAY_MS
    over = Item(item_id="f0", language="en", duration_s=1_200.0, available_until_ms=until_ms)
    later = planner.take([over, *views(3 * 144, seed=1, start_ms=START_MS + 14 * DAY_MS)])
    assert planner.open == {}
    assert {task.item_id for task in later if task.withdrawn} == {"f0"}


def test_a_dub_ends_both_tasks_of_its_language() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    dub = next(task for task in tasks if task.kind == "dub")
    later = planner.take([made(dub), *views(WEEK, seed=1, start_ms=START_MS + 14 * DAY_MS)])
    assert planner.open == {}
    assert all(task.withdrawn for task in later)


def test_assets_withdrawn_leave_the_want_to_be_found_again() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    dub = next(task for task in tasks if task.kind == "dub")
    planner.take([made(dub), Unmade("f0")])
    later = planner.take(views(2 * WEEK, seed=1, start_ms=START_MS + 14 * DAY_MS))
    assert dub.task_id in {task.task_id for task in later if not task.withdrawn}


def test_an_asset_that_failed_changes_nothing() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    failed = ContentAsset(task_id=tasks[0].task_id, item_id="f0", status="failed", error="no voice")
    planner.take([failed])
    assert tasks[0].task_id in planner.open


def test_repeated_events_count_once() -> None:
    events = views(2 * WEEK)
    twice = [event for event in events for _ in range(2)]
    assert planned(*twice)[1] == planned(*events)[1]


def test_a_task_is_told_again_only_where_its_priority_moved() -> None:
    planner, tasks = planned(*views(4 * WEEK), config=PlanConfig(open_ms=1_000 * DAY_MS))
    assert planner.open
    for task_id in planner.open:
        told = [task.priority for task in tasks if task.task_id == task_id and not task.withdrawn]
        assert all(abs(after - before) >= 0.25 * before for before, after in itertools.pairwise(told))


def test_too_old_a_task_is_told_again_with_the_same_id() -> None:
    config = PlanConfig(open_ms=DAY_MS)
    _, tasks = planned(*views(3 * WEEK), config=config)
    dubs = [task for task in tasks if task.kind == "dub"]
    assert len(dubs) > 3
    assert len({task.task_id for task in dubs}) == 1


def test_a_viewer_who_was_erased_is_forgotten() -> None:
    planner, _ = planned(Erased("d0"))
    assert "d0" not in planner.demand.users


def test_the_oldest_profile_makes_room() -> None:
    planner = Planner(PlanConfig(max_users=2))
    planner.take([User(user_id=name, languages=["de"]) for name in ("a", "b", "c")])
    assert list(planner.demand.users) == ["b", "c"]


def test_cells_stay_within_their_bound() -> None:
    config = PlanConfig(max_cells=20)
    planner = Planner(config)
    planner.take([*catalogue(60), *views(4_000, films=60)])
    assert len(planner.demand.cells.keys) <= 2 * config.max_cells
    assert planner.demand.cells.pruned > 0


def test_a_saved_planner_goes_on_to_the_same_tasks() -> None:
    events = [*catalogue(), *views(3 * WEEK)]
    whole = Planner()
    expected = whole.take(events)
    for cut in (10, len(events) // 2, len(events) - 5):
        first = Planner()
        tasks = first.take(events[:cut])
        second = from_arrays(to_arrays(first), PlanConfig())
        tasks += second.take(events[cut:])
        assert tasks == expected
        assert to_arrays(second)["rest"].tobytes() == to_arrays(whole)["rest"].tobytes()


@pytest.mark.parametrize("at", [0, 40])
def test_one_event_stamped_in_the_year_9999_ends_no_planning(at: int) -> None:
    """Stamped so in its record too, or in one without a time: the contract cannot tell."""
    events: list[object] = [*views(2 * WEEK)]
    far = Interaction(event_id="far", user_id="e1", item_id="f0", action="play", occurred_at_ms=253_402_300_799_999)
    _, wanted = planned(*events)
    planner, tasks = planned(*events[:at], far, *events[at:])
    assert planner.now_ms == max(one.occurred_at_ms for one in views(2 * WEEK))
    assert {task.task_id for task in tasks} == {task.task_id for task in wanted}
    for task in tasks:
        assert codec.decode(ContentTask, codec.encode(task), timestamp_ms=-1) == task


def test_a_state_saved_between_events_apart_goes_on_to_the_same_tasks() -> None:
    events = views(2 * WEEK)
    gap = [msgspec.structs.replace(one, occurred_at_ms=one.occurred_at_ms + 30 * DAY_MS) for one in events[WEEK:]]
    log: list[Entry] = [*catalogue(), *events[:WEEK], *gap]
    whole = Planner()
    wanted = whole.take(log)
    cut = len(catalogue()) + WEEK + 7
    first = Planner()
    tasks = first.take(log[:cut])
    second = from_arrays(to_arrays(first), PlanConfig())
    assert len(second.clock.apart) == 7
    assert [*tasks, *second.take(log[cut:])] == wanted


def test_a_state_of_another_shape_is_refused() -> None:
    arrays = to_arrays(planned(*views(50))[0])
    with pytest.raises(PlanStateError, match="move its snapshots away"):
        from_arrays(arrays | {"whole": arrays["whole"][:, :3]}, PlanConfig())
    with pytest.raises(PlanStateError, match="move its snapshots away"):
        from_arrays({"rest": arrays["rest"]}, PlanConfig())


def test_the_list_says_what_became_of_each_task() -> None:
    planner, tasks = planned(*views(2 * WEEK))
    dub = next(task for task in tasks if task.kind == "dub")
    gone = planner.take([Withdrawn("f0")])
    stamped = [(task, (planner.now_ms or 0)) for task in [*tasks, *gone]]
    states = {one.task.kind: one.state for one in listed(stamped, [made(dub)])}
    assert states == {"dub": "done", "subtitles": "withdrawn"}
    failed = ContentAsset(task_id=dub.task_id, item_id="f0", status="failed", error="no", not_after_ms=dub.not_after_ms)
    assert {one.state for one in listed([(dub, 0)], [failed])} == {"failed"}
    again = msgspec.structs.replace(dub, not_after_ms=(dub.not_after_ms or 0) + 1)
    assert {one.state for one in listed([(dub, 0), (again, 0)], [failed])} == {"open"}
    assert listed([(tasks[0], (tasks[0].not_after_ms or 0) + planner.config.window_ms)], [])[0].state == "too old"
