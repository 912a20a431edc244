"""The only caller of ffmpeg and PyAV: argument lists, limits, and nothing that touches a network.

Every program runs in a process of its own with bounded time, memory and file size, and dies with ours. Files are named
by absolute paths, so that no name is ever taken for an option, and ffmpeg may open files only, no addresses.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from streams.studio.errors import MediaError
from streams.studio.surroundings import seen_of

MAX_WORDS: Final = 2_000_000
"""Longest output of ffmpeg's own that is kept, characters."""
THREADS: Final = 2
"""Of an encoder: a fixed number, as its bytes depend on it."""

_LIMIT_AND_EXEC: Final = """
import ctypes, os, resource, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(75)
for kind, most in zip((resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE), map(int, sys.argv[2:5])):
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:  # where memory runs out, the system ends this process and not the worker that started it
    open("/proc/self/oom_score_adj", "w").write("1000")
except OSError:
    pass
os.execvp(sys.argv[5], sys.argv[5:])
"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use.

    Attributes:
      seconds: of the clock; processor time may be four times as much.
      memory_bytes: address space. file_bytes: of any file that it writes, and of any that it is given.
      media_s: longest media. side: most pixels of a side.
    """

    seconds: float = 300.0
    memory_bytes: int = 3 << 30
    file_bytes: int = 8 << 30
    media_s: float = 5 * 3600.0
    side: int = 8192


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of a file; ``kind`` is video, audio, subtitle or another word of ffmpeg's."""

    kind: str
    codec: str
    language: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    rate: int = 0
    channels: int = 0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself; ``duration_s`` is 0 for a still."""

    format: str
    duration_s: float
    tracks: list[Track]

    def first(self, kind: str) -> Track | None:
        """The first stream of a kind."""
        return next((track for track in self.tracks if track.kind == kind), None)


def ffmpeg_program() -> str | None:
    """Absolute path of an ffmpeg: the system's, else the wheel's; None: neither is there."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return os.path.abspath(found)
    try:
        import imageio_ffmpeg

        return os.path.abspath(str(imageio_ffmpeg.get_ffmpeg_exe()))
    except (ImportError, RuntimeError):
        return None


def missing_media() -> str | None:
    """Why media cannot be worked on here; None: it can."""
    if ffmpeg_program() is None:
        return "no ffmpeg; on Debian: apt install ffmpeg; or: pip install 'marquee[studio]'"
    try:
        import av
    except ImportError:
        return "no PyAV; pip install 'marquee[studio]'"
    return None if av.__version__ else "no PyAV"


def limited(command: Sequence[str], limits: Limits) -> list[str]:
    """The command line under limits and bound to our life, as `transport.child.ends_with_parent` does it."""
    numbers = (os.getpid(), limits.memory_bytes, max(1, int(4 * limits.seconds)), limits.file_bytes)
    return [sys.executable, "-I", "-S", "-c", _LIMIT_AND_EXEC, *map(str, numbers), *command]


def checked_path(path: Path, limits: Limits) -> Path:
    """The absolute path of a regular file within the size limit.

    Raises:
      MediaError: it is none.
    """
    real = path.resolve()
    if not real.is_file():
        raise MediaError(f"expected a file at {path}, got none; check the path")
    size = real.stat().st_size
    if not 0 < size <= limits.file_bytes:
        raise MediaError(f"expected a file of 1 to {limits.file_bytes} bytes, got {size}: {path.name}")
    return real


def probe(path: Path, limits: Limits | None = None) -> Probe:
    """What a media file holds, found out in a process of its own.

    Raises:
      MediaError: it is no media, or beyond a limit.
    """
    limits = limits or Limits()
    real = checked_path(path, limits)
    short = Limits(seconds=min(30.0, limits.seconds), memory_bytes=limits.memory_bytes, file_bytes=1 << 20)
    command = [sys.executable, "-m", "streams.studio.media", str(real)]
    root = str(Path(__file__).resolve().parents[2])
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    status, out, words = _run(command, short, environ=environ)
    if status != 0:
        raise MediaError(f"expected media in {path.name}, got none that opens: {_last(words) or f'status {status}'}")
    found = msgspec.json.decode(out, type=Probe)
    if found.duration_s > limits.media_s:
        raise MediaError(f"expected media of at most {limits.media_s:.0f} s, got {found.duration_s:.0f} s: {path.name}")
    for track in found.tracks:
        if max(track.width, track.height) > limits.side:
            raise MediaError(f"expected at most {limits.side} pixels a side, got {track.width}x{track.height}")
    return found


def ffmpeg(arguments: Sequence[str], limits: Limits | None = None, *, level: str = "error") -> str:
    """Runs ffmpeg to its end; gives what it said.

    Args:
      arguments: after the common ones. Inputs come from `read_options`.
      limits: time, memory, size.
      level: of its log; "info" for filters that report there.

    Raises:
      MediaError: it failed, or ran into a limit.
    """
    limits = limits or Limits()
    command = [_program(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", f"level+{level}", "-y", *arguments]
    status, _, words = _run(command, limits)
    if status != 0:
        raise MediaError(f"expected ffmpeg to finish, got status {status}: {_last(words)}")
    return words


def read_options(path: Path) -> list[str]:
    """The arguments that open one input: files only, and no playlist, which would name other files than this one."""
    return ["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i", str(path.resolve())]


def graph_options(graph: str, workdir: Path, *, longest: int = 100_000) -> list[str]:
    """The arguments that name a filter graph; one that is longer than an argument may be goes into a file."""
    if len(graph) <= longest:
        return ["-filter_complex", graph]
    path = workdir.resolve() / "graph.txt"
    path.write_text(graph, encoding="utf-8")
    return ["-/filter_complex" if _major() >= 7 else "-filter_complex_script", str(path)]


@functools.cache
def _major() -> int:
    """The first number of ffmpeg's version; 0 where it says none."""
    said = subprocess.run(
        [_program(), "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    ).stdout.decode("utf-8", "replace")
    found = re.match(r"ffmpeg version n?(\d+)", said)
    return int(found[1]) if found else 0


FORMATS: Final = "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,wav,mp3,flac,aac,srt,webvtt,ass"
"""Containers and texts that are read, by ffmpeg's names. None of them refers to another file."""
BITEXACT: Final = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
"""No dates and versions in what is written: the same task gives the same bytes."""
H264: Final = (
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-threads", str(THREADS),
    "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2", "-movflags", "+faststart",
)  # fmt: skip
"""What every player plays."""


def raw(arguments: Sequence[str], frame_bytes: int, limits: Limits | None = None) -> Iterator[bytes]:
    """Pieces of ``frame_bytes`` of what ffmpeg writes to its standard output, while it runs; a rest is left out.

    Raises:
      MediaError: it failed, or ran past its time.
    """
    limits = limits or Limits()
    command = limited([_program(), "-nostdin", "-hide_banner", "-loglevel", "error", *arguments, "-"], limits)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=seen_of(os.environ)
    )
    timer = threading.Timer(limits.seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        while len(piece := process.stdout.read(frame_bytes)) == frame_bytes:
            yield piece
        if process.wait() != 0:
            raise MediaError(f"expected media that decodes, got status {process.returncode} of ffmpeg")
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def frames(path: Path, *, width: int, height: int, fps: float | None = None, limits: Limits | None = None) -> Iterator[
    np.ndarray[Any, np.dtype[np.uint8]]
]:  # fmt: skip
    """Pictures of a film, uint8 [height, width, 3], scaled to this size; ``fps`` None: every one, as they come."""
    steps = [f"scale={width}:{height}:flags=area"]
    if fps is not None:
        steps.insert(0, f"fps={fps:.6f}")
    arguments = [*read_options(path), "-map", "0:v:0", "-an", "-sn", "-vf", ",".join(steps)]
    arguments += ["-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo"]
    for piece in raw(arguments, width * height * 3, limits):
        yield np.frombuffer(piece, np.uint8).reshape(height, width, 3)


def loudness_curve(path: Path, *, hop_s: float = 0.1, limits: Limits | None = None) -> list[float]:
    """Root mean square of the first audio stream in steps of ``hop_s``, 0..1; of a file that has one."""
    arguments = [*read_options(path), "-map", "0:a:0", "-vn", "-sn", "-ac", "1", "-ar", "8000", "-f", "s16le"]
    pieces = raw(arguments, 2 * round(8000 * hop_s), limits)
    return [float(np.sqrt(np.mean((np.frombuffer(piece, "<i2") / 32768.0) ** 2))) for piece in pieces]


def sound(
    path: Path, *, rate: int, channels: int, from_s: float = 0.0, length_s: float | None = None, filters: str = "",
    limits: Limits | None = None,
) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:  # fmt: skip
    """The first audio stream in pieces of a tenth of a second, float32 [rate / 10, channels], -1..1.

    Sample 0 is the film's time ``from_s``: where the stream starts later, or has holes, there is silence. The last
    piece is filled up with silence.

    Raises:
      MediaError: it has no sound, or does not decode.
    """
    piece = rate // 10
    where = [*(["-ss", f"{from_s:.6f}"] if from_s else []), *(["-t", f"{length_s:.6f}"] if length_s else [])]
    steps = [f"aresample={rate}:async=1:first_pts=0", *([filters] if filters else []), f"apad=pad_len={piece - 1}"]
    arguments = [*where, *read_options(path), "-map", "0:a:0", "-vn", "-sn", "-af", ",".join(steps)]
    arguments += ["-ac", str(channels), "-ar", str(rate), "-f", "s16le"]
    for one in raw(arguments, 2 * channels * piece, limits):
        yield np.frombuffer(one, "<i2").reshape(piece, channels).astype(np.float32) / np.float32(32768)


def program(command: Sequence[str], limits: Limits, *, environ: dict[str, str]) -> tuple[int, bytes, str]:
    """Runs a program that is no ffmpeg: exit status, standard output, and the last line of what it said.

    Raises:
      MediaError: it did not end in time.
    """
    status, out, words = _run(command, limits, environ=environ)
    return status, out, _last(words)


def _program() -> str:
    program = ffmpeg_program()
    if program is None:
        raise MediaError(missing_media() or "no ffmpeg")
    return program


def _run(command: Sequence[str], limits: Limits, *, environ: dict[str, str] | None = None) -> tuple[int, bytes, str]:
    process = subprocess.Popen(
        limited(command, limits),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=seen_of(os.environ) | (environ or {}),
    )
    try:
        out, words = process.communicate(timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        raise MediaError(f"expected an end within {limits.seconds:.0f} s, got none; it was stopped") from None
    finally:
        process.kill()
        with contextlib.suppress(ValueError):
            process.communicate()
    return process.returncode, out, words[-MAX_WORDS:].decode("utf-8", "replace")


def _last(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _probe_here(path: str) -> Probe:
    """In the child: opens the file with PyAV."""
    import av

    av.logging.set_level(None)
    with av.open(path, options={"protocol_whitelist": "file", "format_whitelist": FORMATS}) as container:
        tracks = []
        for stream in container.streams:
            context: Any = stream.codec_context
            is_video, is_audio = stream.type == "video", stream.type == "audio"
            rate: Any = stream.average_rate if is_video else None
            tracks.append(
                Track(
                    kind=stream.type,
                    codec=context.name if context is not None else "",
                    language=str(stream.metadata.get("language", "")),
                    width=int(context.width) if is_video else 0,
                    height=int(context.height) if is_video else 0,
                    fps=float(rate) if rate else 0.0,
                    rate=int(context.sample_rate) if is_audio else 0,
                    channels=int(context.channels) if is_audio else 0,
                )
            )
        duration = 0.0 if container.duration is None else container.duration / 1_000_000
        return Probe(format=container.format.name, duration_s=max(0.0, duration), tracks=tracks)


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(msgspec.to_builtins(_probe_here(sys.argv[1]))))
    except Exception as error:  # noqa: BLE001 - the parent tells the reason
        sys.exit(f"{type(error).__name__}: {error}"[:300])
