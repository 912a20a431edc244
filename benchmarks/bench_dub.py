"""Dubs of scripts whose times are known: do lines fit, how loud are they, how far down is the film, is it in step.

Slots are what subtitles give the lines: their characters at 13 to 20 a second, one after the other with short and long
silences between. Films are real short ones over again, with their own sound. The long film has none, so that its last
line can be found by its loudness alone, without the engine's own help, in the sound decoded from its beginning.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import spoken
from benchmarks.report import Figure, report
from streams.contract.events import Item
from streams.cores.cues import Cue, parse, to_srt
from streams.cores.dub import RATE
from streams.studio import checks, media
from streams.studio.dub import dub
from streams.studio.engines import Draft, Job
from streams.studio.media import Limits

LINES: Final = 8
CPS: Final = (13.0, 20.0)
LEAST_MS: Final = 834
VOICES: Final = ("piper", "flite:slt", "flite:rms")
FPS: Final = 25.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the long film")
    options = parser.parse_args()
    names = [voice[0].name for voice in spoken.voices()]
    voices = [voice for voice in VOICES if voice.partition(":")[0] in names]
    figures: list[dict[str, float]] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for number in range(options.scripts):
            voice = voices[number % len(voices)]
            draft, took_of = dubbed(here, number, voice)
            found = checks.figures(draft.checks)
            failure = checks.first_failure(draft.checks)
            failures += [f"script {number}: {failure}"] if failure else []
            found["loudness_error"] = abs(checks.loudness_of(Path(draft.path))[0] - checks.LOUDNESS_LUFS)
            figures.append(found)
            print(f"script {number}: {voice}, {took_of:.0f} s, {failure or 'all checks passed'}, {found}", flush=True)
        lag_s = long_film(here, options.minutes * 60, voices[0])
    lines = sum(one["lines"] for one in figures)
    unfit = sum(one["lines_unfit"] + one["lines_original"] for one in figures)
    report(
        Figure(name="lines that fit", ours=(lines - unfit) / lines, unit="share", goal="ours >= 1"),
        Figure(name="loudness beside -16 LUFS, worst", ours=max(one["loudness_error"] for one in figures), unit="LU",
               goal="ours <= 1"),
        Figure(name="peak of a line above that of the film's own sound under it, least",
               ours=-max(one["bed_under_speech_db"] for one in figures), unit="dB", goal="ours >= 12"),
        Figure(name="last line of the long film beside its time", ours=lag_s * FPS, unit="frames", goal="ours <= 1"),
        Figure(name="scripts that pass every check", ours=1 - len(failures) / len(figures), unit="share"),
        scripts=options.scripts,
        lines=lines,
        minutes=options.minutes,
        fastest=max(one["speed_up"] for one in figures),
        borrowed=sum(one["lines_borrowed"] for one in figures),
        words_wrong_mean=float(np.mean([one.get("asr_wer", -1.0) for one in figures])),
        failures=failures,
        voices=voices,
    )  # fmt: skip


def script_of(chance: random.Random, texts: list[str]) -> list[Cue]:
    """Cues as subtitles have them."""
    at = chance.randrange(500, 2_000)
    cues: list[Cue] = []
    for text in texts:
        slot = max(LEAST_MS, round(1000 * len(text) / chance.uniform(*CPS)))
        cues.append(Cue(at, at + slot, text))
        at += slot + chance.choice((80, 200, 500, 1_500))
    return cues


def dubbed(here: Path, number: int, voice: str) -> tuple[Draft, float]:
    """One script spoken over a film with its own sound, and the film's length, seconds."""
    chance = random.Random(number)
    cues = script_of(chance, chance.sample(spoken.LINES, LINES))
    seconds = cues[-1].end_ms / 1000 + 1.5
    film, picture, script = here / f"{number}.mp4", here / "picture.mp4", here / f"{number}.srt"
    spoken.looped(picture, chance.choice(spoken.CLIPS), seconds=seconds + 1, rate=FPS)
    spoken.muxed(film, picture, spoken.film_sound(seconds) * np.float32(chance.choice((0.1, 0.3, 0.9))))
    return _produced(here / f"work-{number}", film, script, cues, voice), seconds


def long_film(here: Path, seconds: float, voice: str) -> float:
    """How far the last line of a long film sounds from its time, seconds."""
    chance = random.Random(1)
    cues: list[Cue] = []
    for at_s in np.arange(5.0, seconds - 6.0, 12.0):
        text = chance.choice(spoken.LINES)
        at = round(1000 * float(at_s))
        cues.append(Cue(at, at + max(LEAST_MS, round(1000 * len(text) / CPS[0])), text))
    film = here / "long.mp4"
    spoken.looped(film, spoken.CLIPS[1], seconds=seconds, rate=FPS)
    draft = _produced(here / "long", film, here / "long.srt", cues, voice)
    first = round((cues[-1].start_ms / 1000 - 3.0) * RATE)
    tail: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    for number, piece in enumerate(media.sound(Path(draft.path), rate=RATE, channels=1)):
        tail += [piece[:, 0]] if (number + 1) * len(piece) > first else []
    sound = np.concatenate(tail)
    begins = np.flatnonzero(np.abs(sound) > 0.02 * np.max(np.abs(sound)))[0]
    before = first // (RATE // 10) * (RATE // 10)
    print(f"long film: {checks.first_failure(draft.checks) or 'all checks passed'}, {checks.figures(draft.checks)}")
    return abs(float(before + begins) / RATE - cues[-1].start_ms / 1000)


def _produced(workdir: Path, film: Path, script: Path, cues: list[Cue], voice: str) -> Draft:
    workdir.mkdir()
    script.write_text(to_srt(cues), encoding="utf-8")
    assert len(parse(script.read_text(encoding="utf-8"))) == len(cues)
    job = Job(
        task_id="t", kind="dub", item=Item(item_id="i"), locale="en", source=str(film), text_source=str(script),
        spec={"voice": voice},
    )  # fmt: skip
    assert job.limits == Limits(seconds=job.seconds)
    return dub.produce(job, workdir)


if __name__ == "__main__":
    main()
