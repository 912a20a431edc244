"""What an item has already: in which languages it can be heard, read on screen and read about, and which pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

import msgspec

from streams.contract.events import Asset, ContentKind, Item

SEPARATOR: Final = "\x1f"
"""Between the parts of a name of kind and audience."""
Audience = tuple[str, str, str]
"""Language, segment, surface; empty where it does not matter."""
OWN: Final = "own:"
"""Before a kind: the asset id of what an item has of it where its catalogue names no asset."""
KINDS: Final[tuple[ContentKind, ...]] = get_args(ContentKind)
IN_A_LANGUAGE: Final = frozenset({"blurb", "dub", "subtitles"})
"""Kinds whose original is in the item's own language."""

SUBTITLE_TYPES: Final = frozenset(
    {"text/vtt", "text/srt", "application/x-subrip", "application/ttml+xml", "text/x-ssa", "application/x-subtitle"}
)


def kind_of(media_type: str) -> ContentKind | None:
    """Which kind of content a media type is; None where it is none of ours.

    >>> kind_of("text/vtt"), kind_of("audio/mp4; codecs=opus"), kind_of("application/zip")
    ('subtitles', 'dub', None)
    """
    plain = media_type.partition(";")[0].strip().lower()
    if plain in SUBTITLE_TYPES:
        return "subtitles"
    starts: dict[str, ContentKind] = {"audio": "dub", "image": "image", "video": "cut", "text": "blurb"}
    return starts.get(plain.partition("/")[0])


def primary(language: str) -> str:
    """The primary subtag, by which languages are compared: ``pt`` of ``pt-BR``.

    >>> primary("pt-BR"), primary("EN_us"), primary("")
    ('pt', 'en', '')
    """
    return language.replace("_", "-").partition("-")[0].strip().lower()


class Tracks(msgspec.Struct, kw_only=True):
    """One item as the planner knows it.

    Attributes:
      heard: languages of its sound, primary subtags, sorted. read: of its subtitles. told: of the catalogue's texts.
      is_long: long enough for a cut. until_ms, from_ms: when it may be shown; None is open.
      start_ms: event time of the first interaction with it; None before.
      since_ms: per kind, or kind and audience, when that last changed: evidence is counted from there.
      made: per kind and audience, how many assets of ours it has.
      lost: how many of these were withdrawn again, one by one.
      base: languages heard and read without those. own: language of the original sound; empty where unknown.
      originals: per kind the catalogue's first asset of it, and its language.
    """

    heard: tuple[str, ...]
    read: tuple[str, ...]
    told: tuple[str, ...]
    is_long: bool
    own: str
    from_ms: int | None
    until_ms: int | None
    start_ms: int | None = None
    since_ms: dict[str, int] = {}
    made: dict[str, int] = {}
    base: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    lost: dict[str, int] = {}
    originals: dict[str, tuple[str, str]] = {}

    def may_be_shown(self, now_ms: int) -> bool:
        """Whether the item is available at this time."""
        is_over = self.until_ms is not None and now_ms >= self.until_ms
        return not is_over and (self.from_ms is None or now_ms >= self.from_ms)

    def languages(self) -> tuple[tuple[str, ...], ...]:
        """What decides who is served; a change of it makes former evidence void."""
        return self.heard, self.read, self.told, (str(self.is_long),)

    def since(self, kind: str, audience: Audience) -> int:
        """Since when this kind and audience count, event time, ms."""
        own = name_of(kind, audience)
        return max(self.start_ms or 0, self.since_ms.get(kind, 0), self.since_ms.get(own, 0))

    def inherit(self, old: Tracks) -> None:
        """This is a new version of what ``old`` was: what we made and counted stays."""
        self.start_ms, self.since_ms, self.made, self.lost = old.start_ms, old.since_ms, old.made, old.lost
        self._join()

    def add(self, kind: ContentKind, audience: Audience) -> None:
        """An asset of ours is there from now on."""
        name = name_of(kind, audience)
        self.made[name] = self.made.get(name, 0) + 1
        self._join()

    def lose(self) -> None:
        """The assets of ours are withdrawn."""
        self.made, self.lost = {}, {}
        self._join()

    def lose_one(self, kind: ContentKind, audience: Audience) -> None:
        """One asset of ours is withdrawn; it stays in ``made``, so that the next one is another task."""
        name = name_of(kind, audience)
        self.lost[name] = self.lost.get(name, 0) + 1
        self._join()

    def original(self, kind: ContentKind) -> tuple[str, str]:
        """Asset id and language of what the item itself has of a kind."""
        return self.originals.get(kind) or (OWN + kind, self.own if kind in IN_A_LANGUAGE else "")

    def _join(self) -> None:
        languages = {"dub": list(self.base[0]), "subtitles": list(self.base[1])}
        for name, count in self.made.items():
            kind, language, *_ = name.split(SEPARATOR)
            if kind in languages and language and count > self.lost.get(name, 0):
                languages[kind].append(language)
        self.heard, self.read = (sorted_languages(found) for found in languages.values())


def name_of(kind: str, audience: Audience) -> str:
    """A kind and an audience as one text."""
    return SEPARATOR.join((kind, *audience))


def tracks_of(item: Item, *, long_s: float) -> Tracks:
    """What the catalogue says that an item has.

    The item's own language is that of its sound and of its texts. A track without a language is taken for the
    item's own.
    """
    own = primary(item.language) if item.language else ""
    heard = sorted_languages([own, *_languages(item.assets, "dub", own)])
    read = sorted_languages(_languages(item.assets, "subtitles", own))
    told = sorted_languages([own, *_languages(item.assets, "blurb", own)])
    return Tracks(
        heard=heard, read=read, told=told, base=(heard, read), own=own,
        is_long=item.duration_s is not None and item.duration_s >= long_s,
        from_ms=item.available_from_ms, until_ms=item.available_until_ms, originals=_originals(item, own),
    )  # fmt: skip


def _originals(item: Item, own: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for asset in item.assets:
        kind = kind_of(asset.media_type)
        if kind is not None and kind not in found:
            spoken = own if kind in IN_A_LANGUAGE else ""
            found[kind] = asset.asset_id, primary(asset.language) if asset.language else spoken
    return found


def sorted_languages(languages: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order, without the empty one."""
    return tuple(sorted({language for language in languages if language}))


def _languages(assets: Iterable[Asset], kind: ContentKind, own: str) -> list[str]:
    return [primary(one.language) if one.language else own for one in assets if kind_of(one.media_type) == kind]
