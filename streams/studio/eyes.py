"""The vision models of ours at work: weights that are what they should be, and pictures of any size looked at.

Weights are files of arrays (safetensors) with a description beside them; they come with Marquee, or from a folder that
`studio.vision_dir` names, where `marquee studio train` put them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from streams.studio.errors import EngineError

if TYPE_CHECKING:
    from models.typing import F32, U8
    from models.vision.precision import Found

OURS: Final = Path(__file__).resolve().parent / "weights"
"""What comes with Marquee."""
MOST_BYTES: Final = 64 << 20
BATCH: Final = 8
PIXELS: Final = 256 * 144
"""About so many of a picture are looked at."""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside weights: which network, its sizes, and the hash of the file."""

    model: str
    config: dict[str, Any]
    sha256: str


def folder_of(vision_dir: str) -> Path:
    """Where weights lie: the folder of the settings, else our own."""
    return Path(vision_dir) if vision_dir else OURS


def described(folder: Path, name: str) -> Described:
    """The description of some weights.

    Raises:
      EngineError: there is none, or it describes other ones.
    """
    path = folder / f"{name}.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Described)
    except (OSError, msgspec.DecodeError) as error:
        raise EngineError(
            f"expected weights of {name!r} in {folder.name}, got: {_short(error)}; check studio.vision_dir, or train "
            f"them: marquee studio train {name}"
        ) from error
    if found.model != name:
        raise EngineError(f"expected weights of {name!r}, got those of {found.model!r}; check studio.vision_dir")
    return found


def why_not(folder: Path, name: str) -> str | None:
    """Why these weights cannot be used; None: they seem to be there. The file is not read."""
    try:
        described(folder, name)
    except EngineError as error:
        return str(error)
    if not (folder / f"{name}.safetensors").is_file():
        return f"expected {name}.safetensors beside {name}.json, got none; check studio.vision_dir"
    return None


def read_weights(folder: Path, name: str) -> tuple[Any, Any]:
    """The graph of a network and its weights.

    Raises:
      EngineError: the file is missing, is not the one that is described, or does not fit the network.
    """
    import jax
    from flax import nnx

    from models.errors import ConfigError, StateError
    from models.vision.learning import LESSONS, filled

    about, lesson = described(folder, name), LESSONS[name]
    path = folder / f"{name}.safetensors"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise EngineError(f"expected weights of at most {MOST_BYTES} bytes, got {path.stat().st_size}: {path.name}")
        held = path.read_bytes()
    except OSError as error:
        raise EngineError(f"expected weights at {path.name}, got: {_short(error)}; check studio.vision_dir") from error
    digest = hashlib.sha256(held).hexdigest()
    if digest != about.sha256:
        raise EngineError(
            f"expected {path.name} with sha256 {about.sha256[:12]}..., got {digest[:12]}...; the file is damaged or "
            "another one: bring it back, or train it again"
        )
    try:
        config = _config(lesson.config, about.config)
        graph, shapes = nnx.split(nnx.eval_shape(lambda: lesson.build(config, rngs=nnx.Rngs(0))))
        return graph, jax.device_put(filled(shapes, load(held)))
    except (SafetensorError, StateError, ConfigError, TypeError, ValueError) as error:
        raise EngineError(f"expected weights that fit the network of {name}, got: {error}") from error


def looked_at(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture is looked at: about `PIXELS`, sides multiples of 16, never below 32."""
    scale = (PIXELS / (width * height)) ** 0.5
    return max(32, 16 * round(width * scale / 16)), max(32, 16 * round(height * scale / 16))


class Eyes:
    """A detector and a segmenter, loaded when they are first asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def found(self, pictures: Iterable[U8]) -> Iterator[Found]:
        """Detections of each picture uint8 [H, W, 3], sides multiples of 16, all of one size.

        Raises:
          EngineError: as `read_weights`.
        """
        from models.vision.learning import as_found

        for boxes, scores, labels in self._answered("detect", pictures):
            yield as_found(boxes, scores, labels)

    def chances(self, pictures: Iterable[U8]) -> Iterator[F32]:
        """Chance of each class for each pixel, class 0 nothing, float32 [H, W, C + 1], for pictures as above.

        Raises:
          EngineError: as `read_weights`.
        """
        for answer in self._answered("chances", pictures):
            yield np.asarray(answer, np.float32)

    def _answered(self, what: str, pictures: Iterable[U8]) -> Iterator[Any]:
        answers = self._detects if what == "detect" else self._segments
        for batch in _batches(pictures, BATCH):
            filler = [batch[-1]] * (BATCH - len(batch))  # one shape, one compilation
            found = answers(np.stack([*batch, *filler]))
            columns = [np.asarray(one) for one in (found if isinstance(found, tuple) else (found,))]
            for row in range(len(batch)):
                yield tuple(column[row] for column in columns) if len(columns) > 1 else columns[0][row]

    @functools.cached_property
    def _detects(self) -> Any:
        from models.vision.learning import DETECT, answerer

        graph, weights = read_weights(self.folder, "detect")
        return functools.partial(answerer(DETECT, graph), weights)

    @functools.cached_property
    def _segments(self) -> Any:
        import jax
        from flax import nnx

        graph, weights = read_weights(self.folder, "segment")
        told = jax.jit(lambda held, pictures: jax.nn.softmax(nnx.merge(graph, held)(pictures)))
        return functools.partial(told, weights)


def _batches(pictures: Iterable[U8], size: int) -> Iterator[Sequence[U8]]:
    batch: list[U8] = []
    for one in pictures:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _config(kind: Any, said: dict[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in said.items() if name in names})


def _short(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else str(json.dumps(str(error))[1:200])
