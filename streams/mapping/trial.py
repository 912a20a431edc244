"""A mapping tried on a sample: how many records it takes, leaves out and refuses, and the first bad ones. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Final

from streams.contract.codec import Decode, Rejected, Skipped, encode
from streams.contract.events import Interaction, Item
from streams.contract.explain import without_particulars
from streams.mapping.looks import Sampled

SHOWN: Final = 5


@dataclasses.dataclass(kw_only=True)
class Trial:
    """What became of a sample.

    Attributes:
      actions: of the interactions taken. by_reason: of the refused. bad: the first of these: place, reason, value.
      keyed: records taken whose key is their user. first: the first event, as the contract has it.
    """

    records: int = 0
    taken: int = 0
    skipped: int = 0
    refused: int = 0
    keyed: int = 0
    actions: Counter[str] = dataclasses.field(default_factory=Counter)
    by_reason: Counter[str] = dataclasses.field(default_factory=Counter)
    bad: list[tuple[int, str, bytes]] = dataclasses.field(default_factory=list)
    first: str = ""


def tried(sample: Iterable[Sampled], decode: Decode) -> Trial:
    """Decode a sample."""
    trial = Trial()
    for place, one in enumerate(sample, start=1):
        trial.records += 1
        found = decode(one.value, one.timestamp_ms, one.key, one.headers)
        if isinstance(found, Skipped):
            trial.skipped += 1
        elif isinstance(found, Rejected):
            trial.refused += 1
            trial.by_reason[without_particulars(found.reason)] += 1
            if len(trial.bad) < SHOWN:
                trial.bad.append((place, found.reason, one.value))
        else:
            trial.taken += 1
            if isinstance(found, Interaction):
                trial.actions[found.action] += 1
                trial.keyed += one.key is not None and one.key == found.user_id.encode("utf-8", "replace")
            if not trial.first and isinstance(found, Interaction | Item):
                trial.first = encode(found).decode()
    return trial
