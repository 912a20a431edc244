"""The `marquee` command with a ledger that acknowledges at once and writes nothing.

What a ledger costs is measured against it. Nothing but a benchmark starts it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from streams.contract.events import LedgerRecord
from streams.durability import ledger_log
from streams.durability.ledger import Place


class NoLedger:
    """Takes the place of `LedgerWriter`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.writer = ""

    async def start(self) -> None:
        """Connects to nothing."""

    async def stop(self) -> None:
        """Has nothing under way."""

    async def append(self, _: LedgerRecord) -> asyncio.Future[Place]:
        """Done already."""
        placed: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        placed.set_result(Place(0, ""))
        return placed


if __name__ == "__main__":
    ledger_log.LedgerWriter = NoLedger  # type: ignore[misc, assignment]
    from streams import cli

    cli.main()
