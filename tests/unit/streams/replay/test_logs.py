"""Event logs: every known format becomes the same columns, in the total order (timestamp, position in the file)."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from streams.errors import LogFormatError
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import UNKNOWN_MS, EventLog, read_log

YEAR_1995_MS = 788_918_400_000
YEAR_1908_MS = -1_956_614_400_000


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_bytes(text.encode())
    return path


def rows(log: EventLog) -> list[tuple[str, str, int, int]]:
    return list(zip(log.user_id, log.item_id, log.time_ms.tolist(), log.position.tolist(), strict=True))


def test_recbole_folder_with_items_and_dos_line_ends(tmp_path: Path) -> None:
    write(
        tmp_path / "ml-9" / "ml-9.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\r\n007\tB\t3\t881250949\r\n1\tA\t4.5\t5\r\n",
    )
    write(
        tmp_path / "ml-9" / "ml-9.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\r\n"
        "A\tToy \"Story\t1995\tAnimation Children's\r\nC\tUnknown\tunkonwn\t\r\n",
    )

    log = read_log(tmp_path / "ml-9")

    assert log.name == "ml-9"
    assert rows(log) == [("1", "A", 5_000, 1), ("007", "B", 881_250_949_000, 0)]
    assert log.actions == ("rate",)
    assert log.value.tolist() == [4.5, 3.0]
    assert log.items.tolist() == ["A", "C", "B"], "described items first, then those that only events name"
    assert log.catalogue.title.tolist() == ['Toy "Story', "Unknown"]
    assert log.catalogue.tags == (("Animation", "Children's"), ())
    assert log.catalogue.published_at_ms.tolist() == [YEAR_1995_MS, UNKNOWN_MS]


def test_movietweetings_keeps_zeros_and_takes_the_year_from_the_title(tmp_path: Path) -> None:
    write(
        tmp_path / "interactions.csv.gz",
        "user_id,item_id,event_type,value,timestamp\n9,0444778,rating,8.0,1362062624\n9,0000628,rating,,1362062624\n",
    )
    write(tmp_path / "items.csv.gz", 'item_id,title,tags,text\n0000628,"Dollie, The (1908)",Action|Short,\n')

    log = read_log(tmp_path, name="mt")

    assert rows(log) == [("9", "0444778", 1_362_062_624_000, 0), ("9", "0000628", 1_362_062_624_000, 1)]
    assert log.actions == ("rate",)
    np.testing.assert_array_equal(log.value, np.array([8.0, np.nan], np.float32))
    assert log.catalogue.tags == (("Action", "Short"),)
    assert log.catalogue.published_at_ms.tolist() == [YEAR_1908_MS]


def test_kuairand_takes_clicks_only_with_the_tab_as_surface(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "user_id": [7, 8, 7],
            "video_id": [3, 4, 5],
            "time_ms": [30, 10, 20],
            "is_click": [1, 0, 1],
            "play_time_ms": [500, 0, 900],
            "duration_ms": [1000, 1000, 0],
            "tab": [1, 1, 4],
        }
    ).write_parquet(tmp_path / "exposures.parquet")
    write(tmp_path / "items.csv.gz", "item_id,title,tags,text\n3,,tag39|author77|NORMAL,\n5,,author8|NORMAL,\n4,,,\n")

    log = read_log(tmp_path)

    assert rows(log) == [("7", "5", 20, 1), ("7", "3", 30, 0)]
    assert [log.surfaces[i] for i in log.surface_index] == ["tab4", "tab1"]
    assert log.dwell_ms.tolist() == [900, 500]
    np.testing.assert_array_equal(log.completion, np.array([np.nan, 0.5], np.float32))
    assert log.catalogue.creator.tolist() == ["author77", "author8", ""]
    assert log.catalogue.tags == (("tag39", "NORMAL"), ("NORMAL",), ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.csv", "user_id,item_id,timestamp\nu,a,2013-02-28T14:00:00Z\nu,b,2013-02-28T16:00:00+02:00\n"),
        ("log.csv.gz", "user_id,item_id,timestamp\nu,a,1362060000\nu,b,1362060000.0\n"),
        ("log.csv", "user_id,item_id,timestamp_ms\nu,a,1362060000000\nu,b,1362060000000\n"),
        (
            "log.jsonl",
            '{"user_id":"u","item_id":"a","timestamp":1362060000}\n{"user_id":"u","item_id":"b","timestamp":1362060000}\n',
        ),
    ],
)
def test_generic_files_and_their_times(tmp_path: Path, name: str, text: str) -> None:
    log = read_log(write(tmp_path / name, text))

    assert rows(log) == [("u", "a", 1_362_060_000_000, 0), ("u", "b", 1_362_060_000_000, 1)]
    assert log.actions == ("click",), "no action and no value: a click"
    assert log.surfaces == ("",)
    assert len(log.catalogue) == 0
    assert log.dwell_ms.tolist() == [UNKNOWN_MS, UNKNOWN_MS]


def test_generic_file_with_all_columns_and_its_items(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.csv",
        "user_id,item_id,timestamp,action,value,surface,dwell_ms,completion\nu,a,3,rating,2,home,40,0.25\nv,a,1,play,,,,\n",
    )
    write(tmp_path / "log.items.csv", "item_id,title,tags,published_at_ms\na,Film,x|y,-5\n")

    log = read_log(path)

    assert [log.actions[i] for i in log.action_index] == ["play", "rate"]
    assert [log.surfaces[i] for i in log.surface_index] == ["", "home"]
    np.testing.assert_array_equal(log.value, np.array([np.nan, 2], np.float32))
    assert log.dwell_ms.tolist() == [UNKNOWN_MS, 40]
    assert log.catalogue.tags == (("x", "y"),)
    assert log.catalogue.published_at_ms.tolist() == [-5]


def test_order_is_time_then_position_and_take_keeps_vocabularies(tmp_path: Path) -> None:
    times = np.random.default_rng(3).integers(0, 20, size=300).tolist()
    text = "user_id,item_id,timestamp_ms\n" + "".join(f"u{n % 7},i{n % 11},{t}\n" for n, t in enumerate(times))

    log = read_log(write(tmp_path / "log.csv", text))

    assert log.position.tolist() == sorted(range(300), key=lambda n: (times[n], n))
    assert rows(log.head(5)) == rows(log)[:5]
    assert len(log.head(5).items) == 11
    assert len(log.head(10_000)) == 300
    shuffled = log.with_ties_shuffled(seed=1)
    assert shuffled.time_ms.tolist() == log.time_ms.tolist()
    assert shuffled.position.tolist() != log.position.tolist()
    assert sorted(rows(shuffled)) == sorted(rows(log))
    assert shuffled.position.tolist() == log.with_ties_shuffled(seed=1).position.tolist()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("log.csv", "user_id,item_id,timestamp\n", "expected a log with events, got none"),
        ("log.csv", "", "expected a readable event log"),
        ("log.csv", "user,item_id,timestamp\nu,a,1\n", r"without user_id\); rename or add"),
        ("log.csv", "user_id,item_id\nu,a\n", r"without timestamp_ms or timestamp\); rename or add"),
        ("log.csv", "user_id,item_id,timestamp\nu,a,1\n,b,2\n", r"a user_id in every event.*first at event 1"),
        ("log.csv", "user_id,item_id,timestamp\nu,a,1\nu,b,\n", r"a timestamp in every event.*first at event 1"),
        ("log.csv", "user_id,item_id,timestamp\nu,a,yesterday\n", "expected a readable event log"),
        ("log.csv", "user_id,item_id,timestamp\nu,a,1362060000000\n", "call the column timestamp_ms"),
        ("log.csv", "user_id,item_id,timestamp,value\nu,a,1,good\n", "expected numbers in the number columns"),
        ("log.csv", "user_id,item_id,timestamp,completion\nu,a,1,1.5\n", "a completion within 0..1"),
        ("log.csv", "user_id,item_id,timestamp,dwell_ms\nu,a,1,-2\n", "a dwell time >= 0"),
        ("log.jsonl", '{"user_id": "u", \n', "expected a readable event log"),
        ("log.txt", "u a 1\n", r"expected a file ending in .*got log.txt"),
    ],
)
def test_broken_logs_say_what_was_expected(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(LogFormatError, match=reason):
        read_log(write(tmp_path / name, text))


def test_missing_paths_and_items_described_twice(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="got nothing there"):
        read_log(tmp_path / "nowhere.csv")
    with pytest.raises(LogFormatError, match="got none of them"):
        read_log(tmp_path)
    path = write(tmp_path / "log.csv", "user_id,item_id,timestamp\nu,a,1\n")
    write(tmp_path / "log.items.csv", "item_id\na\na\n")
    with pytest.raises(LogFormatError, match=r"expected each item once.*'a' again"):
        read_log(path)


def test_the_packaged_log_is_whole() -> None:
    log = read_log(PACKAGED_DIR / "movietweetings")

    assert (len(log), len(log.users), len(log.items), len(log.catalogue)) == (141_695, 21_081, 12_611, 12_611)
    assert np.isnan(log.value).sum() == 0
    assert log.value.min() == 0.0
    assert log.value.max() == 10.0
    assert (np.diff(log.time_ms) >= 0).all()
    assert log.catalogue.title[0] == "The Adventures of Dollie (1908)"
