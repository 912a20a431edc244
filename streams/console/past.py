"""Asks the commands that rebuild a past moment, each in a process of its own: they compile, and take memory and time.

A process gets an argument list, ids behind ``--`` so that none is taken for an option, and ends with the console or
its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from streams.transport.child import ends_with_parent

MOST_S: Final = 180.0
"""A rebuild may take so long."""
WORDS_CHARS: Final = 600


class PastError(Exception):
    """A command gave no answer; the text is its own, or says that its time was over."""


class Past:
    """Runs one command at a time; who asks meanwhile waits."""

    def __init__(self, *, broker: str, prefix: str, config: Path | None, most_s: float = MOST_S) -> None:
        self._options = ["--broker", broker, "--prefix", prefix, "--json"]
        self._options += ["--config", str(config)] if config else []
        self._most_s = most_s
        self._turn = asyncio.Semaphore(1)

    async def slate(self, user_id: str, moment: str, *, k: int) -> Any:
        """The slate that was served at a moment, as `marquee recommend --as-of` gives it."""
        return await self._ask("recommend", ["--as-of", moment, "--k", str(k)], [user_id])

    async def why(self, user_id: str, item_id: str, moment: str) -> Any:
        """Why an item stands where it stands, as `marquee explain` gives it."""
        return await self._ask("explain", ["--as-of", moment], [user_id, item_id])

    async def _ask(self, command: str, options: Sequence[str], ids: Sequence[str]) -> Any:
        line = [sys.executable, "-m", "streams.cli", command, *self._options, *options, "--", *ids]
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *ends_with_parent(line), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                out, words = await asyncio.wait_for(process.communicate(), self._most_s)
            except TimeoutError:
                raise PastError(
                    f"expected an answer within {self._most_s:.0f} s, got none; `marquee {command}` in a terminal has "
                    "all the time that it needs"
                ) from None
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        if process.returncode:
            said = words.decode("utf-8", "replace").strip().splitlines()
            raise PastError((said[-1] if said else f"marquee {command} failed").removeprefix("Error: ")[:WORDS_CHARS])
        return json.loads(out)
