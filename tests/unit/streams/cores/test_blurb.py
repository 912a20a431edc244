"""Blurbs are of the record alone."""

import pytest

from streams.contract.events import Item
from streams.cores.blurb import unfounded, write

ITEM = Item(
    item_id="i",
    title="The Long Engine",
    text="In 1843 Ada writes to Charles. She plans an engine that computes. It rains. Nobody in London believes her.",
    tags=["engine", "history"],
    creator="Mary Somer",
    language="en",
)


def test_sentences_that_say_most_come_in_their_order():
    assert write(ITEM) == "In 1843 Ada writes to Charles. She plans an engine that computes. By Mary Somer."


def test_a_blurb_of_the_record_is_founded():
    assert unfounded(write(ITEM), ITEM) == []


@pytest.mark.parametrize(
    ("text", "word"), [("Ada wins an Oscar.", "Oscar"), ("It cost 50 pounds.", "50"), ("By Byron.", "Byron")]
)
def test_a_name_or_number_from_nowhere_is_found(text, word):
    assert word in unfounded(text, ITEM)


@pytest.mark.parametrize("most", [20, 40, 80, 280])
def test_it_is_never_longer_than_asked(most):
    assert 0 < len(write(ITEM, most_chars=most)) <= most


def test_without_text_the_title_and_tags_do():
    assert write(Item(item_id="i", title="Bars", tags=["noir", "jazz"])) == "Bars: noir, jazz."


def test_an_empty_record_says_nothing():
    assert write(Item(item_id="i")) == ""


def test_the_word_before_a_creator_is_the_locale_s():
    assert write(ITEM, locale="de-AT").endswith("Von Mary Somer.")
