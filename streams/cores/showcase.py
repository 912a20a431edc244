"""What each item is shown with: its arms as told on the topic, and a choice among them for each place of a slate.

A choice is a function of the seed, the request, the item and the arms: the same request on the same state gets the same
again. Tables of choices are made once for each kind of viewer and kept until an item's arms are told anew. What is
withdrawn on the assets' own topic is gone at once, however late the news of it comes here on the arms' topic.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import Request, User
from streams.cores.arms import MILLION, Arm, Table, fitting, table_of
from streams.cores.tracks import KINDS, primary

VIEWERS_MOST: Final = 256
"""Kinds of viewers of one item whose tables are kept: orders of the languages that its arms have may be many."""
DEVICE: Final = "device"
LANGUAGE: Final = "language"
"""What is looked for in a request's context."""
_NUMBERS: Final = struct.Struct(f"<{len(KINDS)}Q")
"""An even number for each kind, from 0 to 2**64."""
Luck = blake2b


class Viewer(NamedTuple):
    """What decides which assets fit: primary subtags, the preferred one first, and the device; "" is not known."""

    languages: tuple[str, ...]
    device: str


class _Choices:
    """What fits one kind of viewer of one item: a table for each kind of content, and the JSON of each outcome."""

    __slots__ = ("_said", "_tables", "ends")

    def __init__(self, tables: tuple[Table, ...]) -> None:
        self._tables = tables
        self._said: dict[tuple[int, ...], bytes] = {}
        self.ends = [table.ends for table in tables]
        """Of each table; see `Table.place_of`."""

    def said(self, places: tuple[int, ...]) -> bytes:
        """What is said where these arms were chosen, one a table."""
        found = self._said.get(places)
        if found is None:
            found = self._said[places] = _said(self._tables, places)
        return found


class Stand:
    """One item with arms: its record, and the choices of each kind of viewer that came."""

    __slots__ = ("_choices", "_devices", "_languages", "record")

    def __init__(self, record: ItemArms) -> None:
        self.record = record
        self._languages = frozenset(arm.language for arm in record.arms)
        self._devices = frozenset(device for arm in record.arms for device in arm.devices)
        self._choices: dict[Viewer, _Choices] = {}

    def chosen(self, item_id: str, viewer: Viewer, luck: Luck) -> bytes:
        """What a place of a slate says of its assets: JSON that goes before its last brace; empty where none fits."""
        languages, device = (
            viewer  # of these only what an arm is made for tells viewers apart: the rest is anybody's text
        )
        spoken = tuple([one for one in languages if one in self._languages])
        viewer = Viewer(spoken, device if device in self._devices else "")
        choices = self._choices.get(viewer)
        if choices is None:
            if len(self._choices) >= VIEWERS_MOST:
                self._choices.clear()
            choices = self._choices[viewer] = _Choices(tables_of(self.record.arms, viewer))
        own = luck.copy()
        own.update(item_id.encode("utf-8", "surrogatepass"))
        numbers = _NUMBERS.unpack(own.digest())
        return choices.said(tuple(map(bisect_right, choices.ends, [one * MILLION >> 64 for one in numbers])))


class Showcase:
    """The arms of all items that have any; one thread owns it."""

    def __init__(self, *, seed: int) -> None:
        self._key = seed.to_bytes(16, "little", signed=True)
        self._stands: dict[str, Stand] = {}
        self._offsets: dict[str, int] = {}
        """Item -> offset of its partition of the assets' topic up to which withdrawals are in ``_stands``."""

    def __len__(self) -> int:
        return len(self._stands)

    def arms_of(self, item_id: str) -> Sequence[ItemArm]:
        """What an item may be shown with now."""
        stand = self._stands.get(item_id)
        return () if stand is None else stand.record.arms

    def take(self, record: ItemArms) -> None:
        """The newest arms of an item; a record that does not know of a withdrawal yet is left out."""
        if record.assets_offset < self._offsets.get(record.item_id, 0):
            return
        if record.assets_offset:
            self._offsets[record.item_id] = record.assets_offset
        self._put(record)

    def withdraw(self, item_id: str, *, offset: int, task_id: str | None = None) -> None:
        """An item's assets of ours are withdrawn, or that of one task; ``offset``: that of the record that says so."""
        if offset < self._offsets.get(item_id, 0):
            return  # the arms that are here were told later
        self._offsets[item_id] = offset + 1
        if stand := self._stands.get(item_id):
            left = [arm for arm in stand.record.arms if task_id is not None and arm.task_id != task_id]
            self._put(msgspec.structs.replace(stand.record, arms=left))

    def forget(self, item_id: str) -> None:
        """The item has no arms."""
        self._stands.pop(item_id, None)

    def _put(self, record: ItemArms) -> None:
        if any(not arm.control for arm in record.arms):
            self._stands[record.item_id] = Stand(record)
        else:
            self._stands.pop(record.item_id, None)

    def knows_none_of(self, item_ids: Sequence[str]) -> bool:
        """Whether none of these items has arms."""
        return not self._stands or self._stands.keys().isdisjoint(item_ids)

    def luck_of(self, request_id: str) -> Luck:
        """What decides for a request, whichever item it is about."""
        return blake2b(f"{len(request_id)} {request_id}".encode("utf-8", "surrogatepass"), key=self._key,
                       digest_size=_NUMBERS.size)  # fmt: skip

    def stands_of(self, item_ids: Iterable[str]) -> Iterator[Stand | None]:
        """Each item's arms; None where it has none."""
        return map(self._stands.get, item_ids)


def viewer_of(request: Request, profile: User | None) -> Viewer:
    """Whom a request is for: its context's language before those of the profile."""
    language, device = request.context.get(LANGUAGE), request.context.get(DEVICE)
    spoken = [language] if isinstance(language, str) else []
    spoken += profile.languages if profile is not None else []
    languages = dict.fromkeys(primary(one) for one in spoken if one)
    return Viewer(tuple(languages), device if isinstance(device, str) else "")


def tables_of(arms: Sequence[ItemArm], viewer: Viewer) -> tuple[Table, ...]:
    """A table for each kind of content of which something fits, in the order of the kinds."""
    tables = []
    for kind in KINDS:
        among = fitting([arm_of(arm) for arm in arms if arm.kind == kind], *viewer)
        if among:
            tables.append(table_of(among))
    return tuple(tables)


def arm_of(arm: ItemArm) -> Arm:
    """An arm of the wire as choosing takes it."""
    return Arm(arm.asset_id, arm.shown, arm.taken, arm.language, tuple(arm.devices), arm.control)


def _said(tables: Sequence[Table], places: Sequence[int]) -> bytes:
    if not tables:
        return b""
    chosen = [table.asset_ids[place] for table, place in zip(tables, places, strict=True)]
    with_which = [table.propensities[place] for table, place in zip(tables, places, strict=True)]
    encode = msgspec.json.encode
    return b',"asset_ids":%b,"asset_propensities":%b' % (encode(chosen), encode(with_which))
