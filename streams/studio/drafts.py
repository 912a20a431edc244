"""What a render's process says that it made, looked at by whoever started it: nothing that it says is believed.

That process runs decoders on files that others wrote, and engines that others wrote. So its file must be a plain one in
its work folder, of a kind that the studio publishes, and its words must fit the record that they go into.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.contract import rules
from streams.studio.engines import Draft
from streams.studio.errors import EngineError

SUFFIXES: Final = frozenset(
    {
        ".txt", ".vtt", ".srt", ".jpg", ".png", ".webp", ".mp4", ".webm", ".mkv", ".m4a", ".mka", ".wav", ".flac",
        ".mp3", ".ogg", ".opus",
    }
)  # fmt: skip
"""Of files that are published."""
BESIDE: Final = SUFFIXES | {".edl", ".otio", ".json"}
"""Of files for a person."""
_MEDIA_TYPE: Final = re.compile(r"(text|image|audio|video|application)/[a-z0-9][a-z0-9.+-]*(; ?[a-z]+=[\w.\"+-]+)?")
_CHECK_CHARS: Final = 64


def verified(draft: Draft, workdir: Path, *, most_bytes: int) -> Draft:
    """The draft, if its file may be taken; those beside it that may not are left out.

    Args:
      draft: as the process told it. workdir: the one folder that it was to write into.
      most_bytes: of a file.

    Raises:
      EngineError: it may not.
    """
    path = _plain(draft.path, workdir, SUFFIXES, most_bytes)
    if draft.suffix != Path(path).suffix:
        raise EngineError(
            f"expected a draft whose suffix is its file's {Path(path).suffix!r}, got {draft.suffix[:40]!r}"
        )
    if len(draft.media_type) > rules.MAX_LABEL_CHARS or not _MEDIA_TYPE.fullmatch(draft.media_type):
        raise EngineError(f"expected a media type, got {draft.media_type[:80]!r}")
    if draft.duration_ms is not None and not 0 <= draft.duration_ms <= rules.MAX_SAFE_INT:
        raise EngineError(f"expected a duration in ms, got {draft.duration_ms}")
    beside = []
    for one in draft.beside:
        try:
            beside.append(_plain(one, workdir, BESIDE, most_bytes))
        except EngineError:
            continue
    return msgspec.structs.replace(draft, path=path, beside=beside)


def told_engine(engine: Mapping[str, Any]) -> dict[str, Any]:
    """What made it, as a record may carry it: words, numbers and flags."""
    found: dict[str, Any] = {}
    for name, value in list(engine.items())[: rules.MAX_CONTEXT_KEYS]:
        is_number = isinstance(value, int | float) and math.isfinite(value) and abs(value) <= rules.MAX_SAFE_INT
        if isinstance(value, str):
            found[str(name)[: rules.MAX_LABEL_CHARS]] = value[: rules.MAX_VALUE_CHARS]
        elif value is None or is_number:
            found[str(name)[: rules.MAX_LABEL_CHARS]] = value
    return found


def told_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of the checks, as a record may carry them: finite ones within the contract's range."""
    return {
        name[:_CHECK_CHARS]: value
        for name, value in list(figures.items())[: rules.MAX_CONTEXT_KEYS]
        if math.isfinite(value) and abs(value) <= rules.MAX_MAGNITUDE
    }


def _plain(name: str, workdir: Path, suffixes: frozenset[str], most_bytes: int) -> str:
    """The path of a regular file under ``workdir``; no link, at no part of it below the folder."""
    home = workdir.resolve()
    if "\0" in name or not os.path.isabs(name):
        raise EngineError(f"expected the absolute path of a draft, got {name[:200]!r}")
    real = Path(name).resolve()
    try:
        known = os.lstat(name)
    except OSError as error:
        raise EngineError(f"expected a draft at {name[:200]!r}, got: {error.strerror}") from error
    if not real.is_relative_to(home) or not stat.S_ISREG(known.st_mode):
        raise EngineError(f"expected a draft that is a regular file in the work folder, got {name[:200]!r}")
    if known.st_nlink > 1:
        raise EngineError(f"expected a draft that is a file of its own, got one with {known.st_nlink} names")
    if real.suffix not in suffixes:
        raise EngineError(
            f"expected a draft of a kind that is published ({', '.join(sorted(suffixes))}), got {real.suffix[:40]!r}"
        )
    if not 0 < known.st_size <= most_bytes:
        raise EngineError(f"expected a draft of 1 to {most_bytes} bytes, got {known.st_size}")
    return str(real)
