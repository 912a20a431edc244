"""What a role holds of its bulk topics: where they start, how far they are, who is held back, what is committed.

Knows no Faust: ``bulk.py`` calls :meth:`Reader.begin` and :meth:`Reader.revoked` from Faust's rebalances, reads
:attr:`Reader.held` before each fetch, and lends a function that commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from streams.errors import LedgerError
from streams.transport.errors import PublishError, SeekError
from streams.transport.merge import Source
from streams.transport.offsets import Chunk, Positions, Start
from streams.transport.patience import is_away

log = logging.getLogger(__name__)

EXIT_AFTER_ERROR = 70
"""Exit status (sysexits' EX_SOFTWARE) of a worker whose agent raised; the supervisor starts it again."""
EXIT_HELPLESS = 78
"""Exit status (sysexits' EX_CONFIG) of a worker that can't go on until somebody has decided something."""

Commit = Callable[[Mapping[Source, int]], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class BulkConfig:
    """How a worker reads.

    Attributes:
      chunk_records: at most so many records an event; >= 1.
      buffer_chunks: chunks that may wait per topic before its partitions stop being fetched.
      fetch_max_wait_ms: how long the broker may sit on a fetch without data.
      held_poll_ms: poll timeout while some partition is not polled, so that it is looked at again soon.
      session_timeout_s: after this long a killed worker's partitions go to another.
      heartbeat_s: at most a third of it.
      most_between_polls_s: a client that asks for nothing so long leaves the group; a role that holds all of its
        partitions while it works asks for nothing.
      commit_every_s: commit what is done this often, and before partitions are given up; None: the role commits itself.
      commit_timeout_s: a commit waits at most so long for a broker that is away.
      isolation: "read_committed" leaves out records of aborted transactions.
      instance_id: static group member name, if any.
    """

    chunk_records: int = 1024
    buffer_chunks: int = 16
    fetch_max_wait_ms: int = 100
    held_poll_ms: int = 50
    session_timeout_s: float = 10.0
    heartbeat_s: float = 1.0
    most_between_polls_s: float = 1_000.0
    commit_every_s: float | None = None
    commit_timeout_s: float = 5.0
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    instance_id: str | None = None


def end_process(error: BaseException) -> NoReturn:
    """Logs, and ends the process at once: a restarted agent would step over the chunk that it failed on."""
    is_helpless = isinstance(error, LedgerError | SeekError)
    if is_helpless:
        log.critical("worker ends, and needs a decision of yours: %s", error)
    else:
        is_told = isinstance(error, PublishError)  # its words say all: where it was raised says nothing more
        log.critical("worker ends; it restarts from its own state: %r", error, exc_info=None if is_told else error)
    logging.shutdown()
    os._exit(EXIT_HELPLESS if is_helpless else EXIT_AFTER_ERROR)


def restart_process(why: str) -> NoReturn:
    """Ends the process at once, in order to start it again from its own state; says why."""
    log.warning("%s", why)
    logging.shutdown()
    os._exit(EXIT_AFTER_ERROR)


@contextlib.contextmanager
def ending_on_error() -> Iterator[None]:
    """Runs its body; whatever it raises is logged and ends the process, which restarts from its own state."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - nothing is swallowed: the process ends
        end_process(error)


class Reader:
    """What a role needs of its bulk topics: progress, readiness, holding back, committing. One per app."""

    def __init__(
        self,
        config: BulkConfig,
        *,
        offsets: Callable[[frozenset[Source]], Mapping[Source, Start]],
        on_start: Callable[[Mapping[Source, int]], None],
        on_revoked: Callable[[frozenset[Source]], None],
        fatal: Callable[[BaseException], Any],
        checks_ends: bool,
        whole_topics: Collection[str],
    ) -> None:
        self.config = config
        self.positions = Positions()
        self.topics: set[str] = set()
        self.ready = asyncio.Event()
        """Set while all assigned partitions have been done up to the end that they had at the start."""
        self.fatal = fatal
        self._offsets = offsets
        self._on_start = on_start
        self._on_revoked = on_revoked
        self._checks_ends = checks_ends
        self._whole_topics = frozenset(whole_topics)
        self._held: frozenset[Source] = frozenset()
        self._commit: Commit | None = None

    @property
    def max_poll_records(self) -> int:
        """Records fetched at a time: few enough that holding a partition back takes effect soon."""
        return max(1, self.config.buffer_chunks // 4) * self.config.chunk_records

    @property
    def assigned(self) -> frozenset[Source]:
        """Partitions being read."""
        return self.positions.sources

    @property
    def held(self) -> frozenset[Source]:
        """Partitions that :meth:`hold` keeps from being fetched."""
        return self._held

    def hold(self, sources: Iterable[Source]) -> None:
        """Fetches no more of these, until released or assigned anew; what is already under way still arrives."""
        self._held |= frozenset(sources) & self.assigned

    def release(self, sources: Iterable[Source]) -> None:
        """Fetches these again."""
        self._held -= frozenset(sources)

    def end(self, source: Source) -> int | None:
        """The merger's ``highwater``: the offset after the last record known to exist; None before the first fetch."""
        return self.positions.end(source)

    def is_current(self, chunk: Chunk[Any]) -> bool:
        """False once partitions were reassigned since; ask again after each await, before changing state."""
        return self.positions.is_current(chunk)

    def done(self, source: Source, next_offset: int) -> None:
        """Everything before ``next_offset`` has taken effect."""
        self.positions.done(source, next_offset)
        self.check_ready()

    def check_ready(self) -> None:
        """Sets :attr:`ready` once nothing lags."""
        if not self.ready.is_set() and self.positions.is_ready():
            self.ready.set()

    async def commit(self, offsets: Mapping[Source, int] | None = None) -> bool:
        """Commits to the group, for lag tools and for starts at "committed".

        Args:
          offsets: source -> next offset; None: all that is done. Partitions of others are left out.

        Returns:
          False if there was nothing to commit, or the broker did not answer in ``commit_timeout_s``.
        """
        wanted = self.positions.done_offsets() if offsets is None else offsets
        mine = {source: at for source, at in wanted.items() if source in self.assigned}
        if not mine or self._commit is None:
            return False
        timeout_s = self.config.commit_timeout_s
        try:
            return await asyncio.wait_for(self._commit(mine), timeout_s)
        except TimeoutError:
            if not is_away():  # then that is said
                log.warning("the broker did not confirm a commit within %s s; our own state stands", timeout_s)
            return False

    def attach(self, commit: Commit) -> None:
        """Lends the function that commits to the group."""
        self._commit = commit

    def wanted(self, assigned: frozenset[Source]) -> Mapping[Source, Start]:
        """Where the role wants to start."""
        return self._offsets(assigned)

    def begin(self, starts: Mapping[Source, int], ends: Mapping[Source, int]) -> None:
        """A new assignment is about to be read from ``starts``."""
        self.positions.start(starts, ends)
        self._held = frozenset()
        self.ready.clear()
        self._on_start(starts)
        self.check_ready()

    def refuse_unless_reachable(self, beyond: Mapping[Source, tuple[int, int]]) -> None:
        """Raises SeekError if our state is ahead of the log."""
        if beyond and self._checks_ends:
            places = ", ".join(f"{t}/{p}: want {want}, ends at {end}" for (t, p), (want, end) in beyond.items())
            raise SeekError(
                f"our state has read further than the log goes ({places}); the topic was recreated or the broker lost"
                " data: restore the topic, or move the snapshots away and make ledger.v1 anew to start from nothing"
            )

    def refuse_expired(self, expired: Mapping[Source, int]) -> None:
        """Raises SeekError if records of a topic that the role needs whole were removed before it read them."""
        for (topic, partition), count in expired.items():
            if topic in self._whole_topics:
                raise SeekError(
                    f"{count} records of {topic}/{partition} were removed before they were learned; restore them, or "
                    "set trainer.accept_expired to go on without them, and give the topic a longer retention"
                )
            log.error("%s/%d: retention removed %d records before they were read", topic, partition, count)

    async def revoked(self) -> None:
        """Partitions are being given up: commits, tells the role, and makes all chunks stale."""
        gone = self.assigned
        if self.config.commit_every_s is not None:
            await self.commit()
        self._on_revoked(gone)
        self.positions.start({}, {})
        self.ready.clear()
