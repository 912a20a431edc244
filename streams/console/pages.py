"""The pages' own files, read once and compressed once; nothing else of the disk is ever served under their names."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

STATIC_DIR: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
    ".LICENSE": "text/plain",
}  # fmt: skip


class File(NamedTuple):
    """One of our files."""

    body: bytes
    packed: bytes
    kind: str
    tag: str


def read_files(folder: Path = STATIC_DIR) -> dict[str, File]:
    """Path below ``/static/`` -> file."""
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            packed = gzip.compress(body, 9, mtime=0)
            found[path.relative_to(folder).as_posix()] = File(body, packed, TYPES[path.suffix], tag)
    return found


class Pages:
    """Serves them: every address of a page is the same document, which decides what to show."""

    def __init__(self) -> None:
        self._files = read_files()

    async def index(self, request: web.Request) -> web.Response:
        """``GET /``."""
        return self._sent(request, self._files["index.html"])

    async def file(self, request: web.Request) -> web.Response:
        """``GET /static/NAME``."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return self._sent(request, found)

    @staticmethod
    def _sent(request: web.Request, file: File) -> web.Response:
        headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        body = file.packed if is_packed else file.body
        return web.Response(body=body, content_type=file.kind, charset="utf-8", headers=headers)
