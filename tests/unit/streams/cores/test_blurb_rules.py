"""Each rule of a blurb by an example that keeps it and one that breaks it."""

import pytest

from streams.contract.events import Item
from streams.cores import blurb_prompts, blurb_words
from streams.cores import blurb_rules as rules

ITEM = Item(
    item_id="i",
    title="The Long Engine (1843)",
    text="Ada writes to Charles from London. She plans an engine that computes.",
    tags=["History", "Drama"],
    creator="Mary Somer",
    language="en",
)
GOOD = "Ada writes to Charles and plans an engine that computes. A quiet drama about history."


def broken(text, *, item=ITEM, most=280, is_closed=False):
    return [one.name for one in rules.judge(text, item, most_chars=most, is_closed=is_closed) if not one.is_ok]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_text_of_the_record_keeps_to_every_rule(is_closed):
    assert broken(GOOD, is_closed=is_closed) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Ada writes.", "chars"),
        (GOOD + " It is the story of Babbage.", "unfounded"),
        (GOOD + " It takes 40 years.", "unfounded"),
        (GOOD + " It takes forty years.", "unfounded"),
        (GOOD + " Her brother waits in the dark.", "unfounded"),
        (GOOD + " It is an award-winning story.", "unfounded"),
        ("Charles writes to Ada and plans an engine that computes.", "swapped"),
        (GOOD + " It is a damn good story.", "coarse"),
        (GOOD + " She plans an engine that computes.", "repeats"),
        (GOOD + " It is very very good.", "repeats"),
        (GOOD + " It is an good story.", "articles"),
        ("Ada plans engine, computes history, writes London drama, Charles, Mary Somer.", "english"),
        ("It is about a life, and about what is to be made of it.", "founded"),
        (GOOD + " And then", "whole"),
        ("**" + GOOD + "**.", "whole"),
    ],
)
def test_each_rule_refuses_what_it_is_for(text, rule):
    assert rule in broken(text)


def test_a_closed_text_has_only_the_record_s_words_and_those_of_moods():
    told = GOOD + " It is set in a snowy village."
    assert broken(told) == []
    assert broken(told, is_closed=True) == ["untold"]
    assert rules.untold(told, ITEM) == ["snowy", "village"]
    assert rules.untold("Planned engines, computing; Ada's historical drama", ITEM) == []


def test_a_tag_s_words_need_the_tag():
    text = "The Long Engine is a chilling tale of terror that never lets go."
    assert broken(text, is_closed=True) == ["untold"]
    horror = Item(item_id="i", title="The Long Engine", tags=["Horror"])
    assert broken(text, item=horror, is_closed=True) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("When Ada writes, London waits.", []),
        ("When Ada writes to When, it waits.", ["When"]),  # only a first word is no name
        ("Somer's engine is London's.", []),
        ("The London-Paris engine.", ["Paris"]),
        ("In 1843, not in 1844.", ["1844"]),
        ("I saw two engines.", ["I", "two"]),
        ("She writes and he does.", ["he"]),
    ],
)
def test_what_is_not_in_the_record_is_named(text, found):
    assert rules.invented(text, ITEM) == found


def test_a_coarse_word_of_the_title_may_be_said():
    item = Item(item_id="i", title="Hell Ride", text="What the hell, damn it all.", tags=["western"])
    assert broken("Hell Ride is a western with a wild heart and a fast end.", item=item) == []
    assert broken("Hell Ride is a western with a damn wild heart and end.", item=item) == ["coarse"]


def test_a_text_is_cut_to_whole_sentences():
    assert rules.trimmed("One two.  Three\nfour! Five", 280) == "One two. Three four!"
    assert rules.trimmed("One two. Three four!", 12) == "One two."
    assert rules.trimmed("No end", 280) == ""
    assert rules.trimmed("It took 3.5 hours. More", 280) == "It took 3.5 hours."


def test_words_that_a_writer_is_given_tell_nothing_of_themselves():
    words = rules.words_for(ITEM)
    assert {"Ada", "London", "engine", "historical", "dramatic", "the"} <= words
    assert not words & {"1843", "brother", "forty", "director", "I", "i", "fuck"}, "the title's year is left out"
    refused = blurb_words.NUMBERS | blurb_words.CLAIMS | blurb_words.COARSE
    assert not rules.vocabulary(Item(item_id="i")) & (refused | blurb_words.PEOPLE)


@pytest.mark.parametrize(
    ("own", "locale", "reason"),
    [
        ("en", None, None), (None, None, None), (None, "en-GB", None), ("en", "en", None),
        ("en", "de-DE", "an audience that reads English, got 'de'"), ("fr", None, "got 'fr'"),
        ("fr", "en", "a record in English, got one in 'fr'"),
    ],
)  # fmt: skip
def test_it_is_for_english_alone(own, locale, reason):
    item = Item(item_id="i", title="Bars", text="Un film.", language=own)
    got = rules.why_not_english(item, locale)
    assert (got is None) if reason is None else (got is not None and reason in got)


def test_who_translates_may_read_another_language():
    assert rules.why_not_english(Item(item_id="i", text="Un film.", language="fr"), "en", translates=True) is None


def test_the_examples_that_a_writer_sees_keep_to_the_rules_themselves():
    for item, text in blurb_prompts._EXAMPLES:
        assert broken(text, item=item, is_closed=True) == []


def test_a_conversation_ends_with_the_record_in_lines():
    turns = blurb_prompts.conversation(ITEM)
    assert [turn.role for turn in turns] == ["system", *["user", "assistant"] * 4, "user"]
    assert turns[-1].text.splitlines() == [
        "Title: The Long Engine",
        "Year: 1843",
        "Tags: history, drama",
        "By: Mary Somer",
        f"Text: {ITEM.text}",
    ]
