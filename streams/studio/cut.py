"""The engine `reel`: the best of a film's shots, cut to a length, in any aspect, with sound of one loudness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from streams.contract.events import ContentKind
from streams.cores import shots
from streams.studio import checks, footage, media
from streams.studio.engines import Draft, Job
from streams.studio.errors import SpecError
from streams.studio.footage import Footage
from streams.studio.veils import Veil, veiled

HOP_S: Final = 0.1
FADE_S: Final = 0.02
"""At each edge of a piece, so that a cut does not click."""
PEAK: Final = 0.89
"""Highest sample after the gain, of 1: -1 dBFS."""
DARK: Final = 0.1
STILL: Final = 0.002


class Shown(NamedTuple):
    """What a reel shows of its pieces.

    Attributes:
      ways: of each piece, where the window's left and upper edge are: points of seconds and shares of the side.
      checks: what is told of it. veils: what is laid over the pictures before the window.
    """

    ways: Sequence[tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]]]
    checks: Sequence[checks.Check] = ()
    veils: Sequence[Veil] = ()


class Reel:
    """Shots by motion, sharpness, light and loudness; a window that follows what catches the eye."""

    name = "reel"
    version = "1"
    capability: ContentKind = "cut"
    requires = "ffmpeg, PyAV"
    licence = "Apache-2.0"
    weights_sha256 = ""

    def available(self) -> str | None:
        """Why not; None: it can."""
        return media.missing_media()

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``target_s`` (30), ``aspect`` ("source", "9:16", "1:1", ...)."""
        target_s = footage.number_in(job.spec, "target_s", 30.0, least=1.0, most=3600.0)
        aspect = footage.aspect_in(job.spec)
        film = footage.look_through(footage.source_of(job.source), job.limits)
        sound = film.probe.first("audio")
        curve = media.loudness_curve(film.path, hop_s=HOP_S, limits=job.limits) if sound is not None else []
        loud = (
            [curve[min(len(curve) - 1, int(at / film.fps / HOP_S))] for at in range(len(film.looks))] if curve else []
        )
        pieces = shots.reel(
            film.looks, shots.shots_of(len(film.looks), film.cuts), fps=film.fps, target_s=target_s, loudness=loud
        )
        window = shots.window_of(
            film.picture.width, film.picture.height, aspect or (film.picture.width, film.picture.height)
        )
        shown = self.shown(film, pieces, window, job, workdir)
        language = sound.language if sound is not None and sound.language not in ("", "und") else ""
        out = workdir / "reel.mp4"
        arguments = [
            *media.read_options(film.path),
            *(one for veil in shown.veils for one in veil.options()),
            *media.graph_options(_graph(film, pieces, window, shown, has_sound=bool(curve)), workdir),
        ]
        arguments += ["-map", "[v]", *(["-map", "[a]"] if curve else []), *media.BITEXACT]
        arguments += ["-metadata:s:a:0", f"language={language}"] if language and curve else []
        media.ffmpeg([*arguments, *media.H264, "-r", f"{film.fps:.6f}", str(out)], job.limits)
        is_levelled = bool(curve) and _level(out, language, job)
        count = sum(piece.last - piece.first for piece in pieces)
        plan = checks.Plan(
            kinds=["video", "audio"] if curve else ["video"],
            codecs=["h264", "aac"] if curve else ["h264"],
            width=window.width,
            height=window.height,
            duration_s=count / film.fps,
            fps=film.fps,
            languages=[language] if language and curve else [],
            loudness=is_levelled,
            may_be_dark=_share(film, pieces, lambda one: one.light < DARK) > checks.BLACK_SHARE / 2,
            may_be_still=_share(film, pieces, lambda one: one.motion < STILL) > checks.FREEZE_SHARE / 2,
        )
        edits = workdir / "reel.edl"
        edits.write_text(shots.edl(pieces, fps=film.fps, title=job.item.title or job.item.item_id), encoding="utf-8")
        found = checks.check_film(out, plan, job.limits)
        told = [
            checks.Check(name="shots", value=len(film.cuts) + 1, is_ok=True, expected="told, not judged"),
            checks.Check(name="pieces", value=len(pieces), is_ok=True, expected="told, not judged"),
        ]
        return Draft(
            path=str(out), media_type="video/mp4", suffix=".mp4", duration_ms=round(1000 * count / film.fps),
            checks=[*found, *told, *shown.checks], beside=[str(edits)],
        )  # fmt: skip

    def shown(
        self, film: Footage, pieces: Sequence[shots.Piece], window: shots.Window, job: Job, workdir: Path
    ) -> Shown:
        """What is shown of each piece; ``workdir`` is for files that it takes.

        Raises:
          SpecError: the task wants something veiled, which this engine cannot do and must not leave out.
        """
        del workdir
        for wish in ("hide", "background"):
            if job.spec.get(wish) not in (None, "", [], "keep"):
                raise SpecError(f"expected an engine that sees figures for spec.{wish}, got {self.name}")
        return Shown([_eye_catching(film, piece, window) for piece in pieces])


def _graph(film: Footage, pieces: Sequence[shots.Piece], window: shots.Window, shown: Shown, *, has_sound: bool) -> str:
    """The filters that cut, veil, follow and join."""
    count, fps = len(pieces), film.fps
    sizes = (film.picture.width, film.picture.height)
    parts = [f"[0:v:0]fps={fps:.6f},split={count}" + "".join(f"[i{n}]" for n in range(count))]
    if has_sound:
        parts.append(f"[0:a:0]aresample=48000,asplit={count}" + "".join(f"[j{n}]" for n in range(count)))
    for number, (piece, way) in enumerate(zip(pieces, shown.ways, strict=True)):
        cut = f"trim=start_frame={piece.first}:end_frame={piece.last},setpts=PTS-STARTPTS"
        x, y = (_along([(at, share * side) for at, share in one]) for one, side in zip(way, sizes, strict=True))
        crop = f"crop={window.width}:{window.height}:x='{x}':y='{y}',setsar=1[v{number}]"
        if shown.veils:
            parts += [f"[i{number}]{cut}[c{number}]", f"[w{number}]{crop}"]
        else:
            parts.append(f"[i{number}]{cut},{crop}")
        if has_sound:
            length = (piece.last - piece.first) / fps
            parts.append(
                f"[j{number}]atrim=start={piece.first / fps:.6f}:end={piece.last / fps:.6f},asetpts=PTS-STARTPTS,"
                f"apad=whole_dur={length:.6f},atrim=duration={length:.6f},afade=t=in:d={FADE_S},"
                f"afade=t=out:st={max(0.0, length - FADE_S):.6f}:d={FADE_S}[a{number}]"
            )
    lengths = [piece.last - piece.first for piece in pieces]
    parts += veiled(shown.veils, lengths, *sizes)
    joined = "".join(f"[v{n}][a{n}]" if has_sound else f"[v{n}]" for n in range(count))
    parts.append(f"{joined}concat=n={count}:v=1:a={int(has_sound)}[v]" + ("[a]" if has_sound else ""))
    return ";".join(parts)


def _eye_catching(
    film: Footage, piece: shots.Piece, window: shots.Window
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The window of a piece moving along the side that it does not fill, after what catches the eye."""
    looks = film.looks[piece.first : piece.last]

    def along(axis: int, side: int, size: int) -> list[tuple[float, float]]:
        if side - size < 2:
            return [(0.0, 0.0)]
        return shots.path_of([one.centre[axis] for one in looks], fps=film.fps, share=size / side)

    return along(0, film.picture.width, window.width), along(1, film.picture.height, window.height)


def _along(points: Sequence[tuple[float, float]]) -> str:
    """An expression of t that goes straight from point to point.

    Its ifs halve the points, since ffmpeg reads no more than a hundred of them inside each other; points are left out
    where the way is straight without them.
    """
    return _between(_bent(points))


def _between(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f"{points[0][1]:.2f}"
    if len(points) == 2:
        (from_s, one), (to_s, other) = points
        if abs(other - one) < 0.005:
            return f"{one:.2f}"
        return f"{one:.2f}+({other - one:.2f})*clip((t-{from_s:.3f})/{to_s - from_s:.3f},0,1)"
    middle = len(points) // 2
    return f"if(lt(t,{points[middle][0]:.3f}),{_between(points[: middle + 1])},{_between(points[middle:])})"


def _bent(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points without those from which the straight way between the ones that stay is less than a quarter pixel."""
    kept = [points[0]]
    passed: list[tuple[float, float]] = []
    for before, point in pairwise(points):
        if before != kept[-1]:
            passed.append(before)
        (from_s, one), (to_s, other) = kept[-1], point
        if any(abs(one + (other - one) * (at - from_s) / (to_s - from_s) - value) > 0.25 for at, value in passed):
            kept.append(before)
            passed = []
    return [*kept, points[-1]] if len(points) > 1 else kept


def _level(out: Path, language: str, job: Job) -> bool:
    """Brings the sound to its loudness, the picture untouched; False where there is none to speak of, or no room."""
    loudness, peak = checks.loudness_of(out, job.limits)
    gain = checks.LOUDNESS_LUFS - loudness
    if loudness <= checks.SILENT_LUFS:
        return False
    raw = out.rename(out.with_name("unlevelled.mp4"))
    limit = "" if peak + gain < -1.0 else f",alimiter=limit={PEAK}:level=false:latency=true"
    arguments = [*media.read_options(raw), "-map", "0:v:0", "-map", "0:a:0", *media.BITEXACT]
    arguments += ["-metadata:s:a:0", f"language={language}"] if language else []
    arguments += [*media.H264, "-c:v", "copy", "-af", f"volume={gain:.2f}dB{limit}", str(out)]
    media.ffmpeg(arguments, job.limits)
    raw.unlink()
    return peak + gain < 6.0  # beyond, a limiter takes more than can be promised


def _share(film: Footage, pieces: Sequence[shots.Piece], is_so: Callable[[shots.Look], bool]) -> float:
    looks = [one for piece in pieces for one in film.looks[piece.first : piece.last]]
    return sum(map(is_so, looks)) / max(1, len(looks))


reel = Reel()
