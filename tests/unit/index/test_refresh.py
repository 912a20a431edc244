import pytest

from index.errors import BadSearchError
from index.refresh import IndexHealth, RefreshConfig, plan_refresh

CONFIG = RefreshConfig(
    exact_max_count=1000, exact_margin=0.8, changed_max_share=0.1, recall_min=0.95, retrain_share=0.5, grown_max=2.0
)


def health(**changes):
    settled = {
        "kind": "approximate", "rows_count": 5000, "filled_count": 5000, "trained_count": 5000, "probes_count": 8,
        "lists_count": 64, "recall": 0.99,
    }  # fmt: skip
    return IndexHealth(**{**settled, **changes})


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({}, "upsert"),
        ({"recall": None}, "upsert"),
        ({"kind": "exact", "rows_count": 0}, "upsert"),
        ({"kind": "exact", "rows_count": 1000}, "upsert"),
        ({"kind": "exact", "rows_count": 1001}, "retrain"),
        ({"rows_count": 801}, "upsert"),  # between the limits: as it is
        ({"rows_count": 800}, "exact"),
        ({"rows_count": 0}, "exact"),
        ({"recall": 0.9499}, "widen"),
        ({"recall": 0.95}, "upsert"),
        ({"recall": 0.9, "written_count": 2500}, "retrain"),
        ({"recall": 0.9, "written_count": 2499}, "widen"),
        ({"probes_count": 9, "written_count": 2500}, "retrain"),  # recall is bought with too many probes
        ({"probes_count": 9, "written_count": 2499}, "upsert"),
        ({"written_count": 2500}, "upsert"),
        ({"recall": 0.9, "probes_count": 64}, "upsert"),  # every list is looked into already: nothing would help
        ({"recall": 0.9, "probes_count": 64, "changed_count": 501}, "refill"),
        ({"recall": 0.9, "changed_count": 501}, "widen"),  # what users see goes first
        ({"changed_count": 500}, "upsert"),
        ({"changed_count": 501}, "refill"),
        ({"hidden_count": 501}, "refill"),
        ({"rows_count": 10_000}, "upsert"),
        ({"rows_count": 10_001}, "retrain"),
    ],
)
def test_the_cheapest_remedy_is_chosen(facts, action):
    assert plan_refresh(health(**facts), CONFIG).action == action


def test_the_reason_has_the_figures():
    assert plan_refresh(health(recall=0.9), CONFIG).reason == "recall 0.9 is below 0.95 with 8 of 64 lists"


@pytest.mark.parametrize(
    "setting", ["exact_margin", "changed_max_share", "recall_min", "retrain_share", "probes_max_share"]
)
@pytest.mark.parametrize("value", [0.0, 1.1, float("nan")])
def test_shares_outside_their_range_are_refused(setting, value):
    with pytest.raises(BadSearchError, match=f"{setting} must be above 0 and at most 1, got {value}"):
        RefreshConfig(**{setting: value})


@pytest.mark.parametrize("limits", [{"exact_max_count": -1}, {"grown_max": 1.0}])
def test_limits_that_would_rebuild_for_ever_are_refused(limits):
    with pytest.raises(BadSearchError, match="exact_max_count >= 0 and grown_max > 1"):
        RefreshConfig(**limits)
