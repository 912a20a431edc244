"""Subtitles from speech: words where they are said, by a real recogniser on real sound, with no hub asked."""

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks import spoken
from streams.contract.events import Item
from streams.cores import cues as core
from streams.cores.dub import RATE
from streams.cores.heard import said, word_errors
from streams.studio import checks, hearing, media, mixing
from streams.studio.engines import Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.subtitles import whisper

TEXTS = [
    "Nobody has lived here since the war.",
    "Ask Mirabelle about the night in Trieste.",
    "Come back before it rains.",
]


@pytest.fixture(scope="module")
def talk(movie, tmp_path_factory):
    """A film of three spoken lines whose times are known."""
    folder = tmp_path_factory.mktemp("talk")
    sounds = spoken.spoken(TEXTS, spoken.voices()[0], folder)
    lines, track = spoken.placed(TEXTS, sounds, random.Random(3), seconds=1.0)
    spoken.looped(folder / "picture.mp4", "carphone_pristine.mp4", seconds=len(track) / RATE + 1)
    spoken.muxed(folder / "talk.mp4", folder / "picture.mp4", track)
    return folder / "talk.mp4", lines


def job_of(film, **changes):
    item = Item(item_id="i", title="Night Train", tags=["Mirabelle", "Trieste"], language="en")
    job = Job(task_id="t", kind="subtitles", item=item, source=str(film), spec={"format": "srt"})
    return msgspec.structs.replace(job, **changes)


@pytest.mark.slow
def test_what_is_said_becomes_cues_where_it_is_said(talk, tmp_path):
    film, lines = talk
    draft = whisper.produce(job_of(film), tmp_path)
    cues = core.parse(Path(draft.path).read_text())
    assert checks.first_failure(draft.checks) is None
    heard = said(" ".join(cue.text for cue in cues))
    assert word_errors(said(" ".join(TEXTS)), heard) <= 2
    assert "trieste" in heard, "the item's names are expected"
    for line in lines:
        assert min(abs(cue.start_ms - line.start_ms) for cue in cues) <= 200
    assert abs(cues[0].start_ms - lines[0].start_ms) <= 150, "the first word is not pinned to the film's beginning"
    assert [Path(one).suffix for one in draft.beside] == [".vtt"]
    assert len(whisper.weights_sha256) == 64


def test_what_cannot_be_heard_is_refused(talk, movie, tmp_path):
    film, _ = talk
    with pytest.raises(SpecError, match="is not heard anew"):
        whisper.produce(job_of(film, text_source=str(film)), tmp_path)
    with pytest.raises(SpecError, match="what is heard is not translated"):
        whisper.produce(job_of(film, locale="de"), tmp_path)
    german = Item(item_id="i", language="de")
    mute = tmp_path / "mute.mkv"
    media.ffmpeg([*media.read_options(movie.path), "-an", "-c", "copy", str(mute)])
    with pytest.raises(SpecError, match="expected a film with sound"):
        whisper.produce(job_of(mute), tmp_path)
    untold = tmp_path / "untold.mkv"
    media.ffmpeg([*media.read_options(movie.path), "-c", "copy", "-metadata:s:a:0", "language=", str(untold)])
    with pytest.raises(SpecError, match="expected speech in English"):
        whisper.produce(job_of(untold, item=german), tmp_path)
    with pytest.raises(EngineError, match="heard none"):
        whisper.produce(job_of(movie.path), tmp_path)


def test_a_long_sound_is_parted_where_it_is_quiet(tmp_path):
    chance = np.random.default_rng(1)
    noise = (0.2 * chance.standard_normal(9 * RATE)).astype(np.float32)
    noise[round(3.2 * RATE) : round(3.5 * RATE)] = 0
    mixing.write_wav(tmp_path / "long.wav", [noise])
    parts = list(hearing.parts(tmp_path / "long.wav", part_s=4))
    whole = np.concatenate(list(media.sound(tmp_path / "long.wav", rate=hearing.RATE, channels=1)))[:, 0]
    np.testing.assert_array_equal(np.concatenate([samples for _, samples in parts]), whole)
    assert parts[0][0] == 0
    assert 3_200 <= parts[1][0] <= 3_500
    assert all(len(samples) <= 4 * hearing.RATE for _, samples in parts)


def test_weights_that_are_none_are_told(tmp_path):
    with pytest.raises(EngineError, match=r"expected model\.bin"):
        hearing.weights_dir(str(tmp_path))
    assert hearing.missing() is None
