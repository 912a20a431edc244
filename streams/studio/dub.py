"""The engine `dub`: the lines of a script spoken, fitted to their times, over the film's own sound turned down."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from streams.contract.events import ContentKind
from streams.cores import cues as cue_core
from streams.cores import dub as core
from streams.cores.blurb import language_of
from streams.cores.dub import Line
from streams.cores.languages import three_letters, two_letters
from streams.studio import checks, dub_checks, footage, media, mixing, scripts, speech, translation
from streams.studio.checks import Check
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, MediaError, SpecError
from streams.studio.mixing import Voiced

MP4_PICTURES: Final = frozenset({"h264", "hevc", "mpeg4", "av1", "libdav1d", "vp9", "libvpx-vp9"})
"""Pictures that an MP4 holds; others go into Matroska, untouched as well."""
LEVEL_TRIES: Final = 4
LEVEL_NEAR: Final = 0.4
"""LU; a limiter takes a little of what a gain gives, so the gain is corrected until the loudness is this near."""
PEAK: Final = 0.89
"""-1 dBFS."""


class Told(NamedTuple):
    """What became of one line: its sound, how it was fitted, which voice has it (0: the first); or why it has none."""

    line: Line
    voiced: Voiced | None
    fit: core.Fit | None
    rank: int
    reason: str
    voice: str = ""


class Dub:
    """Speech by Piper, flite or espeak-ng, in the order of the settings, each for what the one before could not say."""

    name = "dub"
    version = "1"
    capability: ContentKind = "dub"
    requires = "ffmpeg, PyAV, and Piper, flite or espeak-ng, each a program of its own"
    licence = "Apache-2.0"
    weights_sha256 = ""

    def available(self) -> str | None:
        """Why not; None: it can."""
        return media.missing_media() or speech.missing(speech.NAMES)

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``voice`` ("piper", "flite:rms", ...: tried first), ``text_language`` (of the text, if another)."""
        film = footage.source_of(job.source)
        found = media.probe(film, job.limits)
        picture = found.first("video")
        if picture is None:
            raise MediaError(
                f"expected a film with a picture, got {[track.kind for track in found.tracks]}: {film.name}"
            )
        language = language_of(job.locale) or two_letters(job.text_language) or two_letters(job.item.language) or "en"
        end_ms = int(found.duration_s * 1000)
        lines = [line for line in _lines(job, found, language, workdir) if line.start_ms < end_ms]
        if not lines:
            raise SpecError(f"expected lines within the film's {found.duration_s:.1f} s, got none")
        told = _spoken(job, lines, language, end_ms, workdir)
        said = [one.voiced for one in told if one.voiced is not None]
        if not said:
            reasons = "; ".join(sorted({one.reason for one in told}))
            raise EngineError(f"expected a voice for at least one of {len(lines)} lines, got none: {reasons}"[:600])
        mixed = workdir / "mixed.wav"
        under_db = mixing.mix(
            film, said, mixed, seconds=found.duration_s, has_sound=found.first("audio") is not None, limits=job.limits
        )
        is_mp4 = picture.codec in MP4_PICTURES
        tag = three_letters(job.locale or language, matroska=not is_mp4)
        out = _muxed(film, mixed, workdir / ("dub.mp4" if is_mp4 else "dub.mkv"), tag, job)
        fps = picture.fps if picture.fps > 0 else footage.DEFAULT_FPS
        plan = checks.Plan(
            kinds=["video", "audio"], codecs=[picture.codec, "aac"], width=picture.width, height=picture.height,
            duration_s=found.duration_s, fps=fps, languages=[tag], loudness=True, may_be_dark=True, may_be_still=True,
        )  # fmt: skip
        made = [
            *checks.check_film(out, plan, job.limits),
            *_line_checks(told),
            Check(name="bed_under_speech_db", value=round(under_db, 3), is_ok=under_db <= mixing.UNDER_DB,
                  expected=f"a peak of at most {mixing.UNDER_DB:.0f} dB beside the line's"),
            dub_checks.sync(out, said, fps=fps, limits=job.limits),
            dub_checks.second_hearing(out, [(one.line, one.voiced) for one in told if one.voiced], language, job),
        ]  # fmt: skip
        return Draft(
            path=str(out), media_type="video/mp4" if is_mp4 else "video/x-matroska", suffix=out.suffix,
            duration_ms=round(found.duration_s * 1000), checks=made,
        )  # fmt: skip


def _lines(job: Job, film: media.Probe, language: str, workdir: Path) -> list[Line]:
    """What is to be said, in the language of the dub: written so, or translated where a service does.

    Raises:
      SpecError: there is neither.
    """
    if job.text_source is not None:
        cues = _cues(scripts.script_of(job, workdir))
        return _translated(job, core.lines_of(cues), two_letters(job.text_language) or language, language)
    number = scripts.track_in(film, language)
    if number is not None:
        return core.lines_of(scripts.parsed(scripts.track_text(job, number, workdir)))
    if not job.speech.translate_url:
        raise SpecError(job.lacks_text or NO_SCRIPT.format(language=language))
    number = scripts.track_in(film, "")
    own = scripts.language_said(job, film)
    if number is not None:
        tracks = [track for track in film.tracks if track.kind == "subtitle"]
        cues = scripts.parsed(scripts.track_text(job, number, workdir))
        return _translated(job, core.lines_of(cues), two_letters(tracks[number].language), language)
    return _translated(job, core.lines_of(cue_core.build(scripts.heard(job, own or "en"))), own or "en", language)


NO_SCRIPT: Final = (
    "expected a script in {language!r} for the dub: spec.text_source, a text asset of the item or a subtitle track in "
    "that language; nothing here translates unless speech.translate_url names a service"
)


def _cues(text: str) -> list[cue_core.Cue]:
    """Cues as they stand, as their times are those of the lines; of words, cues by the rules."""
    return cue_core.build(scripts.words_of(text)) if text.lstrip().startswith("[") else scripts.parsed(text)


def _translated(job: Job, lines: Sequence[Line], source: str, target: str) -> list[Line]:
    if source == target or not lines:
        return list(lines)
    if not job.speech.translate_url:
        raise SpecError(job.lacks_text or NO_SCRIPT.format(language=target))
    texts = translation.translate(
        [line.text for line in lines], source=source, target=target, means=job.speech, seed=job.seed
    )
    return [line._replace(text=text or "") for line, text in zip(lines, texts, strict=True)]


def _spoken(job: Job, lines: Sequence[Line], language: str, end_ms: int, workdir: Path) -> list[Told]:
    """Each line by the first voice that says it and fits it; where none fits it, as the first one said it."""
    wanted = job.spec.get("voice")
    if wanted is not None and not isinstance(wanted, str):
        raise SpecError(f"expected spec.voice to be a text, got {wanted!r}")
    voices = speech.voices(job.speech.programs, language, wanted=wanted, voices_dir=job.speech.voices_dir)
    told = [Told(line, None, None, -1, "" if line.text else "no translation came") for line in lines]
    for rank, (speaker, voice) in enumerate(voices):
        open_lines = [n for n, one in enumerate(told) if one.line.text and (one.fit is None or one.fit.lacks_ms)]
        if not open_lines:
            break
        room = workdir / f"voice-{rank}"
        room.mkdir()
        files = speaker.say([lines[n].text for n in open_lines], voice, room, job.limits)
        for number, file in zip(open_lines, files, strict=True):
            line, before = lines[number], told[number]
            said = speech.read(file) if isinstance(file, Path) else file
            if isinstance(said, str):
                told[number] = before._replace(
                    reason="; ".join(filter(None, [before.reason, f"{speaker.name}: {said}"]))
                )
                continue
            next_ms = min(end_ms, lines[number + 1].start_ms if number + 1 < len(lines) else end_ms)
            sound = core.resampled(said.sound, said.rate)
            first, last = core.spoken_part(sound)
            sound = sound[first:last]
            short = len(core.without_pauses(sound))
            found = core.fit(line, len(sound) / core.PER_MS, short / core.PER_MS, next_ms=next_ms)
            if before.fit is not None and found.lacks_ms:
                continue
            path = room / f"line-{number}.npy"
            voiced = mixing.voiced(sound, found, start_ms=line.start_ms, path=path, limits=job.limits)
            told[number] = Told(line, voiced, found, rank, before.reason, f"{speaker.name}:{Path(voice).stem}")
    return told


def _line_checks(told: Sequence[Told]) -> list[Check]:
    """What became of the lines, as figures; unfitted ones fail, unspoken ones are told."""
    rules = core.FitRules()
    said = [one for one in told if one.voiced is not None and one.fit is not None]
    fits = [one.fit for one in said if one.fit is not None]
    silent = [f"{n}: {one.reason}" for n, one in enumerate(told, start=1) if one.voiced is None]
    unfit = [
        f"line {n} ({one.line.text[:40]!r}) lacks {one.fit.lacks_ms / 1000:.2f} s; shorten its text"
        for n, one in enumerate(told, start=1)
        if one.fit is not None and one.fit.lacks_ms
    ]
    others = sum(one.rank > 0 for one in said)
    ends = [one.voiced for one in said if one.voiced is not None]
    over = max((b.last - c.first for b, c in pairwise(ends)), default=0) / core.RATE
    slots = [
        (one.voiced.last / core.PER_MS - one.line.end_ms - one.fit.borrowed_ms) / 1000
        for one in said
        if one.voiced is not None and one.fit is not None
    ]
    borrowed = [one for one in fits if one.borrowed_ms]
    longest = max((one.borrowed_ms for one in borrowed), default=0) / 1000
    fastest, outside = max(one.tempo for one in fits), max(0.0, *slots)
    rows = [
        ("lines", len(told), True, f"told, not judged; by {', '.join(sorted({one.voice for one in said}))}"),
        ("lines_unfit", len(unfit), not unfit, "; ".join(unfit[:3]) or "none"),
        ("lines_original", len(silent), True, f"told, not judged{': ' if silent else ''}{'; '.join(silent[:3])}"[:300]),
        ("lines_other_voice", others, True, "told, not judged"),
        ("lines_borrowed", len(borrowed), True, f"told, not judged; {longest:.2f} s of silence at most"),
        ("speed_up", fastest, fastest <= rules.speed_up + 1e-6, f"at most {rules.speed_up:g}"),
        ("slot_error_s", outside, outside <= rules.slack_ms / 1000, f"at most {rules.slack_ms / 1000:g}"),
        ("overlap_s", max(0.0, over), over <= 0, "none"),
    ]
    return [Check(name=name, value=round(float(v), 6), is_ok=ok, expected=words) for name, v, ok, words in rows]


def _muxed(film: Path, mixed: Path, out: Path, tag: str, job: Job) -> Path:
    """The film's picture as it is and the mixed sound at the loudness of `checks.LOUDNESS_LUFS`."""
    loudness, _ = checks.loudness_of(mixed, job.limits)
    gain = checks.LOUDNESS_LUFS - loudness
    limit = f"alimiter=limit={PEAK}:level=false:latency=true"
    for _ in range(LEVEL_TRIES):
        arguments = [*media.read_options(film), *media.read_options(mixed), "-map", "0:v:0", "-map", "1:a:0"]
        arguments += [*media.BITEXACT, "-metadata:s:a:0", f"language={tag}", "-disposition:a:0", "default"]
        arguments += [*media.H264, "-c:v", "copy", "-af", f"volume={gain:.3f}dB,{limit}", str(out)]
        media.ffmpeg(arguments, job.limits)
        loudness, _ = checks.loudness_of(out, job.limits)
        apart = checks.LOUDNESS_LUFS - loudness
        if abs(apart) <= LEVEL_NEAR or loudness <= checks.SILENT_LUFS:
            break
        gain += apart
    return out


dub = Dub()
