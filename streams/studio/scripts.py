"""Where the words of a job come from: its text, a track of its film, or what is said in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.contract.errors import CueError
from streams.cores import cues as core
from streams.cores.blurb import language_of
from streams.cores.heard import hot_words
from streams.cores.languages import two_letters
from streams.studio import footage, hearing, media
from streams.studio.engines import Job
from streams.studio.errors import EngineError, MediaError, SpecError

MAX_TEXT_BYTES: Final = 16 << 20
TEXT_CODECS: Final = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
"""Subtitle tracks that are text; the others are pictures."""


class _Spoken(msgspec.Struct, frozen=True):
    """One word of a file of words, seconds: ``{"word": "Hello", "start": 0.4, "end": 0.8}``, as recognisers have it."""

    word: str
    start: float
    end: float


def script_of(job: Job, workdir: Path) -> str:
    """The script: of its own file, else of the film's first subtitle track that is text in the task's language.

    Raises:
      SpecError: there is neither. MediaError: the film or its track does not read.
    """
    if job.text_source is not None:
        path = Path(job.text_source)
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise SpecError(f"expected subtitles of at most {MAX_TEXT_BYTES} bytes, got {path.stat().st_size}")
        return path.read_bytes().decode("utf-8", "replace")
    if job.source is None:
        raise SpecError(
            job.lacks_text
            or "expected subtitles: spec.text_source, a text asset of the item, or a film with a track; got none"
        )
    number = track_in(media.probe(Path(job.source), job.limits), language_of(job.locale))
    if number is None:
        reason = "expected a film with a subtitle track, or spec.text_source; got neither"
        raise SpecError(job.lacks_text) if job.lacks_text else MediaError(reason)
    return track_text(job, number, workdir)


def track_in(film: media.Probe, language: str) -> int | None:
    """The number, among its subtitle tracks, of the first that is text and in a language, or does not say in which."""
    tracks = [track for track in film.tracks if track.kind == "subtitle"]
    for number, track in enumerate(tracks):
        own = two_letters(track.language)
        if track.codec in TEXT_CODECS and (not language or not own or own == language):
            return number
    return None


def track_text(job: Job, number: int, workdir: Path) -> str:
    """A subtitle track of a job's film as SubRip."""
    out = workdir / "track.srt"
    arguments = [*media.read_options(footage.source_of(job.source)), "-map", f"0:s:{number}", "-f", "srt", str(out)]
    media.ffmpeg(arguments, job.limits)
    return out.read_text(encoding="utf-8", errors="replace")


def cues_of(text: str, rules: core.CueRules, shots_ms: Sequence[int]) -> list[core.Cue]:
    """Cues by the rules, of a script in any of its forms.

    Raises:
      SpecError: it has none of them.
    """
    if text.lstrip().startswith("["):
        return core.build(words_of(text), rules, shots_ms=shots_ms)
    return core.rebuild(parsed(text), rules, shots_ms=shots_ms)


def parsed(text: str) -> list[core.Cue]:
    """Cues as they stand in SubRip or WebVTT.

    Raises:
      SpecError: there are none.
    """
    try:
        return core.parse(text)
    except CueError as error:
        raise SpecError(str(error)) from error


def words_of(text: str) -> list[core.Word]:
    """Words of a file of words, by their times.

    Raises:
      SpecError: it is none.
    """
    try:
        spoken: Any = msgspec.json.decode(text, type=list[_Spoken])
    except msgspec.DecodeError as error:
        raise SpecError(f"expected a list of words with start and end, got: {error}") from error
    if not 0 < len(spoken) <= 20 * core.MAX_CUES:
        raise SpecError(f"expected 1 to {20 * core.MAX_CUES} words, got {len(spoken)}")
    return sorted(core.Word(round(1000 * one.start), round(1000 * one.end), one.word) for one in spoken)


def language_said(job: Job, film: media.Probe) -> str:
    """The language of a film's sound: by its track, else of the item; empty where nobody says."""
    sound = film.first("audio")
    return (two_letters(sound.language) if sound is not None else "") or two_letters(job.item.language)


def heard(job: Job, wanted: str | None = None) -> list[core.Word]:
    """The words that are said in a job's film.

    Args:
      job: its film, and the names to expect. wanted: the language of the film; by default that of the task.

    Raises:
      SpecError: no sound, or in a language that was not asked for or that the weights do not know.
      EngineError: nothing was heard.
    """
    path = footage.source_of(job.source)
    film = media.probe(path, job.limits)
    if film.first("audio") is None:
        raise SpecError(f"expected a film with sound to hear words in, got none: {path.name}")
    own = language_said(job, film)
    language = wanted or language_of(job.locale) or own or "en"
    if own and own != language:
        raise SpecError(f"expected a film in {language!r}, got one in {own!r}; what is heard is not translated")
    ear = hearing.ear_of(job.speech.whisper_dir)
    if not ear.speaks(language):
        raise SpecError(f"expected speech in English, all that these weights know, got {language!r}; "
                        "name other weights in speech.whisper_dir")  # fmt: skip
    names = (*([job.item.creator] if job.item.creator else []), *job.item.tags)
    words = hearing.hear(path, ear, language=language, hot=hot_words(job.item.title, names), limits=job.limits)
    if not words:
        raise EngineError("expected speech in the film's sound, heard none")
    return words
