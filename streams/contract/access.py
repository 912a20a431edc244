"""Which rights each role and command needs on a cluster with an authorizer, as data; ``docs/operations.md`` lists them.

``Read`` and ``Write`` on a topic include ``Describe``. Nothing needs a right on the cluster, but ``Create`` to make
topics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streams.contract import topics
from streams.contract.topics import TOPICS, TopicSpec

Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]


class Right(NamedTuple):
    """One entry of an access list: allow ``operation`` on the ``resource`` of exactly this ``name``."""

    resource: Literal["topic", "group"]
    name: str
    operation: Operation


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one role or command touches.

    Attributes:
      reads, writes: topics.
      joins_group: it reads in a consumer group of its name.
      deletes: topics that it deletes records of.
      checks: it looks at how all topics are made. creates: it makes them.
    """

    reads: tuple[TopicSpec, ...] = ()
    writes: tuple[TopicSpec, ...] = ()
    deletes: tuple[TopicSpec, ...] = ()
    joins_group: bool = False
    checks: bool = False
    creates: bool = False


ACCESS: Final[dict[str, Access]] = {
    "trainer": Access(
        reads=(topics.ITEMS, topics.USERS, topics.INTERACTIONS, topics.LEDGER, topics.ERASURES),
        writes=(
            topics.LEDGER, topics.ITEM_STATES, topics.MODEL_WEIGHTS, topics.MODEL_SNAPSHOTS, topics.METRICS,
            topics.DEAD_LETTERS,
        ),
        joins_group=True,
        checks=True,
    ),
    "recommender": Access(
        reads=(
            topics.REQUESTS, topics.INTERACTIONS, topics.ITEMS, topics.USERS, topics.ITEM_STATES, topics.MODEL_WEIGHTS,
            topics.ERASURES, topics.ITEM_ARMS, topics.CONTENT_ASSETS,
        ),
        writes=(topics.SLATES, topics.DEAD_LETTERS),
        joins_group=True,
        checks=True,
    ),
    "planner": Access(
        reads=(topics.ITEMS, topics.USERS, topics.CONTENT_ASSETS, topics.INTERACTIONS),
        writes=(topics.CONTENT_TASKS, topics.ITEM_ARMS, topics.METRICS),
        joins_group=True,
        checks=True,
    ),
    "studio": Access(
        reads=(topics.CONTENT_TASKS, topics.CONTENT_ASSETS, topics.ITEMS),
        writes=(topics.CONTENT_ASSETS, topics.METRICS, topics.DEAD_LETTERS),
        joins_group=True,
        checks=True,
    ),
    "console": Access(
        reads=(
            topics.INTERACTIONS, topics.ITEMS, topics.SLATES, topics.CONTENT_TASKS, topics.CONTENT_ASSETS,
            topics.ITEM_STATES, topics.MODEL_SNAPSHOTS, topics.LEDGER, topics.METRICS, topics.DEAD_LETTERS,
        ),
        checks=True,
    ),
    "door": Access(
        reads=(topics.SLATES,), writes=(topics.REQUESTS, topics.INTERACTIONS, topics.ITEMS), checks=True
    ),
    "topics": Access(checks=True, creates=True),
    "recommend": Access(reads=(topics.SLATES,), writes=(topics.REQUESTS,)),
    "tasks": Access(reads=(topics.CONTENT_TASKS, topics.CONTENT_ASSETS, topics.ITEM_ARMS, topics.METRICS)),
    "verify": Access(
        reads=(topics.LEDGER, topics.ERASURES, topics.ITEMS, topics.USERS, topics.INTERACTIONS), checks=True
    ),
    "forget": Access(
        reads=(
            topics.LEDGER, topics.ERASURES, topics.ITEMS, topics.USERS, topics.INTERACTIONS, topics.ITEM_STATES,
            topics.DEAD_LETTERS,
        ),
        writes=(topics.USERS, topics.ERASURES, topics.ITEM_STATES, topics.DEAD_LETTERS),
        deletes=(topics.DEAD_LETTERS,),
        checks=True,
    ),
    "replay": Access(writes=(topics.ITEMS, topics.INTERACTIONS)),
    "import": Access(writes=topics.JUDGED),
    "dlq": Access(
        reads=(topics.DEAD_LETTERS, topics.ITEMS, topics.USERS), writes=(topics.DEAD_LETTERS, *topics.JUDGED)
    ),
}  # fmt: skip
"""By role, or by command where it is no role; `marquee run` needs what its roles need, `doctor` what `topics` does."""


def group_name(prefix: str, role: str) -> str:
    """The consumer group of a role."""
    return f"{prefix or 'marquee'}-{role}"


def rights_of(who: str, prefix: str, specs: Sequence[TopicSpec] = TOPICS) -> list[Right]:
    """The access list of a role or command, least first; nothing else is needed, and nothing less does.

    ``specs``: the table, with topics of others in their places.
    """
    access, of = ACCESS[who], {spec.name: spec for spec in specs}
    rights = [Right("topic", of[spec.name].named(prefix), "Read") for spec in access.reads]
    rights += [Right("topic", of[spec.name].named(prefix), "Write") for spec in access.writes]
    rights += [Right("topic", of[spec.name].named(prefix), "Delete") for spec in access.deletes]
    if access.checks:
        names = [spec.named(prefix) for spec in specs]
        rights += [Right("topic", name, what) for name in names for what in ("Describe", "DescribeConfigs")]
    if access.creates:
        rights += [Right("topic", spec.named(prefix), "Create") for spec in specs if not spec.full_name]
    if access.joins_group:
        rights.append(Right("group", group_name(prefix, who), "Read"))
    return rights
