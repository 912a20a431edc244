"""A catalogue that is ranked among candidates: the exact form where they are all, honest, and restored bit for bit."""

import dataclasses

import numpy as np
import pytest

from models.errors import ConfigError, StateError
from models.recommend import learning, shortlist, state, tower_part
from models.recommend.learning import Judging
from models.recommend.shortlist import ShortlistConfig
from models.recommend.state import fit_capacity, from_arrays, to_arrays
from tests.planted import SMALL, columns, labels_at, random_labels, random_log, small

pytestmark = pytest.mark.timeout(300)  # whoever comes first compiles every kernel

ITEMS = 60
LOG = random_log(768, users=16, items=ITEMS, seed=2)
ALL = ShortlistConfig(exact_items=0)
FEW = ShortlistConfig(
    exact_items=0, popular=2, lately=3, fresh=2, by_history=4, by_tower=3, scanned=10, negatives=8, stripe=16
)
LISTS = Judging(lists=10)


def admitted(config, *, items=ITEMS):
    current = state.fresh(config)
    current.items.admit(f"i{n}" for n in range(1, items))
    current.users.admit(f"u{n}" for n in range(1, 16))
    fit_capacity(current, config)
    rows, rng = np.arange(1, items, dtype=np.int32), np.random.default_rng(0)
    labels = labels_at(random_labels(items), rows)
    learning.list_items(current, rows, rng.normal(size=(items - 1, 16)).astype(np.float32), labels, config)
    return current


def learned(log, config, *, current=None, batch=128, judging=LISTS):
    current = current or admitted(config)
    results = [
        learning.learn(current, columns(log[at : at + batch]), config, judging) for at in range(0, len(log), batch)
    ]
    return current, np.concatenate([each.ranks for each in results]), np.concatenate([each.tops for each in results])


@pytest.mark.parametrize(("candidates", "repeats"), [(0, False), (8, False), (8, True)])
def test_among_all_items_it_is_the_exact_form(candidates, repeats):
    judging = Judging(lists=10, repeats=repeats)
    exact, ranks, tops = learned(LOG, small(candidates=candidates), judging=judging)
    among, same_ranks, same_tops = learned(LOG, small(candidates=candidates, shortlist=ALL), judging=judging)
    assert exact.shortlist is None
    assert among.shortlist is not None
    finite = np.isfinite(ranks)
    np.testing.assert_array_equal(np.isfinite(same_ranks), finite)
    off = np.abs(np.where(finite, ranks, 0) - np.where(finite, same_ranks, 0))
    assert off.max() <= 2, "scores that differ by less than float32 can tell"
    assert (off > 0).mean() < 0.01
    assert (tops != same_tops).mean() < 0.01
    for name in exact.combiner._fields:
        got, want = getattr(among.combiner, name), getattr(exact.combiner, name)
        np.testing.assert_allclose(got, want, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(among.reranker.hidden, exact.reranker.hidden, atol=1e-3)
    for pool in ("after", "company"):
        got, want = (getattr(each.counts, pool).learned[: each.counts.after.head[0]] for each in (among, exact))
        np.testing.assert_allclose(got, want, atol=1e-4)
    np.testing.assert_array_equal(among.counts.decayed, exact.counts.decayed)


def test_up_to_the_threshold_nothing_changes():
    _, ranks, _ = learned(LOG, SMALL)
    below, same, _ = learned(LOG, small(shortlist=dataclasses.replace(FEW, exact_items=ITEMS)))
    assert below.shortlist is None
    np.testing.assert_array_equal(ranks, same)
    above, other, _ = learned(LOG, small(shortlist=dataclasses.replace(FEW, exact_items=ITEMS - 1)))
    assert above.shortlist is not None
    assert (ranks != other).any()


def test_what_is_no_candidate_is_missed_and_still_learned():
    current, ranks, tops = learned(LOG, small(shortlist=FEW))
    model = ranks[:, 0]
    finite = np.isfinite(model) & (model > 0)
    listed = (tops[:, 0] == columns(LOG).item[:, None]).any(axis=1)
    assert (listed == (finite & (model <= 10))).all(), "a rank up to ten is a place in the list"
    missed = finite & ~listed
    assert 0.02 < missed[finite].mean() < 0.9
    assert (model[missed] >= 11).all()
    assert current.combiner.bias[columns(LOG).item[missed]].any()
    assert np.isfinite(current.combiner.shared).all()


def test_candidates_do_not_depend_on_what_was_taken():
    start, place = 512, 40
    config = small(shortlist=FEW)
    saved = to_arrays(learned(LOG[:start], config)[0])
    had = {event.item for event in LOG[:start] if event.user == LOG[start + place].user}
    had |= {event.item for event in LOG[start : start + place] if event.user == LOG[start + place].user}
    lists = []
    for item in sorted({event.item for event in LOG[:start]} - had)[:12]:
        batch = [*LOG[start : start + place], LOG[start + place]._replace(item=item), *LOG[start + place + 1 : 640]]
        _, ranks, tops = learned(batch, config, current=from_arrays(saved, config))
        assert ranks[place, 0] >= 1
        lists.append(tops[place].tolist())
    assert len(lists) > 5
    assert all(each == lists[0] for each in lists)


def test_the_rest_of_the_catalogue_weighs_what_it_weighs():
    """The mean step of the biases over many samples comes to that of the exact softmax, the nearer the more are drawn.

    A quotient of sums over a sample is off by something like one over the size of the sample.
    """
    log = LOG[:256]
    still = small(combiner_rate=0.0, successor_rate=0.0, company_rate=0.0, surface_rate=0.0, candidates=0)
    saved = to_arrays(learned(log, dataclasses.replace(still, bias_rate=0.0))[0])
    user = LOG[256].user
    had = {event.item for event in log if event.user == user}
    one = columns([LOG[256]._replace(item=next(event.item for event in log if event.item not in had))])
    exact = from_arrays(saved, still)
    learning.learn(exact, one, still)
    want = exact.combiner.bias[:ITEMS]
    off, spread = {}, {}
    for negatives in (4, 64):
        moves = []
        for seed in range(60):
            few = dataclasses.replace(FEW, negatives=negatives)
            config = dataclasses.replace(still, seed=seed, shortlist=few)
            among = from_arrays(saved, config)
            learning.learn(among, one, config)
            moves.append(among.combiner.bias[:ITEMS])
        off[negatives] = np.abs(np.mean(moves, axis=0) - want).sum() / np.abs(want).sum()
        spread[negatives] = np.std(moves, axis=0).sum()
    assert spread[4] > spread[64] > 0, "both are samples"
    assert off[4] < 0.04
    assert off[64] < 0.005


def test_restored_it_goes_on_bit_for_bit():
    config = small(shortlist=FEW)
    current, _, _ = learned(LOG[:384], config)
    restored = from_arrays(to_arrays(current), config)
    _, ranks, tops = learned(LOG[384:], config, current=current)
    _, same_ranks, same_tops = learned(LOG[384:], config, current=restored)
    np.testing.assert_array_equal(ranks, same_ranks)
    np.testing.assert_array_equal(tops, same_tops)
    left, right = to_arrays(current), to_arrays(restored)
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.tobytes() == right[name].tobytes(), name


def test_a_snapshot_of_other_sizes_is_refused_and_one_without_shortlist_taken():
    config = small(shortlist=FEW)
    saved = to_arrays(learned(LOG[:128], config)[0])
    with pytest.raises(StateError, match=r"shortlist/lists/popular has shape \(23, 2\).* wants \(23, 5\)"):
        from_arrays(saved, small(shortlist=dataclasses.replace(FEW, popular=5)))
    assert from_arrays(saved, SMALL).shortlist is None, "the catalogue is ranked whole again"
    exact = to_arrays(learned(LOG[:128], SMALL)[0])
    current, ranks, _ = learned(LOG[128:], config, current=from_arrays(exact, config))
    assert current.shortlist is not None
    assert (ranks[:, 0] > 0).any()


def test_every_vector_is_that_of_the_towers_after_a_round():
    config = small(shortlist=dataclasses.replace(FEW, stripe=1_000))
    current, _, _ = learned(LOG[:256], config)
    shortlist.settle(current.shortlist)
    want = np.asarray(tower_part.all_vectors(current, config))[1:ITEMS]
    np.testing.assert_allclose(current.shortlist.vectors[1:ITEMS], want, atol=1e-5)


def test_the_catalogue_grows_and_loses_items():
    config = small(shortlist=FEW, item_ttl_days=10.0)
    current, _, _ = learned(LOG[:256], config)
    current.items.admit(f"new{n}" for n in range(2_000))
    fit_capacity(current, config)
    assert len(current.shortlist.vectors) == len(current.shortlist.scratch.mark) == current.items.capacity == 4_096
    learning.withdraw_items(current, np.arange(1, ITEMS, dtype=np.int32))
    late_ms = LOG[255].at_ms + 11 * 86_400_000
    late = [event._replace(item=ITEMS + at, at_ms=late_ms + at) for at, event in enumerate(LOG[:128])]
    learned(late, config, current=current)
    items, _ = learning.evict_expired(current, config)
    gone = [row for _, row in items]
    assert len(gone) > ITEMS - 5
    for rows in (current.shortlist.lists.popular, current.shortlist.lists.lately):
        assert not np.isin(gone, rows).any()
    _, ranks, tops = learned([e._replace(at_ms=late_ms + 10**6) for e in late[64:]], config, current=current)
    assert not np.isin(gone, tops).any()
    assert np.isfinite(ranks[:, 0]).all()


def test_rank_changes_nothing():
    config = small(shortlist=FEW)
    current, _, _ = learned(LOG[:256], config)
    before = {name: array.tobytes() for name, array in to_arrays(current).items()}
    learning.rank(current, columns(LOG[256:300]), config, LISTS)
    assert {name: array.tobytes() for name, array in to_arrays(current).items()} == before
    scratch = current.shortlist.scratch
    for name in ("sparse", "is_touched", "gain", "chance", "mark"):
        assert not getattr(scratch, name).any(), name


def test_with_counts_alone_the_tower_finds_nothing():
    config = dataclasses.replace(small(shortlist=FEW), towers=dataclasses.replace(SMALL.towers, flavour="counts"))
    current, ranks, _ = learned(LOG, config)
    assert np.isfinite(ranks[:, 0]).any()
    assert not current.shortlist.vectors.any()


@pytest.mark.parametrize(("name", "value"), [("popular", 0), ("stripe", 0), ("negatives", -1), ("exact_items", -1)])
def test_settings_say_what_is_wrong(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a whole number >= .*, got {value}"):
        ShortlistConfig(**{name: value})
