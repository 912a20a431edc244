"""What stands for a record that takes something away: a tombstone, or one that a mapping reads as such."""

from typing import NamedTuple


class Withdrawn(NamedTuple):
    """A tombstone on the catalogue."""

    item_id: str


class Erased(NamedTuple):
    """A tombstone on the users."""

    user_id: str
