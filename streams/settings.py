"""Every setting of Marquee, and the only reader of the environment.

A value comes from, in this order: the command's own options, ``MARQUEE_*`` variables, ``marquee.toml``, the default
written here. ``[trainer] batch_size`` in the file is ``MARQUEE_TRAINER_BATCH_SIZE`` in the environment; ``broker`` is
``MARQUEE_BROKER``. The table ``[model]`` is passed on as it is: the learner checks it. A name that is not known is an
error, because a misspelt setting that is silently ignored is found months later.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

from streams.chat_settings import ChatSettings
from streams.console_settings import ConsoleSettings
from streams.contract import rules
from streams.door_settings import DoorSettings
from streams.errors import SettingsError
from streams.listen_settings import HOST
from streams.mapping.shapes import Mappings, mappings_of
from streams.metrics_settings import MetricsSettings
from streams.planner_settings import PlannerSettings
from streams.registry_settings import RegistrySettings
from streams.security_settings import SecuritySettings
from streams.setting_kinds import (
    KIND,
    Checked,
    Kind,
    flag,
    folder,
    folder_or_store,
    number,
    one_of,
    optional_file,
    several,
    share,
    shown,
    some_of,
    text,
    whole,
)
from streams.speech_settings import SpeechSettings
from streams.store_url import StoreUrl
from streams.topic_settings import TopicSettings

FILE_NAME: Final = "marquee.toml"
PREFIX: Final = "MARQUEE_"
FILE_VARIABLE: Final = "MARQUEE_CONFIG"
OTHER_VARIABLES: Final = frozenset({FILE_VARIABLE, "MARQUEE_NO_KAFKA", "MARQUEE_NO_CHROMIUM", "MARQUEE_NO_PROMETHEUS"})
"""``MARQUEE_*`` variables that are no settings: where the file is; and the test suite's, to go without a
broker, a browser or a Prometheus."""
ADDRESSES: Final = re.compile(r"[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*|\[[0-9a-fA-F:]+\]:\d{1,5}")
TABLES_OF_OTHERS: Final = ("model", "mapping")
"""Tables without variables, whose names are checked where they are used."""
MAY_REWATCH: Final = tuple(sorted(rules.ACTION_WORDS - rules.HIDING_ACTIONS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainerSettings(Checked):
    """How the trainer cuts batches, publishes and keeps what it learned.

    Attributes:
      batch_size: events of one training step.
      linger_ms: longest wait for a full batch while the stream is live.
      merge_bound_count: records that may wait per partition while another one is behind.
      flush_ms: time between two publications of changed item states and weights.
      snapshot_every_steps: steps between two snapshots; 0 writes one only at a clean end.
      keep_snapshots: how many of them stay.
      fork_snapshots: write them from a child that shares the memory, where that is possible: Linux, a folder, no GPU;
        otherwise, and without it, learning waits while the state is copied.
      evaluate_sample: share of the events that are scored before they are learned.
      seed: of every random choice; together with the step it decides them all.
      accept_expired: go on without interactions that retention removed before they were learned.
      accept_ledger: learn the ledger's batches again though another version or configuration learned them first.
    """

    batch_size: int = whole(512, least=1, most=16_384)
    linger_ms: int = whole(50, least=0, most=60_000)
    merge_bound_count: int = whole(20_000, least=1_024)
    flush_ms: int = whole(500, least=10, most=3_600_000)
    snapshot_every_steps: int = whole(2_000, least=0)
    keep_snapshots: int = whole(3, least=1)
    fork_snapshots: bool = flag(True)
    evaluate_sample: float = share(1.0)
    seed: int = whole(0, least=0, most=2**31 - 1)
    accept_expired: bool = flag(False)
    accept_ledger: bool = flag(False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecommenderSettings(Checked):
    """How the recommender answers.

    Attributes:
      max_k: longest slate; a longer wish is clamped to it.
      push_slates: also publish a fresh slate when what we know of a user changed.
      push_interval_ms: least time between two pushed slates of one user, of the wall clock.
      push_k: length of a pushed slate.
      explore_slots: places of a slate that go to items the model is unsure of; their propensity is logged.
      rewatchable_actions: after these alone an item may be shown to the same user again.
    """

    max_k: int = whole(200, least=1, most=1_000)
    push_slates: bool = flag(True)
    push_interval_ms: int = whole(1_000, least=0)
    push_k: int = whole(20, least=1, most=1_000)
    explore_slots: int = whole(1, least=0, most=100)
    rewatchable_actions: tuple[str, ...] = some_of(tuple(sorted(rules.REWATCHABLE_ACTIONS)), MAY_REWATCH)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlateSettings(Checked):
    """What slates are made of, beside what scores best; `models.recommend.diversity.Mix` says what each number does.

    Attributes:
      diversity: nats that an item exactly like one above it loses; 0 leaves the order to the scores.
      quality_floor: an item may pass others only while its odds are at least this share of the best one's that is left.
      calibration: weight of tags in the shares that the user's own history has; 0 is none.
      creator_share: most places that one creator may have; 1 is no cap.
      tag_share: the same for a tag.
      fresh_share: places that go to new items, as far as any are among the candidates.
      fresh_days: days since an item's first event for which it is new.
    """

    diversity: float = number(0.5, most=100.0)
    quality_floor: float = share(0.7)
    calibration: float = number(0.0, most=100.0)
    creator_share: float = share(1.0)
    tag_share: float = share(1.0)
    fresh_share: float = share(0.0)
    fresh_days: float = number(30.0, most=36_500.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudioSettings(ChatSettings):
    """Where the studio reads and writes, and what a render may use.

    Attributes:
      store_dir: finished files by their hash, a folder or an object store; shared by all studio workers.
      roots: folders that sources may lie in; none: no file is read.
      hosts: hosts that https sources may come from; none: nothing is fetched.
      engines: those that are tried first, by name, or as module:object of a package of yours.
      processes: renders at a time. niceness: steps by which they let the machine's other processes go first.
      environment: names of variables that engines may see besides the common ones.
      tries: how often a task may be begun that ended its worker each time.
      deadline_s: of one try at a task; below the broker's patience with a worker that asks for nothing.
      memory_mb: of each process of a render. file_mb: largest file that it may read or write.
      waiting: tasks held in memory before partitions pause.
      seed: of every random choice, with the task's id.
      vision_dir: weights of detector and segmenter, as `marquee studio train` leaves them; None: our own.
    """

    store_dir: Path | StoreUrl = folder_or_store("marquee-data/assets")  # noqa: RUF009 - an immutable value
    roots: tuple[str, ...] = several((), expected="a list of absolute paths", accepts=lambda one: one.startswith("/"))
    hosts: tuple[str, ...] = several((), expected="a list of host names", accepts=lambda one: bool(HOST.fullmatch(one)))
    engines: tuple[str, ...] = several((), expected="a list of names, or of module:object")
    environment: tuple[str, ...] = several((), expected="a list of names of variables", accepts=lambda one: (
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", one) is not None
    ))  # fmt: skip
    tries: int = whole(3, least=1, most=100)
    processes: int = whole(1, least=1, most=64)
    niceness: int = whole(10, least=0, most=19)
    deadline_s: int = whole(600, least=1, most=900)
    memory_mb: int = whole(3_072, least=512)
    file_mb: int = whole(8_192, least=1)
    waiting: int = whole(64, least=1, most=10_000)
    seed: int = whole(0, least=0, most=2**31 - 1)
    vision_dir: Path | None = optional_file()  # noqa: RUF009 - an immutable value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Checked):
    """All settings of one process.

    Attributes:
      broker: ``host:port``, or several with commas between.
      prefix: put before every topic name, with a dot; may be empty.
      snapshot_dir: where snapshots live: a folder or an object store; writable, private to this installation.
      cache_dir: where fetched logs and downloads live; may be deleted at any time.
      text_encoder: what reads the words of the catalogue; "auto" takes MiniLM where its files are.
      mapping: how records of another shape than the contract's are read.
      model: the learner's own table, not checked here.
    """

    broker: str = text("127.0.0.1:9092", expected="host:port, or several with commas between", accepts=lambda value: (
        ADDRESSES.fullmatch(value) is not None
    ))  # fmt: skip
    prefix: str = text("", expected="letters, digits, '.', '_' and '-', 100 at most", accepts=lambda value: (
        re.fullmatch(r"[a-zA-Z0-9._-]{0,100}", value) is not None
    ))  # fmt: skip
    snapshot_dir: Path | StoreUrl = folder_or_store("marquee-data/snapshots")  # noqa: RUF009 - an immutable value
    cache_dir: Path = folder("~/.cache/marquee")  # noqa: RUF009 - an immutable value
    text_encoder: str = one_of("auto", ("auto", "minilm", "hashed"))
    security: SecuritySettings = SecuritySettings()  # noqa: RUF009 - an immutable value
    registry: RegistrySettings = RegistrySettings()  # noqa: RUF009 - an immutable value
    trainer: TrainerSettings = TrainerSettings()
    recommender: RecommenderSettings = RecommenderSettings()
    slates: SlateSettings = SlateSettings()
    studio: StudioSettings = StudioSettings()
    speech: SpeechSettings = SpeechSettings()  # noqa: RUF009 - an immutable value
    planner: PlannerSettings = PlannerSettings()  # noqa: RUF009 - an immutable value
    console: ConsoleSettings = ConsoleSettings()  # noqa: RUF009 - an immutable value
    door: DoorSettings = DoorSettings()  # noqa: RUF009 - an immutable value
    topics: TopicSettings = TopicSettings()  # noqa: RUF009 - an immutable value
    mapping: Mappings = Mappings()  # noqa: RUF009 - an immutable value
    metrics: MetricsSettings = MetricsSettings()  # noqa: RUF009 - an immutable value
    model: Mapping[str, Any] = dataclasses.field(default_factory=lambda: MappingProxyType({}))

    @property
    def topic_names(self) -> dict[str, str]:
        """Name of each topic in the contract's table -> its full name on the broker."""
        return self.topics.names(self.prefix)

    @property
    def logs_dir(self) -> Path:
        """Where fetched event logs live."""
        return self.cache_dir / "logs"

    @property
    def planner_dir(self) -> Path | StoreUrl:
        """Where the planner's snapshots live."""
        return self.snapshot_dir / "planner"

    @property
    def encoders_dir(self) -> Path:
        """Where fetched text encoders live."""
        return self.cache_dir / "encoders"

    @property
    def text_vectors_path(self) -> Path:
        """Where vectors of texts are cached."""
        return self.cache_dir / "text-vectors.sqlite"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, path: Path | None = None) -> Self:
        """The settings of this environment and its file.

        Args:
          environ: variables; by default the process's own.
          path: the file; by default ``MARQUEE_CONFIG``, else ``marquee.toml`` in the working folder if there is one.

        Raises:
          SettingsError: a name that is not known or a value that is not allowed; the text says which and why.
        """
        variables = os.environ if environ is None else environ
        chosen = path or (Path(variables[FILE_VARIABLE]) if variables.get(FILE_VARIABLE) else None)
        file = chosen or Path(FILE_NAME)
        tables = _read_file(file, must_exist=chosen is not None)
        _refuse_unknown(cls, tables, variables, file)
        if variables.get("XDG_CACHE_HOME"):
            tables = {"cache_dir": f"{variables['XDG_CACHE_HOME']}/marquee"} | tables
        return _build(cls, tables, variables, file=file, table="")


def environ_without_settings() -> dict[str, str]:
    """This process's environment without ``MARQUEE_*``, for children whose settings come from a file alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


T = TypeVar("T", bound=Checked)


def _build(cls: type[T], values: Mapping[str, Any], environ: Mapping[str, str], *, file: Path, table: str) -> T:
    """One dataclass out of its table of the file and its variables."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name == "model":
            given["model"] = MappingProxyType(dict(values.get("model", {})))
        elif field.name == "mapping":
            given["mapping"] = mappings_of(values.get("mapping", {}), where=f"[mapping] in {file}")
        elif isinstance(field.default, Checked):
            inner = values.get(field.name, {})
            given[field.name] = _build(type(field.default), inner, environ, file=file, table=field.name)
        else:
            variable = variable_of(table, field.name)
            kind: Kind = field.metadata[KIND]
            if variable in environ:
                given[field.name] = _checked(
                    kind, kind.parse, environ[variable], name=variable, undo="unset it", field=field
                )
            elif field.name in values:
                name = f"{table}.{field.name}" if table else field.name
                given[field.name] = _checked(
                    kind, kind.from_toml, values[field.name], name=f"{name} in {file}", undo="remove it", field=field
                )
    return cls(**given)


def variable_of(table: str, name: str) -> str:
    """The environment variable of a setting; ``table`` is empty for those at the top."""
    return PREFIX + "_".join(part.upper() for part in (table, name) if part)


def _checked(kind: Kind, read: Any, raw: object, *, name: str, undo: str, field: dataclasses.Field[Any]) -> Any:
    try:
        value = read(raw)
        if kind.accepts(value):
            return value
    except ValueError:
        pass
    raise SettingsError(
        f"{name} must be {kind.expected}, got {shown(kind, raw)}; {undo} for {shown(kind, field.default)}"
    )


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not path.is_file():
        if must_exist:
            raise SettingsError(
                f"expected a settings file at {path}, got nothing there; check --config and {FILE_VARIABLE}"
            )
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"expected TOML in {path}, got: {error}; mend that line") from error


def _refuse_unknown(cls: type[Checked], tables: Mapping[str, Any], environ: Mapping[str, str], file: Path) -> None:
    """Every name in the file and every ``MARQUEE_*`` variable must be a setting."""
    names: set[str] = set()
    variables: set[str] = set(OTHER_VARIABLES)
    for field in dataclasses.fields(cls):
        names.add(field.name)
        default = field.default
        if (isinstance(default, Checked) or field.name in TABLES_OF_OTHERS) and not isinstance(
            tables.get(field.name, {}), Mapping
        ):
            raise SettingsError(
                f"{field.name} in {file} must be a table, got {tables[field.name]!r}; write [{field.name}]"
            )
        if isinstance(default, Checked):
            inner = [one.name for one in dataclasses.fields(default)]
            variables |= {variable_of(field.name, name) for name in inner}
            for name in tables.get(field.name, {}):
                _known(name, inner, f"a setting of [{field.name}] in {file}")
        elif field.name not in TABLES_OF_OTHERS:
            variables.add(variable_of("", field.name))
    for name in tables:
        _known(name, names, f"a setting or table in {file}")
    for variable in environ:
        if variable.startswith(PREFIX):
            _known(variable, variables, "a setting")


def _known(name: str, known: Any, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        raise SettingsError(f"expected {what}, got {name!r}; {hint}")
