"""Labels of an item as numbers: tags, creator and year, for sources that compare an item with what a user had.

Codes are hashes, so that trainer and recommenders agree on them without telling each other; two tags that
share a code among a few thousand are counted as one.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.typing import I32

TAGS = 8
"""Tags of an item that are looked at; further ones are left out."""
TAG_CODES = 8_192
_MS_PER_YEAR = 31_556_952_000

U16 = NDArray[np.uint16]
I16 = NDArray[np.int16]


class ItemLabels(NamedTuple):
    """One row an item (N rows of capacity); 0 stands for unknown.

    Attributes:
      tags: codes of its tags, none twice, uint16 [N, TAGS].
      creator: code of its creator, int32 [N]. year: when the work came out, int16 [N].
    """

    tags: U16
    creator: I32
    year: I16


def empty_labels(rows: int) -> ItemLabels:
    """Nothing known of ``rows`` items."""
    return ItemLabels(np.zeros((rows, TAGS), np.uint16), np.zeros(rows, np.int32), np.zeros(rows, np.int16))


def grown_labels(labels: ItemLabels, rows: int) -> ItemLabels:
    """The same labels for at least ``rows`` item rows."""
    missing = rows - len(labels.year)
    if missing <= 0:
        return labels
    pairs: zip[tuple[Any, Any]] = zip(labels, empty_labels(missing), strict=True)
    return ItemLabels(*(np.concatenate(pair) for pair in pairs))


def tag_codes(tags: Sequence[str]) -> U16:
    """Codes of the first distinct tags, uint16 [TAGS], 0 behind them."""
    codes = list(dict.fromkeys(1 + _hash(tag.lower()) % (TAG_CODES - 1) for tag in tags))[:TAGS]
    return np.array(codes + [0] * (TAGS - len(codes)), np.uint16)


def creator_code(creator: str | None) -> int:
    """Code of a creator, 0 for none."""
    return 1 + _hash(creator) % (2**31 - 2) if creator else 0


def year_of(title_year: str | None, published_at_ms: int | None) -> int:
    """The year in the title if there is one, else of publication; 0 for neither."""
    if title_year:
        return int(title_year)
    return min(max(1970 + published_at_ms // _MS_PER_YEAR, 1), 9999) if published_at_ms is not None else 0


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
