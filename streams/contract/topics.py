"""The topics as data: name, key, partitions, clean-up and what they carry. ``transport/admin.py`` makes them so."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from streams.contract import arms, events
from streams.contract.errors import TopicNameError

KEEP_FOREVER_MS: Final = -1
"""Kafka's word for no expiry, ms.

Default everywhere: a broker expires by record timestamp, and a replayed log carries the timestamps of years ago, so any
other value deletes it while it is being read. Set a retention of your own on a live platform's topics.
"""
USER_PARTITIONS: Final = 4
"""Default partitions of the topics keyed by user; the same for all, so that a user's topics meet in one process."""
MAX_TOPIC_CHARS: Final = 249
"""Kafka's own limit."""
_LEGAL = re.compile(r"[a-zA-Z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """One topic.

    Attributes:
      name: without prefix, ``plural_noun.vN``.
      key: what the record's key holds (UTF-8), in words; None: records have no key.
      partitions: the default number.
      cleanup: Kafka's ``cleanup.policy``.
      retention_ms: Kafka's ``retention.ms``; ignored by the broker where ``cleanup`` is "compact".
      event_type: what a value decodes to; None: raw bytes.
      user_keyed: must have as many partitions as the other such topics.
      tombstone: what a record without a value means; None: it has no meaning and is skipped.
      full_name: on the broker, where the topic is somebody else's and is read in place; "": ours, under the prefix.
    """

    name: str
    key: str | None
    partitions: int
    cleanup: Literal["delete", "compact"]
    event_type: type[events.Record] | None
    retention_ms: int = KEEP_FOREVER_MS
    user_keyed: bool = False
    tombstone: str | None = None
    full_name: str = ""

    def named(self, prefix: str) -> str:
        """Its full name on the broker."""
        return self.full_name or topic_name(prefix, self.name)


INTERACTIONS: Final = TopicSpec(
    name="interactions.v1", key="user_id", partitions=USER_PARTITIONS, cleanup="delete",
    event_type=events.Interaction, user_keyed=True,
)  # fmt: skip
ITEMS: Final = TopicSpec(
    name="items.v1", key="item_id", partitions=4, cleanup="compact", event_type=events.Item,
    tombstone="withdraws the item at once",
)  # fmt: skip
USERS: Final = TopicSpec(
    name="users.v1", key="user_id", partitions=USER_PARTITIONS, cleanup="compact", event_type=events.User,
    user_keyed=True, tombstone="erases the user",
)  # fmt: skip
REQUESTS: Final = TopicSpec(
    name="requests.v1", key="user_id", partitions=USER_PARTITIONS, cleanup="delete",
    event_type=events.Request, user_keyed=True,
)  # fmt: skip
SLATES: Final = TopicSpec(
    name="slates.v1", key="user_id", partitions=USER_PARTITIONS, cleanup="delete",
    event_type=events.Slate, user_keyed=True,
)  # fmt: skip
CONTENT_TASKS: Final = TopicSpec(
    name="content-tasks.v1", key="item_id", partitions=4, cleanup="delete", event_type=events.ContentTask,
)  # fmt: skip
CONTENT_ASSETS: Final = TopicSpec(
    name="content-assets.v1", key="item_id", partitions=4, cleanup="compact", event_type=events.ContentAsset,
    tombstone="withdraws the item's asset",
)  # fmt: skip
ITEM_ARMS: Final = TopicSpec(
    name="item-arms.v1", key="item_id", partitions=4, cleanup="compact", event_type=arms.ItemArms,
)  # fmt: skip
ITEM_STATES: Final = TopicSpec(
    name="item-states.v1", key="item_id", partitions=4, cleanup="compact", event_type=events.ItemState,
    tombstone="forgets the item",
)  # fmt: skip
MODEL_WEIGHTS: Final = TopicSpec(
    name="model-weights.v1", key="tower", partitions=1, cleanup="compact", event_type=events.ModelWeights,
)  # fmt: skip
MODEL_SNAPSHOTS: Final = TopicSpec(
    name="model-snapshots.v1", key="role", partitions=1, cleanup="compact", event_type=events.SnapshotNotice,
)  # fmt: skip
LEDGER: Final = TopicSpec(
    name="ledger.v1", key=None, partitions=1, cleanup="delete", event_type=events.LedgerRecord,
)  # fmt: skip
ERASURES: Final = TopicSpec(
    name="erasures.v1", key="user", partitions=1, cleanup="compact", event_type=events.Erasure,
)  # fmt: skip
METRICS: Final = TopicSpec(
    name="metrics.v1", key="series", partitions=1, cleanup="delete", event_type=events.Metric,
)  # fmt: skip
DEAD_LETTERS: Final = TopicSpec(
    name="dead-letters.v1", key="origin", partitions=1, cleanup="delete", event_type=None,
    tombstone="marks the letter as redriven",
)  # fmt: skip

TOPICS: Final[tuple[TopicSpec, ...]] = (
    INTERACTIONS, ITEMS, USERS, REQUESTS, SLATES, CONTENT_TASKS, CONTENT_ASSETS, ITEM_ARMS,
    ITEM_STATES, MODEL_WEIGHTS, MODEL_SNAPSHOTS, LEDGER, ERASURES, METRICS, DEAD_LETTERS,
)  # fmt: skip

JUDGED: Final[tuple[TopicSpec, ...]] = (INTERACTIONS, ITEMS, USERS, REQUESTS)
"""Others write these: a role that refuses a record of theirs keeps it as a dead letter, which may go back there."""


def topic_name(prefix: str, spec_name: str) -> str:
    """Full name of a topic: ``prefix.name``, or ``name`` alone where the prefix is empty.

    Args:
      prefix: letters, digits, ``.``, ``_`` and ``-``; may be empty.
      spec_name: the ``name`` of a spec, or any other topic name of ours.

    Raises:
      TopicNameError: Kafka would refuse the name.
    """
    name = f"{prefix}.{spec_name}" if prefix else spec_name
    if not spec_name or len(name) > MAX_TOPIC_CHARS or not _LEGAL.fullmatch(name):
        raise TopicNameError(
            f"a topic name must be 1 to {MAX_TOPIC_CHARS} letters, digits, '.', '_' and '-', got {name[:300]!r}; "
            "choose another prefix"
        )
    return name
