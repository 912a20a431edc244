"""The catalogue's records as a recommender keeps them: by id, and those that rules have to look at by kind of rule."""

from typing import Final

import msgspec
import numpy as np

from models.recommend.labels import ItemLabels
from models.recommend.sources import Counts, put_labels
from models.recommend.vocab import Vocab
from models.typing import I32
from streams.contract.codec import encode
from streams.contract.events import Item
from streams.cores.contents import labels_of
from streams.cores.facets import Facets

_DECODER: Final = msgspec.json.Decoder(Item)


class Catalogue:
    """The newest record of each item, without its text and assets, which serving does not read.

    Records are kept as bytes: a tenth of the objects, and what a copy on disk holds (`catalogue_copy.py`).

    Attributes:
      records: by id, as JSON. timed: those with a window of availability, as records.
      withdrawn: ids that the catalogue had and has no more.
      version: rises with every record; also whoever gives an item another row raises it: what was derived from both is
        to be made anew.
    """

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.timed: dict[str, Item] = {}
        self.withdrawn: set[str] = set()
        self.version = 0

    def item(self, item_id: str) -> Item | None:
        """The record of an item; None where the catalogue has none."""
        record = self.records.get(item_id)
        return None if record is None else decoded(record)

    def take(self, item_id: str, item: Item | None) -> None:
        """Keep a record; None withdraws the item."""
        self.version += 1
        self.timed.pop(item_id, None)
        if item is None:
            self.records.pop(item_id, None)
            self.withdrawn.add(item_id)
            return
        kept = msgspec.structs.replace(item, text="", assets=[]) if item.text or item.assets else item
        self.records[item_id] = encode(kept)
        self.withdrawn.discard(item_id)
        if is_timed(kept):
            self.timed[item_id] = kept


def decoded(record: bytes) -> Item:
    """A record that `Catalogue` keeps."""
    return _DECODER.decode(record)


def is_timed(item: Item) -> bool:
    """Whether it has a window of availability."""
    return item.available_from_ms is not None or item.available_until_ms is not None


def put_known_labels(
    rows: I32, items: Vocab, catalogue: Catalogue, counts: Counts, labels: ItemLabels, facets: Facets
) -> None:
    """Put the labels and facets of those of the rows that the catalogue has."""
    found = [(row, catalogue.item(items.key(row))) for row in rows.tolist()]
    listed = [(row, item) for row, item in found if item is not None]
    if listed:
        put_labels(
            counts, labels, np.array([row for row, _ in listed], np.int32), labels_of([item for _, item in listed])
        )
    for row, item in listed:
        facets.put(row, item)
