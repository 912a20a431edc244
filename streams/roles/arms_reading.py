"""The recommender's reading of arms: what the planner tells of them, and withdrawals from the assets' own topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.contract.arms import ItemArms
from streams.contract.codec import decoder
from streams.contract.events import ContentAsset
from streams.cores.showcase import Showcase
from streams.transport.bulk import BytesChunk


def taken(chunk: BytesChunk, showcase: Showcase, *, is_arms: bool) -> Callable[[], None]:
    """What a chunk changes, to be called by the showcase's owner; records that break the contract are left out.

    Args:
      is_arms: the chunk is of ``item-arms.v1``, else of ``content-assets.v1``: of that a tombstone, and a task that
        failed or was rejected, take assets away at once; what was made is told by the arms.
    """
    kind: type[Any] = ItemArms if is_arms else ContentAsset
    decode = decoder(kind)
    records = [(r, None if r.value is None else decode(r.value, -1)) for r in chunk.records]

    def take() -> None:
        for record, event in records:
            key = None if record.key is None else record.key.decode("utf-8", "replace")
            if isinstance(event, ItemArms):
                showcase.take(event)
            elif isinstance(event, ContentAsset) and event.status != "done":
                showcase.withdraw(event.item_id, offset=record.offset, task_id=event.task_id)
            elif event is None and key is not None:
                if is_arms:
                    showcase.forget(key)
                else:
                    showcase.withdraw(key, offset=record.offset)

    return take
