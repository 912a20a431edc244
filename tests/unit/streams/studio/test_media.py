"""Media: what a file says of itself, limits that hold, and files that want to do harm."""

import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.contract.events import ContentKind, Item
from streams.studio import engines, footage, media
from streams.studio.engines import Job
from streams.studio.errors import MediaError, StudioError
from streams.studio.media import Limits

HOSTILE = int(os.environ.get("HOSTILE", "20"))
KINDS: tuple[ContentKind, ...] = ("cut", "image", "subtitles")
QUICK = Limits(seconds=20.0, file_bytes=50 << 20, media_s=60.0)
pytestmark = pytest.mark.slow


def test_a_film_says_what_it_holds(movie):
    found = media.probe(movie.path)
    picture, sound = found.first("video"), found.first("audio")
    assert picture is not None
    assert sound is not None
    assert (picture.codec, picture.width, picture.height, picture.fps) == ("h264", 192, 108, 25.0)
    assert (sound.codec, sound.language, sound.channels) == ("aac", "eng", 2)
    assert found.duration_s == pytest.approx(8.0, abs=0.05)


def test_shots_of_a_real_file_are_found(movie):
    film = footage.look_through(movie.path)
    assert len(film.looks) == 200
    assert list(film.cuts) == list(movie.cuts)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(media_s=5.0), "at most 5 s"),
        (Limits(side=100), "at most 100 pixels"),
        (Limits(file_bytes=1_000), "1 to 1000 bytes"),
    ],
)
def test_what_is_beyond_a_limit_is_refused(movie, limits, words):
    with pytest.raises(MediaError, match=words):
        media.probe(movie.path, limits)


def test_a_program_past_its_time_is_stopped():
    endless = ["-f", "lavfi", "-re", "-i", "testsrc", "-f", "null", "-"]
    with pytest.raises(MediaError, match="within 1 s"):
        media.ffmpeg(endless, Limits(seconds=1.0))


def test_a_program_past_its_file_size_is_stopped(tmp_path):
    out = tmp_path / "big.avi"
    with pytest.raises(MediaError):
        media.ffmpeg(
            ["-f", "lavfi", "-t", "60", "-i", "testsrc=size=640x360", "-c:v", "rawvideo", str(out)],
            Limits(file_bytes=1 << 20),
        )
    assert out.stat().st_size <= 1 << 20


def test_a_playlist_leads_nowhere(tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        media.probe(playlist, QUICK)
    with pytest.raises(MediaError):
        media.ffmpeg([*media.read_options(playlist), "-f", "null", "-"], QUICK)


def test_a_playlist_of_other_files_on_this_machine_is_not_opened(movie, tmp_path):
    other = tmp_path / "other.ts"
    media.ffmpeg([*media.read_options(movie.path), "-c", "copy", str(other)], QUICK)
    for name in ("list.m3u8", "list.mp4"):
        playlist = tmp_path / name
        playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
        with pytest.raises(MediaError):
            media.probe(playlist, QUICK)
        with pytest.raises(MediaError):
            media.ffmpeg([*media.read_options(playlist), "-f", "null", "-"], QUICK)


def test_a_name_like_an_option_is_a_name(movie, tmp_path, monkeypatch):
    named = tmp_path / "-version.mp4"
    named.write_bytes(movie.path.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert media.probe(Path("-version.mp4")).first("video") is not None


def corrupted(data, nth):
    """Bytes of a film made wrong in one of several ways."""
    chance = random.Random(nth)
    wrong = bytearray(data)
    match nth % 5:
        case 0:
            return data[: chance.randrange(1, len(data))]
        case 1:
            for _ in range(chance.randrange(1, 200)):
                wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        case 2:
            return chance.randbytes(chance.randrange(1, 20_000))
        case 3:  # a picture of huge sides, in the track's header and the codec's
            at = data.index(b"avc1") + 28
            wrong[at : at + 4] = struct.pack(">HH", 65_535, 65_535)
        case _:  # an index that promises what is not there
            at = data.index(b"stsz") + 12
            wrong[at : at + 4] = struct.pack(">I", chance.randrange(1 << 31))
    return bytes(wrong)


def test_hostile_files_end_in_a_reason_or_a_checked_file(movie, tmp_path):
    data = movie.path.read_bytes()
    by_kind = {engine.capability: engine for engine in engines.load()}
    reasons: list[str] = []
    before = {path.name for path in tmp_path.iterdir()}
    for nth in range(HOSTILE):
        room = tmp_path / "room"
        room.mkdir(exist_ok=True)
        source = tmp_path / ("film.mp4" if nth % 2 else "film.jpg")
        source.write_bytes(corrupted(data, nth))
        kind = KINDS[nth % 3]
        job = Job(
            task_id="t", kind=kind, item=Item(item_id="i", title="T"), spec={"target_s": 2.0} if kind == "cut" else {},
            source=str(source), seconds=20.0,
        )  # fmt: skip
        try:
            draft = by_kind[kind].produce(job, room)
        except StudioError as error:
            reasons.append(str(error))
        else:
            assert Path(draft.path).is_relative_to(room)
        source.unlink()
    assert {path.name for path in tmp_path.iterdir()} - before == {"room"}
    assert len(reasons) >= HOSTILE // 4
    assert all("expected" in reason for reason in reasons)


def test_no_ffmpeg_outlives_its_caller():
    code = (
        "import threading, os, signal; from streams.studio import media\n"
        "threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\n"
        "name = 'title=orphan-' + str(os.getpid())\n"
        "media.ffmpeg(['-f', 'lavfi', '-re', '-i', 'testsrc=size=66x66', '-metadata', name, '-f', 'null', '-'])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.getcwd()})
    child.wait(60)
    marker = f"orphan-{child.pid}".encode()

    def is_left():
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and marker in (entry / "cmdline").read_bytes():
                    return True
            except OSError:
                continue
        return False

    until_s = time.monotonic() + 30
    while is_left():
        assert time.monotonic() < until_s, "ffmpeg outlived its parent"
        time.sleep(0.05)
