"""The contract's limits, as data: every length, range and action word, once.

``events.py`` turns these into types, ``codec.py`` enforces them and ``docs/events.md`` states them; a test holds the
three together. What a role does with an action (learn it, hide the item) is decided from the sets below, so that
the trainer, the recommender and a replay never disagree about a word.
"""

from typing import Final

# --- times, UTC epoch milliseconds -----------------------------------------------------------------------------
MAX_CLOCK_SKEW_MS: Final = 300_000
"""How far an event's ``occurred_at_ms`` may lie after its record's timestamp, ms. Before is fine: phones go offline."""
MIN_TIME_MS: Final = -62_135_596_800_000
"""0001-01-01, ms. Only a work's dates may be this old; what users do is never before 1970."""
MAX_TIME_MS: Final = 253_402_300_799_999
"""9999-12-31 23:59:59.999, ms: the last instant that every language's date type can hold."""
MAX_DWELL_MS: Final = 31 * 86_400_000
"""Longest single stay or play, ms: a month; more is a broken client."""

# --- sizes -----------------------------------------------------------------------------------------------------
MAX_RECORD_BYTES: Final = 1_000_000
"""Largest record value, bytes. Below Kafka's default of 1,048,588, so that a dead letter with its headers fits too."""
MAX_NESTING: Final = 200
"""Deepest nesting of arrays and objects, unknown fields included. A fixed number, well inside Python's own limit,
which depends on the caller's stack: a replay must accept what the first run accepted."""
MAX_ID_CHARS: Final = 256
MAX_LABEL_CHARS: Final = 128
"""Short words: a surface, a tag, a metric's name."""
MAX_LANGUAGE_CHARS: Final = 35
"""RFC 5646, section 4.4.1: a language tag of 35 characters holds all that are in use."""
MAX_TITLE_CHARS: Final = 1_000
MAX_TEXT_CHARS: Final = 50_000
MAX_VALUE_CHARS: Final = 1_000
"""Longest string inside ``context``, ``filters`` and the like."""
MAX_URI_CHARS: Final = 2_048
MAX_REASON_CHARS: Final = 500
"""Longest reason in a dead letter; somebody's megabyte must not come back in our own header."""
MAX_TAGS: Final = 200
MAX_REGIONS: Final = 300
"""More than the countries of ISO 3166."""
MAX_LANGUAGES: Final = 32
MAX_SEGMENTS: Final = 200
MAX_ASSETS: Final = 500
MAX_DEVICES: Final = 32
MAX_CONTEXT_KEYS: Final = 64
MAX_FILTER_VALUES: Final = 100
MAX_EXCLUDED: Final = 5_000
MAX_SLATE_ITEMS: Final = 10_000
MAX_REASONS: Final = 16
MAX_EVIDENCE: Final = 100
MAX_PARTITIONS: Final = 10_000
"""Entries of an offsets map."""
MAX_RANGES: Final = 10_000
MAX_METRIC_VALUES: Final = 1_000
MAX_TENSORS: Final = 1_000
MAX_TENSOR_AXES: Final = 8
MAX_SURFACES: Final = 255
"""Surfaces told apart: their codes are bytes."""
MAX_DIM: Final = 16_384
"""Numbers in one vector of an item state."""

# --- numbers ---------------------------------------------------------------------------------------------------
MAX_SAFE_INT: Final = 2**53 - 1
"""Largest whole number that JavaScript and every double keeps exact (RFC 8259, section 6)."""
MAX_ROW: Final = 2**31 - 1
MAX_PARTITION: Final = 2**31 - 1
MAX_MAGNITUDE: Final = 1e15
"""Bound of free numbers (a rating, a price): finite, and exact to a tenth in a double."""
MAX_FLOAT32: Final = 3.4028234e38
MAX_MATURITY: Final = 21
"""Least age, years."""
MAX_POSITION: Final = 100_000
MAX_DURATION_S: Final = 31_536_000.0
"""Longest item, seconds: a year (live channels)."""

# --- words -----------------------------------------------------------------------------------------------------
LEARNED_ACTIONS: Final = frozenset({"click", "play", "complete", "like", "rate", "share", "purchase", "search-click"})
"""The user chose this item: it is scored as a target, learned, and joins the history."""
POSITIVE_ACTIONS: Final = LEARNED_ACTIONS | {"progress"}
"""Speaks for the item. ``progress`` repeats many times a play, so it is not learned as a new choice."""
NEGATIVE_ACTIONS: Final = frozenset({"dislike", "skip", "hide"})
"""Speaks against the item."""
HIDING_ACTIONS: Final = frozenset({"dislike", "hide"})
"""After one of these the item is never shown to that user again, whatever the settings say."""
REWATCHABLE_ACTIONS: Final = frozenset({"impression", "progress", "skip"})
"""Default: the item may be shown again after these. The recommender's settings may widen it, never by a hiding one."""
COMPLETE_FROM: Final = 0.9
"""Share of an item from which a choice counts as completed, as the action ``complete`` does."""
SHORT_DWELL_MS: Final = 3_000
"""One of `LOOKS` that lasted less, ms, without being completed, was left at once: it counts as passed over."""
LOOKS: Final = frozenset({"click", "play", "search-click"})
"""Choices that a short stay takes back; a purchase or a like is meant however quick it was."""
ACTION_WORDS: Final = POSITIVE_ACTIONS | NEGATIVE_ACTIONS | {"impression"}

KNOWN_FILTERS: Final = frozenset({"tags", "language", "creator", "max_duration_s"})
"""Filters a recommender understands; a slate to any other says so in its ``error``."""
