"""Rows of an event log as events of the contract, ready for a topic or for a core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from streams.contract import rules
from streams.contract.events import Action, Interaction, Item
from streams.contract.ids import replayed_event_id
from streams.errors import LogFormatError
from streams.replay.logs import UNKNOWN_MS, Catalogue, EventLog

FIRST_TIME_MS: Final = 1
"""Earliest event time that can be played: Kafka knows no time before 1970, and clients read 0 as "now"."""
FLOAT32_DECIMALS: Final = 6
"""Digits after the point that survive single precision for values up to about ten."""


def check_playable(log: EventLog) -> None:
    """Say before the first record what every record of this log would be refused for.

    Raises:
      LogFormatError: an action that the contract does not have, or an event before 1970.
    """
    strange = sorted(set(log.actions) - rules.ACTION_WORDS)
    if strange:
        raise LogFormatError(
            f"expected the actions {', '.join(sorted(rules.ACTION_WORDS))} in {log.name}, got {', '.join(strange)}; "
            "map them to these words"
        )
    if len(log) and int(log.time_ms[0]) < FIRST_TIME_MS:
        raise LogFormatError(
            f"expected event times after 1970-01-01 in {log.name}, got {log.time_ms[0]} ms; is the column in seconds?"
        )


def to_interactions(log: EventLog, first: int = 0, last: int | None = None) -> Iterator[Interaction]:
    """Events ``first`` up to, not including, ``last`` of the log, in its order.

    Event ids are derived from the log's name and the place in its file, so playing a log twice is learned once (within
    the dedupe window). A value, dwell time or completion that the log does not have is left out.
    """
    part = log.take(slice(first, last))
    surfaces = [surface or None for surface in log.surfaces]
    columns = (
        part.position.tolist(),
        part.user_id.tolist(),
        part.item_id.tolist(),
        part.action_index.tolist(),
        part.time_ms.tolist(),
        _or_none(_decimals(part.value), np.isnan(part.value)),
        _or_none(part.dwell_ms, part.dwell_ms == UNKNOWN_MS),
        _or_none(_decimals(part.completion), np.isnan(part.completion)),
        part.surface_index.tolist(),
    )
    for position, user_id, item_id, action, time_ms, value, dwell_ms, completion, surface in zip(*columns, strict=True):
        yield Interaction(
            event_id=replayed_event_id(log=log.name, position=position),
            user_id=user_id,
            item_id=item_id,
            action=cast(Action, log.actions[action]),
            occurred_at_ms=time_ms,
            value=value,
            dwell_ms=dwell_ms,
            completion=completion,
            surface=surfaces[surface],
        )


def to_items(catalogue: Catalogue) -> Iterator[Item]:
    """The described items, in the order of their file; what is not known is left out."""
    duration_s = _decimals(catalogue.duration_s)
    for row in range(len(catalogue)):
        published_at_ms = int(catalogue.published_at_ms[row])
        yield Item(
            item_id=catalogue.item_id[row],
            title=catalogue.title[row],
            text=catalogue.text[row],
            tags=list(catalogue.tags[row]),
            creator=catalogue.creator[row] or None,
            published_at_ms=None if published_at_ms == UNKNOWN_MS else published_at_ms,
            duration_s=None if np.isnan(duration_s[row]) else float(duration_s[row]),
        )


def _decimals(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """As doubles without the tail that single precision leaves: 0.1, not 0.10000000149011612."""
    return column.astype(np.float64).round(FLOAT32_DECIMALS)


def _or_none(column: npt.NDArray[Any], is_missing: npt.NDArray[np.bool_]) -> list[Any]:
    made = column.astype(object)
    made[is_missing] = None
    values: list[Any] = made.tolist()
    return values
