"""A recommender's own copy of the catalogue under ``cache_dir``: a restart reads it, and of the topic only the rest.

A copy of any age up to `MOST_AGE_S` is good, since it says how far it goes; an older one is not, since compaction may
have removed the tombstones that came after it. It may be deleted at any time. Of several recommenders on one machine
one writes, all read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from streams.contract.topics import ITEMS
from streams.cores import catalogue_copy
from streams.cores.serving import Serving
from streams.durability import snapshots
from streams.durability.snapshots import SnapshotRef
from streams.errors import SnapshotError
from streams.mapping.decoders import digest_of
from streams.settings import Settings
from streams.transport.merge import Source

FORMAT: Final = 1
MOST_AGE_S: Final = 12 * 3600
"""Half of Kafka's default for ``delete.retention.ms``, which our topics keep."""
KEEP: Final = 2

log = logging.getLogger(__name__)


def installation_of(settings: Settings) -> tuple[str, ...]:
    """What tells one catalogue from another: the broker, the topic's name, and how its records are read."""
    told = (settings.broker, settings.topic_names[ITEMS.name])
    return told if settings.mapping.items is None else (*told, digest_of(settings.mapping))


class CatalogueDisk:
    """The copies of one topic of one installation.

    Args:
      cache_dir: of the settings. installation: what tells one from another: the broker and the topic's name.
    """

    def __init__(self, cache_dir: Path, installation: tuple[str, ...]) -> None:
        digest = hashlib.blake2b("\0".join(installation).encode(), digest_size=8).hexdigest()
        self._root = cache_dir / "catalogue" / digest
        self._saved = -1

    def load(self, serving: Serving) -> Mapping[Source, int]:
        """Put the newest copy into a serving state without records; gives how far it goes, nothing if none is good."""
        try:
            found = snapshots.load_newest(self._root, fits=_is_good)
            if found is None:
                return {}
            ref, arrays = found
            catalogue_copy.restore(serving, arrays)
        except (SnapshotError, OSError, KeyError, ValueError) as error:
            log.warning("no copy of the catalogue under %s, its topic is read whole: %s", self._root, error)
            return {}
        self._saved = serving.catalogue.version
        return {_source(name): offset for name, offset in ref.offsets.items()}

    async def save(
        self, serving: Serving, offsets: Mapping[Source, int], *, change: Callable[..., asyncio.Future[Any]]
    ) -> None:
        """Write a copy, unless nothing came since the last one or another process writes.

        Args:
          offsets: what is in the state already. change: gives a function its turn with the state.
        """
        if serving.catalogue.version == self._saved:
            return
        version = serving.catalogue.version
        reached = {f"{topic}/{partition}": at for (topic, partition), at in sorted(offsets.items())}
        ids = await change(list, serving.catalogue.records)
        parts = []
        for first in range(0, len(ids), catalogue_copy.AT_ONCE):
            parts.append(await change(catalogue_copy.part_of, serving, ids[first : first + catalogue_copy.AT_ONCE]))
        withdrawn, words = await change(lambda: (sorted(serving.catalogue.withdrawn), serving.facets.words))
        if await asyncio.to_thread(self._write, parts, withdrawn, words, reached):
            self._saved = version

    def _write(self, parts: Any, withdrawn: Any, words: Any, reached: Mapping[str, int]) -> bool:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with _only_one(self._root / "lock") as is_ours:
                if not is_ours:
                    return False
                arrays = catalogue_copy.to_arrays(parts, withdrawn, words)
                version = max([0, *snapshots.versions(self._root)]) + 1
                meta = {"format": FORMAT, "saved_s": int(time.time())}
                snapshots.save(self._root, version, arrays, offsets=reached, meta=meta, keep=KEEP)
        except (SnapshotError, OSError) as error:  # a full disk: the next start reads the topic
            log.warning("no copy of the catalogue was written: %s", error)
            return False
        return True


def _is_good(ref: SnapshotRef) -> bool:
    return ref.meta.get("format") == FORMAT and 0 <= time.time() - ref.meta.get("saved_s", 0) <= MOST_AGE_S


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether this process is the only one in here now; the system lets go when a process ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _source(name: str) -> Source:
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)
