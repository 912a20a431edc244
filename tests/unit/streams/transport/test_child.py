"""A child that notices that its parent is gone."""

from __future__ import annotations

import os
import threading

from streams.transport.child import EXIT_ORPHANED, exit_with_stdin


def test_the_process_leaves_when_the_pipe_ends_and_not_before():
    read_end, write_end = os.pipe()
    left, statuses = threading.Event(), []

    def leave(status: int) -> None:
        statuses.append(status)
        left.set()

    with os.fdopen(read_end, "rb") as stream:
        thread = exit_with_stdin(stream, leave=leave)
        os.write(write_end, b"x")
        assert statuses == []
        os.close(write_end)
        assert left.wait(10)
        thread.join(10)
    assert statuses == [EXIT_ORPHANED]
