"""The engine `dub` on a real film: its picture is untouched, its lines are where they belong and are understood."""

from pathlib import Path

import msgspec
import pytest

from streams.contract.events import Item
from streams.cores.heard import said, word_errors
from streams.studio import checks, hearing, media
from streams.studio.dub import dub
from streams.studio.engines import Job
from streams.studio.errors import EngineError, SpecError
from streams.studio.speech_means import SpeechMeans
from streams.studio.store import sha256_of
from tests.chat_service import chat_service

SCRIPT = """1
00:00:00,800 --> 00:00:03,100
The last train leaves at nine.

2
00:00:03,600 --> 00:00:04,100
[a door slams]

3
00:00:04,500 --> 00:00:05,700
Nobody has lived here since the war.
"""
TEXT = "The last train leaves at nine. Nobody has lived here since the war."
ONLY_PIPER = SpeechMeans(programs=("piper",))


def produce(workdir, *, film, script=SCRIPT, **changes):
    workdir.mkdir(exist_ok=True)
    source = workdir / "script.srt"
    source.write_text(script)
    job = Job(
        task_id="t", kind="dub", item=Item(item_id="i"), source=str(film), text_source=str(source), locale="en-GB",
        speech=ONLY_PIPER,
    )  # fmt: skip
    return dub.produce(msgspec.structs.replace(job, **changes), workdir)


def hash_of_pictures(path, tmp_path):
    out = tmp_path / "hash.txt"
    media.ffmpeg([*media.read_options(path), "-map", "0:v:0", "-c", "copy", "-f", "md5", str(out)])
    return out.read_text()


@pytest.fixture(scope="module")
def draft(movie, tmp_path_factory):
    return produce(tmp_path_factory.mktemp("dub"), film=movie.path)


@pytest.mark.slow
def test_a_dub_passes_its_checks_and_leaves_the_picture(movie, draft, tmp_path):
    assert checks.first_failure(draft.checks) is None
    found = media.probe(Path(draft.path))
    assert [(track.kind, track.codec) for track in found.tracks] == [("video", "h264"), ("audio", "aac")]
    assert found.tracks[1].language == "eng"
    assert hash_of_pictures(Path(draft.path), tmp_path) == hash_of_pictures(movie.path, tmp_path)
    assert abs(checks.loudness_of(Path(draft.path))[0] + 16) <= 1
    figures = checks.figures(draft.checks)
    assert (figures["lines"], figures["lines_original"], figures["overlap_s"]) == (2, 0, 0)
    assert figures["sync_error_s"] < 0.001
    assert figures["bed_under_speech_db"] <= -12


@pytest.mark.slow
def test_its_lines_are_understood_where_they_belong(draft):
    ear = hearing.Ear()
    words = hearing.hear(Path(draft.path), ear, language="en")
    truth = said(TEXT)
    assert word_errors(truth, said(" ".join(word.text for word in words))) <= 0.2 * len(truth)
    starts = [word.start_ms for word in words]
    assert min(abs(at - 800) for at in starts) <= 150
    assert min(abs(at - 4_500) for at in starts) <= 150


@pytest.mark.slow
def test_the_same_task_gives_the_same_bytes(movie, draft, tmp_path):
    assert sha256_of(Path(produce(tmp_path, film=movie.path).path)) == sha256_of(Path(draft.path))


@pytest.mark.slow
def test_a_line_that_one_voice_cannot_say_is_said_by_the_next(movie, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no weights")
    (tmp_path / "broken.onnx.json").write_text('{"espeak": {"voice": "en-us"}}')
    means = SpeechMeans(programs=("piper",), voices_dir=str(tmp_path))
    with pytest.raises(EngineError, match="expected a voice for at least one of 2 lines"):
        produce(tmp_path / "a", film=movie.path, speech=means)  # the folder's voice is that of the language, and alone
    (tmp_path / "broken.onnx.json").write_text('{"espeak": {"voice": "de"}}')
    found = produce(tmp_path / "b", film=movie.path, speech=means)
    assert checks.figures(found.checks)["lines_original"] == 0


@pytest.mark.slow
def test_a_line_that_cannot_fit_is_a_failed_check(movie, tmp_path):
    script = SCRIPT.replace("00:00:05,700", "00:00:05,000") + "\n4\n00:00:05,100 --> 00:00:07,000\nCome back.\n"
    found = produce(tmp_path, film=movie.path, script=script)
    failure = checks.first_failure(found.checks) or ""
    assert "check lines_unfit failed" in failure
    assert "line 2 ('Nobody has lived here since the war.') lacks" in failure


@pytest.mark.slow
def test_a_track_is_a_script_and_a_picture_that_no_mp4_holds_stays(movie, tmp_path):
    (tmp_path / "in.srt").write_text(SCRIPT)
    film = tmp_path / "film.mkv"
    arguments = [*media.read_options(movie.path), *media.read_options(tmp_path / "in.srt"), "-t", "6.5"]
    arguments += ["-map", "0:v", "-map", "1:s", "-metadata:s:s:0", "language=ger", "-c:v", "mjpeg", "-c:s", "srt"]
    media.ffmpeg([*arguments, str(film)])
    with pytest.raises(SpecError, match="nothing here translates"):
        produce(tmp_path / "a", film=film, text_source=None)
    with chat_service() as service:
        service.answer = lambda lines: ["Come back before it rains.", "I cannot see you."][: len(lines)]
        means = msgspec.structs.replace(service.means, programs=("piper",))
        found = produce(tmp_path / "b", film=film, text_source=None, speech=means)
    assert service.asked[0][2] == ["The last train leaves at nine.", "Nobody has lived here since the war."]
    assert "lines in de." in service.asked[0][1]["messages"][0]["content"]
    assert checks.first_failure(found.checks) is None
    assert (found.suffix, found.media_type) == (".mkv", "video/x-matroska")
    assert [track.codec for track in media.probe(Path(found.path)).tracks] == ["mjpeg", "aac"]
    assert checks.figures(found.checks)["asr_wer"] <= 0.3, "what came from the service is what is said"


@pytest.mark.parametrize(
    ("script", "words"),
    [("no cues", "expected SubRip"), (SCRIPT.replace("00:00:0", "00:09:0"), "expected lines within")],
)
def test_what_is_no_script_is_refused(movie, tmp_path, script, words):
    with pytest.raises(SpecError, match=words):
        produce(tmp_path, film=movie.path, script=script)


def test_a_language_that_nobody_speaks_fails(movie, tmp_path):
    with pytest.raises(EngineError, match="expected somebody to speak 'xx'"):
        produce(tmp_path, film=movie.path, locale="xx")


def test_a_script_in_another_language_needs_a_service(movie, tmp_path):
    with pytest.raises(SpecError, match=r"speech\.translate_url"):
        produce(tmp_path, film=movie.path, text_language="fr")
