"""The engine `follow`: a reel whose window follows its subject, with what is behind it blurred, or figures hidden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streams.cores import shots
from streams.studio import footage
from streams.studio.checks import Check
from streams.studio.cut import Reel, Shown
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.eyes import Eyes, described, folder_of, why_not
from streams.studio.footage import Footage
from streams.studio.means import Means
from streams.studio.veils import Veil, written

_NOTHING = "expected an aspect, a background or figures to see to, got none of them"


class Follow(Reel):
    """`Reel`, with a detector, tracks and a segmenter of our own."""

    name = "follow"
    requires = "ffmpeg, PyAV, and weights of the detector, which come with Marquee; of the segmenter for `background`"

    def __init__(self, means: Means | None = None) -> None:
        self.means = means or Means()
        self.folder = folder_of(self.means.vision_dir)
        try:
            self.weights_sha256 = described(self.folder, "detect").sha256
        except EngineError:
            self.weights_sha256 = ""

    def equipped(self, means: Means) -> Follow:
        """The engine that looks for its weights there."""
        return Follow(means)

    def available(self) -> str | None:
        """Why not; None: it can."""
        return super().available() or why_not(self.folder, "detect")

    def produce(self, job: Job, workdir: Path) -> Draft:
        """As `Reel.produce`; ``spec``: its, and those of `shown`."""
        background = footage.word_in(job.spec, "background", "keep", ("keep", "blur"))
        wishes = (footage.aspect_in(job.spec), background != "keep", hidden_in(job))
        if not any(wishes):
            raise SpecError(_NOTHING)
        if wishes[1] and (lacking := why_not(self.folder, "segment")) is not None:
            raise EngineError(lacking)
        return super().produce(job, workdir)

    def shown(
        self, film: Footage, pieces: Sequence[shots.Piece], window: shots.Window, job: Job, workdir: Path
    ) -> Shown:
        """``spec``: ``background`` ("keep", "blur"), ``hide`` (classes, such as ["person"])."""
        background = footage.word_in(job.spec, "background", "keep", ("keep", "blur"))
        labels = hidden_in(job)
        is_whole = film.picture.width - window.width < 2 and film.picture.height - window.height < 2
        if is_whole and background == "keep" and not labels:
            raise SpecError(_NOTHING)
        if self.means.cache_dir:
            from streams.kernel_cache import use_kernel_cache, use_program_cache

            use_kernel_cache(Path(self.means.cache_dir))
            use_program_cache(Path(self.means.cache_dir))
        from models.vision.camera import CameraConfig
        from streams.studio import watched

        eyes = Eyes(self.folder)
        seen = watched.watch(film, pieces, eyes, job.limits)
        config = CameraConfig()
        sides = ((film.picture.width, window.width), (film.picture.height, window.height))
        found, ways = [], []
        for parts in seen:
            each = []
            for axis, (side, size) in enumerate(sides):
                if side - size < 2:
                    each.append([(0.0, 0.0)])
                    continue
                along = [
                    watched.way_of(
                        part, axis, share=size / side, fps=film.fps, config=config,
                        otherwise=np.array([one.centre[axis] for one in film.looks[part.first : part.last]]),
                    )
                    for part in parts
                ]  # fmt: skip
                found += along
                each.append(watched.points([one.edge for one in along], film.fps))
            ways.append((each[0], each[1]))
        every = [part for parts in seen for part in parts]
        veils: list[Veil] = []
        if background == "blur":
            chances = eyes.chances(watched.pictures_of(film, pieces, job.limits))
            soft = (mask for part in every for mask in watched.kept_sharp(part, chances))
            veils.append(written("soft", workdir / "soft.gray", soft, fps=film.fps))
        if labels:
            over = (mask for part in every for mask in watched.hidden(part, labels, fps=film.fps))
            veils.append(written("hidden", workdir / "hidden.gray", over, fps=film.fps))
        counted = sum(one.seen for one in found)
        told = {
            "subject_shots": float(np.mean([part.by != "none" for part in every])),
            "subject_shots_by_motion": float(np.mean([part.by == "motion" for part in every])),
            "subject_safe": sum(one.safe for one in found) / counted if counted else 0.0,
            "camera_jerk": max((one.jerk for one in found), default=0.0),
        }
        return Shown(
            ways,
            [Check(name=n, value=round(v, 4), is_ok=True, expected="told, not judged") for n, v in told.items()],
            veils,
        )


def hidden_in(job: Job) -> list[int]:
    """Numbers of the classes that a task wants hidden.

    Raises:
      SpecError: one is none.
    """
    from models.vision.figures import CLASSES

    wanted = job.spec.get("hide", [])
    if not isinstance(wanted, list) or not all(one in CLASSES for one in wanted):
        raise SpecError(f"expected spec.hide to be a list out of {', '.join(CLASSES)}, got {wanted!r}")
    return [CLASSES.index(one) for one in wanted]


follow = Follow()
