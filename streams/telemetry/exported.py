"""Every metric that is exported, as data: its name, what it means, and which figure of a role it is.

A figure is what a role tells under the name of a series, mostly the very values that go to `metrics.v1`; `hear` of
`board.py` takes them. Labels are written here and nowhere else, so none can hold a user's or an item's id, and the
number of time series of a process is that of this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from streams.contract import topics

Kind = Literal["counter", "gauge", "histogram"]

READERS: Final = ("trainer", "recommender", "planner", "studio")
"""Roles with a consumer group."""
ROLES: Final = (*READERS, "console")
ANSWER_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the classes of answering times, s."""
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


class Exported(NamedTuple):
    """One metric, or one of several with the same name and different labels.

    Attributes:
      name: as Prometheus sees it, a counter's ends with ``_total``. kind: its type. help: what it means.
      roles: whose it is. series, value: the figure. labels: beside those of the process.
      scale: what the figure is multiplied with.
      since_start: the figure goes back with a role's state; what is exported counts from the process's start.
    """

    name: str
    kind: Kind
    help: str
    roles: tuple[str, ...]
    series: str
    value: str
    labels: Mapping[str, str] = _NO_LABELS
    scale: float = 1.0
    since_start: bool = False


def _process() -> list[Exported]:
    return [
        Exported(
            "marquee_ready", "gauge", "1 while /readyz says yes.", ROLES, "process", "ready"),
        Exported(
            "marquee_draining", "gauge", "1 from SIGTERM or SIGINT on.", ROLES, "process", "draining"),
        Exported(
            "marquee_broker_away", "gauge", "1 while a connection to the broker failed within the last 30 s.", ROLES,
            "process", "broker_away"),
        Exported(
            "marquee_loop_silence_seconds", "gauge", "Since the event loop last said that it lives, once a second.",
            ROLES, "process", "loop_silence_s"),
        Exported(
            "marquee_loop_delay_seconds", "gauge", "By how much its last word was late: how busy the loop is.", ROLES,
            "process", "loop_delay_s"),
    ]  # fmt: skip


def _reading() -> list[Exported]:
    """What each consumer group is assigned and has still to do, by topic without its prefix."""
    grouped = {
        "trainer": (topics.ITEMS, topics.USERS, topics.INTERACTIONS),
        "recommender": (topics.INTERACTIONS, topics.REQUESTS),
        "planner": (topics.ITEMS, topics.USERS, topics.CONTENT_ASSETS, topics.INTERACTIONS),
        "studio": (topics.CONTENT_TASKS,),
    }
    names = {spec.name: tuple(role for role in grouped if spec in grouped[role]) for spec in topics.TOPICS}
    found: list[Exported] = []
    for topic, roles in names.items():
        if roles:
            found += [
                Exported(
                    "marquee_consumer_lag_records", "gauge",
                    "Records of the process's partitions that have not taken effect.", roles, "reader",
                    f"lag {topic}", {"topic": topic}),
                Exported(
                    "marquee_consumer_partitions", "gauge", "Partitions that the process reads.", roles, "reader",
                    f"partitions {topic}", {"topic": topic}),
            ]  # fmt: skip
    return found


def _trainer() -> list[Exported]:
    def one(name: str, kind: Kind, text: str, value: str, *, series: str = "trainer", scale: float = 1.0,
            since_start: bool = False, **labels: str) -> Exported:  # fmt: skip
        return Exported(f"marquee_trainer_{name}", kind, text, ("trainer",), series, value, labels, scale, since_start)

    found = [
        one("learned_events_total", "counter", "Events learned by this process, those of the ledger again included.",
            "learned", since_start=True),
        one("state_events", "gauge", "Events that the state has learned since the log's start.", "learned"),
        one("repeated_events_total", "counter", "Events left out because their event_id was known.", "repeated",
            since_start=True),
        one("rejected_records_total", "counter", "Records sent to dead-letters.v1.", "rejected"),
        one("items", "gauge", "Items with a row.", "items"),
        one("users", "gauge", "Users with a row.", "users"),
        one("skew_seconds", "gauge", "Largest amount by which a record was learned after a younger one.", "skew_ms",
            scale=1e-3),
        one("waiting_records", "gauge", "Records read and not yet learned.", "waiting"),
        one("recovering_steps", "gauge", "Steps of the ledger that are still to be learned again.", "recovering"),
        one("unsaved_steps", "gauge", "Steps since the newest durable snapshot.", "unsaved"),
        one("untold_items", "gauge", "Items that changed since they were last told to recommenders.", "untold"),
        one("loss_nats", "gauge", "Loss of the last batch's tower steps.", "loss"),
        one("step", "gauge", "Training step of the state.", "step", series="trainer own"),
        one("event_timestamp_seconds", "gauge", "Newest event time learned, Unix time.", "event_s",
            series="trainer own"),
        one("snapshot_timestamp_seconds", "gauge", "When this process last made a snapshot durable, Unix time.",
            "snapshot_s", series="trainer own"),
        one("snapshot_failures_total", "counter", "Snapshots that could not be written.", "snapshot_failures",
            series="trainer own"),
        one("ranked_events_total", "counter", "Events that were ranked before they were learned.", "total_events",
            series="prequential", since_start=True),
    ]  # fmt: skip
    for ranker in ("model", "decayed_popularity", "transitions"):
        found += [
            one("hit_ratio", "gauge", "HR@10 of the last window, by what ranked.", f"{ranker}_hr_at_10",
                series="prequential", ranker=ranker),
            one("ndcg_ratio", "gauge", "NDCG@10 of the last window, by what ranked.", f"{ranker}_ndcg_at_10",
                series="prequential", ranker=ranker),
        ]  # fmt: skip
    return found


def _recommender() -> list[Exported]:
    def one(name: str, kind: Kind, text: str, value: str, **labels: str) -> Exported:
        return Exported(f"marquee_recommender_{name}", kind, text, ("recommender",), "recommender", value, labels)

    return [
        one("slates_total", "counter", "Slates handed to the broker, by what asked for them.", "slates request",
            cause="request"),
        one("slates_total", "counter", "Slates handed to the broker, by what asked for them.", "slates push",
            cause="push"),
        one("answer_seconds", "histogram", "From reading a request to handing its slate to the broker.", "answer_s"),
        one("rejected_requests_total", "counter", "Requests sent to dead-letters.v1.", "rejected"),
        one("waiting_requests", "gauge", "Requests read and not yet in a batch.", "waiting_requests"),
        one("waiting_pushes", "gauge", "Users who are due for a slate.", "waiting_pushes"),
        one("items", "gauge", "Items known.", "items"),
        one("users", "gauge", "Users with a history.", "users"),
        one("model_version", "gauge", "Version of the weights in use: the trainer's step when they were told.",
            "model_version"),
        one("event_timestamp_seconds", "gauge", "Newest event time known, Unix time.", "event_s"),
    ]  # fmt: skip


def _planner() -> list[Exported]:
    def one(name: str, kind: Kind, text: str, value: str, *, since_start: bool = False) -> Exported:
        return Exported(
            f"marquee_planner_{name}", kind, text, ("planner",), "planner", value, since_start=since_start
        )  # fmt: skip

    return [
        one("taken_records_total", "counter", "Records read.", "taken", since_start=True),
        one("repeated_events_total", "counter", "Interactions left out because their event_id was known.", "repeated",
            since_start=True),
        one("rejected_records_total", "counter", "Records that break the contract.", "rejected"),
        one("told_tasks_total", "counter", "Records of tasks published.", "told"),
        one("ahead_events", "gauge", "Interactions far from the clock, in a row up to now.", "ahead"),
        one("cells", "gauge", "Cells of counts.", "cells"),
        one("items", "gauge", "Items known.", "items"),
        one("users", "gauge", "Profiles known.", "users"),
        one("open_tasks", "gauge", "Tasks that stand.", "open"),
    ]  # fmt: skip


def _studio() -> list[Exported]:
    def one(name: str, kind: Kind, text: str, value: str, **labels: str) -> Exported:
        return Exported(f"marquee_studio_{name}", kind, text, ("studio",), "studio", value, labels)

    return [
        *(
            one("tasks_total", "counter", "Tasks that have their record, by what it says.", status, status=status)
            for status in ("done", "failed", "rejected")
        ),
        one("waiting_tasks", "gauge", "Tasks read and not begun.", "waiting"),
        one("renders", "gauge", "Renders under way.", "rendering"),
        one("render_seconds_total", "counter", "Time spent on renders that ended.", "rendered_s"),
        one("oldest_render_seconds", "gauge", "How long the longest render under way has run.", "oldest_render_s"),
    ]


def _console() -> list[Exported]:
    def one(name: str, text: str, value: str, **labels: str) -> Exported:
        return Exported(f"marquee_console_{name}", "gauge", text, ("console",), "console", value, labels)

    return [
        one("unlearned_records", "Interactions beyond what the ledger names: what no trainer has learned.",
            "trainer_lag"),
        one("unreflected_records", "Interactions beyond what the newest slates reflect.", "slate_lag"),
        one("items", "Items whose records are held.", "items"),
        one("streams", "Event streams of pages that are open.", "streams"),
        one("alarms", "Alarms on the page Now, by level.", "alarms warn", level="warn"),
        one("alarms", "Alarms on the page Now, by level.", "alarms bad", level="bad"),
    ]  # fmt: skip


EXPORTED: Final = (
    *_process(), *_reading(), *_trainer(), *_recommender(), *_planner(), *_studio(), *_console(),
)  # fmt: skip
BUILD_INFO: Final = ("marquee_build_info", "1, with the version.")
"""The one metric without a figure."""


def of_role(role: str) -> dict[str, list[Exported]]:
    """By name, what a role exports."""
    found: dict[str, list[Exported]] = {}
    for one in EXPORTED:
        if role in one.roles:
            found.setdefault(one.name, []).append(one)
    return found
