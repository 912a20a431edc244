"""Finished files of the studio's store, by the hash of what is in them; no path out of a record is ever opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from aiohttp import web

SHA256: Final = re.compile(r"[0-9a-f]{64}")
TYPES: Final = {
    ".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".webp": "image/webp", ".vtt": "text/vtt", ".srt": "text/plain", ".txt": "text/plain", ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".opus": "audio/ogg",
}  # fmt: skip
"""What is shown; never a type in which a browser would run something."""


def find(folder: Path, digest: str) -> Path | None:
    """The finished file of this hash; None where there is none, or of a type that is not shown."""
    if SHA256.fullmatch(digest) is None:
        return None
    for suffix in TYPES:
        path = folder / digest[:2] / f"{digest}{suffix}"
        if path.is_file() and not path.is_symlink():
            return path
    return None


class Media:
    """Serves the store, parts of a film too; nothing where it is no folder of this machine."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()

    async def file(self, request: web.Request) -> web.StreamResponse:
        """``GET /media/SHA256``."""
        path = None if self._folder is None else find(self._folder, request.match_info["digest"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={
            "Content-Type": TYPES[path.suffix], "Cache-Control": "private, max-age=86400, immutable",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        })  # fmt: skip
