"""Runs the small platform of `beside.py` on topics of its own: what it produces, and what comes back."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.contract import topics
from streams.contract.codec import decoder, encode
from streams.contract.events import ContentAsset, ContentTask, Item, Record
from streams.contract.topics import TopicSpec, topic_name
from streams.demo import beside
from streams.replay.logs import EventLog
from streams.replay.player import KafkaSender
from streams.transport import admin
from streams.transport.connection import Connection

ROLES: Final = ("planner", "studio")
TICK_S: Final = 0.5
"""Between two handfuls of its events: few batches, which cost the embedded broker least."""
LASTS_S: Final = 45.0
"""The events of the platform come in so long."""
POLL_S: Final = 0.2
USED: Final = (
    topics.ITEMS, topics.USERS, topics.INTERACTIONS, topics.CONTENT_TASKS, topics.CONTENT_ASSETS, topics.ITEM_ARMS,
    topics.DEAD_LETTERS, topics.METRICS,
)  # fmt: skip
TAILED: Final[dict[str, type[ContentTask] | type[ContentAsset]]] = {
    topic_name(beside.PREFIX, topics.CONTENT_TASKS.name): ContentTask,
    topic_name(beside.PREFIX, topics.CONTENT_ASSETS.name): ContentAsset,
}


def specs() -> list[TopicSpec]:
    """Its topics, a partition each."""
    return [dataclasses.replace(spec, partitions=1, user_keyed=False) for spec in USED]


def prepare(connection: Connection, folder: Path, log: EventLog) -> list[Item]:
    """Makes its topics and its clips; gives its catalogue."""
    admin.create_topics(connection, specs(), prefix=beside.PREFIX)
    return beside.catalogue(beside.clips_in(folder / "clips"), log)


def store_toml(folder: Path) -> str:
    """Where the finished files are, for whoever makes them and whoever shows them."""
    return f"[studio]\nstore_dir = {json.dumps(str(folder / 'assets'))}\n"


def settings_toml(folder: Path) -> str:
    """Settings of its planner and its studio: a bounded one, of one render at a time, its blurbs without a model."""
    return (
        f"snapshot_dir = {json.dumps(str(folder / 'plans'))}\n"
        f"[planner]\nsnapshot_every_events = 0\ndub_budget = 0\nsubtitles_budget = 0\n"
        f"{store_toml(folder)}roots = [{json.dumps(str(folder / 'clips'))}]\n"
        'engines = ["extract"]\n'
        "processes = 1\nniceness = 5\ndeadline_s = 300\nmemory_mb = 2048\nfile_mb = 256\n"
    )


def feed(connection: Connection, items: Sequence[Item], stop: threading.Event, *, start_ms: int) -> None:
    """Produces the catalogue, the viewers and what they do, evenly over `LASTS_S`."""
    sender = KafkaSender(connection)

    def send(spec: TopicSpec, key: str, record: Record, timestamp_ms: int) -> None:
        name = topic_name(beside.PREFIX, spec.name)
        sender.send(name, key=key, value=encode(record), timestamp_ms=timestamp_ms)

    for item in items:
        send(topics.ITEMS, item.item_id, item, start_ms)
    for user in beside.viewers():
        send(topics.USERS, user.user_id, user, start_ms)
    sender.settle()
    events = list(beside.events(items, start_ms=start_ms))
    done, began_s = 0, time.monotonic()
    while done < len(events) and not stop.wait(TICK_S):
        until = min(len(events), int(len(events) * (time.monotonic() - began_s) / LASTS_S))
        for event in events[done:until]:
            send(topics.INTERACTIONS, event.user_id, event, event.occurred_at_ms)
        sender.check()
        done = max(done, until)
    if not stop.is_set():
        sender.settle()


def tail(connection: Connection, tell: Callable[[ContentTask | ContentAsset], None], stop: threading.Event) -> None:
    """Hands over every task and every asset as it arrives, until ``stop``."""
    consumer = Consumer(
        connection.for_confluent() | {"group.id": "marquee-demo-studio", "enable.auto.commit": False, "log_level": 0}
    )
    try:
        consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in TAILED])
        while not stop.is_set():
            message = consumer.poll(POLL_S)
            value = None if message is None or message.error() else message.value()
            if message is not None and value is not None:
                record = decoder(TAILED[message.topic() or ""])(value, -1)
                if isinstance(record, ContentTask | ContentAsset):
                    tell(record)
    finally:
        consumer.close()
