"""How spoken lines fit a film, as pure data: what is said, when each line plays, how loud the film's own is.

A line plays inside its slot, the time that its script gives it. One that is too long is sped up, its pauses are
shortened, and it may run into the silence behind; what then still does not fit is told, never squeezed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from streams.cores.cues import Cue, clean

Numbers = np.ndarray[Any, np.dtype[np.float32]]

RATE: Final = 48_000
"""Samples a second of what is mixed: 48 to a millisecond."""
PER_MS: Final = RATE // 1000
EDGE_MS: Final = 5
"""Kept before the first loud sample of a line, four times as much behind its last."""
_NOT_SAID: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|[♪♫#*_{}\\<>|~^]+")
_SPEAKER: Final = re.compile(r"^\s*[A-Z][A-Z0-9 .'-]{1,30}:\s+")


class Line(NamedTuple):
    """What is said from ``start_ms`` to ``end_ms``: its slot."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, kw_only=True)
class FitRules:
    """What may be done to a line.

    Attributes:
      speed_up: largest. slack_ms: how far it may leave its slot. gap_ms: least time between two lines.
      borrow_ms: of the silence behind, at most. pause_ms: what a pause inside a line is shortened to.
    """

    speed_up: float = 1.25
    slack_ms: int = 150
    gap_ms: int = 60
    borrow_ms: int = 2_000
    pause_ms: int = 120


class Fit(NamedTuple):
    """How a line plays.

    ``tempo``: times as fast, 1 at least. ``pauses_cut``: its pauses are shortened first. ``end_ms``: where it ends at
    the latest. ``borrowed_ms``: of that, behind its slot. ``lacks_ms``: what is missing; 0: it fits.
    """

    tempo: float
    pauses_cut: bool
    end_ms: int
    borrowed_ms: int
    lacks_ms: int


def lines_of(cues: Sequence[Cue]) -> list[Line]:
    """What is said of a script: no sounds in brackets, no notes, no names of speakers; one slot after the other.

    Two cues that begin together are one line; one that lasts into the next ends where that begins.
    """
    lines: list[Line] = []
    for cue in sorted(cues):
        rows = [_SPEAKER.sub("", re.sub(r"^\s*[-–—]\s*", "", clean(row))) for row in cue.text.split("\n")]
        text = clean(_NOT_SAID.sub(" ", " ".join(rows)))
        if not any(c.isalnum() for c in text):
            continue
        if lines and lines[-1].start_ms == cue.start_ms:
            last = lines.pop()
            lines.append(Line(last.start_ms, max(last.end_ms, cue.end_ms), f"{last.text} {text}"))
            continue
        if lines and lines[-1].end_ms > cue.start_ms:
            lines[-1] = lines[-1]._replace(end_ms=cue.start_ms)
        lines.append(Line(cue.start_ms, cue.end_ms, text))
    return lines


def fit(line: Line, length_ms: float, short_ms: float, *, next_ms: int, rules: FitRules | None = None) -> Fit:
    """How a spoken line is fitted.

    Args:
      line: its slot. length_ms: of its sound; short_ms: with its pauses shortened.
      next_ms: where the next line, or the film's end, is. rules: what may be done.
    """
    rules = rules or FitRules()
    slot_end = min(line.end_ms, next_ms)
    slot = max(1, slot_end - line.start_ms)
    if length_ms <= slot:
        return Fit(1.0, False, slot_end, 0, 0)
    for sound_ms, pauses_cut in ((length_ms, False), (short_ms, True)):
        if sound_ms <= slot * rules.speed_up:
            return Fit(max(1.0, sound_ms / slot), pauses_cut, slot_end, 0, 0)
    end = line.start_ms + int(-(-short_ms / rules.speed_up // 1))
    silence = min(next_ms - rules.gap_ms, slot_end + rules.borrow_ms)
    latest = max(slot_end, silence, min(slot_end + rules.slack_ms, next_ms))
    stop = min(end, latest)
    return Fit(rules.speed_up, True, stop, stop - slot_end, end - stop)


def spoken_part(sound: Numbers, *, floor: float = 0.02) -> tuple[int, int]:
    """First and last sample, the last not included, of what is louder than ``floor`` of the peak, and a little more.

    (0, 0) for silence.
    """
    loud = _loud(sound, floor)
    if not len(loud):
        return 0, 0
    return max(0, int(loud[0]) - EDGE_MS * PER_MS), min(len(sound), int(loud[-1]) + 1 + 4 * EDGE_MS * PER_MS)


def without_pauses(sound: Numbers, *, pause_ms: int = 120, floor: float = 0.02) -> Numbers:
    """The same with every pause of more than ``pause_ms`` shortened to it, cut in its middle where all is quiet."""
    loud = _loud(sound, floor)
    keep = np.ones(len(sound), bool)
    most = pause_ms * PER_MS
    for place in np.flatnonzero(np.diff(loud) > most + 1):
        keep[loud[place] + 1 + most // 2 : loud[place + 1] - (most - most // 2)] = False
    return sound[keep]


def _loud(sound: Numbers, floor: float) -> np.ndarray[Any, np.dtype[np.intp]]:
    size = np.abs(sound)
    peak = float(np.max(size, initial=0.0))
    return np.flatnonzero(size > peak * floor) if peak > 0 else np.empty(0, np.intp)


def resampled(sound: Numbers, rate: int) -> Numbers:
    """A sound of ``rate`` samples a second at `RATE`, by its spectrum: nothing above half of the lower, no shift."""
    if rate == RATE or not len(sound):
        return sound.astype(np.float32)
    unit = rate // math.gcd(rate, RATE)
    steps = -(-(len(sound) + rate // 20) // unit)  # whole steps, so that no time is lost; the ends, which meet in a
    padded = np.concatenate([sound, np.zeros(steps * unit - len(sound), np.float32)])  # spectrum, are kept apart
    count = steps * (RATE // math.gcd(rate, RATE))
    spectrum = np.fft.rfft(padded)
    wider = np.zeros(count // 2 + 1, np.complex128)
    shared = min(len(spectrum), len(wider))
    wider[:shared] = spectrum[:shared]
    found = np.fft.irfft(wider, count) * (count / len(padded))
    return found[: round(len(sound) * RATE / rate)].astype(np.float32)


def levelled(sound: Numbers, *, rms: float, peak: float) -> Numbers:
    """A line of one loudness: its louder half at ``rms``, no sample beyond ``peak``; 1 is full scale."""
    power = np.sort(np.convolve(sound.astype(np.float64) ** 2, np.ones(480) / 480, mode="same"))[len(sound) // 2 :]
    level = float(np.sqrt(np.mean(power))) if len(power) else 0.0
    if level <= 1e-6:
        return sound
    gain = min(rms / level, peak / float(np.max(np.abs(sound))))
    return (sound * gain).astype(np.float32)


class Duck(NamedTuple):
    """The film's own sound is turned down to ``gain`` from sample ``first`` to ``last``."""

    first: int
    last: int
    gain: float


FALL_S: Final = 0.12
RISE_S: Final = 0.35


def envelope(ducks: Sequence[Duck], first: int, count: int) -> Numbers:
    """Gain of the film's own sound at samples ``first`` to ``first + count``: 1, and down for each duck, with slopes.

    It has fallen where a duck begins and rises where it ends, straight in decibels; where slopes meet the lower counts.
    """
    at = np.arange(first, first + count, dtype=np.float64)
    found = np.zeros(count)  # decibels
    fall, rise = FALL_S * RATE, RISE_S * RATE
    for duck in ducks:
        if duck.first - fall > first + count or duck.last + rise < first:
            continue
        depth = 20 * np.log10(max(duck.gain, 1e-6))
        before = np.clip((at - (duck.first - fall)) / fall, 0.0, 1.0)
        after = np.clip(1.0 - (at - duck.last) / rise, 0.0, 1.0)
        found = np.minimum(found, depth * np.minimum(before, after))
    return (10 ** (found / 20)).astype(np.float32)
