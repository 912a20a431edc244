"""Which action a record means, or none: words of a field, or rules; compiled to one look-up where that is enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from streams.contract import rules
from streams.mapping.shapes import InteractionShape, Names, Scalar

Action = Callable[[tuple[Any, ...]], str | None]
"""Values of a record -> one of the contract's actions; None: the record is left out."""
Place = Callable[[Names], int]
"""Paths -> the place of their value."""

BY_WORD: Final = {word: word for word in rules.ACTION_WORDS}


def action_of(shape: InteractionShape, place: Place) -> Action:
    """The decision of a mapping."""
    if shape.rules:
        return _by_rules([(rule.conditions, rule.action or None) for rule in shape.rules], place)
    if shape.action:
        at = place(shape.action)
        known: dict[Any, str | None] = dict(BY_WORD)
        for theirs, ours in shape.words.items():
            known[theirs] = ours or None
        find = known.get

        def by_word(values: tuple[Any, ...]) -> str | None:
            word = values[at]
            found = find(word)
            return found if found is not None or word.__class__ is str else find(_text(word))

        return by_word
    constant = shape.constants.get("action") or ("rate" if shape.value else "click")
    return lambda _: constant


def matcher_of(conditions: Mapping[str, Any], place: Place) -> Callable[[tuple[Any, ...]], bool]:
    """Whether all conditions hold."""
    tests = [(place(path), same(value if isinstance(value, list) else [value])) for path, value in conditions.items()]
    return lambda values: all(values[at] in wanted for at, wanted in tests)


def same(wanted: Sequence[Scalar | None]) -> frozenset[Any]:
    """These values as records may have them: 1 is also "1", true is also "true".

    >>> sorted(map(str, same([1])))
    ['1', '1']
    """
    return frozenset(wanted) | {_text(value) for value in wanted if value is not None}


def _by_rules(rows: list[tuple[dict[str, list[Scalar]], str | None]], place: Place) -> Action:
    compiled = [
        (tuple((place(path), same(values)) for path, values in conditions.items()), action)
        for conditions, action in rows
    ]

    def by_rules(values: tuple[Any, ...]) -> str | None:
        for tests, action in compiled:
            for at, wanted in tests:
                if values[at] not in wanted:
                    break
            else:
                return action
        return None

    return by_rules


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
