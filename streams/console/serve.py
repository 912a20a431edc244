"""The console's process: reads topics, serves pages, until SIGTERM. The composition root of this room."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from streams.connect import connection_of
from streams.console.api import Api
from streams.console.condition import ConsoleCondition
from streams.console.guard import Guard, add_headers
from streams.console.live import Live
from streams.console.media import Media
from streams.console.pages import Pages
from streams.console.past import Past
from streams.console.watching import Watching
from streams.errors import RoleError
from streams.settings import Settings
from streams.telemetry.board import Board
from streams.telemetry.server import serve
from streams.transport.child import exit_with_stdin
from streams.transport.connection import Connection
from streams.transport.patience import is_away, say_it_once

MOST_BODY_BYTES: Final = 1 << 16
CLOSE_S: Final = 1.0
LIVE: Final = web.AppKey("live", Live)


def app_of(settings: Settings, watching: Watching, *, config: Path | None = None) -> web.Application:
    """The web application over what `watching` knows; its live frames are made by `Live.run`."""
    wishes = settings.console
    guard = Guard(hosts=wishes.hosts, address=wishes.host, token=wishes.read_token())
    live = Live(watching, most=wishes.streams)
    past = Past(broker=settings.broker, prefix=settings.prefix, config=config)
    store = settings.studio.store_dir if isinstance(settings.studio.store_dir, Path) else None
    pages, media = Pages(), Media(store)
    api = Api(
        watching, live, guard, past, version=importlib.metadata.version("marquee"), broker=settings.broker,
        store=store,
    )  # fmt: skip
    app = web.Application(middlewares=[guard.middleware], client_max_size=MOST_BODY_BYTES)
    app.on_response_prepare.append(add_headers)
    app.router.add_routes([
        web.get("/", pages.index), web.get(r"/static/{name:.+}", pages.file), web.get("/media/{digest}", media.file),
        *api.routes(),
    ])  # fmt: skip
    app[LIVE] = live
    return app


async def _serve(settings: Settings, connection: Connection, config: Path | None, board: Board) -> None:
    watching = Watching(
        connection, prefix=settings.prefix, content_prefix=settings.console.content_prefix, own=settings.topics,
        mapping=settings.mapping,
    )  # fmt: skip
    app = app_of(settings, watching, config=config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    wishes = settings.console
    site = web.TCPSite(runner, wishes.host, wishes.port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, board, stop)
    works = {asyncio.create_task(watching.run()), asyncio.create_task(app[LIVE].run())}
    if settings.metrics.port:
        works.add(asyncio.create_task(board.run(ConsoleCondition(watching, app[LIVE]))))
    stopping = asyncio.create_task(stop.wait())
    try:
        try:
            await site.start()
        except OSError as error:
            raise RoleError(
                f"console: expected to listen on {wishes.host}:{wishes.port}, got: {error.strerror}; set console.port"
            ) from error
        port = runner.addresses[0][1]
        host = f"[{wishes.host}]" if ":" in wishes.host else wishes.host
        sys.stderr.write(f"console: http://{host}:{port}/\n")
        sys.stderr.flush()
        ended, _ = await asyncio.wait({*works, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for work in ended - {stopping}:
            work.result()  # what it raised ends the process: the supervisor starts it again
    finally:
        for task in (*works, stopping):
            task.cancel()
        await asyncio.gather(*works, stopping, return_exceptions=True)
        await runner.cleanup()


def _end(board: Board, stop: asyncio.Event) -> None:
    board.drain()
    stop.set()


def run(settings: Settings, *, config: Path | None = None, is_embedded: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
      RoleError: a port is taken.
      SettingsError: the token's file cannot be read.
    """
    exit_with_stdin(sys.stdin.buffer)
    logging.basicConfig(format="%(asctime)s console %(levelname)s %(message)s", level=logging.WARNING)
    say_it_once(settings.broker)
    board = Board("console", stall_s=settings.metrics.stall_s, is_away=is_away)
    serve(board, settings.metrics)
    asyncio.run(_serve(settings, connection_of(settings, is_embedded=is_embedded), config, board))
