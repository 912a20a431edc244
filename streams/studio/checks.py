"""What a finished file must show before anybody gets it: figures and verdicts as data, by decoding it whole."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from streams.contract.errors import CueError
from streams.cores import cues as cue_rules
from streams.studio import media
from streams.studio.errors import MediaError
from streams.studio.media import Limits

LOUDNESS_LUFS: Final = -16.0
LOUDNESS_BY: Final = 1.0
"""How far the loudness may lie beside what was planned, LU."""
SILENT_LUFS: Final = -60.0
"""Quieter sound than this has no loudness to speak of."""
BLACK_SHARE: Final = 0.2
FREEZE_SHARE: Final = 0.9
"""Shares of the length; a still film is a film, a black one is a fault."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what it measured, whether that is well, and what was expected, in words."""

    name: str
    value: float
    is_ok: bool
    expected: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a file was meant to be; None and empty: not said, so not checked.

    Attributes:
      kinds: of its streams, "video" before "audio" before "subtitle".
      width, height: of the picture. duration_s: length; fps: whose frame is the tolerance.
      languages: of its audio and subtitle streams, in their order.
      loudness: whether its sound was brought to `LOUDNESS_LUFS`.
      may_be_dark, may_be_still: the source is so itself.
    """

    kinds: list[str] = []
    codecs: list[str] = []
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    fps: float = 25.0
    languages: list[str] = []
    loudness: bool = False
    may_be_dark: bool = False
    may_be_still: bool = False


def check_film(path: Path, plan: Plan, limits: Limits | None = None) -> list[Check]:
    """Everything that decoding a film whole can tell.

    Raises:
      MediaError: it does not even open.
    """
    found = media.probe(path, limits)
    kinds = [track.kind for track in found.tracks]
    codecs = [track.codec for track in found.tracks]
    checks = [
        _check("streams", len(kinds), not plan.kinds or kinds == plan.kinds, f"{plan.kinds}, got {kinds}"),
        _check("codecs", len(codecs), not plan.codecs or codecs == plan.codecs, f"{plan.codecs}, got {codecs}"),
    ]
    if plan.duration_s is not None:
        by_s = found.duration_s - plan.duration_s
        room_s = 1.0 / plan.fps + (0.03 if "audio" in kinds else 0.001)  # the last packet of sound may end later
        checks.append(_check("duration_error_s", by_s, abs(by_s) <= room_s, f"{plan.duration_s:.3f} s +- a frame"))
    picture = found.first("video")
    if picture is not None and plan.width is not None and plan.height is not None:
        is_so = (picture.width, picture.height) == (plan.width, plan.height)
        checks.append(_check("width", picture.width, is_so, f"{plan.width}x{plan.height}"))
    if plan.languages:
        got = [track.language for track in found.tracks if track.kind in ("audio", "subtitle")]
        checks.append(_check("languages", len(got), got == plan.languages, f"{plan.languages}, got {got}"))
    if "mp4" in found.format:
        checks.append(_check("faststart", float(is_faststart(path)), is_faststart(path), "the index before the data"))
    return checks + _decoded(path, plan, found, limits)


def _decoded(path: Path, plan: Plan, found: media.Probe, limits: Limits | None) -> list[Check]:
    arguments = [*media.read_options(path)]
    if found.first("video") is not None:
        arguments += ["-map", "0:v:0", "-vf", "blackdetect=d=0.1:pix_th=0.1,freezedetect=n=-60dB:d=1"]
    if found.first("audio") is not None:
        arguments += ["-map", "0:a:0", "-af", "silencedetect=n=-60dB:d=1,ebur128=peak=true"]
    try:
        words = media.ffmpeg([*arguments, "-f", "null", "-"], limits, level="info")
    except MediaError as error:
        return [_check("decode_errors", 1, False, f"a full decode, got: {error}"[:300])]
    errors = len(re.findall(r"\[(?:error|fatal|panic)\]", words))
    checks = [_check("decode_errors", errors, errors == 0, "a full decode without an error")]
    length = max(found.duration_s, 1e-6)
    if found.first("video") is not None:
        black = sum(map(float, re.findall(r"black_duration:\s*([\d.]+)", words))) / length
        starts = [float(one) for one in re.findall(r"freeze_start: ([\d.]+)", words)]
        ends = [float(one) for one in re.findall(r"freeze_end: ([\d.]+)", words)]
        frozen = sum(e - s for s, e in zip(starts, [*ends, length], strict=False)) / length
        is_lit = plan.may_be_dark or black <= BLACK_SHARE
        is_moving = plan.may_be_still or frozen <= FREEZE_SHARE
        checks.append(_check("black_share", black, is_lit, f"at most {BLACK_SHARE:.0%} black"))
        checks.append(_check("freeze_share", frozen, is_moving, f"at most {FREEZE_SHARE:.0%} frozen"))
    if found.first("audio") is not None:
        silence = sum(map(float, re.findall(r"silence_duration: ([\d.]+)", words))) / length
        checks.append(_check("silence_share", silence, True, "told, not judged"))
        loudness, peak = _summary(words)
        near = loudness <= SILENT_LUFS or abs(loudness - LOUDNESS_LUFS) <= LOUDNESS_BY
        wanted = f"{LOUDNESS_LUFS:.0f} LUFS +- {LOUDNESS_BY:.0f} LU" if plan.loudness else "told, not judged"
        checks.append(_check("loudness_lufs", loudness, near or not plan.loudness, wanted))
        checks.append(_check("true_peak_dbfs", peak, True, "told, not judged"))
    return checks


def _summary(words: str) -> tuple[float, float]:
    """Integrated loudness, LUFS, and true peak, dBFS, out of ebur128's summary; -70 for silence."""
    tail = words.rpartition("Summary:")[2]
    loudness, peak = re.search(r"I:\s+(-?[\d.]+|-?inf) LUFS", tail), re.search(r"Peak:\s+(-?[\d.]+|-?inf) dBFS", tail)
    numbers = [float(one[1]) if one else -70.0 for one in (loudness, peak)]
    numbers = [number if math.isfinite(number) else -70.0 for number in numbers]
    return max(-70.0, numbers[0]), max(-120.0, numbers[1])


def loudness_of(path: Path, limits: Limits | None = None) -> tuple[float, float]:
    """Integrated loudness, LUFS, and true peak, dBFS, of the first audio stream."""
    arguments = [*media.read_options(path), "-map", "0:a:0", "-af", "ebur128=peak=true", "-f", "null", "-"]
    return _summary(media.ffmpeg(arguments, limits, level="info"))


def check_text_track(text: str, rules: cue_rules.CueRules | None = None, *, end_s: float | None = None) -> list[Check]:
    """Subtitles read back from their file, and every rule of cues."""
    try:
        cues = cue_rules.parse(text)
    except CueError as error:
        return [_check("cues", 0, False, str(error))]
    broken = cue_rules.faults(cues, rules)
    checks = [
        _check("cues", len(cues), True, "at least one"),
        _check("cue_faults", len(broken), not broken, "; ".join(broken[:3]) or "none"),
    ]
    if end_s is not None:
        over = cues[-1].end_ms / 1000 - end_s
        checks.append(_check("cues_past_end_s", max(0.0, over), over <= 0.5, f"an end by {end_s:.3f} s"))
    return checks


def is_faststart(path: Path) -> bool:
    """Whether an MP4's index stands before its data: it plays while it still loads."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind in (b"moov", b"mdat"):
                return bool(kind == b"moov")
            if size == 1:
                size = struct.unpack(">Q", file.read(8))[0] - 8
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False


def first_failure(checks: Sequence[Check]) -> str | None:
    """What failed first, with its figure; None: nothing did."""
    for check in checks:
        if not check.is_ok:
            return f"check {check.name} failed: expected {check.expected}; got {check.value:g}"
    return None


def figures(checks: Sequence[Check]) -> dict[str, float]:
    """Name -> what was measured."""
    return {check.name: check.value for check in checks}


def _check(name: str, value: float, is_ok: bool, expected: str) -> Check:
    return Check(name=name, value=round(float(value), 6), is_ok=bool(is_ok), expected=expected)
