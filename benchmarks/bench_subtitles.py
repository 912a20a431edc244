"""Subtitles from speech on clips whose words and times are known, beside faster-whisper's own segments.

Each clip has three lines over the sound of a real film at one of four levels, in turn; its pictures change shots. The
voices are synthetic and clear, and the only film sound is music and effects of one short film: the figures say how well
times and words are kept, not how a feature film is understood. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import spoken
from benchmarks.report import Figure, report
from streams.contract.events import Item
from streams.cores.cues import Cue, CueRules, faults, parse
from streams.cores.dub import RATE, Numbers
from streams.cores.heard import said, word_errors
from streams.studio import hearing, media
from streams.studio.engines import Job
from streams.studio.subtitles import whisper

LEVELS: Final = ("clean", "-20 dB", "-10 dB", "-5 dB")
"""Of the film's sound, root mean square beside that of the speech."""
LINES: Final = 3
CLIP_S: Final = 30.0


class Tally:
    """What one way of making cues gave on the clips of a level."""

    def __init__(self) -> None:
        self.errors = self.words = self.faults = self.clips_at_fault = 0
        self.starts: list[float] = []
        self.ends: list[float] = []

    def add(self, cues: Sequence[Cue], lines: Sequence[spoken.Placed], rules: CueRules) -> None:
        """One clip more."""
        truth = said(" ".join(line.text for line in lines))
        self.words += len(truth)
        self.errors += word_errors(truth, said(" ".join(cue.text for cue in cues)))
        broken = len(faults(cues, rules))
        self.faults += broken
        self.clips_at_fault += broken > 0
        for line in lines:
            self.starts.append(min((abs(cue.start_ms - line.start_ms) for cue in cues), default=1e4) / 1000)
            self.ends.append(min((abs(cue.end_ms - line.end_ms) for cue in cues), default=1e4) / 1000)

    def told(self) -> dict[str, Any]:
        """The figures."""
        return {
            "wer": round(self.errors / max(1, self.words), 4), "words": self.words,
            "start_median_s": round(statistics.median(self.starts), 3) if self.starts else None,
            "end_median_s": round(statistics.median(self.ends), 3) if self.ends else None,
            "edge_median_s": round(statistics.median(self.starts + self.ends), 3) if self.starts else None,
            "start_p90_s": round(float(np.quantile(self.starts, 0.9)), 3) if self.starts else None,
            "faults": self.faults, "clips_at_fault": self.clips_at_fault,
        }  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100, help="a quarter at each level of the film's sound")
    options = parser.parse_args()
    ours = {level: Tally() for level in LEVELS}
    plain = {level: Tally() for level in LEVELS}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for clip in spoken.CLIPS:
            spoken.looped(here / clip, clip, seconds=CLIP_S)
        bed = spoken.film_sound(CLIP_S)
        said_by = spoken.everything(here)
        ear = hearing.ear_of(None)
        for number in range(options.clips):
            level = LEVELS[number % len(LEVELS)]
            path = here / "clip.mp4"
            lines = clip_of(path, number, level, bed, said_by, here)
            workdir = here / f"work-{number}"
            workdir.mkdir()
            item = Item(item_id="i", title="Night Train", tags=["drama", "mystery"], language="en")
            job = Job(task_id="t", kind="subtitles", item=item, source=str(path), spec={"format": "srt"})
            draft = whisper.produce(job, workdir)
            fps = next(track.fps for track in media.probe(path).tracks if track.kind == "video")
            rules = CueRules(frame_ms=1000 / fps)
            ours[level].add(parse(Path(draft.path).read_text(encoding="utf-8")), lines, rules)
            plain[level].add(segments(path, ear), lines, rules)
            print(f"clip {number}: {level}, ours {ours[level].told()}, plain {plain[level].told()}", flush=True)
    used = [level for level in LEVELS if ours[level].words]
    edges, theirs = ([error for level in used for error in of[level].starts + of[level].ends] for of in (ours, plain))
    report(
        Figure(
            name="words wrong, clean", ours=ours["clean"].told()["wer"], unit="share", goal="ours <= 0.12",
            peer=plain["clean"].told()["wer"] or None,
        ),
        Figure(
            name="edge of a cue beside the speech, median", ours=statistics.median(edges), unit="s",
            peer=statistics.median(theirs), goal="ours <= 0.15",
        ),
        Figure(
            name="cues that break a rule", ours=sum(one.faults for one in ours.values()), unit="cues",
            peer=sum(one.faults for one in plain.values()) or None, goal="ours <= 0",
        ),
        clips=options.clips,
        by_level={level: {"ours": ours[level].told(), "plain": plain[level].told()} for level in used},
        voices=len(said_by),
    )  # fmt: skip


def clip_of(
    path: Path, number: int, level: str, bed: Numbers, said_by: Sequence[Mapping[str, Numbers]],
    here: Path,
) -> list[spoken.Placed]:  # fmt: skip
    """Writes a clip; gives its lines."""
    chance = random.Random(number)
    texts = chance.sample(spoken.LINES, LINES)
    voice = said_by[number // len(LEVELS) % len(said_by)]
    sounds = [voice[text] for text in texts]
    lines, track = spoken.placed(texts, sounds, chance, seconds=10.0)
    if level != "clean":
        at = chance.randrange(len(bed))
        under = np.resize(np.roll(bed, -at), len(track))
        loud = np.concatenate(sounds)
        wanted = np.sqrt(np.mean(loud**2)) * 10 ** (float(level.split()[0]) / 20)
        track += under * np.float32(wanted / np.sqrt(np.mean(under**2)))
    track /= np.float32(max(1.0, float(np.max(np.abs(track))) / 0.95))
    assert len(track) <= CLIP_S * RATE
    spoken.muxed(path, here / chance.choice(spoken.CLIPS), track)
    return lines


def segments(path: Path, ear: hearing.Ear) -> list[Cue]:
    """What faster-whisper gives at its defaults, segment by segment."""
    samples = np.concatenate([samples for _, samples in hearing.parts(path)])
    found, _ = ear._model.transcribe(samples, language="en")
    cues = [Cue(round(1000 * one.start), round(1000 * one.end), one.text.strip()) for one in found if one.text.strip()]
    assert all(one.start_ms <= other.start_ms for one, other in pairwise(cues))
    return cues


if __name__ == "__main__":
    main()
