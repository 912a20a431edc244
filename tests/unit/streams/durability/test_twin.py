"""A child that keeps the moment: what it writes, and what becomes of one that fails, hangs or loses its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.durability import snapshots, twin
from streams.durability.twin import Twin
from streams.errors import SnapshotError

pytestmark = pytest.mark.skipif(not twin.IS_POSSIBLE, reason="a process is split in two on Linux only")


def arrays():
    return {"b": np.arange(1_000, dtype=np.float32), "a/x": np.arange(6).reshape(2, 3)[:, ::-1], "c": np.zeros(0)}


def nothing() -> Any:
    """For ever."""
    signal.pause()


def broken() -> Any:
    raise ZeroDivisionError


def test_it_writes_what_a_copy_would_have_been(tmp_path):
    words: dict[str, Any] = {"offsets": {"t/0": 5}, "meta": {"k": "v"}}
    ours = snapshots.save(tmp_path / "twin", 7, Twin(arrays), **words)
    copy = snapshots.save(tmp_path / "copy", 7, arrays(), **words)
    assert ours.manifest.to_bytes() == copy.manifest.to_bytes()
    for name, array in snapshots.load(ours).items():
        np.testing.assert_array_equal(array, arrays()[name])


def test_what_changes_afterwards_is_not_in_it(tmp_path):
    state = np.zeros(2_000_000, np.int64)
    kept = Twin(lambda: {"state": state})
    state += 1
    ref = snapshots.save(tmp_path, 1, kept, offsets={}, meta={})
    assert not snapshots.load(ref)["state"].any()


def test_it_writes_while_other_threads_hold_the_interpreter(tmp_path):
    is_over = threading.Event()
    threads = [threading.Thread(target=lambda: [sum(range(500)) for _ in iter(is_over.is_set, True)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for version in range(20):
            snapshots.save(tmp_path, version, Twin(arrays), offsets={}, meta={})
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert snapshots.versions(tmp_path) == [17, 18, 19]


def test_two_at_a_time_do_not_wait_for_each_other(tmp_path):
    first, second = Twin(arrays), Twin(arrays)
    assert [entry.name for entry in first.write(tmp_path, silence_s=60)] == ["a/x", "b", "c"]
    other = tmp_path / "with a\nline's end"
    other.mkdir()
    assert [entry.name for entry in second.write(other, silence_s=60)] == ["a/x", "b", "c"]


def test_the_same_state_again_is_the_same_snapshot_and_another_is_refused(tmp_path):
    snapshots.save(tmp_path, 1, Twin(arrays), offsets={}, meta={})
    snapshots.save(tmp_path, 1, Twin(arrays), offsets={}, meta={})
    with pytest.raises(SnapshotError, match="expected no other snapshot of version 1"):
        snapshots.save(tmp_path, 1, Twin(lambda: {"a": np.ones(1)}), offsets={}, meta={})
    assert [path.name for path in tmp_path.iterdir()] == [snapshots.path_of(tmp_path, 1).name]


def test_what_goes_wrong_in_it_is_told(tmp_path):
    with pytest.raises(SnapshotError, match="got: ZeroDivisionError"):
        snapshots.save(tmp_path, 1, Twin(broken), offsets={}, meta={})
    with pytest.raises(SnapshotError, match="got: SnapshotError: expected numbers"):
        snapshots.save(tmp_path, 1, Twin(lambda: {"a": np.array([object()])}), offsets={}, meta={})
    assert list(tmp_path.iterdir()) == []


def test_a_killed_one_is_no_snapshot(tmp_path):
    kept = Twin(nothing)
    threading.Timer(0.2, os.kill, (kept.pid, signal.SIGKILL)).start()
    with pytest.raises(SnapshotError, match="got 0 before it ended"):
        snapshots.save(tmp_path, 1, kept, offsets={}, meta={})
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_is_killed(tmp_path):
    kept = Twin(nothing)
    with pytest.raises(SnapshotError, match=r"an array within 0\.1 s, got none"):
        kept.write(tmp_path, silence_s=0.1)
    assert_is_gone(kept.pid)


def test_one_that_is_not_needed_ends():
    kept = Twin(arrays)
    kept.end()
    kept.end()
    assert_is_gone(kept.pid)


def test_a_drain_does_not_end_it(tmp_path):
    kept = Twin(arrays)
    entries: list[Any] = []
    kept_on = threading.Event()  # its folder comes after the signals, as a drain that finishes its batches first

    def write():
        kept_on.wait()
        entries.extend(kept.write(tmp_path))

    writing = threading.Thread(target=write)
    writing.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(kept.pid, number)
    kept_on.set()
    writing.join()
    assert [entry.name for entry in entries] == ["a/x", "b", "c"]


def test_it_does_not_outlive_its_parent(tmp_path):
    line = json.dumps(str(tmp_path)).encode() + b"\n"
    code = (
        "import os, signal; from streams.durability.twin import Twin\n"
        "kept = Twin(lambda: {'a': signal.pause()})\n"
        "print(kept.pid, flush=True)\n"
        f"os.write(kept._ask, {line!r})\n"
        "signal.pause()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert_is_gone(pid)


def assert_is_gone(pid: int) -> None:
    until_s = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < until_s, f"process {pid} is still there"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_process_to_spare_leaves_nothing_open(monkeypatch):
    def refuse():
        raise BlockingIOError("no process")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(BlockingIOError):
        Twin(arrays)
    assert len(os.listdir("/proc/self/fd")) == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(twin.ENDING) == set()
