"""What is laid over pictures: a blur where a small grey film beside the real one is bright.

The grey film is ours, raw, a byte a pixel; ffmpeg stretches it, blurs the picture whole and merges both, so that no
large picture ever comes through Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["soft", "hidden"]
BLURS: Final[dict[Kind, str]] = {
    "soft": "gblur=sigma={sigma}:steps=2",
    # Of the whole picture some 24 blocks across stay: no face can be made out of that again.
    "hidden": "scale=24:-2:flags=area,scale={width}:{height}:flags=bilinear",
}


class Veil(NamedTuple):
    """A grey film of the pieces of a reel, one after the other.

    ``kind``: of blur. ``path``: the raw film. ``width``, ``height``: of it, px. ``fps``: frames a second.
    """

    kind: Kind
    path: Path
    width: int
    height: int
    fps: float

    def options(self) -> list[str]:
        """The arguments of ffmpeg that open it."""
        return [
            "-protocol_whitelist", "file", "-f", "rawvideo", "-pixel_format", "gray", "-video_size",
            f"{self.width}x{self.height}", "-framerate", f"{self.fps:.6f}", "-i", str(self.path.resolve()),
        ]  # fmt: skip


def written(kind: Kind, path: Path, masks: Iterable[NDArray[np.float32]], *, fps: float) -> Veil:
    """Writes masks 0..1, float32 [H, W], one a frame, as a veil.

    Raises:
      ValueError: there is none, or they are of several sizes.
    """
    size: tuple[int, ...] | None = None
    with path.open("wb") as file:
        for mask in masks:
            if size is not None and mask.shape != size:
                raise ValueError(f"expected masks of one size {size}, got {mask.shape}")
            size = mask.shape
            file.write(np.clip(mask * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8).tobytes())
    if size is None:
        raise ValueError("expected at least one mask, got none")
    return Veil(kind, path, size[1], size[0], fps)


def veiled(veils: Sequence[Veil], lengths: Sequence[int], width: int, height: int) -> list[str]:
    """The filters that lay veils over the pieces ``[c0]``, ``[c1]``, ...: out come ``[w0]``, ``[w1]``, ...

    Args:
      lengths: frames of each piece. width, height: of the pictures, px.
    """
    if not veils:
        return []
    parts, count = [], len(lengths)
    firsts = np.concatenate([[0], np.cumsum(lengths)])
    for at, veil in enumerate(veils):
        parts.append(f"[{at + 1}:v:0]split={count}" + "".join(f"[m{at}x{n}]" for n in range(count)))
        for n in range(count):
            before = f"c{n}" if at == 0 else f"u{at - 1}x{n}"
            after = f"w{n}" if at == len(veils) - 1 else f"u{at}x{n}"
            blur = BLURS[veil.kind].format(sigma=max(2.0, height / 45), width=width, height=height)
            cut = f"trim=start_frame={firsts[n]}:end_frame={firsts[n + 1]},setpts=PTS-STARTPTS"
            parts += [
                f"[{before}]format=gbrp,split[s{at}x{n}][b{at}x{n}]",
                f"[b{at}x{n}]{blur},format=gbrp,setsar=1[f{at}x{n}]",
                f"[m{at}x{n}]{cut},scale={width}:{height}:flags=bilinear,format=gbrp,setsar=1[g{at}x{n}]",
                f"[s{at}x{n}]setsar=1[t{at}x{n}]",
                f"[t{at}x{n}][f{at}x{n}][g{at}x{n}]maskedmerge[{after}]",
            ]
    return parts
