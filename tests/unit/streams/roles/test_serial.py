"""One thread for one state."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streams.roles.serial import Serial


async def test_work_is_done_in_order_on_one_thread() -> None:
    serial, done, threads = Serial("test"), [], set()

    def work(number: int, *, step: int) -> int:
        threads.add(threading.get_ident())
        done.append(number)
        return number + step

    results = await asyncio.gather(*(serial(work, number, step=100) for number in range(50)))
    assert results == list(range(100, 150))
    assert done == list(range(50))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_an_error_comes_back_and_the_thread_goes_on() -> None:
    serial = Serial("test")

    def fail() -> None:
        raise KeyError("planted")

    with pytest.raises(KeyError, match="planted"):
        await serial(fail)
    assert await serial(len, "four") == 4
