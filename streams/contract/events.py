"""Every record of the contract as a typed value; ``rules.py`` has the limits, ``topics.py`` the topics that carry them.

Field names are wire names. The types carry the limits, and ``codec.decoder`` enforces them; building a value in
Python enforces nothing, so that our own hot paths pay nothing. A field is added only with a default, and a default
never changes: fields at their default are left out on the wire.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from streams.contract import rules

Action: TypeAlias = Literal[
    "impression", "click", "play", "progress", "complete", "like", "dislike",
    "rate", "share", "skip", "hide", "purchase", "search-click",
]  # fmt: skip
Source: TypeAlias = Literal["tower", "successor", "popular", "fresh"]
ContentKind: TypeAlias = Literal["blurb", "image", "cut", "dub", "subtitles"]
ContentStatus: TypeAlias = Literal["done", "rejected", "failed"]

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=rules.MAX_ID_CHARS)]
Label: TypeAlias = Annotated[str, Meta(max_length=rules.MAX_LABEL_CHARS)]
Language: TypeAlias = Annotated[str, Meta(max_length=rules.MAX_LANGUAGE_CHARS)]
Uri: TypeAlias = Annotated[str, Meta(min_length=1, max_length=rules.MAX_URI_CHARS)]
Value: TypeAlias = Annotated[str, Meta(max_length=rules.MAX_VALUE_CHARS)]
TimeMs: TypeAlias = Annotated[int, Meta(ge=0, le=rules.MAX_TIME_MS)]
DateMs: TypeAlias = Annotated[int, Meta(ge=rules.MIN_TIME_MS, le=rules.MAX_TIME_MS)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=rules.MAX_SAFE_INT)]
SafeInt: TypeAlias = Annotated[int, Meta(ge=-rules.MAX_SAFE_INT, le=rules.MAX_SAFE_INT)]
Row: TypeAlias = Annotated[int, Meta(ge=1, le=rules.MAX_ROW)]
Partition: TypeAlias = Annotated[int, Meta(ge=0, le=rules.MAX_PARTITION)]
Rank: TypeAlias = Annotated[int, Meta(ge=1, le=rules.MAX_POSITION)]
Age: TypeAlias = Annotated[int, Meta(ge=0, le=rules.MAX_MATURITY)]
Number: TypeAlias = Annotated[float, Meta(ge=-rules.MAX_MAGNITUDE, le=rules.MAX_MAGNITUDE)]
Float32: TypeAlias = Annotated[float, Meta(ge=-rules.MAX_FLOAT32, le=rules.MAX_FLOAT32)]
Probability: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Scalar: TypeAlias = Value | SafeInt | Number | bool | None
Words: TypeAlias = Annotated[list[Value], Meta(max_length=rules.MAX_FILTER_VALUES)]
Context: TypeAlias = Annotated[dict[Label, Scalar], Meta(max_length=rules.MAX_CONTEXT_KEYS)]
Filters: TypeAlias = Annotated[dict[Label, Scalar | Words], Meta(max_length=rules.MAX_CONTEXT_KEYS)]
Tags: TypeAlias = Annotated[list[Label], Meta(max_length=rules.MAX_TAGS)]
Regions: TypeAlias = Annotated[list[Label], Meta(max_length=rules.MAX_REGIONS)]
Languages: TypeAlias = Annotated[list[Language], Meta(max_length=rules.MAX_LANGUAGES)]
Segments: TypeAlias = Annotated[list[Label], Meta(max_length=rules.MAX_SEGMENTS)]
Excluded: TypeAlias = Annotated[list[Id], Meta(max_length=rules.MAX_EXCLUDED)]
AssetIds: TypeAlias = Annotated[list[Id], Meta(max_length=rules.MAX_ASSETS)]
Propensities: TypeAlias = Annotated[list[Probability], Meta(max_length=rules.MAX_ASSETS)]
Devices: TypeAlias = Annotated[list[Label], Meta(max_length=rules.MAX_DEVICES)]
Reasons: TypeAlias = Annotated[list[Value], Meta(max_length=rules.MAX_REASONS)]
Offsets: TypeAlias = Annotated[dict[Id, Count], Meta(max_length=rules.MAX_PARTITIONS)]
Surfaces: TypeAlias = Annotated[list[Label], Meta(max_length=rules.MAX_SURFACES)]
Floats: TypeAlias = Annotated[bytes, Meta(max_length=4 * rules.MAX_DIM)]
Rows: TypeAlias = Annotated[bytes, Meta(max_length=4 * rules.MAX_DIM)]
Axes: TypeAlias = Annotated[list[Partition], Meta(max_length=rules.MAX_TENSOR_AXES)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of everything on the wire.

    ``gc=False`` keeps millions of short-lived events out of Python's cycle collector; nothing decoded from JSON can
    form a cycle.
    """


class Interaction(Record, frozen=True, kw_only=True):
    """One user action; ``interactions.v1``, keyed by ``user_id``.

    Attributes:
      event_id: makes the action idempotent; a repeat inside the dedupe window is counted, not learned.
      value: what the action carries: stars, a price; unit of the platform's choosing.
      dwell_ms, completion: time spent, ms; share of the item seen, 0..1.
      occurred_at_ms: event time, UTC epoch ms; at most ``rules.MAX_CLOCK_SKEW_MS`` after the record's timestamp.
      request_id, position, asset_id: the slate it came from, the 1-based place in it, and the asset that was shown;
        asset_ids: those that were shown, where they are several.
    """

    event_id: Id
    user_id: Id
    item_id: Id
    action: Action
    occurred_at_ms: TimeMs
    value: Number | None = None
    dwell_ms: Annotated[int, Meta(ge=0, le=rules.MAX_DWELL_MS)] | None = None
    completion: Probability | None = None
    surface: Label | None = None
    request_id: Id | None = None
    position: Rank | None = None
    asset_id: Id | None = None
    context: Context = {}
    asset_ids: AssetIds = []


class Asset(Record, frozen=True, kw_only=True):
    """One file that shows or tells an item: a poster, a cut, a dubbed track. On the wire: ``id`` and ``bytes``.

    ``language``: of a dubbed track, of subtitles, of a text; None: the item's own, or none. ``devices``: empty is all.
    """

    asset_id: Id = msgspec.field(name="id")
    uri: Uri
    media_type: Label
    sha256: Label | None = None
    size_bytes: Count | None = msgspec.field(name="bytes", default=None)
    duration_ms: Count | None = None
    language: Language | None = None
    devices: Devices = []


class Item(Record, frozen=True, kw_only=True):
    """One item of the catalogue; ``items.v1``, keyed by ``item_id``; a tombstone withdraws it at once.

    Attributes:
      published_at_ms: when the work came out, UTC epoch ms; negative before 1970.
      available_from_ms, available_until_ms: the window [from, until) in which it may be shown; None is open.
      regions: where it may be shown; empty is everywhere.
      maturity: least age, years; 0 is for all.
    """

    item_id: Id
    title: Annotated[str, Meta(max_length=rules.MAX_TITLE_CHARS)] = ""
    text: Annotated[str, Meta(max_length=rules.MAX_TEXT_CHARS)] = ""
    tags: Tags = []
    creator: Annotated[str, Meta(max_length=rules.MAX_ID_CHARS)] | None = None
    language: Language | None = None
    duration_s: Annotated[float, Meta(ge=0.0, le=rules.MAX_DURATION_S)] | None = None
    published_at_ms: DateMs | None = None
    available_from_ms: DateMs | None = None
    available_until_ms: DateMs | None = None
    regions: Regions = []
    maturity: Age = 0
    assets: Annotated[list[Asset], Meta(max_length=rules.MAX_ASSETS)] = []


class User(Record, frozen=True, kw_only=True):
    """A user's profile; ``users.v1``, keyed by ``user_id``; a tombstone erases the user.

    ``maturity`` is the oldest age rating this user may see, years; None sets no limit.
    """

    user_id: Id
    region: Label | None = None
    languages: Languages = []
    maturity: Age | None = None
    segments: Segments = []


class Request(Record, frozen=True, kw_only=True):
    """A question for a slate; ``requests.v1``, keyed by ``user_id``.

    ``k`` may be any whole number up to 2**53 - 1 either way and ``filters`` may hold any name: the recommender clamps
    the one and reports the other in the slate, since a question deserves an answer.
    """

    request_id: Id
    user_id: Id
    surface: Label | None = None
    k: SafeInt = 20
    filters: Filters = {}
    exclude: Excluded = []
    context: Context = {}


class AsOf(Record, frozen=True, kw_only=True):
    """What a slate knew: the newest event time, ms, and per interactions partition (as text) its next offset."""

    event_time_ms: TimeMs
    offsets: Offsets = {}


class ModelRef(Record, frozen=True, kw_only=True):
    """The model that ranked: a rising version, its training step, and the hash of that state."""

    version: Count
    step: Count
    state_hash: Label


class SlateItem(Record, frozen=True, kw_only=True):
    """One place of a slate.

    ``rank`` is 1-based; ``score`` sorts and is comparable only inside its slate; ``propensity`` is the probability
    with which this item was put in this place, for off-policy evaluation. ``asset_ids``: one of each kind to show it
    with, each chosen with its probability in ``asset_propensities``.
    """

    item_id: Id
    rank: Rank
    score: Float32
    source: Source
    propensity: Probability = 1.0
    explored: bool = False
    reasons: Reasons = []
    asset_ids: AssetIds = []
    asset_propensities: Propensities = []


class Slate(Record, frozen=True, kw_only=True):
    """Ranked items for one request, or pushed; ``slates.v1``, keyed by ``user_id``. ``k`` is the length aimed at."""

    request_id: Id
    user_id: Id
    generated_at_ms: TimeMs
    as_of: AsOf
    model: ModelRef
    k: Count
    items: Annotated[list[SlateItem], Meta(max_length=rules.MAX_SLATE_ITEMS)] = []
    error: Value | None = None


class Gain(Record, frozen=True, kw_only=True):
    """What a content task should earn: a metric, its expected value, and the interval [low, high] around it."""

    metric: Label
    value: Number
    interval: tuple[Number, Number]


class ContentTask(Record, frozen=True, kw_only=True):
    """Content to be made for an item and an audience; ``content-tasks.v1``, keyed by ``item_id``.

    ``task_id`` is ``ids.content_task_id`` of item, kind, audience, locale and spec. Of several records of one task the
    last one counts. ``withdrawn``: it is no longer wanted; ``not_after_ms`` then says since when.
    """

    task_id: Id
    kind: ContentKind
    item_id: Id
    expected_gain: Gain
    audience: Filters = {}
    locale: Language | None = None
    spec: Filters = {}
    priority: Number = 0.0
    evidence: Annotated[list[Context], Meta(max_length=rules.MAX_EVIDENCE)] = []
    not_after_ms: TimeMs | None = None
    withdrawn: bool = False


class ContentAsset(Record, frozen=True, kw_only=True):
    """What became of a content task; ``content-assets.v1``, keyed by ``item_id``. Where done: ``asset``.

    ``not_after_ms``: of the task's record that it answers; what is not done is tried again when told with a later one.
    """

    task_id: Id
    item_id: Id
    status: ContentStatus
    asset: Asset | None = None
    quality: Annotated[dict[Label, Number], Meta(max_length=rules.MAX_CONTEXT_KEYS)] = {}
    engine: Context = {}
    error: Value | None = None
    not_after_ms: TimeMs | None = None


class ItemState(Record, frozen=True, kw_only=True):
    """What serving needs of one item; ``item-states.v1``, keyed by ``item_id``.

    Bytes are little-endian and base64 on the wire.

    Attributes:
      row: the trainer's embedding row; >= 1, as row 0 is "unknown".
      version: of the flush it belongs to.
      live: False when the item was evicted or withdrawn; its vectors may then be empty.
      vector: float32 [D].
      popularity: float32 [P], counts decayed up to the clock.
      clock_events, clock_ms: the clock of those counts: events learned, and event time, UTC epoch ms.
      successors, predecessors, company: int32 rows; their weights, lags and gains are float32 of the same length.
      first_seen_ms: event time of its first record, UTC epoch ms.
      surface_popularity: float32 [S], counts by surface from code 1 on, decayed up to the clock; surface_bias: what
        each adds to the score; both may be empty.
      value_sum, value_count: of the values that interactions with it carried.
      feedback: float32: what became of its showings, decayed up to a clock of their own, see ``Counts``: passed over,
        taken and expected, outcomes; empty where nothing but choices was ever told. feedback_events, feedback_ms: that
        clock.
    """

    item_id: Id
    row: Row
    version: Count
    clock_events: Count
    clock_ms: TimeMs
    first_seen_ms: TimeMs
    live: bool = True
    vector: Floats = b""
    bias: Float32 = 0.0
    count: Annotated[float, Meta(ge=0.0, le=rules.MAX_FLOAT32)] = 0.0
    popularity: Floats = b""
    successors: Rows = b""
    successor_weights: Floats = b""
    predecessors: Rows = b""
    predecessor_weights: Floats = b""
    successor_lags: Floats = b""
    company: Rows = b""
    company_weights: Floats = b""
    surface_popularity: Floats = b""
    successor_gains: Floats = b""
    company_gains: Floats = b""
    surface_bias: Floats = b""
    value_sum: Float32 = 0.0
    value_count: Annotated[float, Meta(ge=0.0, le=rules.MAX_FLOAT32)] = 0.0
    feedback: Floats = b""
    feedback_events: Count = 0
    feedback_ms: TimeMs = 0


class Tensor(Record, frozen=True, kw_only=True):
    """An array: ``data`` is C-ordered and little-endian (base64 on the wire), ``shape`` x size of ``dtype`` bytes."""

    shape: Axes
    dtype: Literal["float32", "float64", "int32", "int64", "uint8", "bool"]
    data: bytes


class ModelWeights(Record, frozen=True, kw_only=True):
    """Dense weights at a version; ``model-weights.v1``, keyed by the tower's name.

    Attributes:
      item_states: how many item-state records belong to this flush; all are read before the version is used.
      clock_events, clock_ms: events learned and event time, UTC epoch ms, at the flush.
      fingerprint: of the software and settings that made it.
      surfaces: those that are told apart, by code from 1 on.
    """

    version: Count
    step: Count
    item_states: Count
    arrays: Annotated[dict[Id, Tensor], Meta(max_length=rules.MAX_TENSORS)]
    clock_events: Count
    clock_ms: TimeMs
    state_hash: Label
    fingerprint: Value
    surfaces: Surfaces = []


class SnapshotNotice(Record, frozen=True, kw_only=True):
    """A snapshot is durable; ``model-snapshots.v1``, keyed by role. ``offsets``: "topic/partition" -> next offset."""

    version: Count
    uri: Uri
    offsets: Offsets
    state_hash: Label
    fingerprint: Value


class OffsetRange(Record, frozen=True, kw_only=True):
    """Offsets ``first`` to ``last``, both included, of one partition; ``records``: how many there were."""

    topic: Id
    partition: Partition
    first: Count
    last: Count
    records: Count | None = None


class LedgerRecord(Record, frozen=True, kw_only=True):
    """Exactly what one training step learned; ``ledger.v1``.

    A record without ``ranges`` tells ``state_hash``, that of the state after a step which has a record before it;
    ``erasures``: the mark of the users that it was learned without.
    ``writer`` names the run of a trainer that wrote it, ``follows`` the one that wrote the step before: of several
    records of one step the first one that follows rightly counts.
    """

    step: Count
    ranges: Annotated[list[OffsetRange], Meta(max_length=rules.MAX_RANGES)]
    seed: SafeInt
    batch_size: Count
    fingerprint: Value
    state_hash: Label | None = None
    writer: Label = ""
    follows: Label = ""
    erasures: Label = ""


class Erasure(Record, frozen=True, kw_only=True):
    """A user who was forgotten; ``erasures.v1``, keyed by ``user``: a digest of the ``user_id``, which is not here.

    No state is made of records of theirs that stand before ``ends`` ("topic/partition" -> offset) or are stamped
    ``until_ms`` or earlier. ``lead``: what versions of the model are ahead of the interactions learned, from now on.
    ``step``, ``state_hash``: of the state that was rebuilt without them.
    """

    user: Label
    until_ms: TimeMs
    ends: Offsets
    lead: Count
    step: Count
    state_hash: Label


class Metric(Record, frozen=True, kw_only=True):
    """One window of figures; ``metrics.v1``, keyed by ``series``; ``at_ms`` is event time, ``events`` the window's."""

    series: Id
    at_ms: TimeMs
    step: Count
    events: Count
    values: Annotated[dict[Label, Number], Meta(max_length=rules.MAX_METRIC_VALUES)]
