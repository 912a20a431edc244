"""An object store that fails: nothing whole is lost, nothing half is loaded, and silence is never "no snapshot"."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streams.durability import snapshots
from streams.durability.object_store import ObjectStore, open_object_store
from streams.durability.stores import open_store, wait_for_store
from streams.errors import SettingsError, SnapshotError, StoreError, StoreUnavailableError
from streams.store_url import StoreUrl
from tests.faulty_store import FaultyStore, Killed

READS: list[Callable[[Any], Any]] = [snapshots.newest, snapshots.load_newest, snapshots.versions]


def store_in(files: FaultyStore) -> ObjectStore:
    return ObjectStore(files, "/bucket/all", address="faulty://bucket/all")


def save(files: FaultyStore, version: int, *, keep: int = 2) -> snapshots.SnapshotRef:
    arrays = {f"a{n}": np.full(100, version, np.int64) for n in range(3)}
    return snapshots.save(store_in(files), version, arrays, offsets={"t/0": version}, meta={}, keep=keep)


def failing(error: BaseException, *, at: int = 0, calls: tuple[str, ...] = ()) -> Callable[[int, str], None]:
    """A fault: from the call of this number on, or at these calls alone, ``error`` is raised."""

    def fault(number: int, name: str) -> None:
        if number >= at and (not calls or name in calls):
            raise error

    return fault


def names_in(files: FaultyStore) -> list[str]:
    return sorted(path.removeprefix("/bucket/all/") for path in files.store)


def test_a_process_that_ends_at_any_call_of_a_save_leaves_a_whole_snapshot() -> None:
    before = FaultyStore()
    for version in (1, 2):
        save(before, version)
    counted = before.copied()
    save(counted, 3)
    assert counted.calls > 15

    for at in range(1, counted.calls + 1):
        files = before.copied()
        files.fault = failing(Killed(), at=at)
        with pytest.raises(Killed):
            save(files, 3)
        files.fault = failing(Killed(), at=1_000)

        both = snapshots.load_newest(store_in(files))
        assert both is not None
        ref, arrays = both
        assert ref.version in (2, 3)
        assert all((array == ref.version).all() for array in arrays.values())

        files.fault = lambda _number, _name: None
        save(files, 4)
        assert store_in(files).versions() == ([3, 4] if ref.version == 3 else [2, 4])
        assert len(names_in(files)) == 2 * (3 + 1), "leftovers of the crash stay"


@pytest.mark.parametrize("read", READS)
def test_a_store_that_falls_silent_at_any_call_of_a_read_is_an_error_and_never_an_older_snapshot_or_none(
    read: Callable[[Any], Any],
) -> None:
    before = FaultyStore()
    for version in (1, 2):
        save(before, version)
    counted = before.copied()
    read(store_in(counted))
    assert counted.calls > 2

    for at in range(1, counted.calls + 1):
        files = before.copied()
        files.fault = failing(ConnectionError("nobody is there"), at=at)
        with pytest.raises(StoreUnavailableError, match="nobody is there; see that the store is up"):
            read(store_in(files))


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("calls", [("ls",), ("ls", "info", "cat_file")])
def test_a_store_that_does_not_let_us_in_is_not_empty(read: Callable[[Any], Any], calls: tuple[str, ...]) -> None:
    files = FaultyStore()
    files.fault = failing(PermissionError("no"), calls=calls)
    with pytest.raises(StoreError, match="give this process the rights and credentials") as caught:
        read(store_in(files))
    assert not isinstance(caught.value, StoreUnavailableError), "waiting would not help"


def test_a_snapshot_that_we_may_not_read_is_not_stepped_over() -> None:
    files = FaultyStore()
    for version in (1, 2):
        save(files, version)
    files.fault = failing(PermissionError("no"), calls=("cat_file",))
    with pytest.raises(StoreError, match=r"expected to read manifest\.json of snapshot 2 in faulty://bucket/all"):
        snapshots.load_newest(store_in(files))


@pytest.mark.parametrize("read", READS)
def test_a_bucket_that_is_not_there_is_an_error_and_an_empty_one_is_empty(read: Callable[[Any], Any]) -> None:
    assert not read(store_in(FaultyStore()))
    missing = ObjectStore(FaultyStore(), "/buckett/all", address="faulty://buckett/all")
    missing._fs.fault = failing(FileNotFoundError("NoSuchBucket"))
    with pytest.raises(StoreError, match="expected the bucket of faulty://buckett/all, got none of that name; make it"):
        read(missing)


def test_a_bucket_of_which_only_the_prefix_is_ours_is_there() -> None:
    files = FaultyStore()

    def fault(number: int, _name: str) -> None:
        if number == 1:
            raise FileNotFoundError("the prefix has no objects")
        raise PermissionError("the bucket as a whole is not yours")

    files.fault = fault
    assert store_in(files).versions() == []


def test_no_bucket_is_made_by_a_save() -> None:
    files = FaultyStore()
    store = ObjectStore(files, "/bucket/all", address="faulty://bucket/all")
    files.fault = failing(FileNotFoundError("NoSuchBucket"), calls=("ls", "info", "open"))
    with pytest.raises(StoreError, match="got none of that name"):
        snapshots.save(store, 1, {"a": np.zeros(3)}, offsets={}, meta={})
    called: list[str] = []

    def fault(_number: int, name: str) -> None:
        called.append(name)
        raise FileNotFoundError("NoSuchBucket")

    files.fault = fault  # it went away after it was looked at
    with pytest.raises(StoreError, match="got none of that name"):
        store.create(1, "array-00000.bin", memoryview(b"x"))
    assert "makedirs" not in called
    assert files.store == {}


def test_an_upload_that_was_cut_short_in_silence_is_not_committed() -> None:
    files = FaultyStore()
    save(files, 1)
    files.is_short = True
    with pytest.raises(StoreUnavailableError, match="got array-00000.bin with 799 of 800 bytes"):
        save(files, 2)
    files.is_short = False
    assert store_in(files).versions() == [1]
    save(files, 2)
    assert store_in(files).versions() == [1, 2]


def test_two_writers_of_one_version_never_write_over_each_other() -> None:
    files = FaultyStore()
    save(files, 2)
    held = dict(files.store)
    store = store_in(files)
    (entry,) = snapshots.open_ref(store, 2).manifest.arrays[:1]
    with store.draft(2) as draft:
        draft.put(
            "array-00000.bin", memoryview(files.cat_file(f"/bucket/all/snapshot-{2:020d}/array-00000.bin")), entry
        )
        other = entry.__class__(name="a0", dtype="<i8", shape=(100,), sha256="0" * 64)
        with pytest.raises(SnapshotError, match="does a second trainer write to the same snapshot_dir"):
            draft.put("array-00000.bin", memoryview(bytes(800)), other)
        with pytest.raises(SnapshotError, match="does a second trainer write to the same snapshot_dir"):
            draft.commit(b"{}")
    assert files.store == held


def test_a_commit_whose_answer_was_lost_is_a_commit() -> None:
    """The library asks again, and the store says that the object is there: it is ours."""
    files = FaultyStore()
    store = store_in(files)
    save(files, 1)
    said = store.manifest(1)
    with store.draft(1) as draft:
        draft.commit(said)
    assert store.versions() == [1]


def test_a_store_that_cannot_refuse_to_replace_is_written_to_all_the_same() -> None:
    files = FaultyStore()
    files.creates = False
    save(files, 1)
    assert snapshots.newest(store_in(files)) is not None


def test_what_cannot_be_removed_stays_and_the_snapshot_is_durable(caplog: pytest.LogCaptureFixture) -> None:
    files = FaultyStore()
    save(files, 1)
    files.pipe_file(f"/bucket/all/snapshot-{7:020d}/array-00000.bin", b"half")
    files.fault = failing(PermissionError("locked"), calls=("rm_file",))
    with caplog.at_level(logging.WARNING):
        assert save(files, 2, keep=1).version == 2
    assert store_in(files).versions() == [1, 2]
    assert any("older snapshots stay" in message for message in caplog.messages)
    assert any("a leftover of snapshot 7 stays" in message for message in caplog.messages)


def test_a_snapshot_that_is_half_removed_is_not_there() -> None:
    files = FaultyStore()
    save(files, 1)
    files.calls = 0
    files.fault = failing(Killed(), at=3)  # listed, one object gone
    with pytest.raises(Killed):
        store_in(files).remove(1)
    files.fault = lambda _number, _name: None
    assert len(names_in(files)) == 3
    assert store_in(files).versions() == []


def test_only_what_is_ours_is_removed() -> None:
    files = FaultyStore()
    mine = f"/bucket/all/snapshot-{7:020d}/notes.txt"
    files.pipe_file(mine, b"mine")
    save(files, 8)
    assert files.cat_file(mine) == b"mine"


def test_no_secret_is_told() -> None:
    files = FaultyStore(secret="hunter22", client_kwargs={"password": {"inner": "hunter33"}}, region="here")
    store = store_in(files)
    files.fault = failing(
        OSError("hunter22 and hunter33 at https://me:pw44@host/x?X-Amz-Signature=abc55 in here\nnext"), calls=("ls",)
    )
    with pytest.raises(StoreUnavailableError) as caught:
        store.versions()
    told = str(caught.value)
    assert "*** and *** at https://***@host/x?*** in here next" in told
    assert not any(secret in told + repr(store) + store.uri_of(1) for secret in ("hunter", "pw44", "abc55"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would tell it"


def test_a_store_that_does_not_answer_is_waited_for_and_one_that_refuses_is_not() -> None:
    files = FaultyStore()
    save(files, 1)
    lines: list[str] = []
    waits: list[float] = []

    def sleep(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 6:
            files.fault = lambda _number, _name: None

    files.fault = failing(TimeoutError("silence"))
    wait_for_store(store_in(files), lines.append, sleep=sleep)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert lines[-1].startswith("expected to list the snapshots in faulty://bucket/all, got TimeoutError: silence; see")
    assert lines[-1].endswith("trying again in 10.0 s")

    files.fault = failing(PermissionError("no"))
    with pytest.raises(StoreError):
        wait_for_store(store_in(files), lines.append, sleep=sleep)
    assert len(waits) == 6


def test_a_protocol_that_nobody_knows_or_whose_package_is_missing_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsError, match="expected a protocol that fsspec knows in snapshot_dir, got nowhere://"):
        open_store(StoreUrl("nowhere", "x/y"))
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(SettingsError, match=r"pip install 'marquee\[s3\]'"):
        open_object_store(StoreUrl("s3", "bucket/all"))
