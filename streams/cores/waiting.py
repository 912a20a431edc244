"""Interactions on items that have no row yet: they wait until the trainer announces the item."""

from collections.abc import Iterable

from streams.contract.events import Interaction


class Waiting:
    """At most ``most`` interactions by item; beyond it the items that have waited longest give way."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: dict[str, list[Interaction]] = {}
        self._count = 0

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._events

    def __len__(self) -> int:
        return self._count

    def add(self, event: Interaction) -> None:
        """Let one wait."""
        self._events.setdefault(event.item_id, []).append(event)
        self._count += 1
        while self._count > self._most:
            self._count -= len(self._events.pop(next(iter(self._events))))

    def take(self, item_ids: Iterable[str]) -> list[Interaction]:
        """What waited for these items, in their order; it waits no more."""
        taken = [event for item_id in item_ids for event in self._events.pop(item_id, ())]
        self._count -= len(taken)
        return taken

    def forget_user(self, user_id: str) -> None:
        """Drop what a user did."""
        kept = {item_id: [e for e in events if e.user_id != user_id] for item_id, events in self._events.items()}
        self._events = {item_id: events for item_id, events in kept.items() if events}
        self._count = sum(map(len, self._events.values()))
