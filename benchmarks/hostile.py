"""Files that mean harm, made from one film and a seed: cut short, flipped, of other kinds, too large, or no files."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.contract.events import ContentKind
from streams.studio import media

SIDE = 16_384
"""Pixels of a side of a film that is too large."""
BOMB_BYTES = 256 << 20
"""What a file of a few kilobytes unfolds to."""
SPARSE_BYTES = 1 << 40
Make = Callable[[Path, np.random.Generator], None]


class Hostile(NamedTuple):
    """One file, what was done to it, and what is asked of it. ``may_do``: it may well be usable all the same."""

    name: str
    path: Path
    kind: ContentKind
    may_do: bool


def hostile_files(folder: Path, movie: Path, count: int, *, seed: int = 0) -> Iterator[Hostile]:
    """``count`` files in ``folder``, of every sort in turn; the last ones are not made before they are asked for.

    Args:
      folder: where to. movie: a small good film, MP4 with its index first. count: how many. seed: of every choice.
    """
    data = movie.read_bytes()
    sorts = _sorts(data, folder)
    kinds: tuple[ContentKind, ...] = ("cut", "image", "subtitles")
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name, suffix, make, may_do = sorts[number % len(sorts)]
        path = folder / f"{number}{suffix}"
        make(path, rng)
        kind = "subtitles" if suffix in (".srt", ".vtt", ".json") else kinds[(number // len(sorts)) % 2]
        yield Hostile(name, path, kind, may_do)


def _sorts(data: bytes, folder: Path) -> list[tuple[str, str, Make, bool]]:
    """Name, suffix, how it is made, and whether it may be usable."""

    def of(content: Callable[[np.random.Generator], bytes]) -> Make:
        return lambda path, rng: void(path.write_bytes(content(rng)))

    def cut(rng: np.random.Generator) -> bytes:
        return data[: int(rng.integers(1, len(data)))]

    def flipped(rng: np.random.Generator) -> bytes:
        found = np.frombuffer(data, np.uint8).copy()
        at = rng.integers(0, len(found), int(rng.integers(1, 400)))
        found[at] ^= (1 << rng.integers(0, 8, len(at))).astype(np.uint8)
        return found.tobytes()

    def index_wrong(rng: np.random.Generator) -> bytes:
        found = bytearray(data)
        name = (b"stsz", b"stco", b"stts", b"stsc", b"mvhd", b"tkhd")[int(rng.integers(6))]
        at = found.find(name)
        for place in range(at + 8, min(len(found), at + 40)):
            found[place] = int(rng.integers(256))
        return bytes(found)

    def noise(rng: np.random.Generator) -> bytes:
        return bytes(rng.integers(0, 256, int(rng.integers(1, 100_000)), dtype=np.uint8))

    def swapped(rng: np.random.Generator) -> bytes:
        pieces = [data[at : at + 4_096] for at in range(0, len(data), 4_096)]
        order = rng.permutation(len(pieces))
        return pieces[0] + b"".join(pieces[at] for at in order if at)

    def grown(rng: np.random.Generator) -> bytes:
        found = bytearray(data)
        at = found.find(b"avc1") + 28  # width and height of the sample entry
        found[at : at + 4] = struct.pack(">HH", 65_535, int(rng.integers(30_000, 65_535)))
        return bytes(found)

    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{folder}/secret\n#EXT-X-ENDLIST\n".encode()
    concat = f"ffconcat version 1.0\nfile {folder}/secret\n".encode()
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>'
    vtt = b"WEBVTT\n\n" + b"".join(
        b"00:%02d:00.000 --> 00:%02d:59.000\n%s\n\n" % (n, n, b"x" * 5_000) for n in range(60)
    )
    return [
        ("cut short", ".mp4", of(cut), True),
        ("bits flipped", ".mp4", of(flipped), True),
        ("its index wrong", ".mp4", of(index_wrong), True),
        ("noise", ".mp4", of(noise), False),
        ("its blocks swapped", ".mp4", of(swapped), True),
        ("a size in its header", ".mp4", of(grown), True),
        ("a film of too many pixels", ".mkv", _wide, False),
        ("a film of weeks", ".mkv", _long, False),
        ("a zip file", ".mp4", _zipped, False),
        ("a gzip file", ".mkv", of(lambda _: gzip.compress(bytes(BOMB_BYTES), 9)), False),
        ("a text", ".mp4", of(lambda _: b"no film\n" * 500), False),
        ("a playlist", ".mp4", of(lambda _: playlist), False),
        ("a list of files", ".mkv", of(lambda _: concat), False),
        ("a picture of markup", ".mp4", of(lambda _: svg), False),
        ("a program", ".mp4", of(lambda _: b"\x7fELF" + bytes(4_000)), False),
        ("empty", ".mp4", of(lambda _: b""), False),
        ("larger than any limit", ".mp4", _sparse, False),
        ("a link out of the folder", ".mp4", lambda path, _: path.symlink_to("/etc/hostname"), False),
        ("a link to itself", ".mp4", lambda path, _: path.symlink_to(path), False),
        ("a pipe", ".mp4", lambda path, _: os.mkfifo(path), False),
        ("a folder", ".mp4", lambda path, _: path.mkdir(), False),
        ("subtitles of noise", ".srt", of(noise), True),
        ("subtitles without an end", ".srt", of(lambda _: b"1\n00:00:01,000 --> 99:59:59,999\nx\n" * 50_000), True),
        ("cues of long lines", ".vtt", of(lambda _: vtt), True),
        ("words too deep", ".json", of(lambda _: b"[" * 200_000), False),
    ]


def void(_: object) -> None:
    """Nothing."""


def _wide(path: Path, _: np.random.Generator) -> None:
    source = f"color=gray:size={SIDE}x64:rate=1"
    media.ffmpeg(["-f", "lavfi", "-t", "1", "-i", source, "-c:v", "ffv1", str(path.resolve())])


def _long(path: Path, _: np.random.Generator) -> None:
    """Black for weeks, by the times of two frames."""
    source = "color=black:size=64x64:rate=1"
    arguments = ["-f", "lavfi", "-t", "2", "-i", source, "-vf", "setpts=N*2000000/TB", "-fps_mode", "passthrough"]
    media.ffmpeg([*arguments, "-c:v", "ffv1", str(path.resolve())])


def _zipped(path: Path, _: np.random.Generator) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("film.mp4", bytes(BOMB_BYTES))


def _sparse(path: Path, _: np.random.Generator) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE_BYTES)
