"""Mappings: what the packaged ones and those of users make of files, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from streams.errors import LogFormatError
from streams.replay.logs import EventLog, read_log
from streams.replay.mappings import BUILT_IN, MAPPINGS_DIR, MAX_BYTES, load_mapping, mapping_of

EVENTS = {"user": "u", "item": "i", "time": "t"}


def events_of(log: EventLog) -> list[tuple[str, str, str, int]]:
    actions = [log.actions[code] for code in log.action_index]
    return list(zip(log.user_id, log.item_id, actions, log.time_ms.tolist(), strict=True))


@pytest.fixture
def exposures(tmp_path: Path) -> Path:
    path = tmp_path / "exposures.parquet"
    pl.DataFrame(
        {
            "user_id": [7, 8, 7],
            "video_id": [3, 4, 5],
            "time_ms": [30, 10, 20],
            "is_click": [1, 0, 1],
            "play_time_ms": [500, 0, 900],
            "duration_ms": [2000, 1000, 600],
            "tab": [1, 1, 4],
        }
    ).write_parquet(path)
    items = "item_id,title,tags,text\n3,,tag39|author77|NORMAL,\n5,,author8,\n"
    (tmp_path / "items.csv.gz").write_bytes(gzip.compress(items.encode()))
    return path


def test_every_packaged_mapping_is_one_and_no_file_is_left_over() -> None:
    assert {path.stem for path in MAPPINGS_DIR.glob("*")} == set(BUILT_IN)
    assert [load_mapping(name).name for name in BUILT_IN] == list(BUILT_IN)


def test_kuairand_by_name_counts_the_clicks_of_a_file(exposures: Path) -> None:
    log = read_log(exposures, mapping=load_mapping("kuairand"))

    assert events_of(log) == [("7", "5", "click", 20), ("7", "3", "click", 30)]
    assert [log.surfaces[code] for code in log.surface_index] == ["tab4", "tab1"]
    assert log.completion.tolist() == [1.0, 0.25]
    assert log.catalogue.creator.tolist() == ["author77", "author8"]
    assert log.catalogue.tags == (("tag39", "NORMAL"), ())
    np.testing.assert_allclose(log.catalogue.duration_s, [2.0, 0.6])


def test_kuairand_with_its_impressions(exposures: Path) -> None:
    log = read_log(exposures, mapping=load_mapping("kuairand-impressions"))

    assert events_of(log) == [("8", "4", "impression", 10), ("7", "5", "click", 20), ("7", "3", "click", 30)]


def test_movielens_as_grouplens_packs_it(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n", encoding="utf-8")
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n296,Pulp Fiction (1994),Comedy|Crime\n", encoding="utf-8"
    )

    log = read_log(tmp_path)

    assert events_of(log) == [("1", "296", "rate", 1_147_880_044_000)]
    assert log.catalogue.tags == (("Comedy", "Crime"),)
    assert log.catalogue.published_at_ms.tolist() == [757_382_400_000]  # 1994-01-01


def test_a_mapping_may_swap_our_own_names_and_read_a_file_without_header(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("a\t1\t3\t100\nb\t2\t4\t50\n", encoding="utf-8")
    (tmp_path / "mine.toml").write_text(
        """
        [events]
        columns = ["item_id", "user_id", "value", "when"]
        separator = "\\t"
        user = "user_id"
        item = "item_id"
        value = "value"
        time = "when"
        time_unit = "s"
        """,
        encoding="utf-8",
    )

    log = read_log(tmp_path / "u.data", mapping=load_mapping(str(tmp_path / "mine.toml")))

    assert events_of(log) == [("2", "b", "rate", 50_000), ("1", "a", "rate", 100_000)]
    assert len(log.catalogue) == 0


@pytest.mark.parametrize(
    ("unit", "time", "ms"),
    [
        ("s", "2.5", 2_500),
        ("ms", "7", 7),
        ("us", "9000", 9),
        ("ns", "4000000", 4),
        ("iso", "1970-01-01T00:00:01", 1_000),
    ],
)
def test_units_of_time(tmp_path: Path, unit: str, time: str, ms: int) -> None:
    (tmp_path / "log.csv").write_text(f"u,i,t\na,b,{time}\n", encoding="utf-8")

    log = read_log(tmp_path / "log.csv", mapping=mapping_of({"events": EVENTS | {"time_unit": unit}}, name="mine"))

    assert log.time_ms.tolist() == [ms]


def test_the_first_rule_that_fits_decides_and_other_rows_are_no_events(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "u,i,t,liked,seen,kind\na,w,1,1,true,x\na,x,2,0,true,x\na,y,3,0,false,promo\na,z,4,0,false,x\n",
        encoding="utf-8",
    )
    rules = [
        {"column": "liked", "equals": 1, "action": "like"},
        {"column": "seen", "equals": True, "action": "play"},
        {"column": "kind", "equals": "promo", "action": "impression"},
    ]

    log = read_log(tmp_path / "log.csv", mapping=mapping_of({"events": EVENTS | {"rules": rules}}, name="mine"))

    assert events_of(log) == [("a", "w", "like", 1_000), ("a", "x", "play", 2_000), ("a", "y", "impression", 3_000)]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, r"expected files, \[events\] and \[items\].*got no table"),
        ({"events": EVENTS, "event": {}}, "got event"),
        ({"events": {"user": "u", "item": "i"}}, "got no time; add it"),
        ({"events": EVENTS | {"usr": "u"}}, "got usr; check the spelling"),
        ({"events": EVENTS | {"user": 3}}, "expected a name or a list of names"),
        ({"events": EVENTS | {"user": [""]}}, "expected a name or a list of names"),
        ({"events": EVENTS | {"time_unit": "fortnights"}}, "expected one of auto, s, ms, us, ns, iso"),
        ({"events": EVENTS | {"rules": [{"action": "eat"}]}}, "got eat; use these words"),
        ({"events": EVENTS | {"rules": [{"column": "x"}]}}, "got no action; add it"),
        ({"events": EVENTS | {"rules": [{"action": "click", "equals": [1]}]}}, "expected text in"),
        ({"events": EVENTS | {"words": {"seen": "watch"}}}, "got watch; use these words"),
        ({"events": EVENTS | {"words": {"seen": 4}}}, "expected a table of words"),
        ({"events": EVENTS | {"action": "a", "rules": [{"action": "click"}]}}, "expected action or rules"),
        ({"events": EVENTS | {"separator": "::"}}, "expected a separator of one character"),
        ({"events": EVENTS, "items": {"item": "i", "files": "../../etc/passwd"}}, "expected names of files beside"),
        ({"events": EVENTS, "items": {"item": "i", "files": "/etc/passwd"}}, "expected names of files beside"),
        ({"events": EVENTS, "items": {"item": "i", "files": "x", "creator_pattern": "("}}, "expected a regular"),
        ({"events": EVENTS, "items": {"item": "i"}}, "got no files; add it"),
        ({"events": EVENTS, "items": 7}, "expected a table"),
        ({"events": EVENTS, "files": 7}, "expected a name or a list of names"),
    ],
)
def test_a_mapping_that_says_nonsense_is_refused(table: dict[str, object], reason: str) -> None:
    with pytest.raises(LogFormatError, match=reason):
        mapping_of(table, name="mine")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[events", b"a = 1\na = 2\n", b"x" * (MAX_BYTES + 1), b"[" * 50_000])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.toml").write_bytes(content)

    with pytest.raises(LogFormatError, match=r"expected a mapping .* (at|in) "):
        load_mapping(str(tmp_path / "mine.toml"))


def test_unknown_names_of_mappings_and_mappings_that_do_not_fit(tmp_path: Path, exposures: Path) -> None:
    with pytest.raises(LogFormatError, match=r"expected a mapping, one of .*got 'kuairnd'; check the spelling"):
        load_mapping("kuairnd")
    with pytest.raises(LogFormatError, match=r"expected a column item_id in exposures.parquet, got .*fits"):
        read_log(exposures, mapping=load_mapping("movielens"))
    with pytest.raises(LogFormatError, match=r"expected ratings.csv for the mapping movielens-csv, got none in"):
        read_log(tmp_path, mapping=load_mapping("movielens-csv"))
    quoted = mapping_of(
        {"events": EVENTS | {"rules": [{"column": "n", "equals": "1", "action": "click"}]}}, name="mine"
    )
    pl.DataFrame({"u": ["a"], "i": ["b"], "t": [1], "n": [1]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(LogFormatError, match="write the rule's value without quotes"):
        read_log(tmp_path / "log.parquet", mapping=quoted)
