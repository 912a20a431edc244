"""The encoder of this installation: from settings to what reads the words, or to nothing."""

from __future__ import annotations

from models.recommend.state import ModelConfig
from streams.cores.contents import Encode
from streams.errors import TextEncoderError
from streams.settings import Settings
from streams.text.cache import VectorCache
from streams.text.choice import HOW_TO_GET
from streams.text.encoder import MODEL_ID, MiniLM
from streams.text.files import find_files


def is_installed(settings: Settings) -> bool:
    """Whether the encoder's files are on this machine."""
    return find_files(settings.encoders_dir) is not None


def encoder_of(settings: Settings, config: ModelConfig) -> Encode | None:
    """What reads the catalogue's words for this configuration; None where they are only hashed.

    Raises:
      TextEncoderError: the configuration wants an encoder whose files are not there.
    """
    if config.towers.text_encoder == "hashed":
        return None
    folder = find_files(settings.encoders_dir)
    if folder is None:
        raise TextEncoderError(f"expected the files of {config.towers.text_encoder}, got none; {HOW_TO_GET}")
    cache = VectorCache(settings.text_vectors_path, model_id=MODEL_ID, dim=config.towers.text_dim)
    return MiniLM(folder, cache=cache)
