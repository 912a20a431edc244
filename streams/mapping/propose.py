"""Proposes a mapping for records of an unknown shape: what it is sure of, what it guesses, and why. Pure.

A role goes to the field whose name and values speak for it most. Sure is what both speak for; a guess is what one
does. What the proposal is worth is for `check` to say, on the same sample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

from streams.contract import rules
from streams.mapping.looks import Field, Looks, time_unit_of

USERS: Final = ("user", "viewer", "profile", "account", "member", "customer", "subscriber", "listener", "reader",
                "visitor", "uid", "userid")  # fmt: skip
ITEMS: Final = ("item", "video", "content", "media", "track", "song", "movie", "film", "show", "episode", "article",
                "story", "book", "product", "sku", "asset", "title", "program", "itemid")  # fmt: skip
TIMES: Final = ("time", "timestamp", "ts", "at", "date", "tstamp", "occurred", "created", "datetime")
LATE_TIMES: Final = ("ingest", "ingested", "processed", "received", "sent", "etl", "updated", "load", "expires")
ACTIONS: Final = ("action", "event", "type", "kind", "verb", "feedback", "name", "activity", "interaction")
IDENTITIES: Final = ("id", "uuid", "guid", "key", "number", "no", "code", "uid", "userid", "itemid")
DWELLS: Final = ("play", "watch", "watched", "dwell", "listened", "listen", "played", "spent", "viewed", "stay", "read")
SHARES: Final = ("completion", "progress", "percent", "pct", "share")
SURFACES: Final = ("surface", "tab", "page", "screen", "placement", "shelf", "section")
CREATORS: Final = ("creator", "author", "artist", "director", "channel", "publisher")
REQUESTS: Final = ("request", "slate", "ranking", "recommendation")
LENGTHS: Final = ("duration", "length", "runtime")
WORDS: Final = {
    "impression": "impression impressed impress shown show exposure exposed display displayed served view_item",
    "click": "click clicked tap tapped open opened select selected view viewed pageview read visit",
    "play": "play played playing watch watched start started stream streamed listen listened video_start",
    "progress": "progress heartbeat_progress tick quartile",
    "complete": "complete completed finish finished end ended watched_full video_complete",
    "like": "like liked favorite favourite star starred upvote thumbs_up heart save saved bookmark add_to_list follow",
    "dislike": "dislike disliked downvote thumbs_down unlike",
    "rate": "rate rated rating review reviewed score",
    "share": "share shared forward forwarded repost send",
    "skip": "skip skipped swipe next",
    "hide": "hide hidden hate not_interested block blocked report reported",
    "purchase": "purchase purchased buy bought order ordered transaction rent rented checkout conversion",
    "search-click": "search-click search_click searchclick",
}  # fmt: skip
MEANT: Final = {theirs: ours for ours, words in WORDS.items() for theirs in words.split()}
STRENGTH: Final = ("hide", "dislike", "purchase", "share", "like", "complete", "play", "click", "skip")
"""Flags of one record, the one that says most first."""
MOST_WORDS: Final = 60
"""A field with more different words is no field of actions."""


class Choice(NamedTuple):
    """One line of a proposal: a word of the mapping, its value, and why; ``is_sure`` or a guess."""

    name: str
    value: Any
    why: str
    is_sure: bool


class Proposal(NamedTuple):
    """A mapping for interactions or items; ``missing``: words that it needs and nothing speaks for."""

    kind: str
    choices: list[Choice]
    missing: list[str]

    @property
    def table(self) -> dict[str, Any]:
        """As a parsed table."""
        return {one.name: one.value for one in self.choices}


def propose(looks: Looks, *, kind: str | None = None) -> Proposal:
    """A mapping for records that look so.

    Args:
      kind: "interactions" or "items"; None: what they look like.
    """
    chosen = kind or _kind_of(looks)
    return _items(looks) if chosen == "items" else _interactions(looks)


def _kind_of(looks: Looks) -> str:
    names = [set(field.words) for field in looks.fields.values()]
    has_user = any(name & set(USERS) for name in names)
    describes = any(name & {"title", "titles", "genre", "genres", "tags", "description"} for name in names)
    return "items" if describes and not has_user else "interactions"


def _interactions(looks: Looks) -> Proposal:
    picked, taken = [], set[str]()

    def pick(name: str, score: Callable[[Field], tuple[float, str]], sure_from: float) -> Field | None:
        found = _best(looks, score, taken)
        if found is None:
            return None
        field, points, why = found
        taken.add(field.path)
        picked.append(Choice(name, field.path, why, points >= sure_from))
        return field

    user = pick("user", lambda field: _of_who(field, looks, USERS, key_counts=True), 4.0)
    item = pick("item", lambda field: _of_who(field, looks, ITEMS, key_counts=False), 4.0)
    time = pick("time", lambda field: _of_time(field, looks), 4.0)
    if time is not None:
        unit = time_unit_of(time)
        picked.append(Choice("time_unit", unit, f"nearly all values are {unit} of our days", is_sure=True))
    pick("event_id", lambda field: _of_event_id(field, looks), 5.0)
    picked += _actions(looks, taken)
    if not any(one.name in ("action", "rules") for one in picked):
        pick("value", lambda field: _named(field, ("rating", "stars", "score"), _is_number), 3.0)
    dwell = pick("dwell_ms", lambda field: _of_stay(field), 3.0)
    if dwell is not None:
        if {"s", "sec", "secs", "seconds"} & set(dwell.words):
            picked.append(Choice("dwell_unit", "s", "its name says seconds", is_sure=True))
        pick("duration_ms", lambda field: _named(field, LENGTHS, _is_number), 3.0)
    if not any(one.name == "duration_ms" for one in picked):
        share = pick("completion", lambda field: _named(field, SHARES, _is_share), 3.0)
        if share is not None and max(share.numbers) > 1:
            picked.append(Choice("completion_unit", "percent", "values go above 1", is_sure=False))
    pick("surface", lambda field: _named(field, SURFACES, _is_surface), 3.0)
    position = pick("position", lambda field: _named(field, ("position", "rank", "slot"), _is_place), 3.0)
    if position is not None and min(position.numbers) == 0:
        picked.append(Choice("position_from", 0, "the least value is 0", is_sure=True))
    pick("request_id", lambda field: _named(field, REQUESTS, lambda one: len(one.values) > 1), 4.0)
    needed = {"user": user, "item": item, "time": time}
    return Proposal("interactions", picked, [name for name, field in needed.items() if field is None])


def _items(looks: Looks) -> Proposal:
    picked, taken = [], set[str]()

    def pick(name: str, words: Collection[str], fits: Callable[[Field], bool] = lambda _: True) -> Field | None:
        found = _best(looks, lambda field: _named(field, words, fits), taken)
        if found is None:
            return None
        field, points, why = found
        taken.add(field.path)
        picked.append(Choice(name, field.path, why, points >= 3.0))
        return field

    def is_list(field: Field) -> bool:
        return field.is_only("list") or field.is_only("str")

    found = _best(looks, lambda field: _of_item_id(field, looks), taken)
    if found is not None:
        taken.add(found[0].path)
        picked.append(Choice("item", found[0].path, found[2], found[1] >= 4.0))
    pick("title", ("title", "name", "headline"), lambda field: field.is_only("str"))
    pick("text", ("text", "description", "overview", "synopsis", "summary", "body"), lambda field: field.is_only("str"))
    tags = pick("tags", ("tags", "genres", "genre", "tag", "categories", "category", "keywords", "class"), is_list)
    if tags is not None and tags.is_only("str"):
        separator = next((one for one in ("|", ";", ",") if any(one in str(value) for value in tags.values)), "|")
        picked.append(Choice("tags_separator", separator, "as in its values", is_sure=False))
    pick(
        "creator",
        ("creator", "author", "artist", "director", "channel", "publisher"),
        lambda field: field.is_only("str"),
    )
    pick("language", ("language", "lang", "locale"), lambda field: field.is_only("str"))
    length = pick("duration_s", LENGTHS, _is_number)
    if length is not None and "ms" in length.words:
        picked.append(Choice("duration_unit", "ms", "its name says so", is_sure=True))
    published = pick("published", ("published", "released", "release", "year", "date"), lambda field: (
        time_unit_of(field) is not None or _is_year(field)
    ))  # fmt: skip
    if published is not None:
        unit = time_unit_of(published) or "year"
        picked.append(Choice("published_unit", unit, f"all values are {unit}", is_sure=True))
    pick("maturity", ("maturity", "age"), lambda field: _is_number(field) and max(field.numbers) <= rules.MAX_MATURITY)
    return Proposal("items", picked, [] if found is not None else ["item"])


# --- actions -----------------------------------------------------------------------------------------------------


def _actions(looks: Looks, taken: set[str]) -> list[Choice]:
    """A field of words, or flags, or nothing."""
    found = _best(looks, lambda field: _of_action(field, looks), taken)
    flags = _flags(looks, taken)
    if found is not None and (found[1] >= 3.0 or not flags):
        field, points, why = found
        taken.add(field.path)
        words = {word: MEANT.get(_plain(word), "") for word in sorted(field.values, key=str) if isinstance(word, str)}
        known = {word: ours for word, ours in words.items() if ours != word}
        left = [word for word, ours in words.items() if not ours]
        choices = [Choice("action", field.path, why, points >= 4.0)]
        if known:
            told = "what each word means is a guess by its spelling"
            told += f"; left out, as nothing says what they mean: {', '.join(left[:12])}" if left else ""
            choices.append(Choice("words", known, told, is_sure=False))
        return choices
    if flags:
        taken.update(field.path for _, field in flags)
        rows: list[dict[str, Any]] = [
            {"action": action, "column": field.path, "equals": True if field.is_only("bool") else 1}
            for action, field in flags
        ]
        rows.append({"action": "impression"})
        told = "by the flags' names; a record with several is the first, and one with none was only shown"
        return [Choice("rules", rows, told, is_sure=False)]
    return []


def _flags(looks: Looks, taken: Collection[str]) -> list[tuple[str, Field]]:
    found = []
    for field in looks.fields.values():
        values = {str(value).lower() for value in field.values}
        if field.path in taken or not values or not values <= {"0", "1", "true", "false", "0.0", "1.0"}:
            continue
        action = next((MEANT[word] for word in field.words if word in MEANT), None)
        if action in STRENGTH:
            found.append((action, field))
    return sorted(found, key=lambda one: STRENGTH.index(one[0]))


def _of_action(field: Field, looks: Looks) -> tuple[float, str]:
    if not field.is_only("str") or not field.is_whole or not 1 <= len(field.values) <= MOST_WORDS:
        return 0.0, ""
    meant = sum(count for word, count in field.values.items() if _plain(word) in MEANT)
    share = meant / field.there
    name = 2.0 if field.words[-1] in ACTIONS else 1.0 if set(field.words) & set(ACTIONS) else 0.0
    if share == 0 or field.there < looks.records / 2:
        return 0.0, ""
    return name + 2.5 * share, f"{len(field.values)} words, of which {share:.0%} of the records have a known one"


def _plain(word: object) -> str:
    return str(word).lower().replace("-", "_").replace(" ", "_").removeprefix("video_").removeprefix("user_")


# --- scores ------------------------------------------------------------------------------------------------------


def _best(
    looks: Looks, score: Callable[[Field], tuple[float, str]], taken: Collection[str]
) -> tuple[Field, float, str] | None:
    rated = [(score(field), field) for path, field in looks.fields.items() if path not in taken]
    found = [(points, -len(field.path), field, why) for (points, why), field in rated if points > 0]
    if not found:
        return None
    points, _, field, why = max(found, key=lambda one: (one[0], one[1]))
    return field, points, why


def _of_who(field: Field, looks: Looks, names: Sequence[str], *, key_counts: bool) -> tuple[float, str]:
    """Who or what: an id by its values, of the right thing by its name."""
    if not field.is_only("str", "int") or field.there < looks.records / 2 or time_unit_of(field) is not None:
        return 0.0, ""
    words = set(field.words)
    named = 2.0 if words & set(names) else 0.0
    if not named and not (key_counts and field.as_key > looks.records / 2):
        return 0.0, ""
    points, why = named, ["its name"] if named else []
    if field.words[-1] in IDENTITIES or field.words[-1] in names:
        points += 1.0
    if field.there == looks.records:
        points, why = points + 1.0, [*why, "it is in every record"]
    if key_counts and field.as_key == field.there:
        points, why = points + 2.0, [*why, "it is the record's key"]
    if len(field.values) == 1 and looks.records > 20:
        points -= 2.0
    return points, " and ".join(why)


def _of_item_id(field: Field, looks: Looks) -> tuple[float, str]:
    if not field.is_only("str", "int") or field.there < looks.records:
        return 0.0, ""
    words = set(field.words)
    points = (2.0 if words & set(ITEMS) else 0.0) + (1.5 if field.words[-1] in IDENTITIES else 0.0)
    if field.as_key == looks.records:
        return points + 3.0, "it is the record's key"
    unique = len(field.values) >= min(looks.records, 1_000) * 0.95
    return (points + 1.0, "its name, and it is in every record") if points and unique else (0.0, "")


def _of_time(field: Field, looks: Looks) -> tuple[float, str]:
    unit = time_unit_of(field)
    if unit is None or field.there < looks.records / 2:
        return 0.0, ""
    words = set(field.words)
    points = 2.0 + (1.5 if words & set(TIMES) or words & {"ms", "us"} else 0.0) + (field.there == looks.records)
    points -= 2.0 if words & set(LATE_TIMES) else 0.0
    return max(points, 0.1), f"its values are times ({unit})"


def _of_event_id(field: Field, looks: Looks) -> tuple[float, str]:
    words = field.words
    named = {"event", "message", "msg", "uuid", "guid"} & set(words) or words == ("id",)
    if not named or words[-1] not in IDENTITIES or not field.is_only("str", "int") or field.there < looks.records:
        return 0.0, ""
    if field.is_whole and len(field.values) < field.there * 0.99:
        return 0.0, ""
    return 5.0, "it is different in every record"


def _of_stay(field: Field) -> tuple[float, str]:
    words = set(field.words)
    timed = words & {"ms", "s", "sec", "secs", "seconds", "millis", "milliseconds", "time", "duration"}
    if not words & set(DWELLS) or not timed or not _is_number(field) or min(field.numbers) < 0:
        return 0.0, ""
    return (
        3.0 if words & {"ms", "millis", "milliseconds", "s", "sec", "secs", "seconds"} else 2.0
    ), "its name and numbers"


def _named(field: Field, names: Collection[str], fits: Callable[[Field], bool]) -> tuple[float, str]:
    last = next((2.0 for word in reversed(field.words[-2:]) if word in names), 0.0)
    if not last or not fits(field):
        return 0.0, ""
    return last + (1.0 if field.words[-1] in names or field.words[-1] in ("ms", "id") else 0.0), "its name"


def _is_share(field: Field) -> bool:
    return bool(field.numbers) and min(field.numbers) >= 0 and max(field.numbers) <= 100


def _is_surface(field: Field) -> bool:
    return field.is_only("str", "int") and field.is_whole and len(field.values) <= rules.MAX_SURFACES


def _is_number(field: Field) -> bool:
    return bool(field.numbers)


def _is_place(field: Field) -> bool:
    numbers = field.numbers
    return bool(numbers) and min(numbers) >= 0 and all(number == int(number) for number in numbers)


def _is_year(field: Field) -> bool:
    return bool(field.numbers) and all(1850 <= number <= 2130 for number in field.numbers)
