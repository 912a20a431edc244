"""From counts to wishes: which cells are deprived, what an asset for each would earn, and the counts that say so.

A wish is a content task that nobody has decided on yet. The formulas are in ``estimates.py``; here is what each kind's
chances, successes and expected rates are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.contract.events import ContentKind
from streams.cores import estimates
from streams.cores.cells import Key, audience_of
from streams.cores.demand import EXITS, SHOWN_KINDS, TAKEN, Demand
from streams.cores.estimates import Floats
from streams.cores.recoveries import Made, Recoveries, recoveries
from streams.cores.references import Clicks, Served

KINDS: Final[tuple[ContentKind, ...]] = ("blurb", "image", "cut", "dub", "subtitles")
METRIC: Final[Mapping[str, str]] = {
    "blurb": "clicks", "image": "clicks", "cut": "completions", "dub": "completions", "subtitles": "completions",
}  # fmt: skip
AT: Final[Floats] = np.array([0.05, 0.25, 0.95])
WELL_SHOWN: Final = 1 / 3
LIKED: Final = 0.6
"""A picture or a text is not what is missing where those who start finish less often than this share of the usual."""


@dataclass(frozen=True, kw_only=True)
class WishRules:
    """When a cell is deprived, and how far ahead its gain is counted.

    Attributes:
      least_chances: whole chances that a cell needs. margin: it must be so far below 1 to be deprived at all.
      confidence: with at least this probability. keeps: a task that was published stands down to this one.
      horizon_days: of the gain. least_gain: smaller ones are no wish.
    """

    least_chances: int = 30
    margin: float = 0.1
    confidence: float = 0.998
    keeps: float = 0.9
    horizon_days: float = 30.0
    least_gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A cell that would be worth an asset.

    Attributes:
      value, low, high: expected gain and its 90 % interval. priority: its lower quartile, by which wishes are ranked.
      is_sure: enough for a new task. made: what an asset for it would be compared with.
    """

    key: Key
    value: float
    low: float
    high: float
    priority: float
    is_sure: bool
    made: Made
    evidence: tuple[dict[str, Any], ...]

    @property
    def kind(self) -> ContentKind:
        """The content's kind."""
        return self.made.kind


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Cells of one kind, a row each: chances, successes, expected rate and its variance; whole counts beside."""

    rows: NDArray[np.int64]
    keys: list[Key]
    n: Floats
    s: Floats
    e: Floats
    variance: Floats
    reference: list[dict[str, Any]]


def wishes_of(demand: Demand, made: Mapping[str, Made], rules: WishRules, now_ms: int) -> list[Wish]:
    """All wishes at this moment of event time, in no particular order; call it at a window's end."""
    clicks = Clicks(demand)
    served = Served(demand)
    tables = {kind: _table(demand, kind, clicks, served, now_ms) for kind in KINDS}
    found: list[Wish] = []
    for kind, table in tables.items():
        if table is not None:
            if kind in SHOWN_KINDS and (pictures := tables["image"]) is not None:
                table = dataclasses.replace(table, e=table.e * _reached(pictures))
            found += _judged(demand, kind, table, recoveries(demand, made, kind, clicks), rules, now_ms)
    return found


def _reached(pictures: _Table) -> float:
    """The ratio that `WELL_SHOWN` of the items reach with those who can read about them: what a good picture does.

    Places' rates are means over good and bad pictures alike, so a good one is above 1.
    """
    likelihood = np.exp(estimates.log_likelihood(pictures.n, pictures.s, pictures.e))
    prior = estimates.prior_of(likelihood, pictures.n)[None, :]
    return float(estimates.quantiles_of(prior, np.array([1 - WELL_SHOWN]))[0, 0])


def _judged(
    demand: Demand, kind: ContentKind, table: _Table, closing: Recoveries, rules: WishRules, now_ms: int
) -> list[Wish]:
    rough = np.clip((table.s + 1) / (table.n * table.e + 1), 0.05, 1.5)
    share = estimates.counted_as(table.n, rough, table.e, table.variance)
    likelihood = np.exp(estimates.log_likelihood(table.n * share, table.s * share, table.e))
    names = [key[2] or key[4] for key in table.keys]
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    audience = np.array([codes[name] for name in names], np.int64)
    prior = estimates.prior_of(likelihood, table.n)
    chances = estimates.posterior(likelihood, estimates.audience_priors(likelihood, audience, prior)[audience])
    sure = estimates.share_below(chances, 1 - rules.margin)
    seen = demand.cells.whole[table.rows, :TAKEN].sum(axis=1)
    wanted = np.flatnonzero((sure >= rules.keeps) & (seen >= rules.least_chances))
    if not len(wanted):
        return []
    chances, e, n = chances[wanted], table.e[wanted], table.n[wanted]
    keys = [table.keys[at] for at in wanted.tolist()]
    closes = [closing.of(names[at]) for at in wanted.tolist()]
    days = np.array([demand.exposure_days(key, now_ms) for key in keys])
    gain = estimates.gains(
        chances, e, n, days, np.array([one.mean for one in closes]), np.array([one.sd for one in closes]),
        horizon_days=rules.horizon_days, at=AT,
    )  # fmt: skip
    ratio = chances @ estimates.RATIOS
    variance = chances @ estimates.RATIOS**2 - ratio**2
    spread = estimates.quantiles_of(chances, AT)
    found = []
    for i, at in enumerate(wanted.tolist()):
        low, priority, high = (_short(value) for value in gain.quantiles[i])
        if gain.mean[i] < rules.least_gain:
            continue
        whole, key = demand.cells.whole[table.rows[at]], keys[i]
        words = ("shown", "clicked") if kind in SHOWN_KINDS else ("views", "finished")
        since_ms = demand.items[key[1]].since(kind, audience_of(key))
        own: dict[str, Any] = {"of": "audience", words[0]: int(seen[at]), words[1]: int(whole[TAKEN])}
        if kind not in SHOWN_KINDS:
            own["left_early"] = int(whole[EXITS])
        evidence = (
            {**own, "since_ms": since_ms},
            {"of": "expected", "rate": _short(e[i]), **table.reference[at]},
            {
                "of": "estimate", "ratio": _short(ratio[i]), "low": _short(spread[i, 0]), "high": _short(spread[i, 2]),
                "per_day": _short(n[i] / days[i]), "sure": _short(sure[at]),
            },
            {"of": "recovery", "mean": _short(closes[i].mean), "sd": _short(closes[i].sd), "assets": closes[i].assets},
        )  # fmt: skip
        before = Made(
            kind=kind, audience=names[at], expected=_short(e[i]), ratio=_short(ratio[i]),
            ratio_variance=_short(max(0.0, variance[i])),
        )  # fmt: skip
        found.append(
            Wish(
                key=key, value=_short(gain.mean[i]), low=low, high=high, priority=priority,
                is_sure=bool(sure[at] >= rules.confidence), made=before, evidence=evidence,
            )
        )  # fmt: skip
    return found


def _table(demand: Demand, kind: ContentKind, clicks: Clicks, served: Served, now_ms: int) -> _Table | None:
    cells = demand.cells
    rows, keys = [], []
    for row, key in enumerate(cells.keys):
        if key[0] == kind and (item := demand.items.get(key[1])) is not None and item.may_be_shown(now_ms):
            rows.append(row)
            keys.append(key)
    if not rows:
        return None
    places = np.array(rows, np.int64)
    counts = cells.faded[places]
    reference: list[dict[str, Any]]
    if kind in SHOWN_KINDS:
        n = counts[:, :TAKEN].sum(axis=1)
        expected = clicks.expected(counts, [key[4] for key in keys])
        e = expected / np.maximum(n, 1e-9)
        variance = np.zeros(len(e))
        liked = np.array([served.ratio(key[1]) >= LIKED for key in keys])
        keep = np.flatnonzero(liked & (n > 0) & (e > 0))
        reference = [{"from": "the same places of the surface", "clicks": _short(expected[at])} for at in keep.tolist()]
    else:
        n = counts[:, 0]
        if kind == "cut":
            rates = [served.long(key, others) for key, others in zip(keys, _others(demand, rows, keys), strict=True)]
        else:
            rates = [served.item(key[1]) for key in keys]
        known = np.array([rate is not None for rate in rates])
        keep = np.flatnonzero(known & (n > 0))
        e = np.array([0.0 if rate is None else rate.mean for rate in rates])
        variance = np.array([0.0 if rate is None else rate.variance for rate in rates])
        whom = (
            "its other audiences, and what this one finishes of what is short"
            if kind == "cut"
            else "those who understand it"
        )
        chosen = [rates[at] for at in keep.tolist()]
        reference = [
            {"from": whom, "views": rate.views, "finished": rate.finished} for rate in chosen if rate is not None
        ]
    if not len(keep):
        return None
    s = np.minimum(counts[:, TAKEN], n)
    return _Table(
        rows=places[keep], keys=[keys[at] for at in keep.tolist()], n=n[keep], s=s[keep], e=e[keep],
        variance=variance[keep], reference=reference,
    )  # fmt: skip


def _others(demand: Demand, rows: list[int], keys: list[Key]) -> list[tuple[float, float, int, int]]:
    """What other audiences did with each cell's item: views and finished views, faded, then whole."""
    cells = demand.cells
    columns = np.array([0, TAKEN])
    both = np.concatenate([cells.faded[rows][:, columns], cells.whole[rows][:, columns]], axis=1)
    of_item: dict[str, Floats] = {}
    for key, counts in zip(keys, both, strict=True):
        of_item[key[1]] = of_item.get(key[1], np.zeros(4)) + counts
    rest = [np.maximum(of_item[key[1]] - counts, 0.0) for key, counts in zip(keys, both, strict=True)]
    return [(n, min(s, n), int(views), int(done)) for n, s, views, done in (one.tolist() for one in rest)]


def _short(value: float) -> float:
    """Six digits: what is published is read by people, and the same on every machine."""
    return float(f"{float(value):.6g}")
