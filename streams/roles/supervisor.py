"""Runs each role as a process of its own, and starts again what ends.

A slow role in one process would raise the others' latency, and a worker that meets a bug or loses its broker ends by
itself: it restarts from its own durable state. :class:`RestartPolicy` and :func:`describe_exit` decide;
:class:`Supervisor` starts, waits and signals. No child outlives the supervisor, even one that is killed.
"""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

from streams.transport.backoff import Backoff
from streams.transport.child import EXIT_ORPHANED, ends_with_parent
from streams.transport.reader import EXIT_AFTER_ERROR, EXIT_HELPLESS

EXIT_USAGE = 2
"""The command's status for wrong arguments or settings: starting again would not help."""
EXIT_NO_BROKER = 3
"""The command's status when no broker answers."""
DRAIN_S = 5.0
"""After SIGTERM a role has so long to end before SIGKILL."""
LOOK_EVERY_S = 0.1


@dataclass(kw_only=True)
class RestartPolicy:
    """How long to wait before a role that ended is started again.

    >>> policy = RestartPolicy()
    >>> [policy.wait_s(ran_s) for ran_s in (1.0, 1.0, 61.0, 1.0)]
    [0.5, 1.0, 0.5, 1.0]
    """

    healthy_s: float = 60.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, most_s=30.0))

    def wait_s(self, ran_s: float) -> float:
        """Seconds to wait after a run of ``ran_s``; one of at least ``healthy_s`` starts the waits anew."""
        if ran_s >= self.healthy_s:
            self.backoff.reset()
        return self.backoff.next_s()


def describe_exit(status: int) -> str:
    """What an exit status of a role means, in words; a negative one is the signal that ended it."""
    known = {
        0: "ended by itself",
        EXIT_USAGE: "refused its settings (exit status 2, its words are above)",
        EXIT_NO_BROKER: "found no broker (exit status 3)",
        EXIT_AFTER_ERROR: f"met an error (exit status {EXIT_AFTER_ERROR}, its words are above)",
        EXIT_HELPLESS: f"needs a decision of yours (exit status {EXIT_HELPLESS}, its words are above)",
        EXIT_ORPHANED: f"lost its parent (exit status {EXIT_ORPHANED})",
    }
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return known.get(status, f"ended with exit status {status}")


@dataclass(kw_only=True)
class _Role:
    command: Sequence[str]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0


class Supervisor:
    """Keeps one process per role running until SIGINT or SIGTERM.

    Args:
      commands: role -> argument list; the child's standard input is a pipe that ends with the supervisor (see
        ``transport.child.exit_with_stdin``).
      say: gets one line per event.
      environ: the children's environment; None: ours.
      words: where the children's output goes; None: to ours.
      drain_s: how long they may take to end before they are killed.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        say: Callable[[str], None],
        environ: Mapping[str, str] | None = None,
        words: IO[bytes] | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._roles = {name: _Role(command=command) for name, command in commands.items()}
        self._say = say
        self._environ = environ
        self._words = words
        self._drain_s = drain_s
        self._stop = threading.Event()
        self._stops_count = 0

    def stop(self) -> None:
        """Begins the end: :meth:`run` returns once all roles have ended; a second call ends them at once."""
        self._stops_count += 1
        self._stop.set()

    def run(self) -> int:
        """Starts the roles and watches them; call it from the main thread.

        Returns:
          0 after a signal, :data:`EXIT_USAGE` if a role refused its settings, :data:`EXIT_HELPLESS` if no role can go
          on without somebody's decision; while one can, it does.
        """
        status = 0
        with self._signals():
            try:
                while not self._stop.is_set() and status == 0:
                    now_s = time.monotonic()
                    for name, role in self._roles.items():
                        status = self._look_after(name, role, now_s) or status
                    self._stop.wait(LOOK_EVERY_S)
            finally:
                self._drain()
        return status

    def _look_after(self, name: str, role: _Role, now_s: float) -> int:
        """Starts a role that is due, notices one that ended; gives the status if all has to end because of it."""
        if role.process is None:
            if now_s >= role.due_s:
                command = ends_with_parent(role.command)
                role.process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=self._words, stderr=self._words, env=self._environ,
                    start_new_session=True,
                )  # fmt: skip
                role.started_s = now_s
                self._say(f"{name}: started, process {role.process.pid}")
            return 0
        ended = role.process.poll()
        if ended is None:
            return 0
        self._forget(role)
        ran_s = now_s - role.started_s
        if ended == EXIT_USAGE:
            self._say(f"{name}: {describe_exit(ended)}; stopping")
            return EXIT_USAGE
        if ended == EXIT_HELPLESS:
            role.due_s = math.inf
            is_last = all(one.due_s == math.inf for one in self._roles.values())
            self._say(f"{name}: {describe_exit(ended)}; " + ("stopping" if is_last else "the others go on"))
            return EXIT_HELPLESS if is_last else 0
        wait_s = role.policy.wait_s(ran_s)
        role.due_s = now_s + wait_s
        self._say(f"{name}: {describe_exit(ended)} after {ran_s:.1f} s; starting again in {wait_s:.1f} s")
        return 0

    def _drain(self) -> None:
        running = {name: role for name, role in self._roles.items() if role.process is not None}
        for role in running.values():
            if role.process is not None:
                role.process.terminate()
        deadline_s, stops_count = time.monotonic() + self._drain_s, self._stops_count
        while time.monotonic() < deadline_s and self._stops_count == stops_count:
            if all(role.process is None or role.process.poll() is not None for role in running.values()):
                break
            time.sleep(LOOK_EVERY_S / 5)
        for name, role in running.items():
            if role.process is not None and role.process.poll() is None:
                self._say(f"{name}: still running after SIGTERM; killed")
                role.process.kill()
                role.process.wait()
            elif role.process is not None:
                self._say(f"{name}: stopped")
            self._forget(role)

    @staticmethod
    def _forget(role: _Role) -> None:
        if role.process is not None and role.process.stdin is not None:
            role.process.stdin.close()
        role.process = None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def on_signal(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.stop()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
