"""Answering: who comes first, when a request is done, and that a slow broker holds everything up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from streams.contract.events import Request
from streams.cores.pushes import Push, Pushes
from streams.roles.answering import AHEAD, BATCH, Answering
from streams.roles.turns import Turns
from streams.transport.publish import Out
from tests.factories import make_request


class Broker:
    """Stands for a publisher: takes records while its gate is open."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_stopped = False

    async def perform(self, outs: list[Out]) -> None:
        await self.gate.wait()
        self.taken += [(out.key or b"").decode() for out in outs]

    async def stop(self) -> None:
        self.is_stopped = True


class Made:
    """An answering whose slates name their user; ``batches`` are the users of each turn."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.broker = Broker()
        self.turns = Turns("test")
        self.pushes = Pushes(interval_s=0.0, most=1_000)
        self.may_push = True
        self.answering = Answering(
            self._slates, turns=self.turns, publisher=cast(Any, self.broker), pushes=self.pushes, push_k=7,
            may_push=lambda: self.may_push,
        )  # fmt: skip

    def _slates(self, requests: list[Request]) -> list[Out]:
        self.batches.append([request.user_id for request in requests])
        return [Out(topic="slates", key=request.user_id.encode(), value=b"") for request in requests]

    def push(self, *user_ids: str) -> None:
        for user_id in user_ids:
            self.pushes.add(Push(user_id, "e", None), 0.0)
        self.answering.notice()


@asynccontextmanager
async def running(made: Made) -> AsyncIterator[None]:
    task = asyncio.create_task(made.answering.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):  # one that was stopped has ended by itself
            await task


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_true():
            await asyncio.sleep(0)


def asked(*user_ids: str) -> list[Request]:
    return [make_request(request_id=f"r-{user_id}", user_id=user_id) for user_id in user_ids]


async def test_requests_are_done_once_their_slates_are_published() -> None:
    made, done = Made(), asyncio.Event()
    made.broker.gate.clear()
    users = [f"u{n}" for n in range(BATCH + 3)]
    async with running(made):
        await made.answering.ask(asked(*users), done.set)
        await until(lambda: len(made.batches) == 2)
        assert [len(batch) for batch in made.batches] == [BATCH, 3]
        assert not done.is_set()
        made.broker.gate.set()
        await until(done.is_set)
    assert made.broker.taken == users


async def test_nothing_asked_is_done_at_once() -> None:
    made, done = Made(), asyncio.Event()
    async with running(made):
        await made.answering.ask([], done.set)
        assert done.is_set()
    assert made.batches == []


async def test_a_request_overtakes_pushes_that_wait_for_their_turn() -> None:
    made = Made()
    made.push(*(f"p{n}" for n in range(AHEAD * BATCH)))
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    first = made.turns.submit(0, lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(30))
    async with running(made):
        await until(lambda: len(made.pushes) == 0)  # all of them stand in line
        await made.answering.ask(asked("me"), lambda: None)
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        await first
        await until(lambda: len(made.broker.taken) == AHEAD * BATCH + 1)
    assert made.batches[0] == ["me"]
    assert [len(batch) for batch in made.batches] == [1] + [BATCH] * AHEAD


async def test_a_broker_that_takes_nothing_holds_up_the_making_of_slates() -> None:
    made = Made()
    made.broker.gate.clear()
    made.push(*(f"p{n}" for n in range(10 * BATCH)))
    async with running(made):
        await until(lambda: len(made.batches) == AHEAD)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(made.batches) == AHEAD
        made.broker.gate.set()
        await until(lambda: len(made.broker.taken) == 10 * BATCH)


async def test_pushes_wait_until_they_make_sense() -> None:
    made = Made()
    made.may_push = False
    async with running(made):
        made.push("p")
        for _ in range(100):
            await asyncio.sleep(0)
        assert made.batches == []
        made.may_push = True
        made.answering.notice()
        await until(lambda: made.broker.taken == ["p"])


async def test_after_the_stop_nothing_is_published_and_nothing_is_done() -> None:
    made, done = Made(), asyncio.Event()
    async with running(made):
        await made.answering.stop()
        await made.answering.ask(asked("late"), done.set)
        await made.answering.publish([Out(topic="letters", key=b"x", value=b"")])
        for _ in range(100):
            await asyncio.sleep(0)
    assert made.broker.is_stopped
    assert made.broker.taken == []
    assert not done.is_set()


async def test_what_a_batch_raises_ends_the_answering() -> None:
    made = Made()

    def failing(_: list[Request]) -> list[Out]:
        raise ArithmeticError("planted")

    made.answering._slates = failing
    task = asyncio.create_task(made.answering.run())
    await made.answering.ask(asked("me"), lambda: None)
    with pytest.raises(ExceptionGroup) as found:
        await task
    assert found.group_contains(ArithmeticError)
