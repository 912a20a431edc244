"""What is told of an item's arms: the assets that a slate may show it with, and how often each was taken."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.contract import rules
from streams.contract.events import ContentKind, Count, Devices, Id, Label, Language, Record, TimeMs, Uri

Chances = Annotated[float, Meta(ge=0.0, le=rules.MAX_MAGNITUDE)]


class ItemArm(Record, frozen=True, kw_only=True):
    """One asset among which is chosen.

    Attributes:
      asset_id: ``own:KIND`` is what the item itself has where its catalogue names no asset of the kind.
      language: primary subtag, as in ``pt``; empty fits everybody. devices: empty is all.
      task_id: the content task that it came from; None of the control. uri, media_type: where it is, and what; the
        control's, if it has a file, is in the item's record.
      shown, taken: chances and how many were taken, faded; see docs/studio.md.
      control: it is the item's own.
    """

    asset_id: Id
    kind: ContentKind
    language: Language = ""
    devices: Devices = msgspec.field(default_factory=list)
    task_id: Id | None = None
    uri: Uri | None = None
    media_type: Label | None = None
    shown: Chances = 0.0
    taken: Chances = 0.0
    control: bool = False


class ItemArms(Record, frozen=True, kw_only=True):
    """The arms of one item; ``item-arms.v1``, keyed by ``item_id``; the newest record stands for all of them.

    Attributes:
      at_ms: event time of the counts, UTC epoch ms.
      assets_offset: all records of the item before this offset of its partition of ``content-assets.v1`` are in it.
      arms: without any, the item is shown as it is.
    """

    item_id: Id
    at_ms: TimeMs
    assets_offset: Count = 0
    arms: Annotated[list[ItemArm], Meta(max_length=rules.MAX_ASSETS)] = msgspec.field(default_factory=list)
