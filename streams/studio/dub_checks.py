"""What a finished dub is asked by decoding it: do its lines sound where they were placed, and are they understood."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.cores.dub import RATE, Line
from streams.cores.heard import said, word_errors
from streams.studio import hearing, media
from streams.studio.checks import Check
from streams.studio.engines import Job
from streams.studio.media import Limits
from streams.studio.mixing import Voiced

REACH_S: Final = 0.5
"""How far a line is looked for around its place."""
LOOKED_AT_S: Final = 3.0
HEARD_LINES: Final = 12
MOST_WRONG: Final = 0.4
"""Share of words; a robot's clean voice has 0.27, a voice that says something else 1."""


def sync(film: Path, lines: Sequence[Voiced], *, fps: float, limits: Limits | None = None) -> Check:
    """How far the first, the middle and the last line sound from their places, by correlation."""
    chosen = sorted({0, len(lines) // 2, len(lines) - 1})
    worst = max((abs(lag_s(film, lines[n], limits)) for n in chosen), default=0.0)
    return Check(name="sync_error_s", value=round(worst, 6), is_ok=worst <= 1 / fps, expected="within a frame")


def lag_s(film: Path, line: Voiced, limits: Limits | None = None) -> float:
    """Seconds by which a line sounds later in a film than it was placed."""
    wanted = np.asarray(line.sound()[: round(LOOKED_AT_S * RATE)], np.float64)
    from_s = max(0.0, line.first / RATE - REACH_S)
    length_s = len(wanted) / RATE + 2 * REACH_S
    heard = _part(film, from_s, length_s, RATE, limits).astype(np.float64)
    size = 1 << (len(heard) + len(wanted)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    match = np.fft.irfft(product, size)[: max(1, len(heard) - len(wanted) // 2)]
    return float(np.argmax(match)) / RATE + from_s - line.first / RATE


def second_hearing(film: Path, lines: Sequence[tuple[Line, Voiced]], language: str, job: Job) -> Check:
    """Share of words that a recogniser gets wrong in the finished film; told as not made where none is here."""
    lacking = hearing.missing()
    ear = hearing.ear_of(job.speech.whisper_dir) if lacking is None else None
    if ear is None or not ear.speaks(language):
        why = lacking or f"the weights know no {language!r}"
        return Check(name="asr_not_made", value=1, is_ok=True, expected=f"told, not judged: {why}")
    step = max(1, -(-len(lines) // HEARD_LINES))
    wanted: list[str] = []
    wrong = 0
    for line, voiced in lines[::step]:
        samples = _part(film, max(0.0, voiced.first / RATE - 0.2), voiced.count / RATE + 0.5, hearing.RATE, job.limits)
        quiet = np.zeros(hearing.RATE // 2, np.float32)
        words = ear.words(np.concatenate([quiet, samples, quiet]), language=language)
        truth = said(line.text)
        wanted += truth
        wrong += word_errors(truth, said(" ".join(word.text for word in words)))
    share = wrong / max(1, len(wanted))
    return Check(name="asr_wer", value=round(share, 4), is_ok=share <= MOST_WRONG, expected=f"at most {MOST_WRONG:g}")


def _part(
    film: Path, from_s: float, length_s: float, rate: int, limits: Limits | None
) -> np.ndarray[Any, np.dtype[np.float32]]:
    pieces = list(media.sound(film, rate=rate, channels=1, from_s=from_s, length_s=length_s, limits=limits))
    return np.concatenate(pieces)[:, 0] if pieces else np.zeros(0, np.float32)
