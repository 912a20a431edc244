"""Carries an errand out in processes of their own: a deadline, an end when it is called off, and the next engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from streams.processors import THREADS_VARIABLE
from streams.studio.drafts import told_engine, told_figures, verified
from streams.studio.errors import EngineError
from streams.studio.media import THREADS, Limits, limited
from streams.studio.rendering import Errand, Outcome, Trying
from streams.studio.surroundings import seen_of

MAX_TRIES: Final = 5
MAX_SAID_BYTES: Final = 4 << 20
"""Longest that a process may say; what goes into a record is far below."""
_DECODER: Final = msgspec.json.Decoder(Trying | Outcome)
ROOT: Final = str(Path(__file__).resolve().parents[2])


async def carry_out(errand: Errand, *, deadline_s: float) -> Outcome:
    """The outcome of an errand; an engine that crashes or does not end is left out of the next try.

    Call it on the event loop of the main thread: the child ends with the thread that started it. When the call is
    cancelled the child and all that it started are killed first.

    Args:
      errand: its work folder is emptied for each try.
      deadline_s: of one try, seconds.
    """
    reasons: list[str] = []
    for _ in range(MAX_TRIES):
        workdir = Path(errand.workdir)
        await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)
        workdir.mkdir(parents=True)
        engine, outcome, ended = await _try(errand, deadline_s)
        if outcome is not None and outcome.draft is not None:
            try:
                draft = await asyncio.to_thread(verified, outcome.draft, workdir, most_bytes=errand.file_bytes)
                return msgspec.structs.replace(outcome, draft=draft)
            except EngineError as error:
                ended, engine = str(error), engine or str(outcome.engine.get("name", ""))
        elif outcome is not None:
            if outcome.reason is not None and reasons:
                reason = "; ".join([*reasons, outcome.reason])
                return msgspec.structs.replace(outcome, reason=reason, refused=False)
            return outcome
        reasons.append(f"{engine or 'before any engine'}: {ended}")
        if engine is None:
            break
        errand = msgspec.structs.replace(errand, skip=[*errand.skip, engine])
    return Outcome(reason="; ".join(reasons))


async def _try(errand: Errand, deadline_s: float) -> tuple[str | None, Outcome | None, str]:
    """The engine that was tried last, the outcome if there is one, and how the process ended."""
    limits = Limits(seconds=deadline_s, memory_bytes=errand.memory_bytes, file_bytes=errand.file_bytes)
    command = limited([sys.executable, "-m", "streams.studio.rendering"], limits)
    environ = seen_of(os.environ, errand.environment)
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (ROOT, environ.get("PYTHONPATH"))))
    environ |= {"OPENBLAS_NUM_THREADS": "1", THREADS_VARIABLE: str(THREADS), "TMPDIR": errand.workdir}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True, env=environ,
    )  # fmt: skip
    lines = b""
    ended = ""
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - for the type checker
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(msgspec.json.encode(errand))
            await process.stdin.drain()
            process.stdin.close()
        try:
            async with asyncio.timeout(deadline_s):
                while piece := await process.stdout.read(65_536):
                    lines += piece
                    if len(lines) > MAX_SAID_BYTES:
                        return (
                            _engine(lines),
                            None,
                            f"expected at most {MAX_SAID_BYTES} bytes of words, got more; it was stopped",
                        )
                status = await process.wait()
            ended = f"expected an outcome, got exit status {status}; it crashed or ran into its limits"
        except TimeoutError:
            ended = f"expected an end within {deadline_s:.0f} s, got none; it was stopped"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
    for line in lines.splitlines():
        said = _said(line)
        if isinstance(said, Outcome):
            fit = {"engine": told_engine(said.engine), "figures": told_figures(said.figures)}
            return _engine(lines), msgspec.structs.replace(said, **fit), ended
    return _engine(lines), None, ended


def _said(line: bytes) -> Trying | Outcome | None:
    try:
        said: Trying | Outcome = _DECODER.decode(line)
    except msgspec.DecodeError:
        return None  # an engine's own print
    return said


def _engine(lines: bytes) -> str | None:
    """The engine that was tried last."""
    tried = [said.engine for said in map(_said, lines.splitlines()) if isinstance(said, Trying)]
    return tried[-1] if tried else None
