"""Each built-in engine makes a real file that its checks and a second look agree on; the registry keeps its order."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from streams.contract.events import Item
from streams.cores import cues as core
from streams.errors import SettingsError
from streams.studio import checks, cut, engines, media
from streams.studio.engines import Job
from streams.studio.errors import EngineError, MediaError, SpecError
from streams.studio.means import Endpoint, Means
from streams.studio.store import sha256_of
from tests.films import film

ITEM = Item(
    item_id="i", title="Night of the Bars", text="A test card wakes up in Leeds and goes to Hull.", language="en"
)
ENGINES = {engine.name: engine for engine in engines.load()}
SRT = "1\n00:00:00,500 --> 00:00:03,000\nThe card wakes up, and looks around the room that it was left in.\n"


def produce(name, workdir, *, spec=None, **changes):
    engine = ENGINES[name]
    job = Job(task_id="t", kind=engine.capability, item=changes.pop("item", ITEM), spec=spec or {}, **changes)
    workdir.mkdir(exist_ok=True)
    return engine.produce(job, workdir)


# --- the registry -------------------------------------------------------------------------------------------------


NEEDY = {"chat", "smollm"}
"""Engines that need what not every machine has."""


def test_every_built_in_engine_is_an_engine():
    assert {engine.capability for engine in engines.load()} == {"cut", "image", "subtitles", "dub", "blurb"}
    assert all(isinstance(engine, engines.Backend) for engine in engines.load())
    assert all(engine.available() is None for engine in engines.load() if engine.name not in NEEDY)


def test_named_engines_come_first():
    first = ["extract", "reel", "follow", "frame", "cues", "whisper"]
    assert [engine.name for engine in engines.load(["extract"])][:6] == first
    assert [engine.name for engine in engines.order(engines.load(), "blurb")] == ["chat", "smollm", "extract"]


def test_engines_get_their_means(tmp_path):
    means = Means(chat=Endpoint(url="http://127.0.0.1:9", model="m"), models_dir=str(tmp_path))
    chat, smollm, extract = engines.order(engines.load(means=means), "blurb")
    assert chat.available() is None
    assert getattr(smollm, "means", None) is means
    assert extract is ENGINES["extract"]


@pytest.mark.parametrize("name", ["unknown", "nowhere.at:all", "streams.studio.blurb:nothing", "json:dumps"])
def test_what_is_no_engine_stops_the_start(name):
    with pytest.raises(SettingsError, match="expected an engine"):
        engines.load([name])


def test_the_engine_of_the_page_works(tmp_path, monkeypatch):
    page = (Path(__file__).parents[4] / "docs" / "studio.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) <= 40
    (tmp_path / "our_engine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    engine = engines.load(["our_engine:shout"])[0]
    draft = engine.produce(Job(task_id="t", kind="blurb", item=ITEM), tmp_path)
    assert Path(draft.path).read_text() == "NIGHT OF THE BARS!\n"
    assert checks.first_failure(draft.checks) is None
    assert engines.order(engines.load(["our_engine:shout"]), "blurb")[0].name == "shout"


# --- cut ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("aspect", "size"), [("9:16", (60, 108)), ("1:1", (108, 108)), ("source", (192, 108))])
def test_a_reel_has_length_aspect_and_loudness(movie, tmp_path, aspect, size):
    draft = produce("reel", tmp_path, source=str(movie.path), spec={"target_s": 3.0, "aspect": aspect})
    found = media.probe(Path(draft.path))
    picture = found.first("video")
    assert checks.first_failure(draft.checks) is None
    assert picture is not None
    assert (picture.width, picture.height) == size
    assert sum(1 for _ in media.frames(Path(draft.path), width=8, height=8)) == 75
    loudness, _ = checks.loudness_of(Path(draft.path))
    assert abs(loudness - checks.LOUDNESS_LUFS) <= 1.0
    assert "TITLE: Night of the Bars" in Path(draft.beside[0]).read_text()


@pytest.mark.slow
def test_the_same_task_gives_the_same_bytes(movie, tmp_path):
    made = [
        produce("reel", tmp_path / name, source=str(movie.path), spec={"target_s": 2.0, "aspect": "9:16"}).path
        for name in ("one", "other")
    ]
    assert sha256_of(Path(made[0])) == sha256_of(Path(made[1]))


@pytest.mark.slow
def test_a_window_follows_a_film_of_more_than_a_minute(tmp_path):
    """A path has two points a second; ffmpeg reads no hundred ifs inside each other."""
    path = tmp_path / "long.mp4"
    source = "nullsrc=size=64x36:rate=10,geq=lum='255*lt(abs(X-32-24*sin(T)),4)':cb=128:cr=128"
    media.ffmpeg(["-f", "lavfi", "-t", "70", "-i", source, *media.H264, "-preset", "ultrafast", str(path)])
    draft = produce("reel", tmp_path / "w", source=str(path), spec={"target_s": 70.0, "aspect": "9:16"})
    assert checks.first_failure(draft.checks) is None
    assert sum(1 for _ in media.frames(Path(draft.path), width=4, height=4)) == 700


def test_the_way_between_points_is_straight():
    points = [(n * 0.5, 100 * ((n * 7) % 5)) for n in range(500)]
    for at_s in (0.0, 0.5, 3.3, 111.11, 249.5, 300.0):
        expected = np.interp(at_s, [at for at, _ in points], [value for _, value in points])
        assert ffmpeg_value(cut._along(points), at_s) == pytest.approx(expected, abs=0.1)
    assert cut._along([(0.0, 5.0)]) == "5.00"
    straight = [(n * 0.5, 3.0 * n) for n in range(1_000)]
    assert len(cut._bent(straight)) == 2


def ffmpeg_value(expression, at_s):
    """A second reader of the few functions that a window's way uses."""
    names = {"t": at_s, "lt": lambda a, b: a < b, "clip": lambda x, low, high: min(max(x, low), high)}
    return eval(expression.replace("if(", "choose("), {"choose": lambda is_so, a, b: a if is_so else b}, names)


@pytest.mark.slow
def test_a_graph_too_long_for_an_argument_goes_into_a_file(movie, tmp_path):
    options = media.graph_options("[0:v:0]null[v]", tmp_path, longest=3)
    assert len(options[1]) < 4_096
    assert "[v]" not in options[1]
    media.ffmpeg([*media.read_options(movie.path), *options, "-map", "[v]", "-frames:v", "1", "-f", "null", "-"])


@pytest.mark.slow
def test_a_film_without_sound_gives_a_reel_without_sound(tmp_path):
    film(tmp_path / "mute.mkv", scenes=(0, 1), sound=False)
    draft = produce("reel", tmp_path / "w", source=str(tmp_path / "mute.mkv"), spec={"target_s": 1.5})
    assert [track.kind for track in media.probe(Path(draft.path)).tracks] == ["video"]
    assert checks.first_failure(draft.checks) is None


@pytest.mark.parametrize(
    "spec", [{"target_s": 0}, {"target_s": "long"}, {"target_s": True}, {"aspect": "wide"}, {"aspect": 1}]
)
def test_a_wish_that_is_none_is_refused(movie, tmp_path, spec):
    with pytest.raises(SpecError, match="expected spec"):
        produce("reel", tmp_path, source=str(movie.path), spec=spec)


def test_without_a_film_there_is_no_reel(tmp_path):
    with pytest.raises(SpecError, match="expected a film"):
        produce("reel", tmp_path)


# --- image --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_picture_has_its_size_and_a_title_that_can_be_read(movie, tmp_path):
    draft = produce("frame", tmp_path / "a", source=str(movie.path), spec={"aspect": "1:1", "width": 96})
    plain = produce(
        "frame", tmp_path / "b", source=str(movie.path), spec={"aspect": "1:1", "width": 96, "title": False}
    )
    assert checks.first_failure(draft.checks) is None
    with Image.open(draft.path) as one, Image.open(plain.path) as other:
        assert one.size == other.size == (96, 96)
        assert np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() > 3
    assert checks.figures(draft.checks)["title_contrast"] >= 4.5


@pytest.mark.slow
def test_a_black_film_has_no_picture(tmp_path):
    path = tmp_path / "black.mp4"
    media.ffmpeg(["-f", "lavfi", "-t", "2", "-i", "color=black:size=64x64", *media.H264, str(path)])
    with pytest.raises(EngineError, match="dark or empty"):
        produce("frame", tmp_path / "w", source=str(path))


# --- subtitles ----------------------------------------------------------------------------------------------------


def test_a_file_of_subtitles_becomes_one_by_the_rules(tmp_path):
    source = tmp_path / "in.srt"
    source.write_text(SRT)
    draft = produce("cues", tmp_path / "w", text_source=str(source), spec={"format": "vtt"})
    cues = core.parse(Path(draft.path).read_text())
    assert checks.first_failure(draft.checks) is None
    assert " ".join(" ".join(cue.text.split()) for cue in cues) == SRT.splitlines()[2]
    assert core.parse(Path(draft.beside[0]).read_text()) == cues


def test_times_of_words_become_cues(tmp_path):
    source = tmp_path / "words.json"
    words = [
        {"word": word, "start": 1 + n * 0.4, "end": 1.3 + n * 0.4}
        for n, word in enumerate(["See", "how", "it", "runs."])
    ]
    source.write_bytes(msgspec.json.encode(words))
    draft = produce("cues", tmp_path / "w", text_source=str(source), spec={"format": "srt"})
    (cue,) = core.parse(Path(draft.path).read_text())
    assert (cue.start_ms, cue.text) == (1_000, "See how it runs.")


@pytest.mark.slow
def test_a_track_of_a_film_and_subtitles_in_its_picture(movie, tmp_path):
    (tmp_path / "in.srt").write_text(SRT)
    tracked = tmp_path / "tracked.mkv"
    arguments = [*media.read_options(movie.path), *media.read_options(tmp_path / "in.srt")]
    media.ffmpeg([*arguments, "-map", "0:v", "-map", "1:s", "-c:v", "copy", "-c:s", "srt", str(tracked)])
    draft = produce("cues", tmp_path / "a", source=str(tracked))
    assert checks.first_failure(draft.checks) is None
    burnt = produce("cues", tmp_path / "it's [b]", source=str(tracked), spec={"burn": True})
    assert checks.first_failure(burnt.checks) is None
    pairs = zip(
        media.frames(Path(burnt.path), width=96, height=54), media.frames(tracked, width=96, height=54), strict=True
    )
    apart = [float(np.abs(one[36:].astype(float) - other[36:]).mean()) for one, other in pairs]
    assert np.mean(apart[20:60]) > 3 * np.mean(apart[150:]), (
        "the text is in the picture while it is said, and only then"
    )


@pytest.mark.slow
def test_a_film_without_a_track_says_so(movie, tmp_path):
    with pytest.raises(MediaError, match="subtitle track"):
        produce("cues", tmp_path, source=str(movie.path))


# --- blurb --------------------------------------------------------------------------------------------------------


def test_a_blurb_is_a_file_with_its_checks(tmp_path):
    draft = produce("extract", tmp_path, spec={"max_chars": 100})
    assert Path(draft.path).read_text() == "A test card wakes up in Leeds and goes to Hull.\n"
    assert checks.first_failure(draft.checks) is None


def test_a_blurb_in_another_language_is_refused(tmp_path):
    with pytest.raises(SpecError, match="does not translate"):
        produce("extract", tmp_path, locale="de-DE")
