"""What could be wrong with the studio on this machine. Only warnings: an engine without a studio works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.doctor import Finding
from streams.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.studio.engines import Backend
    from streams.studio.store import AssetStore

MEDIA: Final = "studio media"
ENGINES: Final = "studio engines"
STORE: Final = "studio store"
SOURCES: Final = "studio sources"


def check_studio(settings: Settings) -> list[Finding]:
    """All that a studio worker needs beside a broker."""
    from streams.studio import engines, media
    from streams.studio.store import open_assets

    wishes = settings.studio
    return [
        check_media(media.ffmpeg_program(), media.missing_media()),
        check_engines(lambda: engines.load(wishes.engines)),
        check_store(lambda: open_assets(wishes.store_dir, local=settings.cache_dir / "studio")),
        check_sources([Path(root) for root in wishes.roots], wishes.hosts),
    ]


def check_media(program: str | None, missing: str | None) -> Finding:
    """Is there an ffmpeg? ``program`` is its path, ``missing`` why media cannot be worked on."""
    if missing is not None or program is None:
        return Finding(what=MEDIA, verdict="warning", found=missing or "no ffmpeg", remedy="only blurbs are made")
    return Finding(what=MEDIA, verdict="ok", found=program)


def check_engines(load: Callable[[], Sequence[Backend]]) -> Finding:
    """Which engines can work here?"""
    try:
        found = [(one, one.available()) for one in load()]
    except SettingsError as error:
        return Finding(what=ENGINES, verdict="warning", found=str(error), remedy="mend studio.engines")
    there = ", ".join(f"{one.name} ({one.capability})" for one, lacking in found if lacking is None) or "none"
    lacking = "; ".join(f"{one.name}: {why}" for one, why in found if why is not None)
    if lacking:
        remedy = "`marquee studio engines` lists them; another engine of the kind is tried where there is one"
        return Finding(what=ENGINES, verdict="warning", found=f"{there}; not available: {lacking}", remedy=remedy)
    return Finding(what=ENGINES, verdict="ok", found=there)


def check_store(open_store: Callable[[], AssetStore]) -> Finding:
    """Does the store take files?"""
    remedy = "make it writable for this user, or set studio.store_dir (MARQUEE_STUDIO_STORE_DIR)"
    try:
        store = open_store()
        store.probe()
    except (OSError, StoreError, SettingsError) as error:
        return Finding(what=STORE, verdict="warning", found=str(error), remedy=remedy)
    return Finding(what=STORE, verdict="ok", found=f"{store.address}, writable")


def check_sources(roots: Sequence[Path], hosts: Sequence[str]) -> Finding:
    """Are the folders there that sources may lie in?"""
    gone = [str(root) for root in roots if not root.is_dir()]
    if gone:
        remedy = "mount or make them, or mend studio.roots"
        return Finding(what=SOURCES, verdict="warning", found=f"no folder at {', '.join(gone)}", remedy=remedy)
    if not roots and not hosts:
        return Finding(what=SOURCES, verdict="ok", found="no roots and no hosts: no media is read, texts are made")
    words = [f"{len(roots)} folders" if roots else "no folder", f"hosts {', '.join(hosts)}" if hosts else "no host"]
    return Finding(what=SOURCES, verdict="ok", found="; ".join(words))
