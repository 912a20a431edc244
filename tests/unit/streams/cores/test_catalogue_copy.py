"""A copy of the catalogue: a recommender that starts from it knows what one knows that read the topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streams.contract.events import Item
from streams.cores import catalogue_copy
from streams.cores.announce import Announcer
from streams.cores.catalogue import Catalogue
from streams.cores.learn import Learner
from streams.cores.serving import Serving
from tests import planted
from tests.engines import EVERYTHING, catalogue, flush, over_the_wire, taught
from tests.factories import make_asset, make_item

LOG = planted.random_log(200, users=8, items=12)
ITEMS = [
    *catalogue(range(1, 10)),
    make_item(item_id="i10", regions=["NO", "SE"], maturity=18, available_from_ms=5),
    make_item(item_id="i11", title="Käse", tags=["even", "new"]),
    make_item(item_id="without-row", available_until_ms=7),
]
FILTERS: list[dict[str, Any]] = [
    {"tags": ["even"]},
    {"language": "fr"},
    {"creator": "creator 3"},
    {"max_duration_s": 300},
    {"tags": ["x"]},
]


def started(learner: Learner, items: Sequence[Item | str]) -> Serving:
    """One that has the learner's rows and has read these records; a text is a tombstone."""
    serving = Serving(learner.config)
    flush(serving, learner)
    for item in items:
        serving.take_item(item, None) if isinstance(item, str) else serving.take_item(item.item_id, item)
    serving.refresh(0)
    return serving


def copy_of(serving: Serving, *, at_once: int = 5) -> catalogue_copy.Arrays:
    ids = list(serving.catalogue.records)
    parts = [catalogue_copy.part_of(serving, ids[at : at + at_once]) for at in range(0, len(ids), at_once)]
    return catalogue_copy.to_arrays(parts, sorted(serving.catalogue.withdrawn), serving.facets.words)


def assert_knows_the_same(one: Serving, other: Serving) -> None:
    assert one.catalogue.records == other.catalogue.records
    assert one.catalogue.timed == other.catalogue.timed
    assert one.catalogue.withdrawn == other.catalogue.withdrawn
    n = one.items.used
    np.testing.assert_array_equal(one.announced[:n], other.announced[:n])
    for filters in FILTERS:
        np.testing.assert_array_equal(one.facets.meeting(n, filters), other.facets.meeting(n, filters), str(filters))
    for limits in (
        {"maturity": 12, "region": None},
        {"maturity": None, "region": "NO"},
        {"maturity": 18, "region": "DK"},
    ):
        np.testing.assert_array_equal(one.facets.within(n, **limits), other.facets.within(n, **limits), str(limits))


@pytest.mark.parametrize("items", [[*ITEMS, "i3", "never-there"], []])
def test_what_starts_from_a_copy_knows_what_one_knows_that_read_the_topic(items):
    learner = taught(LOG)
    reader = started(learner, items)
    from_copy = started(learner, [])
    catalogue_copy.restore(from_copy, copy_of(reader))
    assert_knows_the_same(from_copy, reader)
    assert from_copy.facets.meeting(learner.state.items.used, {"tags": ["even"]}).any() == bool(items)


def test_rows_may_be_others_by_the_time_that_a_copy_is_read():
    reader = started(taught(LOG), ITEMS)
    other = taught([event._replace(item=12 - event.item) for event in LOG])  # the same items in another order
    assert other.state.items.keys() != taught(LOG).state.items.keys()
    from_copy = started(other, [])
    catalogue_copy.restore(from_copy, copy_of(reader))
    assert_knows_the_same(from_copy, started(other, ITEMS))


def test_an_item_that_gets_its_row_after_the_copy_is_filed_then():
    learner = taught(LOG)
    unknown = Serving(learner.config)  # it knows no rows at all
    for item in ITEMS:
        unknown.take_item(item.item_id, item)
    copied = copy_of(unknown)
    assert not copied["is_filed"].any()
    from_copy = Serving(learner.config)
    catalogue_copy.restore(from_copy, copied)
    states, weights = over_the_wire(
        Announcer(learner.config, fingerprint="t").announce(learner.state, [], most=EVERYTHING)
    )
    from_copy.take_states(states)
    from_copy.take_weights(weights)
    from_copy.refresh(0)
    assert_knows_the_same(from_copy, started(learner, ITEMS))
    np.testing.assert_array_equal(from_copy.labels.tags, started(learner, ITEMS).labels.tags)


def test_a_catalogue_keeps_what_serving_reads_and_neither_text_nor_assets():
    kept = Catalogue()
    kept.take("a", make_item(item_id="a", title="T", text="long", assets=[make_asset()], tags=["x"]))
    assert kept.item("a") == make_item(item_id="a", title="T", text="", assets=[], tags=["x"])
    assert kept.item("b") is None
    kept.take("a", None)
    assert kept.item("a") is None
