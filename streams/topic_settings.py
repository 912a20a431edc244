"""Which topics of a team's own are read in place; `settings.py` reads this with all other settings."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from streams.contract.topics import INTERACTIONS, ITEMS, MAX_TOPIC_CHARS, TOPICS, TopicSpec
from streams.setting_kinds import Checked, text


def _own_topic() -> Any:
    return text("", expected=f"a topic's full name, {MAX_TOPIC_CHARS} characters at most", accepts=lambda value: (
        re.fullmatch(rf"[a-zA-Z0-9._-]{{0,{MAX_TOPIC_CHARS}}}", value) is not None
    ))  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopicSettings(Checked):
    """Topics of a team's own that are read where they are, by full name; empty: ours, under the prefix.

    Attributes:
      interactions: what users do, instead of ``interactions.v1``. items: the catalogue, instead of ``items.v1``.
    """

    interactions: str = _own_topic()
    items: str = _own_topic()

    def specs(self) -> tuple[TopicSpec, ...]:
        """The table of topics, with those of others in their places."""
        own = {INTERACTIONS.name: self.interactions, ITEMS.name: self.items}
        return tuple(
            dataclasses.replace(spec, full_name=own[spec.name]) if own.get(spec.name) else spec for spec in TOPICS
        )

    def names(self, prefix: str) -> dict[str, str]:
        """Name of each topic in the table -> its full name on the broker."""
        return {spec.name: spec.named(prefix) for spec in self.specs()}
