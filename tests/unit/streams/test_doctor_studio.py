"""What `marquee doctor` says of the studio: each lack with what to do, and never a failure."""

from __future__ import annotations

from pathlib import Path

from streams.doctor_studio import check_engines, check_media, check_sources, check_store, check_studio
from streams.errors import SettingsError
from streams.settings import Settings, StudioSettings
from streams.studio import engines
from streams.studio.store import Store


def test_a_machine_with_all_of_it_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    settings = Settings(studio=StudioSettings(store_dir=tmp_path / "store", roots=(str(tmp_path),)))
    found = check_studio(settings)
    assert [one.verdict for one in found if one.what != "studio engines"] == ["ok"] * 3
    assert list(tmp_path.iterdir()) == []


def test_each_lack_is_named() -> None:
    class Absent:
        name, capability = "absent", "dub"

        def available(self) -> str:
            return "no voice"

    absent: engines.Backend = Absent()  # type: ignore[assignment]
    found = check_engines(lambda: [absent])
    assert (found.verdict, found.found) == ("warning", "none; not available: absent: no voice")

    def wrong() -> list[engines.Backend]:
        raise SettingsError("expected an engine at x:y, got none")

    assert check_engines(wrong).remedy == "mend studio.engines"
    assert check_media(None, "no ffmpeg; on Debian: apt install ffmpeg").verdict == "warning"


def test_a_store_that_takes_nothing_and_a_root_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = check_store(lambda: Store(tmp_path / "file" / "store"))
    assert found.verdict == "warning"
    assert "MARQUEE_STUDIO_STORE_DIR" in found.remedy
    gone = check_sources([tmp_path, tmp_path / "gone"], [])
    assert (gone.verdict, gone.found) == ("warning", f"no folder at {tmp_path / 'gone'}")
    assert check_sources([], ["media.example"]).found == "no folder; hosts media.example"
    assert "no media is read" in check_sources([], []).found
