"""Which text encoder a state is learned with, by the setting, the snapshot, and what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from streams.errors import SettingsError

if TYPE_CHECKING:
    from models.recommend.towers import TextEncoder

META: Final = "text_encoder"
"""Key of a snapshot's meta."""
HOW_TO_GET: Final = "run `marquee fetch minilm` once"


def saved_encoder(meta: Mapping[str, Any]) -> TextEncoder:
    """What a snapshot was learned with; one that does not say is older than the encoder."""
    return "minilm" if meta.get(META) == "minilm" else "hashed"


def chosen_encoder(wish: str, *, saved: TextEncoder | None, is_there: bool) -> TextEncoder:
    """Decided once, when a process starts; from then on it is part of the configuration.

    Args:
      wish: the setting; "auto" goes on with what a snapshot has, and without one takes the encoder if it is there.
      saved: what the snapshot that learning goes on from was learned with; None without one.
      is_there: whether the encoder's files are on this machine.

    Raises:
      SettingsError: the wish cannot be met, or would mix two encoders in one state.
    """
    if wish == "auto":
        wanted: TextEncoder = saved or ("minilm" if is_there else "hashed")
    else:
        wanted = "minilm" if wish == "minilm" else "hashed"
    if saved is not None and wanted != saved:
        raise SettingsError(
            f"text_encoder must be {saved!r} or 'auto', got {wish!r}: the snapshot was learned with it; "
            "or move snapshot_dir away to learn the topics again"
        )
    if wanted == "minilm" and not is_there:
        what = "text_encoder 'minilm' needs" if saved is None else "a snapshot that was learned with 'minilm' needs"
        raise SettingsError(f"{what} the encoder's files, got none on this machine; {HOW_TO_GET}")
    return wanted
