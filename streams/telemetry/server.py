"""Answers ``/metrics``, ``/healthz`` and ``/readyz`` from threads of its own, so that a stalled event loop can be told.

A page, a body or a parameter is never taken from whoever asks; nothing can be changed. One request a connection.
"""

from __future__ import annotations

import importlib.metadata
import json
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from streams.errors import RoleError
from streams.metrics_settings import MetricsSettings
from streams.telemetry.board import Board
from streams.telemetry.exporter import metrics_app
from streams.telemetry.health import Verdict

ASK_S: Final = 5.0
"""Longest wait for a request that somebody has begun."""
MOST_ASKERS: Final = 16
"""Connections answered at a time; who comes then is turned away."""
HEADERS: Final = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def application(board: Board, *, version: str) -> WsgiApp:
    """The WSGI application over a board."""
    metrics: WsgiApp = metrics_app(board, version=version)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path not in ("/metrics", "/healthz", "/readyz"):
            return _say(start, 404, {"error": "expected /metrics, /healthz or /readyz, got another path"})
        if method != "GET":
            return _say(start, 405, {"error": f"expected GET, got {method}"}, ("Allow", "GET"))
        if path == "/metrics":
            return metrics(environ | {"QUERY_STRING": ""}, start)
        return _condition(start, board.role, path, board.alive() if path == "/healthz" else board.ready())

    return answer


def _condition(start: Callable[..., Any], role: str, path: str, verdict: Verdict) -> list[bytes]:
    claim = "alive" if path == "/healthz" else "ready"
    told = {claim: verdict.is_well, "role": role, "reason": verdict.reason}
    return _say(start, 200 if verdict.is_well else 503, told)


def _say(start: Callable[..., Any], status: int, told: dict[str, Any], *headers: tuple[str, str]) -> list[bytes]:
    body = json.dumps(told).encode() + b"\n"
    start(
        f"{status} {HTTPStatus(status).phrase}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *HEADERS, *headers],
    )
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a connection, few at a time."""

    daemon_threads = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._room = threading.BoundedSemaphore(MOST_ASKERS)
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        """Without asking a name server who we are, which `http.server` does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a connection where there is room."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody went away, or is too slow: no news."""


class _Handler(WSGIRequestHandler):
    timeout = ASK_S

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no news."""


def serve(board: Board, settings: MetricsSettings) -> WSGIServer | None:
    """Listens from now until the process ends, where the settings name a port; gives the server.

    Raises:
      RoleError: the port is taken, or the address is none of this machine's.
    """
    port = settings.port_of(board.role)
    if port is None:
        return None
    return listen(board, settings.host, port)


def listen(board: Board, host: str, port: int) -> WSGIServer:
    """The same for one address; port 0 takes a free one.

    Raises:
      RoleError: nobody can listen there.
    """
    kind: type[_Server] = type("_Server", (_Server,), {"address_family": _family_of(host)})
    try:
        server = make_server(
            host, port, application(board, version=importlib.metadata.version("marquee")),
            server_class=kind, handler_class=_Handler,
        )  # fmt: skip
    except OSError as error:
        raise RoleError(
            f"{board.role}: expected to listen on {host}:{port} for metrics, got: {error.strerror}; another process of "
            "this role has it, or set metrics.port (MARQUEE_METRICS_PORT)"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
