"""Files of every known shape as records for the topics: what is sent, what is left out, what is refused and said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from streams.adapters.snowplow import COLUMNS
from streams.contract import codec, topics
from streams.contract.events import Interaction, Item
from streams.errors import LogFormatError
from streams.replay import rows as reading
from streams.replay.convert import to_interactions
from streams.replay.formats import columns_wanted, format_of
from streams.replay.importing import Message, Report, import_rows
from streams.replay.logs import read_log
from streams.replay.mappings import load_mapping
from streams.replay.row_ids import RowIds
from tests.factories import NOW_MS, make_interaction, make_item, make_user

NAMES = {spec.name: spec.name for spec in topics.TOPICS}
PLAYS = """
[mapping.interactions]
user = "who.id"
item = "what"
time = "at"
time_unit = "ms"
action = "kind"
words = { seen = "play", ping = "" }
"""


class Kept:
    """What an import sends, kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bytes | None, int]] = []

    def send_all(self, topic: str, records: list[Message]) -> None:
        self.sent += [(topic, *one) for one in records]

    def settle(self) -> None:
        pass

    def events(self) -> list[Any]:
        kinds = {spec.name: spec.event_type for spec in topics.TOPICS}
        found = []
        for topic, key, value, at_ms in self.sent:
            kind = kinds[topic]
            assert kind is not None
            event: Any = None if value is None else codec.decode(kind, value, timestamp_ms=at_ms)
            assert not isinstance(event, codec.Rejected), event
            assert event is None or key == getattr(event, "user_id", None) or key == event.item_id
            found.append(event)
        return found


def imported(path: Path, **named: Any) -> tuple[Report, list[Any], str]:
    """The report, the events and the format's name."""
    how = reading.reading_of(path)
    found = format_of(path, how, mapping=named.get("mapping"), name=named.get("name"), kind=named.get("kind"))
    how = found.reading(path, how)
    there = reading.columns_of(path, how)
    wanted = None if there is None or found.turns else columns_wanted(found.shape, there, where=path.name)
    ids, kept = RowIds(path.name.split(".")[0]), Kept()
    report = import_rows(reading.read_rows(path, how, wanted=wanted), found.turn(ids), ids, kept, names=NAMES)
    return report, kept.events(), found.name


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    path = tmp_path / "exposures.parquet"
    pl.DataFrame({
        "user_id": [7, 8, 7], "video_id": [3, 4, 5], "time_ms": [NOW_MS, NOW_MS + 1, NOW_MS + 2], "is_click": [1, 0, 1],
        "play_time_ms": [500, 0, 900], "duration_ms": [2000, 1000, 600], "tab": [1, 1, 4],
    }).write_parquet(path)  # fmt: skip
    return path


def test_a_feed_is_imported_as_it_lies_and_as_a_replay_of_it_would_be(feed: Path) -> None:
    for name in ("kuairand-impressions", "kuairand"):
        report, events, _ = imported(feed, mapping=name)
        assert events == list(to_interactions(read_log(feed, mapping=load_mapping(name))))
        assert (report.rows, report.bad, report.skipped) == (3, 0, 3 - len(events))
    csv = feed.with_suffix(".csv")
    pl.read_parquet(feed).write_csv(csv)
    assert imported(csv, mapping="kuairand-impressions")[1] == imported(feed, mapping="kuairand-impressions")[1]


def test_an_own_mapping_reads_lines_of_json_and_says_what_is_wrong_with_which(tmp_path: Path) -> None:
    path, mapping = tmp_path / "plays.jsonl", tmp_path / "plays.toml"
    mapping.write_text(PLAYS)
    good = {"who": {"id": 5}, "what": "a", "at": NOW_MS, "kind": "seen"}
    lines = [good, good | {"kind": "ping", "who": 3}, good | {"at": "soon"}, None, good | {"at": 0}, good | {"what": 7}]
    text = b"\n".join(b"" if one is None else json.dumps(one).encode() for one in lines) + b"\n{\n\xff\xfe"
    path.write_bytes(text)
    (tmp_path / "plays.jsonl.gz").write_bytes(gzip.compress(text))
    for file in (path, tmp_path / "plays.jsonl.gz"):
        report, events, _ = imported(file, mapping=str(mapping))
        assert [(one.user_id, one.item_id, one.action) for one in events] == [("5", "a", "play"), ("5", "7", "play")]
        assert (report.rows, report.skipped, report.bad) == (8, 2, 4)
        assert [bad.row for bad in report.first_bad] == [3, 5, 7, 8]
        assert report.first_bad[0].reason == 'Expected epoch milliseconds, got "soon" - at `$.at`'
        assert "Kafka takes 0 for now" in report.first_bad[1].reason
        assert json.loads(report.first_bad[0].value) == lines[2]
        assert sum(report.by_reason.values()) == 4


def test_broken_rows_of_a_text_file_cost_themselves_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = ["user_id,item_id,timestamp", "u,1,5", "u,2", 'u,"3",7', "u,4,8,9,9", "u,,6", "u,6,x"]
    path.write_bytes("\n".join(rows).encode() + b"\nu\xff,7,9\n")
    report, events, name = imported(path)
    assert name == "marquee"
    assert [(one.item_id, one.occurred_at_ms) for one in events] == [("1", 5_000), ("3", 7_000)]
    assert [bad.row for bad in report.first_bad] == [2, 4, 5, 6, 7]
    reasons = [bad.reason for bad in report.first_bad]
    assert reasons[:2] == ["expected 3 columns, got 2", "expected 3 columns, got 5"]
    assert reasons[2:4] == [
        "Expected text of 1 to 256 characters or a whole number, got nothing - at `$.item_id`",
        'Expected an ISO 8601 time, got "x" - at `$.timestamp_ms or $.timestamp`',
    ]
    assert "UTF-8" in reasons[4]


def test_long_files_come_in_batches_and_ids_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 100)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1_000)
    frame = pl.DataFrame(
        {"user_id": [f"u{n}" for n in range(1_050)], "item_id": range(1_050), "timestamp": range(1, 1_051)}
    )
    frame.write_parquet(tmp_path / "log.parquet")
    frame.write_csv(tmp_path / "log.csv")
    frame.write_ndjson(tmp_path / "log.jsonl")
    (tmp_path / "log.json").write_text(json.dumps(frame.to_dicts()))
    first = imported(tmp_path / "log.parquet")[1]
    assert [one.item_id for one in first] == [str(n) for n in range(1_050)]
    assert len({one.event_id for one in first}) == 1_050
    for ending in ("csv", "jsonl", "json"):
        assert imported(tmp_path / f"log.{ending}")[1] == first


def test_rows_may_go_over_lines_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    monkeypatch.setattr(reading, "MOST_ROW_BYTES", 400)
    path = tmp_path / "items.csv"
    titles = [f'two\nlines, a ""mark"" {n}' if n % 3 else f"plain {n}" for n in range(60)]
    path.write_text("item_id,title\n" + "".join(f'{n},"{title}"\n' for n, title in enumerate(titles)))
    _, events, _ = imported(path, kind="items")
    assert [one.title for one in events] == [title.replace('""', '"') for title in titles]
    path.write_text('item_id,title\n1,"never closed\n' + "".join(f"{n},t\n" for n in range(2, 300)))
    report, events, _ = imported(path, kind="items")
    assert report.rows >= 1
    assert events[-1].item_id == "299"


def test_a_line_without_an_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100_000)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"user_id": "' + b"x" * 3_000_000 + b'"}\n{"user_id": "u", "item_id": "i", "timestamp": 5}')
    report, events, _ = imported(path, name="marquee", kind="interactions", mapping=None)
    assert (len(events), report.bad) in {(0, 2), (1, 1)}
    assert "expected a value of <= 1000000 bytes" in report.first_bad[0].reason


def test_recbole_s_files(tmp_path: Path) -> None:
    inter, item = tmp_path / "ml.inter", tmp_path / "ml.item"
    inter.write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n")
    item.write_text(
        'item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tToy "Story\t1995\tA B\n'
    )
    _, (event,), name = imported(inter)
    assert (name, event.user_id, event.action, event.value, event.occurred_at_ms) == (
        "recbole", "196", "rate", 3.0, 881_250_949_000
    )  # fmt: skip
    _, (film,), _ = imported(item)
    assert (film.title, film.tags, film.published_at_ms) == ('Toy "Story', ["A", "B"], 788_918_400_000)


def test_gorse_s_feedback_and_items(tmp_path: Path) -> None:
    feedback = {"FeedbackType": "star", "UserId": "u", "ItemId": "i", "Timestamp": "2023-11-14T22:13:20Z"}
    (tmp_path / "feedback.csv").write_text(
        ",".join(feedback) + "\n" + ",".join(feedback.values()) + "\nodd,u,i,2023-11-14\n"
    )
    (tmp_path / "feedback.json").write_text(json.dumps([feedback, feedback | {"FeedbackType": "odd"}]))
    for ending in ("csv", "json"):
        report, (event,), name = imported(tmp_path / f"feedback.{ending}")
        assert (name, report.skipped) == ("gorse", 1)
        assert (event.user_id, event.item_id, event.action, event.occurred_at_ms) == ("u", "i", "like", NOW_MS)
    items = [
        {
            "ItemId": "i",
            "IsHidden": False,
            "Categories": ["a"],
            "Timestamp": "2020-01-01T00:00:00Z",
            "Comment": "An item",
        },
        {"ItemId": "j", "IsHidden": True},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    _, (item, withdrawn), _ = imported(tmp_path / "items.jsonl")
    assert (item.title, item.tags, withdrawn) == ("An item", ["a"], None)


def test_metarank_s_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    common = {"timestamp": str(NOW_MS), "user": "u", "session": "s"}
    lines = [
        {"event": "item", "id": "a", "item": "i", "timestamp": str(NOW_MS),
         "fields": [{"name": "title", "value": "T"}, {"name": "genres", "value": ["x"]}]},
        {"event": "user", "id": "b", "user": "u", "fields": [{"name": "country", "value": "SE"}]},
        common | {"event": "ranking", "id": "r", "items": [{"id": "i"}, {"id": "j"}], "fields": []},
        common | {"event": "interaction", "id": "c", "ranking": "r", "item": "i", "type": "click"},
        common | {"event": "interaction", "id": "d", "item": "i", "type": "mystery"},
        common | {"event": "interaction", "id": "e", "item": None, "type": "click"},
        common | {"event": "odd"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    report, events, name = imported(path)
    assert (name, report.skipped, report.bad) == ("metarank", 1, 2)
    clicked, *shown = [one for one in events if isinstance(one, Interaction) and one.action == "click"] + [
        one for one in events if isinstance(one, Interaction) and one.action == "impression"
    ]
    assert (clicked.event_id, clicked.request_id, clicked.occurred_at_ms) == ("c", "r", NOW_MS)
    assert [(one.item_id, one.position, one.request_id) for one in shown] == [("i", 1, "r"), ("j", 2, "r")]
    assert next(one for one in events if isinstance(one, Item)).title == "T"
    assert report.sent == {"interactions.v1": 3, "items.v1": 1, "users.v1": 1}


def test_snowplow_s_enriched_events(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"

    def line(**values: str) -> str:
        return "\t".join(values.get(name, "") for name in COLUMNS)

    clicked = {
        "event": "struct", "event_id": "e-1", "domain_userid": "d", "se_category": "home", "se_action": "play",
        "se_label": "film-1", "derived_tstamp": "2023-11-14 22:13:20.000",
        "unstruct_event": '{"data": {"data": {"videoId": 5, "state": "ended"}}}',
    }  # fmt: skip
    path.write_text("\n".join([line(**clicked), line(event="page_view", event_id="e-2"), "short\tline"]) + "\n")
    report, (event,), name = imported(path)
    assert (name, report.skipped, report.bad) == ("snowplow", 1, 1)
    assert event == Interaction(
        event_id="e-1", user_id="d", item_id="film-1", action="play", occurred_at_ms=NOW_MS, surface="home"
    )
    mapping = tmp_path / "media.toml"
    mapping.write_text(
        '[mapping.interactions]\nuser = ["user_id", "domain_userid"]\nitem = "unstruct_event.data.data.videoId"\n'
        'time = "derived_tstamp"\naction = "unstruct_event.data.data.state"\nwords = { ended = "complete" }\n'
    )
    _, (event,), _ = imported(path, mapping=str(mapping), name="snowplow")
    assert (event.item_id, event.action) == ("5", "complete")


def test_our_own_records_and_cloudevents(tmp_path: Path) -> None:
    for kind, one in (("interactions", make_interaction()), ("items", make_item()), ("users", make_user())):
        path = tmp_path / f"{kind}.jsonl"
        path.write_bytes(codec.encode(one) + b"\n")
        assert imported(path)[1] == [one]
        event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": json.loads(codec.encode(one))}
        path.write_text(json.dumps(event))
        assert imported(path, kind=kind)[1:] == ([one], "cloudevents")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.txt", "x", "expected a file ending in"), ("log.csv", "a,b\n1,2\n", "marquee map --sample"),
        ("log.parquet", "no", "can be read"), ("log.json", "[1", "JSON array"),
    ],
)  # fmt: skip
def test_what_nobody_knows_is_said(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((LogFormatError, pl.exceptions.PolarsError), match=said):
        imported(tmp_path / name)


def test_a_column_that_is_missing_is_said(feed: Path) -> None:
    pl.read_parquet(feed).drop("play_time_ms").write_parquet(feed)
    with pytest.raises(LogFormatError, match="expected a column play_time_ms"):
        imported(feed, mapping="kuairand")
