"""The catalogue's records as a recommender keeps them: by id, and those that rules have to look at by kind of rule."""

from streams.contract.events import Item


class Catalogue:
    """The newest record of each item.

    Attributes:
      items: by id. timed: those with a window of availability. limited: those with a least age or regions.
      withdrawn: ids that the catalogue had and has no more.
      version: rises with every record; also whoever gives an item another row raises it: what was derived from both is
        to be made anew.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.timed: dict[str, Item] = {}
        self.limited: dict[str, Item] = {}
        self.withdrawn: set[str] = set()
        self.version = 0

    def take(self, item_id: str, item: Item | None) -> None:
        """Keep a record; None withdraws the item."""
        self.version += 1
        self.timed.pop(item_id, None)
        self.limited.pop(item_id, None)
        if item is None:
            self.items.pop(item_id, None)
            self.withdrawn.add(item_id)
            return
        self.items[item_id] = item
        self.withdrawn.discard(item_id)
        if item.available_from_ms is not None or item.available_until_ms is not None:
            self.timed[item_id] = item
        if item.maturity or item.regions:
            self.limited[item_id] = item
