"""The store: whole files under their hashes, whatever ends in between."""

import os

import pytest

from streams.studio.store import ASIDE, LOCK, Aside, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def aside(store):
    one = Aside(store.corners)
    yield one
    one.close()


def test_a_damaged_file_is_replaced(store, aside, tmp_path):
    made = tmp_path / "made.txt"
    made.write_bytes(b"hello")
    store.put(made, suffix=".txt", manifest={}, aside=aside.folder).path.write_bytes(b"hel")
    assert store.put(made, suffix=".txt", manifest={}, aside=aside.folder).path.read_bytes() == b"hello"


def corners(store):
    return {path.name for path in (store.folder / ASIDE).iterdir()}


def test_what_a_gone_worker_left_is_cleared_and_a_living_one_s_is_not(store):
    living, gone = Aside(store.corners), Aside(store.corners)
    (gone.folder / "half").touch()
    gone._lock.close()  # as the end of its process does
    new = Aside(store.corners)
    assert corners(store) == {living.folder.name, new.folder.name}
    new.close()
    living.close()
    assert corners(store) == set()


def test_another_machine_s_corner_is_left_alone_until_it_was_not_used_for_a_week(store):
    """Its lock may be unknown here: on some network file systems a lock is its own machine's alone."""
    there = Aside(store.corners, host="other-machine")
    there._lock.close()
    Aside(store.corners, host="other").close()
    assert corners(store) == {there.folder.name}
    os.utime(there.folder / LOCK, (0, 0))
    there.touch()
    Aside(store.corners, host="here").close()
    assert corners(store) == {there.folder.name}
    os.utime(there.folder / LOCK, (0, 0))
    Aside(store.corners, host="here").close()
    assert corners(store) == set()
