"""Films seen through `cores.shots`: a small look at every frame, its shots, and how a task's wishes are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.cores import shots
from streams.studio import media
from streams.studio.errors import MediaError, SpecError
from streams.studio.media import Limits, Probe, Track

LOOK_WIDTH: Final = 32
LOOK_HEIGHT: Final = 18
MAX_FPS: Final = 60.0
DEFAULT_FPS: Final = 25.0


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A film looked through: one look a frame at ``fps``, and the first frame of each shot but the first."""

    path: Path
    probe: Probe
    picture: Track
    fps: float
    looks: Sequence[shots.Look]
    cuts: Sequence[int]


def look_through(path: Path, limits: Limits | None = None) -> Footage:
    """Looks at every frame of a film.

    Raises:
      MediaError: it has no picture, or does not decode.
    """
    found = media.probe(path, limits)
    picture = found.first("video")
    if picture is None or picture.width < 2 or picture.height < 2:
        raise MediaError(f"expected a film with a picture, got {[track.kind for track in found.tracks]}: {path.name}")
    fps = picture.fps if 1.0 <= picture.fps <= MAX_FPS else DEFAULT_FPS
    looks: list[shots.Look] = []
    for frame in media.frames(path, width=LOOK_WIDTH, height=LOOK_HEIGHT, fps=fps, limits=limits):
        looks.append(shots.look(frame, looks[-1] if looks else None))
    if not looks:
        raise MediaError(f"expected a film with frames, got none: {path.name}")
    return Footage(path=path, probe=found, picture=picture, fps=fps, looks=looks, cuts=shots.boundaries(looks))


def source_of(path: str | None) -> Path:
    """The path of a job's media.

    Raises:
      SpecError: it has none.
    """
    if path is None:
        raise SpecError("expected a film: spec.source, or an asset of the item that is a video; got neither")
    return Path(path)


def number_in(spec: Mapping[str, Any], name: str, default: float, *, least: float, most: float) -> float:
    """A number of a task's wishes.

    Raises:
      SpecError: it is none, or out of range.
    """
    value = spec.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SpecError(f"expected spec.{name} from {least:g} to {most:g}, got {value!r}")
    return float(value)


def word_in(spec: Mapping[str, Any], name: str, default: str, words: Sequence[str]) -> str:
    """One word out of a list.

    Raises:
      SpecError: it is another.
    """
    value = spec.get(name, default)
    if value not in words:
        raise SpecError(f"expected spec.{name} to be one of {', '.join(words)}, got {value!r}")
    return str(value)


def flag_in(spec: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """True or false.

    Raises:
      SpecError: it is neither.
    """
    value = spec.get(name, default)
    if not isinstance(value, bool):
        raise SpecError(f"expected spec.{name} to be true or false, got {value!r}")
    return value


def aspect_in(spec: Mapping[str, Any], default: str = "source") -> tuple[int, int] | None:
    """Width to height; None: the source's own.

    Raises:
      SpecError: it is not written as 9:16.
    """
    value = spec.get("aspect", default)
    if value == "source":
        return None
    match = re.fullmatch(r"([1-9]\d?):([1-9]\d?)", value) if isinstance(value, str) else None
    if match is None:
        raise SpecError(f"expected spec.aspect to be source or like 9:16, got {value!r}")
    return int(match[1]), int(match[2])
