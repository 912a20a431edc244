"""What the console holds of items, records and content: bounds, withdrawals, bytes that are no records."""

from __future__ import annotations

from typing import NamedTuple

from streams.console.catalogue import Catalogue
from streams.console.content import Content, plain_task
from streams.console.tail import A_CHUNK, KEPT, MOST_BYTES, MOST_USERS, Tail
from streams.contract import codec
from tests import factories
from tests.factories import NOW_MS


class Record(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def filled(*titles: str, most: int = 100) -> Catalogue:
    made = Catalogue(most=most)
    for at, title in enumerate(titles):
        made.take(f"i{at}".encode(), codec.encode(factories.make_item(item_id=f"i{at}", title=title)))
    return made


def test_search_puts_ids_first_then_titles_that_begin_so():
    made = filled("A Star", "Star Wars", "Nothing", "i1")
    assert [one["item_id"] for one in made.search("star")] == ["i1", "i0"]
    assert [one["item_id"] for one in made.search("i1")] == ["i1", "i3"]
    assert made.search("  ") == []


def test_search_ignores_case_as_unicode_has_it():
    assert [one["item_id"] for one in filled("STRASSE").search("straße")] == ["i0"]


def test_a_withdrawn_item_is_gone_and_a_newer_record_counts():
    made = filled("Old", "Other")
    made.take(b"i0", codec.encode(factories.make_item(item_id="i0", title="New")))
    made.take(b"i1", None)
    assert (made.title("i0"), made.title("i1"), len(made)) == ("New", "", 1)
    assert made.item("i1") is None


def test_bytes_that_are_no_item_change_nothing():
    made = filled("Kept")
    for value in (b"\xff", b"{", b"[]", b'{"title": 4}'):
        made.take(b"i0", value)
    made.take(None, b"{}")
    made.take(b"odd", b'{"title": "No id"}')
    assert made.title("i0") == "Kept"
    assert made.item("odd") is None


def test_the_catalogue_has_a_bound_and_says_how_many_it_leaves_out():
    made = filled("a", "b", "c", most=2)
    made.take(b"i0", codec.encode(factories.make_item(item_id="i0", title="again")))
    assert (len(made), made.left_out, made.title("i0")) == (2, 1, "again")


def test_a_tail_takes_a_few_records_of_a_chunk_and_cuts_them():
    tail = Tail()
    for chunk in range(100):
        tail.take("t", [Record(0, 1_000 * chunk + at, NOW_MS, b"k", b"x" * 5_000) for at in range(1_000)])
    assert tail.counts() == {"t": KEPT}
    newest = tail.since(0, topic="t", most=A_CHUNK)
    assert [one["offset"] for one in newest] == [99_000 + 1_000 - A_CHUNK + at for at in range(A_CHUNK)]
    assert (len(newest[0]["value"]), newest[0]["size_bytes"]) == (MOST_BYTES, 5_000)
    assert tail.since(tail.number, topic="t") == []
    assert tail.since(0, topic="other") == []


def test_a_tail_finds_words_in_keys_and_values_and_shows_bytes_that_are_no_text():
    tail = Tail()
    tail.take(
        "t", [Record(0, 0, NOW_MS, b"Anna", b"plays"), Record(0, 1, NOW_MS, None, b"\xff"), Record(0, 2, 0, b"", None)]
    )
    assert [one["offset"] for one in tail.since(0, topic="t", words="anna")] == [0]
    assert [one["value"] for one in tail.since(0, topic="t")] == ["plays", "\\xff", ""]


def test_who_acted_last_comes_first_and_few_are_held():
    tail = Tail()
    for at in range(200):
        tail.take_user(f"u{at % 90}")
    users = tail.users()
    assert users[0] == "u19"
    assert len(users) == len(set(users)) == MOST_USERS


def test_of_several_records_of_a_task_the_last_one_counts():
    content = Content()
    task = factories.make_content_task()
    content.take_task(codec.encode(task), NOW_MS)
    content.take_task(codec.encode(factories.make_content_task(withdrawn=True)), NOW_MS + 1)
    content.take_task(b"{", NOW_MS + 2)
    (one,) = content.tasks()
    assert (one.state, content.now_ms, content.counts()) == ("withdrawn", NOW_MS + 1, {"withdrawn": 1})
    content.take_asset(codec.encode(factories.make_content_asset()))
    assert content.of_item("item-1")[0].state == "done"
    assert content.assets_of("item-1")[0].task_id == "task-1"


def test_evidence_of_another_shape_is_left_as_it_is():
    content = Content()
    content.take_task(codec.encode(factories.make_content_task(evidence=[{"of": "audience"}, {"odd": 1}])), NOW_MS)
    told = plain_task(content.tasks()[0], "A title")
    assert (told["why"], told["title"]) == ([], "A title")
