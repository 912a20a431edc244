"""Score, then learn: what one batch of events does to the state."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from models.errors import ShapeError
from models.recommend import metrics, pools, showings, sources, step
from models.recommend import shortlist as shortlisting
from models.recommend.among import learn_among
from models.recommend.labels import ItemLabels
from models.recommend.showings import SHORT, Signals
from models.recommend.state import RECENT_MOST, ModelConfig, State, fit_capacity
from models.recommend.step import TrainingBatch
from models.recommend.strict import RANKERS, Events, Rates, learn_events
from models.recommend.tower_part import TowerPart, bucket, tower_part
from models.recommend.training import draw
from models.recommend.windows import append_all
from models.typing import F32, F64, I32, I64, U8, Bools

STEPS_AT_ONCE = 8
"""Tower steps compiled as one call; what is left over is taken one by one."""
_DAY_MS = 86_400_000
_MIX = 2_654_435_761


class Columns(NamedTuple):
    """One batch of learned events in arrival order, [B]; ids are already rows (0: not admitted).

    ``position`` and ``outcome``: see `strict.Events`.
    """

    user: I32
    item: I32
    at_ms: I64
    value: F32
    action: U8
    surface: U8
    position: I32
    outcome: U8


class Judging(NamedTuple):
    """How events are judged.

    Attributes:
      lists: length of the lists that are kept of each scored event and ranker; 0 keeps none.
      repeats: items that the user has had are ranked too, and events on them scored.
    """

    lists: int = 0
    repeats: bool = False


class Judged(NamedTuple):
    """What `rank` found: float32 [B, rankers], int32 [B, rankers, K] and float32 [B, K], see `learn_events`."""

    ranks: F32
    tops: I32
    scores: F32


class Learnt(NamedTuple):
    """What a batch did.

    Attributes:
      sums: `metrics.sums` of the batch's scored events. ranks: float32 [B, rankers], see `learn_events`.
      tops: item rows, int32 [B, rankers, K], -1 where an event has no list; [0, rankers, K] when none are kept.
      scores: of the model's lists, float32 [B, K]; [0, K] when none are kept.
      loss: of the last tower step, nats, a scalar that is perhaps still being computed; None where there was none.
    """

    sums: F64
    ranks: F32
    tops: I32
    scores: F32
    loss: jax.Array | None


def is_scored(first: int, count: int, sample: float) -> Bools:
    """Which of the events numbered ``first`` on are scored: a deterministic share, whatever the batches."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return ((numbers * np.uint64(_MIX)) & np.uint64(0xFFFFFFFF)) < np.uint64(round(sample * 2**32))


def _padded(rows: I32) -> I32:
    """``rows`` (ascending) up to a power of two with rows beyond any table, which a write drops: few shapes compile."""
    size = bucket(len(rows))
    return np.concatenate([rows, np.arange(size - len(rows), dtype=np.int32) + np.int32(2**30)]).astype(np.int32)


def learn(
    state: State,
    columns: Columns,
    config: ModelConfig,
    judging: Judging = Judging(),  # noqa: B008
    signals: Signals | None = None,
) -> Learnt:
    """Rank the batch's sampled events, count every event, and take the tower steps.

    ``signals``: what users did beside, in between.

    Every event is judged by histories strict up to it and by tower weights of the batch before.

    Raises:
      ShapeError: the batch could overflow a history of ``config.history_most`` events.
    """
    count = len(columns.user)
    signals = signals or showings.no_signals()
    rings = np.concatenate([signals.user, columns.user[columns.outcome & SHORT != 0]])
    state.passes = showings.with_rings(state.passes, rings)
    if count == 0:
        if len(signals.user):
            nobody, nothing = np.zeros(0, np.bool_), np.zeros(0, np.int32)
            towers = tower_part(state, nothing, columns.at_ms, nothing, config)
            _judge(state, columns, signals, nobody, nothing, towers, config, judging, learns=True)
        state.step += 1
        return Learnt(np.zeros(metrics.SUMS), *_unjudged(0, judging), None)
    if count > config.history_most:
        raise ShapeError(
            f"a batch must not be longer than history_most = {config.history_most} events, got {count}; split it first"
        )
    pools.forget_oldest(state.histories, columns.user, config.history_most)
    state.histories = pools.reserve_appends(state.histories, columns.user)
    state.counts = sources.reserved(state.counts, count, config.successors)
    pos = np.zeros(count, np.int32)
    append_all(
        state.histories, columns.user, columns.item, columns.value, columns.at_ms, columns.action,
        config.history_most, pos,
    )  # fmt: skip
    scored = is_scored(state.learned_events, count, config.evaluate_sample)
    _shorten(state, config)
    towers = tower_part(state, columns.user[scored], columns.at_ms[scored], pos[scored], config)
    loss, moved = _learn_towers(state, columns, pos, config)  # computed beside the counting: JAX gives back at once
    judged = _judge(state, columns, signals, scored, pos, towers, config, judging, learns=True)
    if state.shortlist is not None:
        _refresh(state, np.concatenate([columns.item, *moved]), config)
    _remember(state, columns)
    sums = metrics.sums(judged.ranks)
    state.totals += sums
    state.step += 1
    return Learnt(sums, *judged, loss)


def rank(state: State, columns: Columns, config: ModelConfig, judging: Judging = Judging()) -> Judged:  # noqa: B008
    """Rank every event on the state as it is; nothing is learned or counted, whatever their order.

    A user's history is what the state has of it, for all of the user's events alike; row 0 is a user without one.
    """
    count = len(columns.user)
    if count == 0:
        return _unjudged(0, judging)
    pos = state.histories.length[columns.user].astype(np.int32)
    scored = np.ones(count, np.bool_)
    towers = tower_part(state, columns.user[scored], columns.at_ms[scored], pos[scored], config)
    return _judge(state, columns, showings.no_signals(), scored, pos, towers, config, judging, learns=False)


def _shorten(state: State, config: ModelConfig) -> None:
    """From here on the catalogue is too large to be ranked whole."""
    if state.shortlist is None and state.items.used > config.shortlist.exact_items:
        state.shortlist = shortlisting.built(
            state.counts, state.towers, state.items.used, config.shortlist, config.towers, config.seed
        )


def _refresh(state: State, rows: I32, config: ModelConfig) -> None:
    if state.shortlist is not None:
        shortlisting.refresh(
            state.shortlist, rows, state.towers, state.counts.seen, state.items.used, config.shortlist.stripe,
            config.towers, state.step,
        )  # fmt: skip


def _judge(
    state: State,
    columns: Columns,
    signals: Signals,
    scored: Bools,
    pos: I32,
    towers: TowerPart,
    config: ModelConfig,
    judging: Judging,
    *,
    learns: bool,
) -> Judged:
    judged = _unjudged(len(pos), judging)
    events, rates = Events(*columns, scored=scored, pos=pos), rates_of(config)
    if state.shortlist is None:
        learn_events(
            events, signals, state.histories, state.passes, state.counts, state.labels, state.combiner, state.reranker,
            state.heads, towers.of_users, towers.vectors, state.items.used, rates, learns, judging.repeats,
            judged.ranks, judged.tops, judged.scores,
        )  # fmt: skip
    else:
        sizes = shortlisting.sizes_of(config.shortlist, config.towers, config.seed)
        learn_among(
            events, signals, state.histories, state.passes, state.counts, state.labels, state.combiner, state.reranker,
            state.heads, towers.of_users, state.shortlist.of_kernel(), state.shortlist.scratch, sizes,
            state.learned_events, rates, learns, judging.repeats, judged.ranks, judged.tops, judged.scores,
        )  # fmt: skip
    return judged


def _unjudged(count: int, judging: Judging) -> Judged:
    rankers = len(RANKERS)
    tops = np.full((count if judging.lists else 0, rankers, judging.lists), -1, np.int32)
    return Judged(
        np.zeros((count, rankers), np.float32), tops, np.full((len(tops), judging.lists), -np.inf, np.float32)
    )


def rates_of(config: ModelConfig) -> Rates:
    """The part of the configuration that the strict learner reads."""
    return Rates(
        combiner=np.float32(config.combiner_rate),
        bias=np.float32(config.bias_rate),
        surface=np.float32(config.surface_rate),
        rerank=np.float32(config.rerank_rate),
        successors=np.float32(config.successor_rate),
        company=np.float32(config.company_rate),
        most=config.successors,
        candidates=config.candidates,
    )


def _learn_towers(state: State, columns: Columns, pos: I32, config: ModelConfig) -> tuple[jax.Array | None, list[I32]]:
    """As many steps as the events learned so far ask for, however they were cut into batches; and the rows they read.

    The rows are told only where a shortlist wants them.
    """
    if config.towers.flavour == "counts":
        return None, []
    past = state.recent[: min(state.learned_events, RECENT_MOST)]
    each = config.training.events_per_step
    steps = range(state.learned_events // each, (state.learned_events + len(columns.user)) // each)
    batches = []
    for number in steps:
        batch = draw(
            state.histories, state.counts, columns.user, pos, past,
            items=state.items.used, window=config.towers.window, config=config.training,
            generator=np.random.default_rng([config.seed, number]),
        )  # fmt: skip
        if batch is not None:
            batches.append(batch)
    loss, moved = None, [] if state.shortlist is None else [_read(batch) for batch in batches]
    while batches:
        size = STEPS_AT_ONCE if len(batches) >= STEPS_AT_ONCE else 1
        stacked = TrainingBatch(*(np.stack(column) for column in zip(*batches[:size], strict=True)))  # type: ignore[arg-type]
        state.towers, loss = step.train_steps(state.towers, stacked, config=config.towers)
        batches = batches[size:]
    return loss, moved


def _read(batch: TrainingBatch) -> I32:
    """Rows that a step read or predicted, not those that it drew as negatives; those it moves most."""
    places = np.concatenate([np.ravel(batch.item), np.ravel(batch.target)])
    rows: I32 = np.asarray(batch.rows)[np.unique(places[places >= 0])]
    return rows


def _remember(state: State, columns: Columns) -> None:
    count = len(columns.user)
    at = (state.learned_events + np.arange(count)) % RECENT_MOST
    state.recent[at] = columns.user
    state.learned_events += count
    state.items.touch(columns.item, columns.at_ms)
    state.users.touch(columns.user, columns.at_ms)
    state.newest_ms = max(state.newest_ms, int(columns.at_ms.max()))


def hide(state: State, users: Sequence[int], items: Sequence[int], config: ModelConfig) -> None:
    """Note that users want to see items no more."""
    state.hidden = pools.with_pairs(
        state.hidden, np.array(users, np.int32), np.array(items, np.int32), config.history_most
    )


def list_items(state: State, rows: I32, content: F32, labels: ItemLabels, config: ModelConfig) -> None:
    """The catalogue has these items (unique rows) with this content, float32 [M, C], and these labels."""
    fit_capacity(state, config)
    sources.put_labels(state.counts, state.labels, rows, labels)
    order = np.argsort(rows)
    padded_rows = _padded(rows[order])
    padded = np.zeros((len(padded_rows), config.towers.content_dim), np.float32)
    padded[: len(rows)] = content[order]
    state.towers = state.towers._replace(tables=step.put_content(state.towers.tables, padded_rows, padded))
    state.live[rows] = True
    state.withdrawn[rows] = False
    state.counts.changed[rows] = True
    _refresh(state, rows, config)


def evict_expired(state: State, config: ModelConfig) -> tuple[list[tuple[str, int]], list[str]]:
    """Free the rows of items and users unseen for longer than their time to live, in event time.

    Returns:
      The evicted items with the rows they had, and the evicted users.
    """
    items: list[tuple[str, int]] = []
    users: list[str] = []
    if config.item_ttl_days > 0:
        rows = state.items.expired(state.newest_ms - round(config.item_ttl_days * _DAY_MS))
        rows = rows[~state.live[rows]] if len(rows) else rows
        items = list(zip(state.items.evict(rows.tolist()), rows.tolist(), strict=True))
        if items:
            for row in rows:
                sources.forget_item(state.counts, state.labels.tags, row)
            for column in state.labels:
                column[rows] = 0
            state.combiner.bias[rows] = 0.0
            state.combiner.surface_bias[:, rows] = 0.0
            state.withdrawn[rows] = False
            gone = np.zeros(state.items.capacity, np.bool_)
            gone[rows] = True
            pools.scrub_histories(state.histories, gone)
            pools.scrub_rows(state.hidden, gone)
            showings.scrub_passes(state.passes, gone)
            state.heads.item[gone[state.heads.item]] = 0
            for pool in (state.counts.after, state.counts.before, state.counts.company):
                lengths = pool.length.copy()
                pools.scrub_rows(pool, gone)
                state.counts.changed[pool.length != lengths] = True
            key = jax.random.fold_in(jax.random.key(config.seed), state.step)
            state.towers = step.reset_rows(state.towers, _padded(rows), key, config=config.towers)
            if state.shortlist is not None:
                shortlisting.forget(state.shortlist, rows)
    if config.user_ttl_days > 0:
        rows = state.users.expired(state.newest_ms - round(config.user_ttl_days * _DAY_MS))
        users = state.users.evict(rows.tolist())
        state.histories.length[rows] = 0
        state.hidden.length[rows] = 0
        forget_users(state, rows)
    return items, users


def forget_users(state: State, rows: I32) -> None:
    """Nobody stands in these user rows any more: forget what was shown to them, and what they chose last."""
    showings.forget_users(state.passes, rows)
    theirs = np.isin(state.heads.user, rows)
    for column in (state.heads.user, state.heads.item, state.heads.inputs, state.heads.hidden):
        column[theirs] = 0


def withdraw_items(state: State, rows: I32) -> None:
    """The catalogue has these items no more; what was counted of them stays."""
    state.live[rows] = False
    state.withdrawn[rows] = True
    state.counts.changed[rows] = True
