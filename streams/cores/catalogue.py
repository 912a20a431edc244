"""The catalogue's records as a recommender keeps them: by id, and those that rules have to look at by kind of rule."""

import numpy as np

from models.recommend.labels import ItemLabels, empty_labels
from models.recommend.vocab import Vocab
from models.typing import I32
from streams.contract.events import Item
from streams.cores.contents import labels_of


class Catalogue:
    """The newest record of each item.

    Attributes:
      items: by id. timed: those with a window of availability.
      withdrawn: ids that the catalogue had and has no more.
      version: rises with every record; also whoever gives an item another row raises it: what was derived from both is
        to be made anew.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.timed: dict[str, Item] = {}
        self.withdrawn: set[str] = set()
        self.version = 0

    def take(self, item_id: str, item: Item | None) -> None:
        """Keep a record; None withdraws the item."""
        self.version += 1
        self.timed.pop(item_id, None)
        if item is None:
            self.items.pop(item_id, None)
            self.withdrawn.add(item_id)
            return
        self.items[item_id] = item
        self.withdrawn.discard(item_id)
        if item.available_from_ms is not None or item.available_until_ms is not None:
            self.timed[item_id] = item


def known_labels(rows: I32, items: Vocab, catalogue: Catalogue) -> tuple[I32, ItemLabels]:
    """Those of the item rows that the catalogue has, and their labels."""
    found = [(row, catalogue.items.get(items.key(row))) for row in rows.tolist()]
    listed = [(row, item) for row, item in found if item is not None]
    labels = labels_of([item for _, item in listed]) if listed else empty_labels(0)
    return np.array([row for row, _ in listed], np.int32), labels
