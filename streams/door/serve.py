"""The door's process: serves until SIGTERM, then answers what is under way. The composition root of this room."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import signal
import sys
from typing import Final, NamedTuple

from aiohttp import web

from streams.connect import connection_of
from streams.contract import openapi, topics
from streams.contract.topics import topic_name
from streams.door.api import BODY_S, Api
from streams.door.connections import KEPT_S, Connections
from streams.door.guard import MOST_ADDRESS, Guard, add_headers
from streams.door.waiting import Mine, Waiting
from streams.door.wire import Sender, SlateReader
from streams.errors import RoleError
from streams.settings import Settings
from streams.transport.child import exit_with_stdin
from streams.transport.connection import Connection
from streams.transport.patience import say_it_once

ANSWER_S: Final = 10.0
"""A client has to take its answer within it."""
TELL_MS: Final = 5_000
"""Records may take longer than slates to be acknowledged: nobody looks at a screen meanwhile."""
LINGER_MS: Final = 5


class Door(NamedTuple):
    """The application, and what has to run beside it."""

    app: web.Application
    connections: Connections
    reader: SlateReader
    senders: tuple[Sender, ...]


def door_of(settings: Settings, connection: Connection) -> Door:
    """Everything put together; nothing runs yet.

    Raises:
      SettingsError: there is no token, or it cannot be read.
    """
    wishes = settings.door
    connections = Connections(most=wishes.connections, busy_s=wishes.timeout_ms / 1000 + BODY_S + ANSWER_S)
    guard = Guard(wishes, wishes.required_token(), note=connections.note)
    mine, waiting = Mine(), Waiting(wishes.in_flight)
    reader = SlateReader(connection, topic_name(settings.prefix, topics.SLATES.name), mine, waiting.take)
    asking = Sender(connection, timeout_ms=wishes.timeout_ms, linger_ms=1)
    telling = Sender(connection, timeout_ms=max(wishes.timeout_ms, TELL_MS), linger_ms=LINGER_MS)
    version = importlib.metadata.version("marquee")
    api = Api(
        prefix=settings.prefix, mine=mine, waiting=waiting, reader=reader, asking=asking, telling=telling, guard=guard,
        timeout_ms=wishes.timeout_ms, document=openapi.document(version=version),
    )  # fmt: skip
    app = web.Application(middlewares=[guard.middleware], client_max_size=wishes.body_kb * 1024)
    app.on_response_prepare.append(add_headers)
    app.router.add_routes(api.routes())
    return Door(app, connections, reader, (asking, telling))


async def _serve(settings: Settings, connection: Connection) -> None:
    door, wishes = door_of(settings, connection), settings.door
    runner = web.AppRunner(
        door.app, access_log=None, shutdown_timeout=wishes.timeout_ms / 1000 + 1.0, keepalive_timeout=KEPT_S,
        max_line_size=2 * MOST_ADDRESS,
    )  # fmt: skip
    await runner.setup()
    door.connections.serve(runner.server)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    beside = [door.reader.run(), door.connections.run(), *(sender.run() for sender in door.senders)]
    works = [asyncio.create_task(work) for work in beside]
    stopping = asyncio.create_task(stop.wait())
    server: asyncio.Server | None = None
    try:
        try:
            server = await loop.create_server(door.connections, wishes.host, wishes.port)
        except OSError as error:
            raise RoleError(
                f"door: expected to listen on {wishes.host}:{wishes.port}, got: {error.strerror}; set door.port"
            ) from error
        port = server.sockets[0].getsockname()[1]
        host = f"[{wishes.host}]" if ":" in wishes.host else wishes.host
        sys.stderr.write(f"door: http://{host}:{port}/\n")
        sys.stderr.flush()
        ended, _ = await asyncio.wait({*works, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for work in ended - {stopping}:
            work.result()  # what it raised ends the process: the supervisor starts it again
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()  # answers what is under way
        for task in (*works, stopping):
            task.cancel()
        await asyncio.gather(*works, stopping, return_exceptions=True)


def run(settings: Settings, *, is_embedded: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
      RoleError: the port is taken.
      SettingsError: there is no token, or its file cannot be read.
    """
    exit_with_stdin(sys.stdin.buffer)
    logging.basicConfig(format="%(asctime)s door %(levelname)s %(message)s", level=logging.WARNING)
    say_it_once(settings.broker)
    settings.door.required_token()  # before anything else is looked at
    asyncio.run(_serve(settings, connection_of(settings, is_embedded=is_embedded)))
