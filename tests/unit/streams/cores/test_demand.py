"""Where an event counts: cells by who is served by what."""

from __future__ import annotations

from streams.contract.events import Asset, Interaction, Item, User
from streams.cores.demand import EXITS, TAKEN, Demand
from streams.cores.tracks import kind_of, tracks_of

DAY_MS = 86_400_000


def demand(**item: object) -> Demand:
    found = Demand(long_s=2_400.0, half_life_ms=30 * DAY_MS, max_cells=1_000, max_users=100)
    found.take_item(Item(item_id="f", **({"language": "en", "duration_s": 6_000.0} | item)), 0)  # type: ignore[arg-type]
    found.take_user(User(user_id="e", languages=["en-US"], segments=["evening"]))
    found.take_user(User(user_id="d", languages=["de", "fr"]))
    return found


def did(counts: Demand, user: str, action: str, **more: object) -> dict[str, list[int]]:
    counts.count(
        Interaction(event_id="x", user_id=user, item_id="f", action=action, occurred_at_ms=1, surface="home", **more),  # type: ignore[arg-type]
        1,
    )
    counts.cells.flush()
    return {key[0]: counts.cells.whole[row].tolist() for row, key in enumerate(counts.cells.keys)}


def test_a_view_without_a_track_counts_for_dub_and_subtitles_of_the_first_language() -> None:
    counts = demand()
    found = did(counts, "d", "play")
    assert found["dub"][0] == found["subtitles"][0] == 1
    assert "served" not in found
    assert {key[2] for key in counts.cells.keys if key[0] == "dub"} == {"de"}


def test_one_who_reads_subtitles_counts_for_a_dub_alone() -> None:
    found = did(demand(assets=[Asset(asset_id="s", uri="u", media_type="text/vtt", language="fr")]), "d", "play")
    assert found["dub"][0] == 1
    assert "subtitles" not in found


def test_one_who_hears_a_dub_is_not_held_against_the_film() -> None:
    found = did(demand(assets=[Asset(asset_id="s", uri="u", media_type="audio/mp4", language="de")]), "d", "play")
    assert not {"dub", "subtitles", "served", "cut"} & set(found)


def test_one_who_understands_counts_for_a_cut_of_a_long_film_and_as_served() -> None:
    found = did(demand(), "e", "play")
    assert found["cut"][0] == found["served"][0] == 1
    assert found.get("dub") is None


def test_a_short_film_counts_for_what_the_audience_finishes() -> None:
    found = did(demand(duration_s=600.0), "e", "play", completion=0.95)
    assert (found["finish"][0], found["finish"][TAKEN]) == (1, 1)
    assert "cut" not in found


def test_a_view_that_ended_early_is_an_exit() -> None:
    assert did(demand(), "e", "play", completion=0.2)["cut"][EXITS] == 1
    assert did(demand(), "e", "skip")["cut"][EXITS] == 1


def test_showings_count_by_place_and_clicks_only_where_something_was_shown() -> None:
    counts = demand()
    did(counts, "e", "impression", position=4)
    did(counts, "e", "click")
    found = did(counts, "e", "click", position=4)
    assert found["image"][3] == 0
    assert found["image"][2] == 0 or found["image"][3] == 0
    assert sum(found["image"][:TAKEN]) == 1
    assert found["image"][TAKEN] == 1
    assert sum(found["taken"][:TAKEN]) == 1


def test_one_who_cannot_read_about_it_counts_for_a_text() -> None:
    found = did(demand(), "d", "impression", position=1)
    assert found["blurb"][0] == 1
    assert "image" not in found


def test_who_is_not_known_counts_as_a_reader() -> None:
    assert did(demand(), "nobody", "impression", position=1)["image"][0] == 1


def test_an_item_that_the_catalogue_does_not_have_counts_nowhere() -> None:
    counts = demand()
    counts.forget_item("f")
    assert did(counts, "e", "play") == {}


def test_a_new_track_voids_what_was_counted_without_it() -> None:
    counts = demand()
    did(counts, "d", "play")
    dubbed = Item(
        item_id="f", language="en", duration_s=6_000.0,
        assets=[Asset(asset_id="s", uri="u", media_type="audio/mp4", language="de")],
    )  # fmt: skip
    counts.take_item(dubbed, 5)
    assert counts.cells.whole.sum() == 0
    assert counts.items["f"].since("dub", ("de", "", "")) == 5


def test_events_with_an_asset_of_ours_count_for_its_arm() -> None:
    counts = demand()
    assert counts.add_asset("a1", "dub", "f", ("de", "", ""), 3)
    assert not counts.add_asset("a1", "dub", "f", ("de", "", ""), 3)
    found = did(counts, "d", "play", asset_id="a1")
    assert found["arm:dub"][0] == 1


def test_old_counts_fade_to_a_half() -> None:
    counts = demand()
    did(counts, "e", "play")
    counts.end_window(0)
    counts.end_window(30 * DAY_MS)
    row = counts.cells.find(("served", "f", "", "", ""))
    assert row is not None
    assert counts.cells.faded[row, 0] == 0.5


def test_tracks_without_a_language_are_the_item_s_own() -> None:
    found = tracks_of(
        Item(item_id="f", language="pt-BR", assets=[Asset(asset_id="s", uri="u", media_type="text/vtt")]), long_s=1.0
    )
    assert (found.heard, found.read) == (("pt",), ("pt",))
    assert kind_of("application/x-subrip") == "subtitles"


def test_an_asset_counts_for_its_own_item_however_it_is_named() -> None:
    counts = demand()
    counts.take_item(Item(item_id="g", language="en"), 0)
    counts.add_asset("pic", "image", "f", ("", "", "home"), 0)
    counts.add_asset("other", "image", "g", ("", "", "home"), 0)
    found = did(counts, "e", "impression", asset_ids=["pic", "other", "nobody", "pic"], position=1)
    assert found["arm:image"][0] == 1
    assert counts.arm_counts("f") == {("image", "pic"): (1, 0)}
    assert did(counts, "e", "click", asset_id="pic", asset_ids=["own:image"], position=1)["arm:image"][TAKEN] == 1
    assert counts.arm_counts("f") == {("image", "pic"): (1, 1), ("image", "own:image"): (0, 1)}
