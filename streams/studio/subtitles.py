"""The engine `cues`: subtitles by the rules, out of a track, a file or times of words; as text, or in the picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.contract.errors import CueError
from streams.contract.events import ContentKind
from streams.cores import cues as core
from streams.studio import checks, footage, media
from streams.studio.engines import Draft, Job
from streams.studio.errors import MediaError, SpecError

MAX_TEXT_BYTES: Final = 16 << 20


class _Spoken(msgspec.Struct, frozen=True):
    """One word of a file of words, seconds: ``{"word": "Hello", "start": 0.4, "end": 0.8}``, as recognisers have it."""

    word: str
    start: float
    end: float


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
        form = footage.word_in(job.spec, "format", "vtt", ("vtt", "srt"))
        is_burnt = footage.flag_in(job.spec, "burn", default=False)
        film = footage.look_through(Path(job.source), job.limits) if job.source is not None else None
        rules = core.CueRules(frame_ms=1000 / film.fps) if film is not None else core.CueRules()
        shots_ms = [round(1000 * at / film.fps) for at in film.cuts] if film is not None else []
        text = self._text(job, workdir)
        try:
            cues = (
                core.build(_words(text), rules, shots_ms=shots_ms)
                if text.lstrip().startswith("[")
                else core.rebuild(core.parse(text), rules, shots_ms=shots_ms)
            )
        except CueError as error:
            raise SpecError(str(error)) from error
        files = {"srt": workdir / "subtitles.srt", "vtt": workdir / "subtitles.vtt"}
        files["srt"].write_text(core.to_srt(cues), encoding="utf-8")
        files["vtt"].write_text(core.to_vtt(cues), encoding="utf-8")
        found = checks.check_text_track(files[form].read_text(encoding="utf-8"), rules)
        end_ms = cues[-1].end_ms if cues else 0
        if is_burnt and film is not None:
            return self._burnt(job, film, files["srt"], workdir, found)
        if is_burnt:
            raise SpecError(
                "expected a film to burn subtitles into: spec.source, or an asset that is a video; got none"
            )
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

    @staticmethod
    def _text(job: Job, workdir: Path) -> str:
        """The script: of its own file, else of the film's first subtitle track."""
        if job.text_source is not None:
            path = Path(job.text_source)
            if path.stat().st_size > MAX_TEXT_BYTES:
                raise SpecError(f"expected subtitles of at most {MAX_TEXT_BYTES} bytes, got {path.stat().st_size}")
            return path.read_bytes().decode("utf-8", "replace")
        if job.source is None:
            raise SpecError("expected subtitles: spec.text_source, a text asset of the item, or a film with a track")
        out = workdir / "track.srt"
        try:
            media.ffmpeg([*media.read_options(Path(job.source)), "-map", "0:s:0", "-f", "srt", str(out)], job.limits)
        except MediaError as error:
            raise MediaError(
                f"expected a film with a subtitle track, or spec.text_source; got neither ({error})"
            ) from error
        return out.read_text(encoding="utf-8", errors="replace")

    @staticmethod
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


def _words(text: str) -> list[core.Word]:
    try:
        spoken: Any = msgspec.json.decode(text, type=list[_Spoken])
    except msgspec.DecodeError as error:
        raise SpecError(f"expected a list of words with start and end, got: {error}") from error
    if not 0 < len(spoken) <= 20 * core.MAX_CUES:
        raise SpecError(f"expected 1 to {20 * core.MAX_CUES} words, got {len(spoken)}")
    words = [core.Word(round(1000 * one.start), round(1000 * one.end), one.word) for one in spoken]
    return sorted(words)


cues = Cues()
