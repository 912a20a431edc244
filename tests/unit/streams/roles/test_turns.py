"""Turns: urgent work goes first, equal work in order, one at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streams.roles.turns import Turns


async def test_urgent_work_overtakes_what_waits_and_equal_work_keeps_its_order() -> None:
    turns, gate = Turns("test"), threading.Event()
    done: list[tuple[int, int]] = []
    first = turns.submit(9, gate.wait, 10.0)  # until the others stand in line
    others = [turns.submit(priority, done.append, (priority, n)) for n, priority in enumerate([2, 1, 0, 2, 0, 1])]
    gate.set()
    await asyncio.gather(first, *others)
    assert done == [(0, 2), (0, 4), (1, 1), (1, 5), (2, 0), (2, 3)]


async def test_it_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    turns = Turns("test")
    assert await turns.submit(0, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await turns.submit(0, divmod, 7, 0)
    assert await turns.submit(0, divmod, 9, 2) == (4, 1)


async def test_all_of_it_runs_on_one_thread_of_its_own() -> None:
    turns = Turns("test")
    names = {await turns.submit(n % 2, lambda: threading.current_thread().name) for n in range(5)}
    assert len(names) == 1
    assert threading.current_thread().name not in names


async def test_what_nobody_waits_for_any_more_is_left_out() -> None:
    turns, gate = Turns("test"), threading.Event()
    done: list[str] = []
    first = turns.submit(0, gate.wait, 10.0)
    dropped = turns.submit(1, done.append, "dropped")
    kept = turns.submit(2, done.append, "kept")
    dropped.cancel()
    await asyncio.sleep(0)  # the loop tells the waiting turn of it in its next round
    gate.set()
    await asyncio.gather(first, kept)
    assert done == ["kept"]
