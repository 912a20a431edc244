"""Reader: readiness, holding back, commits that a silent broker cannot block."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import pytest

from streams.errors import LedgerError
from streams.transport.errors import SeekError
from streams.transport.merge import Source
from streams.transport.reader import EXIT_AFTER_ERROR, EXIT_HELPLESS, BulkConfig, Reader, end_process

A: Source = ("interactions", 0)
B: Source = ("interactions", 1)


def make_reader(**wishes: Any) -> Reader:
    defaults: dict[str, Any] = {"offsets": lambda _: {}, "on_start": lambda _: None, "on_revoked": lambda _: None}
    wishes = defaults | {"whole_topics": ()} | wishes
    config = BulkConfig(commit_timeout_s=0.01, commit_every_s=wishes.pop("commit_every_s", None))
    return Reader(config, fatal=lambda _: None, checks_ends=wishes.pop("checks_ends", True), **wishes)


async def test_ready_follows_the_work_and_starts_anew_with_each_assignment():
    reader = make_reader()
    reader.begin({A: 0}, {A: 2})
    assert not reader.ready.is_set()
    reader.done(A, 2)
    assert reader.ready.is_set()
    reader.begin({A: 2, B: 0}, {A: 2, B: 1})
    assert not reader.ready.is_set()
    reader.done(B, 1)
    assert reader.ready.is_set()


async def test_only_assigned_partitions_are_held_and_a_new_assignment_holds_none():
    reader = make_reader()
    reader.begin({A: 0}, {A: 0})
    reader.hold([A, B])
    assert reader.held == {A}
    reader.release([B])
    assert reader.held == {A}
    reader.begin({A: 0, B: 0}, {A: 0, B: 0})
    assert reader.held == frozenset()


async def test_only_what_is_done_and_ours_is_committed():
    committed: list[Mapping[Source, int]] = []

    async def commit(offsets: Mapping[Source, int]) -> bool:
        committed.append(offsets)
        return True

    reader = make_reader()
    assert not await reader.commit({A: 1})  # nothing assigned, nobody to ask
    reader.attach(commit)
    reader.begin({A: 0}, {A: 9})
    reader.done(A, 4)
    assert await reader.commit()
    assert await reader.commit({A: 3, B: 7})
    assert committed == [{A: 4}, {A: 3}]


async def test_a_silent_broker_does_not_block_a_commit(caplog):
    async def silence(_: Mapping[Source, int]) -> bool:
        await asyncio.Event().wait()
        return True

    reader = make_reader()
    reader.attach(silence)
    reader.begin({A: 0}, {A: 9})
    assert not await reader.commit({A: 1})
    assert "did not confirm a commit within 0.01 s" in caplog.text


async def test_giving_up_partitions_commits_tells_and_makes_chunks_stale():
    events: list[Any] = []

    async def commit(offsets: Mapping[Source, int]) -> bool:
        events.append(("commit", offsets))
        return True

    reader = make_reader(on_revoked=lambda gone: events.append(("revoked", gone)), commit_every_s=1.0)
    reader.attach(commit)
    reader.begin({A: 0}, {A: 9})
    epoch = reader.positions.epoch
    reader.done(A, 4)
    await reader.revoked()
    assert events == [("commit", {A: 4}), ("revoked", {A})]
    assert (reader.assigned, reader.ready.is_set(), reader.positions.epoch) == (frozenset(), False, epoch + 1)


def test_a_state_ahead_of_the_log_is_refused_unless_the_broker_cannot_tell():
    make_reader(checks_ends=False).refuse_unless_reachable({A: (11, 10)})
    with pytest.raises(SeekError, match="interactions/0: want 11, ends at 10"):
        make_reader().refuse_unless_reachable({A: (11, 10)})


def test_records_that_are_gone_are_told_and_refused_where_none_may_be_missing(caplog):
    make_reader().refuse_expired({A: 3})
    assert "interactions/0: retention removed 3 records before they were read" in caplog.text
    with pytest.raises(SeekError, match="3 records of interactions/0 were removed before they were learned"):
        make_reader(whole_topics=["interactions"]).refuse_expired({A: 3})
    make_reader(whole_topics=["interactions"]).refuse_expired({})


@pytest.mark.parametrize(
    ("error", "status"),
    [(SeekError("far"), EXIT_HELPLESS), (LedgerError("gap"), EXIT_HELPLESS), (ValueError("bug"), EXIT_AFTER_ERROR)],
)
def test_what_somebody_has_to_decide_ends_with_a_status_of_its_own(monkeypatch, caplog, error, status):
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    end_process(error)
    assert ended == [status]
    assert ("needs a decision of yours" in caplog.text) == (status == EXIT_HELPLESS)
