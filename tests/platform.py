"""A small platform with one clear want: Germans who do not finish an English film, and everybody else who does."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from streams.contract.events import Interaction, Item, User
from streams.cores.plan import Entry

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000


def catalogue(films: int = 6) -> list[Entry]:
    """English films f0.., 20 minutes long; English viewers e0.. and German ones d0.. ."""
    items: list[Entry] = [Item(item_id=f"f{i}", language="en", duration_s=1_200.0) for i in range(films)]
    users: list[Entry] = [User(user_id=f"e{i}", languages=["en-GB"]) for i in range(20)]
    return [*items, *users, *(User(user_id=f"d{i}", languages=["de"]) for i in range(20))]


def views(
    count: int,
    *,
    seed: int = 0,
    films: int = 6,
    deprived: Sequence[str] = ("f0",),
    start_ms: int = START_MS,
    step_ms: int = 600_000,
) -> list[Interaction]:
    """Plays in turn of films and viewers; 90 % are finished, but only 10 % by Germans of the ``deprived`` films."""
    rng = random.Random(seed)
    found: list[Interaction] = []
    for i in range(count):
        at_ms = start_ms + i * step_ms
        item, user = f"f{rng.randrange(films)}", rng.choice("ed") + str(rng.randrange(20))
        share = 0.1 if user[0] == "d" and item in deprived else 0.9
        found.append(_event(f"{seed}-{i}-p", user, item, "play", at_ms))
        if rng.random() < share:
            found.append(_event(f"{seed}-{i}-c", user, item, "complete", at_ms + 1))
    return found


def _event(event_id: str, user: str, item: str, action: str, at_ms: int) -> Interaction:
    return Interaction(event_id=event_id, user_id=user, item_id=item, action=action, occurred_at_ms=at_ms)  # type: ignore[arg-type]


def showings(count: int, *, seed: int = 0, films: int = 6, dull: Sequence[str] = ("f0",)) -> list[Interaction]:
    """Impressions at the top of the home page; one in five is clicked on, and of the ``dull`` films one in fifty."""
    rng = random.Random(seed)
    found: list[Interaction] = []
    for i in range(count):
        item, user, at_ms = f"f{rng.randrange(films)}", f"e{rng.randrange(20)}", START_MS + i * 120_000
        found.append(_event(f"{seed}-{i}-i", user, item, "impression", at_ms))
        if rng.random() < (0.02 if item in dull else 0.2):
            found.append(_event(f"{seed}-{i}-k", user, item, "click", at_ms + 1_000))
    return [msgspec.structs.replace(one, surface="home", position=1) for one in found]
