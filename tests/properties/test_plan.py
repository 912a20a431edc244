"""What holds of every plan, whatever the log and however it is cut."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract import ids
from streams.contract.absent import Withdrawn
from streams.contract.events import ContentTask
from streams.cores.plan import KIND_BUDGETS, Entry, PlanConfig, Planner
from tests.platform import DAY_MS, catalogue, views

CONFIG = PlanConfig(day_budget=3, kind_budgets={**KIND_BUDGETS, "dub": 1}, moved=0.05)


def log(seed: int, *, deprived: tuple[str, ...] = ("f0", "f1", "f2")) -> list[Entry]:
    return [*catalogue(), *views(1_200, seed=seed, deprived=deprived)]


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 2_500), max_size=6))
def test_the_same_log_in_any_batches_gives_the_same_tasks(seed: int, cuts: list[int]) -> None:
    entries = log(seed)
    whole, parts = Planner(CONFIG), Planner(CONFIG)
    expected = whole.take(entries)
    places = [0, *sorted(cuts), len(entries)]
    tasks = [task for first, last in itertools.pairwise(places) for task in parts.take(entries[first:last])]
    assert tasks == expected


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_the_budget_of_a_day_is_never_exceeded(seed: int) -> None:
    planner = Planner(CONFIG)
    told = [task for task in planner.take(log(seed)) if not task.withdrawn]
    assert told
    days = Counter(((task.not_after_ms or 0) - CONFIG.open_ms) // DAY_MS for task in told)
    dubs = Counter(
        ((task.not_after_ms or 0) - CONFIG.open_ms) // DAY_MS for task in told if task.kind == "dub"
    )  # fmt: skip
    assert max(days.values()) <= 3
    assert max(dubs.values(), default=0) <= 1


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_satisfied_audiences_have_no_tasks(seed: int) -> None:
    told = Planner().take(log(seed, deprived=("f0",)))
    assert {task.item_id for task in told} <= {"f0"}


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), at=st.integers(100, 2_500))
def test_a_withdrawn_item_has_no_task_that_stands(seed: int, at: int) -> None:
    entries = log(seed)
    planner = Planner(CONFIG)
    tasks = planner.take([*entries[:at], Withdrawn("f0"), *entries[at:]])
    last: dict[str, ContentTask] = {task.task_id: task for task in tasks}
    assert all(task.withdrawn for task in last.values() if task.item_id == "f0")


@given(st.permutations([("language", "de"), ("segment", "evening"), ("surface", "home")]))
def test_the_order_of_keys_changes_no_id(pairs: list[tuple[str, str]]) -> None:
    def id_of(audience: dict[str, str]) -> str:
        return ids.content_task_id(item_id="f", kind="image", audience=audience, locale=None, spec={"variant": 1})

    assert id_of(dict(pairs)) == id_of({"language": "de", "segment": "evening", "surface": "home"})
