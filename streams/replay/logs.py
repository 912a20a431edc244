"""What an event log is in memory: columns in time order, whatever file they came from.

Decides the order (timestamp, then position in the file), the vocabularies and what counts as a broken log. How each
known file format becomes columns is `frames.py`; turning rows into wire events is `convert.py`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.errors import LogFormatError
from streams.replay import frames as reading
from streams.replay.mappings import LogMapping

UNKNOWN_MS = int(np.iinfo(np.int64).min)
"""Stands for "not known" in an int64 column of times or durations."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The items that the log describes, in the order of its file.

    Attributes:
      item_id: external ids, object array of str, shape [N].
      title, creator, text: object arrays of str, "" when not known, shape [N].
      tags: one tuple of words an item, shape [N].
      published_at_ms: int64 [N], UTC; `UNKNOWN_MS` when not known; negative before 1970.
      duration_s: float32 [N], NaN when not known.
    """

    item_id: npt.NDArray[np.object_]
    title: npt.NDArray[np.object_]
    creator: npt.NDArray[np.object_]
    text: npt.NDArray[np.object_]
    tags: tuple[tuple[str, ...], ...]
    published_at_ms: npt.NDArray[np.int64]
    duration_s: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item_id)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EventLog:
    """Interactions in their total order, and the catalogue that came with them.

    Ids are kept once each and events point at them: ``users[user_index]`` are the users of all events.
    Item i is ``items[i]``; it is described by row i of ``catalogue`` when ``i < len(catalogue)``. Items that only the
    interactions name come after those, in order of appearance.

    Attributes:
      name: what the log is called; part of every derived event id.
      users, items: object arrays of str, each id once.
      actions: the action words that occur.
      surfaces: the surfaces that occur; "" stands for none.
      user_index, item_index: int32 [E] into ``users`` and ``items``.
      action_index, surface_index: int16 [E] into ``actions`` and ``surfaces``.
      value: float32 [E], NaN where the log has none.
      dwell_ms: int64 [E], `UNKNOWN_MS` where the log has none.
      completion: float32 [E], 0..1, NaN where the log has none.
      time_ms: int64 [E], event time, UTC, never decreasing.
      position: int64 [E], place of the event in its file, from 0: breaks ties of time, and names the event.
    """

    name: str
    users: npt.NDArray[np.object_]
    items: npt.NDArray[np.object_]
    actions: tuple[str, ...]
    surfaces: tuple[str, ...]
    user_index: npt.NDArray[np.int32]
    item_index: npt.NDArray[np.int32]
    action_index: npt.NDArray[np.int16]
    surface_index: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]
    dwell_ms: npt.NDArray[np.int64]
    completion: npt.NDArray[np.float32]
    time_ms: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    catalogue: Catalogue

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def user_id(self) -> npt.NDArray[np.object_]:
        """User id of every event, object array of str [E]."""
        return self.users[self.user_index]

    @property
    def item_id(self) -> npt.NDArray[np.object_]:
        """Item id of every event, object array of str [E]."""
        return self.items[self.item_index]

    def take(self, rows: npt.NDArray[np.integer] | slice) -> Self:
        """The same log with only these events, in this order; vocabularies and catalogue stay whole."""
        columns = (
            "user_index", "item_index", "action_index", "surface_index", "value", "dwell_ms", "completion", "time_ms",
            "position",
        )  # fmt: skip
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def head(self, count: int) -> Self:
        """The first ``count`` events, or all when there are fewer."""
        return self.take(slice(0, count))

    def with_ties_shuffled(self, *, seed: int) -> Self:
        """The same events with those of one millisecond in a random order: how much does file order give away?"""
        noise = np.random.default_rng(seed).permutation(len(self))
        return self.take(np.lexsort((noise, self.time_ms)))


def read_log(path: Path, *, name: str | None = None, mapping: LogMapping | None = None) -> EventLog:
    """The event log at ``path``: a file, or a folder with a known pair of files.

    Args:
      path: RecBole folder or ``.inter`` file; folder of MovieLens, MovieTweetings or KuaiRand; or a ``.csv``,
        ``.csv.gz``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.
      name: what the log is called; by default the name of the folder or file without its endings.
      mapping: what the columns mean; by default what the folder's files or the file's ending say.

    Returns:
      All events in the order (timestamp, position in the file).

    Raises:
      LogFormatError: nothing readable there; the text says what was expected.
    """
    frames = reading.read_frames(path, mapping)
    return from_frames(frames, name=name or path.resolve().name.split(".")[0])


def from_frames(frames: reading.Frames, *, name: str) -> EventLog:
    """Columns in order with their vocabularies, from the frames of one log.

    Raises:
      LogFormatError: no events, an empty id, a missing time, a completion outside 0..1, or an item described twice.
    """
    events = frames.events.with_row_index("position").sort("time_ms", "position", nulls_last=False)
    _check(events, frames.items, name)
    described = frames.items["item_id"]
    mentioned = events["item_id"].unique(maintain_order=True)
    items = pl.concat([described, mentioned.filter(~mentioned.is_in(described.implode()))])
    users, user_index = _index(events["user_id"], events["user_id"].unique(maintain_order=True), np.int32)
    _, item_index = _index(events["item_id"], items, np.int32)
    actions, action_index = _index(events["action"], events["action"].unique(maintain_order=True), np.int16)
    surface = events["surface"].fill_null("")
    surfaces, surface_index = _index(surface, surface.unique(maintain_order=True), np.int16)
    return EventLog(
        name=name,
        users=users,
        items=_objects(items),
        actions=tuple(actions),
        surfaces=tuple(surfaces),
        user_index=user_index.astype(np.int32),
        item_index=item_index.astype(np.int32),
        action_index=action_index.astype(np.int16),
        surface_index=surface_index.astype(np.int16),
        value=events["value"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        dwell_ms=events["dwell_ms"].fill_null(UNKNOWN_MS).to_numpy(),
        completion=events["completion"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        time_ms=events["time_ms"].to_numpy(),
        position=events["position"].cast(pl.Int64).to_numpy(),
        catalogue=_catalogue(frames.items),
    )


def _catalogue(items: pl.DataFrame) -> Catalogue:
    return Catalogue(
        item_id=_objects(items["item_id"]),
        title=_objects(items["title"].fill_null("")),
        creator=_objects(items["creator"].fill_null("")),
        text=_objects(items["text"].fill_null("")),
        tags=tuple(tuple(words) for words in items["tags"].to_list()),
        published_at_ms=items["published_at_ms"].fill_null(UNKNOWN_MS).to_numpy(),
        duration_s=items["duration_s"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
    )


def _objects(column: pl.Series) -> npt.NDArray[np.object_]:
    made = np.empty(len(column), dtype=object)
    made[:] = column.to_list()
    return made


def _index(
    column: pl.Series, words: pl.Series, dtype: type[np.signedinteger]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.signedinteger]]:
    """The distinct words, and for each entry of the column its place among them."""
    if len(words) > np.iinfo(dtype).max:
        raise LogFormatError(
            f"expected at most {np.iinfo(dtype).max} different values in {column.name}, got {len(words)}; "
            "map the column to coarser words"
        )
    codes = column.cast(pl.Enum(words)).to_physical()
    return _objects(words), codes.to_numpy().astype(dtype)


def _check(events: pl.DataFrame, items: pl.DataFrame, name: str) -> None:
    if events.is_empty():
        raise LogFormatError(f"expected a log with events, got none in {name}; is the file cut short?")
    faults = (
        ("a user_id", pl.col("user_id").is_null() | (pl.col("user_id") == "")),
        ("an item_id", pl.col("item_id").is_null() | (pl.col("item_id") == "")),
        ("a timestamp", pl.col("time_ms").is_null()),
        ("an action", pl.col("action").is_null() | (pl.col("action") == "")),
        ("a completion within 0..1", ~pl.col("completion").is_between(0.0, 1.0)),
        ("a dwell time >= 0", pl.col("dwell_ms") < 0),
    )
    for wanted, is_broken in faults:
        broken = events.filter(is_broken)
        if not broken.is_empty():
            first = int(str(broken["position"].min()))
            raise LogFormatError(
                f"expected {wanted} in every event of {name}, got {broken.height} without one, the first at event "
                f"{first} (from 0); remove or mend those rows"
            )
    twice = items.filter(pl.col("item_id").is_duplicated())["item_id"]
    if len(twice):
        raise LogFormatError(f"expected each item once in the catalogue of {name}, got {twice[0]!r} again; merge them")
    if items["item_id"].null_count() or (items["item_id"] == "").any():
        raise LogFormatError(f"expected an item_id in every row of the catalogue of {name}, got one without; remove it")
