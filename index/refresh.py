"""When an index is good enough as it is, and what to do when it is not: a pure decision from measured facts."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from index.errors import BadSearchError


@dataclass(frozen=True, kw_only=True)
class RefreshConfig:
    """When to leave an index alone.

    Attributes:
      exact_max_count: items up to which every row is scored; approximate above.
      exact_margin: back to exact below this share of ``exact_max_count``, so that a catalogue at the limit rests.
      changed_max_share: rows changed or removed since the index was filled, as a share of those it was filled with;
        every search scores the changed ones one by one.
      recall_min: least measured recall.
      retrain_share: rows written since training, as a share of all, from which low recall, or many probes, are blamed
        on old lists.
      probes_max_share: lists looked into, as a share of all, above which they are many.
      grown_max: items, as a multiple of those trained on, from which the lists are too few.
    """

    exact_max_count: int = 100_000
    exact_margin: float = 0.8
    changed_max_share: float = 0.03
    recall_min: float = 0.99
    retrain_share: float = 0.25
    probes_max_share: float = 0.125
    grown_max: float = 2.0

    def __post_init__(self) -> None:
        """Refuse limits that would rebuild for ever or never."""
        for name in ("exact_margin", "changed_max_share", "recall_min", "retrain_share", "probes_max_share"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise BadSearchError(f"RefreshConfig.{name} must be above 0 and at most 1, got {value}")
        if self.exact_max_count < 0 or self.grown_max <= 1:
            raise BadSearchError(
                "RefreshConfig needs exact_max_count >= 0 and grown_max > 1, "
                f"got {self.exact_max_count} and {self.grown_max}"
            )


@dataclass(frozen=True, kw_only=True)
class IndexHealth:
    """What is known of a live index.

    Attributes:
      kind: how it searches.
      rows_count: rows that can be found.
      filled_count: rows that the approximate part was filled with; 0 when exact.
      changed_count: rows in the exact list of changes.
      hidden_count: rows of the approximate part that were changed or removed.
      trained_count: rows that the lists were trained on.
      written_count: rows written since that training, each as often as it was written.
      probes_count, lists_count: lists looked into, and all of them.
      recall: measured against exact search on recent queries, 0..1; None if there was no query yet, or when exact.
    """

    kind: Literal["exact", "approximate"]
    rows_count: int
    filled_count: int = 0
    changed_count: int = 0
    hidden_count: int = 0
    trained_count: int = 0
    written_count: int = 0
    probes_count: int = 1
    lists_count: int = 1
    recall: float | None = None


class Plan(NamedTuple):
    """What to do with a live index.

    Attributes:
      action: "upsert": nothing but what upserts do already. "widen": look into twice as many lists. "refill": the
        same lists, filled anew beside the live index. "retrain": new lists beside it. "exact": exact search beside it.
      reason: for the log, with the figures.
    """

    action: Literal["upsert", "widen", "refill", "retrain", "exact"]
    reason: str


def plan_refresh(health: IndexHealth, config: RefreshConfig) -> Plan:
    """The cheapest thing that puts a live index right.

    Low recall is answered before a long list of changes: it is what users see.
    """
    count = health.rows_count
    if health.kind == "exact":
        if count > config.exact_max_count:
            return Plan("retrain", f"{count} rows are more than the {config.exact_max_count} that are searched exactly")
        return Plan("upsert", f"exact over {count} rows")
    if count <= config.exact_margin * config.exact_max_count:
        return Plan("exact", f"{count} rows are few enough to be searched exactly")
    if count > config.grown_max * health.trained_count:
        return Plan("retrain", f"{count} rows in lists trained on {health.trained_count}")
    probed = f"{health.probes_count} of {health.lists_count} lists"
    is_low = health.recall is not None and health.recall < config.recall_min
    is_wide = health.probes_count > config.probes_max_share * health.lists_count
    if (is_low or is_wide) and health.written_count >= config.retrain_share * count:
        written = f"{health.written_count} rows written since training"
        return Plan("retrain", f"recall {health.recall} with {probed}, {written}")
    if is_low and health.probes_count < health.lists_count:
        return Plan("widen", f"recall {health.recall} is below {config.recall_min} with {probed}")
    stale = max(health.changed_count, health.hidden_count)
    if stale > config.changed_max_share * health.filled_count:
        return Plan("refill", f"{stale} rows changed or removed of {health.filled_count}")
    return Plan("upsert", f"{stale} rows changed or removed of {health.filled_count}, recall {health.recall}")
