"""What the planner's process makes of records and settings; that it runs is in tests/e2e/test_planner.py."""

from __future__ import annotations

import dataclasses

import pytest

from streams.contract import codec
from streams.contract.absent import Erased, Withdrawn
from streams.contract.codec import Rejected
from streams.contract.events import ContentAsset, Interaction, Item, Record, User
from streams.cores.plan import PlanConfig, Unmade
from streams.cores.wishes import WishRules
from streams.planner_settings import PlannerSettings
from streams.roles.planner import entry_of, plan_config_of
from streams.settings import Settings
from tests.factories import NOW_MS, make_content_asset, make_interaction, make_item, make_user


@pytest.mark.parametrize("event", [make_interaction(), make_item(), make_user(), make_content_asset()])
def test_a_record_is_what_it_says(event: Record) -> None:
    assert entry_of(type(event), b"key", codec.encode(event), NOW_MS) == event


@pytest.mark.parametrize(
    ("kind", "entry"),
    [(Item, Withdrawn("k")), (User, Erased("k")), (ContentAsset, Unmade("k")), (Interaction, None)],
)
def test_a_tombstone_means_what_its_topic_says(kind: type[Record], entry: object) -> None:
    assert entry_of(kind, b"k", None, NOW_MS) == entry
    assert entry_of(kind, None, None, NOW_MS) is None


def test_broken_bytes_are_a_value() -> None:
    assert isinstance(entry_of(Item, b"k", b"{", NOW_MS), Rejected)


def test_the_settings_defaults_are_the_core_s() -> None:
    assert plan_config_of(Settings()) == PlanConfig()


def test_a_low_confidence_lowers_what_keeps_a_task_too() -> None:
    settings = dataclasses.replace(Settings(), planner=PlannerSettings(confidence=0.8))
    assert plan_config_of(settings).rules == WishRules(confidence=0.8, keeps=0.8)
