"""Generated clips as real files, with everything known about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.vision.scenes import Scene
from streams.studio import media


def scene_film(path: Path, frames: Sequence[Scene], *, width: int = 512, height: int = 288) -> Path:
    """Writes the frames of a clip as a film of this size, 25 a second, without sound."""
    raw = path.with_suffix(".rgb")
    raw.write_bytes(np.stack([one.picture for one in frames]).tobytes())
    rows, columns = frames[0].picture.shape[:2]
    arguments = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{columns}x{rows}", "-framerate", "25"]
    arguments += ["-i", str(raw.resolve()), "-vf", f"scale={width}:{height}", *media.H264, str(path.resolve())]
    media.ffmpeg(arguments)
    raw.unlink()
    return path
