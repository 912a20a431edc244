"""Films made by ffmpeg's own sources, with known cuts: real files, no download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.studio import media

SCENES: Final = (
    "testsrc=size={size}:rate=25",
    "mandelbrot=size={size}:rate=25",
    "smptebars=size={size}:rate=25,hue=s=0.4",
    "life=size={size}:rate=25:mold=10:ratio=0.2:seed=7:death_color=#402010:life_color=#E0C060,boxblur=2",
    "testsrc2=size={size}:rate=25,hue=h=90",
    "gradients=size={size}:rate=25:seed=3:c0=#203050:c1=#F0C080:nb_colors=2:speed=0.02",
    "cellauto=size={size}:rate=25:seed=5,boxblur=3",
    "rgbtestsrc=size={size}:rate=25,hue=s=0.6",
)


def film(
    path: Path, *, scenes: Sequence[int] = (0, 1, 2), frames: int = 40, size: str = "192x108", dissolve: int = 0,
    sound: bool = True, language: str = "eng",
) -> list[int]:  # fmt: skip
    """Writes a film of scenes of equal length; gives the first frame of each scene but the first.

    Args:
      path: where to. scenes: numbers of `SCENES`. frames: of each scene. size: WIDTHxHEIGHT.
      dissolve: frames over which one scene becomes the next; 0: hard cuts. The changes given are their middles.
      sound: a tone that changes with the scene, in ``language``.
    """
    arguments: list[str] = []
    seconds = frames / 25
    for scene in scenes:
        arguments += ["-f", "lavfi", "-t", f"{seconds:.3f}", "-i", SCENES[scene].format(size=size)]
    count = len(scenes)
    graph = [f"[{n}:v]setpts=PTS-STARTPTS,format=yuv420p,settb=1/25,fps=25[s{n}]" for n in range(count)]
    if dissolve:
        last = "s0"
        for n in range(1, count):
            at = n * (frames - dissolve) / 25
            graph.append(f"[{last}][s{n}]xfade=transition=fade:duration={dissolve / 25}:offset={at:.3f}[x{n}]")
            last = f"x{n}"
        graph.append(f"[{last}]copy[v]")
        cuts = [n * (frames - dissolve) + dissolve // 2 for n in range(1, count)]
        total = (count * frames - (count - 1) * dissolve) / 25
    else:
        graph.append("".join(f"[s{n}]" for n in range(count)) + f"concat=n={count}:v=1[v]")
        cuts, total = [n * frames for n in range(1, count)], count * seconds
    if sound:
        arguments += [
            "-f",
            "lavfi",
            "-t",
            f"{total:.3f}",
            "-i",
            f"sine=frequency=330:beep_factor=4:duration={total:.3f}",
        ]
    arguments += ["-filter_complex", ";".join(graph), "-map", "[v]"]
    arguments += ["-map", f"{count}:a", "-metadata:s:a:0", f"language={language}"] if sound else []
    media.ffmpeg([*arguments, *media.H264, "-g", "50", str(path.resolve())])
    return cuts
