"""The engine `frame`: a film's best picture, cropped for a surface, with the title on it where it can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.contract.events import ContentKind
from streams.cores import shots
from streams.studio import footage, media
from streams.studio.checks import Check
from streams.studio.engines import Draft, Job
from streams.studio.errors import EngineError
from streams.studio.footage import Footage

SAMPLE_WIDTH: Final = 160
SAMPLES: Final = 240
"""Pictures looked at closely, evenly over the film."""
FAR_FROM_CUT: Final = 4
CONTRAST: Final = 4.5
"""Least contrast of a text to what is behind it (WCAG 2.2, level AA)."""
LEAST_LIGHT: Final = 0.08
LEAST_CONTRAST: Final = 0.03


class BestFrame:
    """Sharp, well lit, away from cuts, without much text; with the item's title below."""

    name = "frame"
    version = "1"
    capability: ContentKind = "image"
    requires = "ffmpeg, PyAV, Pillow"
    licence = "Apache-2.0"
    weights_sha256 = ""

    def available(self) -> str | None:
        """Why not; None: it can."""
        try:
            import PIL.ImageFont
        except ImportError:
            return "no Pillow; pip install 'marquee[studio]'"
        return media.missing_media() if PIL.ImageFont else None

    def produce(self, job: Job, workdir: Path) -> Draft:
        """``spec``: ``aspect`` ("16:9"), ``width`` (1280, at most the source's), ``title`` (true)."""
        aspect = footage.aspect_in(job.spec, "16:9")
        most = round(footage.number_in(job.spec, "width", 1280, least=64, most=4096))
        wants_title = footage.flag_in(job.spec, "title", default=True)
        film = footage.look_through(footage.source_of(job.source), job.limits)
        at, score = choose(film)
        full = self._full(film, at, job)
        window = shots.window_of(film.picture.width, film.picture.height, aspect or (full.shape[1], full.shape[0]))
        x, y = film.looks[at].centre
        left = int(np.clip(x * full.shape[1] - window.width / 2, 0, full.shape[1] - window.width))
        top = int(np.clip(y * full.shape[0] - window.height / 2, 0, full.shape[0] - window.height))
        crop = full[top : top + window.height, left : left + window.width]
        path = workdir / "image.jpg"
        title = " ".join(job.item.title.split()) if wants_title else ""
        drawn = _write(crop, most, title, path)
        checks = [*check_image(path, width=drawn[0], height=drawn[1]), Check(
            name="frame_score", value=round(score, 4), is_ok=True, expected="told, not judged"
        )]  # fmt: skip
        if drawn[2] is not None:
            checks.append(
                Check(
                    name="title_contrast",
                    value=round(drawn[2], 2),
                    is_ok=drawn[2] >= CONTRAST,
                    expected=f">= {CONTRAST}",
                )
            )
        return Draft(path=str(path), media_type="image/jpeg", suffix=".jpg", checks=checks)

    @staticmethod
    def _full(film: Footage, at: int, job: Job) -> np.ndarray[Any, np.dtype[np.uint8]]:
        width, height = film.picture.width, film.picture.height
        picks = f"fps={film.fps:.6f},select='eq(n,{at})',scale={width}:{height}"
        arguments = [*media.read_options(film.path), "-map", "0:v:0", "-an", "-vf", picks, "-frames:v", "1"]
        arguments += ["-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo"]
        for piece in media.raw(arguments, width * height * 3, job.limits):
            return np.frombuffer(piece, np.uint8).reshape(height, width, 3)
        raise EngineError(f"expected frame {at} of the film, got none")


def choose(film: Footage) -> tuple[int, float]:
    """The best frame's number and its score, 0..1.

    Raises:
      EngineError: every picture is dark or empty.
    """
    step = max(1, len(film.looks) // SAMPLES)
    cuts = np.array([-(10**9), *film.cuts, 10**9])
    height = max(2, round(SAMPLE_WIDTH * film.picture.height / film.picture.width))
    best: tuple[float, int] | None = None
    rate = film.fps / step
    sharpest = 1e-9
    found: list[tuple[int, float, float, float]] = []
    for nth, picture in enumerate(media.frames(film.path, width=SAMPLE_WIDTH, height=height, fps=rate)):
        at = min(nth * step, len(film.looks) - 1)
        look = shots.look(picture, None)
        if look.light < LEAST_LIGHT or look.contrast < LEAST_CONTRAST:
            continue
        sharpest = max(sharpest, look.sharpness)
        is_near = float(np.abs(cuts - at).min()) < FAR_FROM_CUT
        light = 1 - min(1.0, abs(look.light - 0.45) / 0.45)
        found.append((at, look.sharpness, light + min(1.0, look.contrast * 4) - 0.7 * is_near, _busy(look)))
    for at, sharpness, rest, busy in found:
        score = (np.sqrt(sharpness / sharpest) + rest + (1 - busy)) / 4
        if best is None or score > best[0] + 1e-12:
            best = (float(score), at)
    if best is None:
        raise EngineError("expected a picture that is lit and shows something, got only dark or empty ones")
    return best[1], best[0]


def _busy(look: shots.Look) -> float:
    """How much of a picture looks like lines of text, 0..1: rows where strong upright edges stand close together."""
    edges = np.abs(np.diff(look.grey.astype(np.float32), axis=1)) > 0.25
    return float((edges.mean(axis=1) > 0.2).mean())


def check_image(path: Path, *, width: int, height: int) -> list[Check]:
    """A picture read back whole: its size, and that it shows something."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        grey = np.asarray(image.convert("L"), np.float32) / 255
        size = image.size
    return [
        Check(name="width", value=size[0], is_ok=size == (width, height), expected=f"{width}x{height}"),
        Check(name="height", value=size[1], is_ok=True, expected="told, not judged"),
        Check(
            name="light",
            value=round(float(grey.mean()), 4),
            is_ok=bool(grey.mean() > LEAST_LIGHT / 2),
            expected="not black",
        ),
        Check(name="contrast", value=round(float(grey.std()), 4), is_ok=bool(grey.std() > 0.01), expected="not empty"),
    ]


def _write(
    pixels: np.ndarray[Any, np.dtype[np.uint8]], most: int, title: str, path: Path
) -> tuple[int, int, float | None]:
    """Scales, draws the title and saves; gives width, height and the title's contrast, None where none was drawn."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > most:
        image = image.resize((most, max(1, round(image.height * most / image.width))), Image.Resampling.LANCZOS)
    contrast = None
    if title and _can_draw(title):
        image, contrast = _titled(image, title)
    image.save(path, "JPEG", quality=90)
    return image.width, image.height, contrast


def _can_draw(title: str) -> bool:
    """Whether Pillow's own font has every letter."""
    return all(ord(letter) < 0x180 and letter.isprintable() for letter in title)


def _titled(image: Any, title: str) -> tuple[Any, float]:
    """The picture with a title at its foot, over a shade that is as dark as reading asks for."""
    from PIL import Image, ImageDraw, ImageFont

    margin = max(4, image.width // 20)
    size = max(10, image.width // 12)
    draw = ImageDraw.Draw(image)
    while True:
        font = ImageFont.load_default(size)
        lines = _wrapped(draw, title, font, image.width - 2 * margin)
        tall = int(size * 1.25)
        if (len(lines) <= 3 and len(lines) * tall < image.height // 2) or size <= 10:
            break
        size = max(10, int(size * 0.85))
    lines = lines[: max(1, (image.height // 2) // tall)]
    top = image.height - margin - len(lines) * tall
    pixels = np.asarray(image, np.float32)
    for darkness in (0.45, 0.6, 0.75, 0.9):
        ramp = np.clip((np.arange(image.height) - (top - 2 * tall)) / (2 * tall), 0, 1)[:, None, None] * darkness
        shaded = pixels * (1 - ramp)
        behind = shaded[top:, margin:-margin].reshape(-1, 3)
        light = float(np.quantile(_luminance(behind), 0.95))
        contrast = 1.05 / (light + 0.05)
        if contrast >= CONTRAST:
            break
    out = Image.fromarray(shaded.astype(np.uint8))
    pen = ImageDraw.Draw(out)
    for number, line in enumerate(lines):
        pen.text((margin, top + number * tall), line, font=font, fill=(255, 255, 255))
    return out, contrast


def _luminance(colours: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Relative luminance of sRGB colours 0..255 (WCAG 2.2)."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return (linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)).astype(np.float32)


def _wrapped(draw: Any, title: str, font: Any, width: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and draw.textlength(f"{lines[-1]} {word}", font=font) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


frame = BestFrame()
