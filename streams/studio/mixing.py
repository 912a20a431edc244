"""A film's own sound and spoken lines made one: turned down under speech, placed to the sample, in constant memory."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from streams.cores import dub as core
from streams.cores.dub import RATE, Duck, Numbers
from streams.studio import checks, media
from streams.studio.media import Limits

PIECE: Final = RATE // 10
VOICE_RMS: Final = 0.1
"""-20 dBFS: level of every line."""
VOICE_PEAK: Final = 0.7
BED_LUFS: Final = -20.0
"""What the film's own sound is brought to, that it stands beside the lines as it stood beside its own."""
BED_GAIN: Final = 4.0
"""Largest: a film that whispers is not made to shout."""
DUCK_DB: Final = -15.0
UNDER_DB: Final = -12.0
"""The peak of the film's own sound under a line, beside the line's, is not above this."""
MARGIN_DB: Final = -1.0
TEMPO_LEAST: Final = 1.001


@dataclass(frozen=True, kw_only=True)
class Voiced:
    """A line as it will sound: its file, its first sample in the film, how many it has, its peak."""

    path: Path
    first: int
    count: int
    peak: float

    @property
    def last(self) -> int:
        """The sample behind its last."""
        return self.first + self.count

    def sound(self) -> Numbers:
        """float32 [count], read as it is used."""
        return cast(Numbers, np.load(self.path, mmap_mode="r"))


def voiced(sound: Numbers, found: core.Fit, *, start_ms: int, path: Path, limits: Limits) -> Voiced:
    """A trimmed line at `RATE`, fitted and of one loudness, written to ``path`` (.npy)."""
    if found.pauses_cut:
        sound = core.without_pauses(sound)
    if found.tempo > TEMPO_LEAST:
        sound = _quicker(sound, found.tempo, path.with_suffix(".wav"), limits)
    sound = core.levelled(sound, rms=VOICE_RMS, peak=VOICE_PEAK)
    first = start_ms * core.PER_MS
    most = found.end_ms * core.PER_MS - first
    if len(sound) > most:  # by what the filter adds: some milliseconds
        sound = sound[:most].copy()
        tail = min(len(sound), 10 * core.PER_MS)
        sound[len(sound) - tail :] *= np.linspace(1.0, 0.0, tail, dtype=np.float32)
    np.save(path, sound)
    return Voiced(path=path, first=first, count=len(sound), peak=float(np.max(np.abs(sound), initial=0.0)))


def _quicker(sound: Numbers, tempo: float, path: Path, limits: Limits) -> Numbers:
    """The same at another speed and its own pitch (ffmpeg's WSOLA), trimmed."""
    write_wav(path, [sound])
    pieces = list(media.sound(path, rate=RATE, channels=1, filters=f"atempo={tempo:.6f}", limits=limits))
    path.unlink()
    found = np.concatenate(pieces)[:, 0] if pieces else np.zeros(0, np.float32)
    first, last = core.spoken_part(found)
    return found[first:last]


def write_wav(path: Path, pieces: Sequence[Numbers]) -> None:
    """Mono at `RATE`, 16 bit."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for piece in pieces:
            file.writeframes(_pcm(piece))


def mix(film: Path, lines: Sequence[Voiced], out: Path, *, seconds: float, has_sound: bool, limits: Limits) -> float:
    """Writes the mixed sound, stereo at `RATE`; gives the peak of the bed under speech, dB beside the line's.

    Args:
      film: whose own sound is the bed; ``has_sound``: whether it has any.
      lines: in order, not overlapping. out: a WAV file. seconds: its length.
    """
    total = round(seconds * RATE)
    gain, peaks = _bed(film, total, limits) if has_sound else (0.0, [])
    ducks = [Duck(one.first, one.last, _duck_gain(one, gain, peaks)) for one in lines]
    own = iter(media.sound(film, rate=RATE, channels=2, limits=limits)) if has_sound else iter(())
    under = [0.0] * len(lines)
    at_line = 0
    with wave.open(str(out), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for first in range(0, total, PIECE):
            count = min(PIECE, total - first)
            bed = next(own, np.zeros((PIECE, 2), np.float32))[:count] * np.float32(gain)
            while at_line < len(lines) and lines[at_line].last + core.RISE_S * RATE < first:
                at_line += 1
            near = _near(lines, at_line, first + count)
            bed = bed * core.envelope([ducks[n] for n in near], first, count)[:, None]
            voice = np.zeros(count, np.float32)
            for number in near:
                one = lines[number]
                begin, end = max(one.first, first), min(one.last, first + count)
                if begin < end:
                    voice[begin - first : end - first] += one.sound()[begin - one.first : end - one.first]
                    heard = float(np.max(np.abs(bed[begin - first : end - first]), initial=0.0))
                    under[number] = max(under[number], heard)
            file.writeframes(_pcm(bed + voice[:, None]))
    ratios = [heard / one.peak for heard, one in zip(under, lines, strict=True) if one.peak > 0]
    return max(-120.0, 20 * float(np.log10(max([*ratios, 1e-6]))))


def _near(lines: Sequence[Voiced], at: int, end: int) -> list[int]:
    """Numbers of the lines from ``at`` on that sound, or whose slopes begin, before a sample."""
    found = []
    for number in range(at, len(lines)):
        if lines[number].first - core.FALL_S * RATE > end:
            break
        found.append(number)
    return found


def _bed(film: Path, total: int, limits: Limits) -> tuple[float, list[float]]:
    """The gain of a film's own sound, and its peak in each tenth of a second."""
    loudness, _ = checks.loudness_of(film, limits)
    peaks = [float(np.max(np.abs(piece))) for piece in media.sound(film, rate=RATE, channels=2, limits=limits)]
    peaks = peaks[: -(-total // PIECE)]
    if loudness <= checks.SILENT_LUFS:
        return 1.0, peaks
    gain = min(BED_GAIN, 10 ** ((BED_LUFS - loudness) / 20))
    return min(gain, 0.95 / max([*peaks, 1e-6])), peaks


def _duck_gain(one: Voiced, bed_gain: float, peaks: Sequence[float]) -> float:
    """How far the bed goes down under a line: as always, or so far that its peak stays under the line's."""
    loudest = max(peaks[one.first // PIECE : -(-one.last // PIECE)], default=0.0) * bed_gain
    room = one.peak * 10 ** ((UNDER_DB + MARGIN_DB) / 20)
    return min(10 ** (DUCK_DB / 20), room / loudest if loudest > 0 else 1.0)


def _pcm(sound: Numbers) -> bytes:
    return np.rint(np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes()
