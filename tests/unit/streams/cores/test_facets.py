"""Rules as columns: against the same rules over the records, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract.events import Item
from streams.cores.facets import Facets
from tests.factories import make_item

WORDS = st.sampled_from(["a", "b", "c", "1", "True"])
ITEMS = st.builds(
    make_item,
    tags=st.lists(WORDS, max_size=3),
    creator=st.none() | WORDS,
    language=st.sampled_from([None, "en", "fr"]),
    duration_s=st.none() | st.floats(0, 10),
    maturity=st.integers(0, 18),
    regions=st.lists(WORDS, max_size=2, unique=True),
)
WANTED = st.none() | WORDS | st.lists(WORDS, max_size=2) | st.booleans() | st.integers(0, 3) | st.floats(0, 10)
FILTERS = st.dictionaries(st.sampled_from(["tags", "creator", "language", "max_duration_s"]), WANTED, max_size=3)


def passes(item: Item, filters: dict[str, Any]) -> bool:
    for name, wanted in filters.items():
        if wanted is None:
            continue
        if name == "max_duration_s":
            if not isinstance(wanted, int | float) or item.duration_s is None or item.duration_s > wanted:
                return False
            continue
        words = {str(word) for word in wanted} if isinstance(wanted, list) else {str(wanted)}
        columns: dict[str, list[str | None]] = {
            "tags": [*item.tags],
            "creator": [item.creator],
            "language": [item.language],
        }
        if not words & set(columns[name]):
            return False
    return True


@given(st.lists(st.tuples(st.integers(1, 9), st.none() | ITEMS), max_size=20), FILTERS)
def test_filters_over_columns_are_those_over_records(records: list[tuple[int, Item | None]], filters: Any) -> None:
    facets, kept = Facets(), dict[int, Item | None]()
    for row, item in records:
        facets.put(row, item)
        kept[row] = item
    want = [item is not None and passes(item, filters) for item in (kept.get(row) for row in range(12))]
    assert facets.meeting(12, filters).tolist() == want


@given(st.lists(ITEMS, max_size=8), st.none() | st.integers(0, 18), st.none() | WORDS)
def test_limits_over_columns_are_those_over_records(items: list[Item], maturity: Any, region: Any) -> None:
    facets = Facets()
    for row, item in enumerate(items):
        facets.put(row, item)
    want = [
        (maturity is None or item.maturity <= maturity)
        and (region is None or not item.regions or region in item.regions)
        for item in items
    ]
    assert facets.within(len(items) + 3, maturity=maturity, region=region).tolist() == [*want, *[maturity is None] * 3]


@pytest.mark.parametrize("n", [0, 1, 500])
def test_nothing_listed_passes_no_filter(n: int) -> None:
    assert not Facets().meeting(n, {"tags": None}).any()
    assert Facets().within(n, maturity=None, region="FR").all()


def test_nobody_with_a_limit_of_age_is_shown_what_has_no_record() -> None:
    facets = Facets()
    facets.put(1, make_item(item_id="known"))
    assert facets.within(3, maturity=None, region=None).tolist() == [True, True, True]
    assert facets.within(3, maturity=21, region=None).tolist() == [False, True, False]
    assert facets.within(3, maturity=21, region="FR").tolist() == [False, True, False]
