"""Where a task's media may come from: files under configured folders, and hosts on a list. Nothing else is opened."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from streams.studio.errors import SourceError

CONNECT_S: Final = 20.0
PIECE: Final = 1 << 20
MOST_ADDRESSES: Final = 8
"""Of a host, that are tried in turn."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What may be read.

    Attributes:
      roots: folders; a file must lie in one of them once links are followed.
      hosts: names that https addresses may have; none of them may lead to a private address.
      most_bytes: of a file.
    """

    roots: Sequence[Path] = ()
    hosts: Sequence[str] = ()
    most_bytes: int = 8 << 30

    def fetch(self, uri: str, workdir: Path) -> Path:
        """A local file with what the address holds; a download goes to ``workdir``.

        Raises:
          SourceError: the address may not be read, or gives too much or nothing.
        """
        parts = urlsplit(uri)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return self._file(unquote(parts.path))
        if parts.scheme == "https":
            return self._download(uri, workdir)
        raise SourceError(f"expected a file: or https: address, got {uri[:200]!r}")

    def _file(self, name: str) -> Path:
        if "\0" in name or not name.startswith("/"):
            raise SourceError("expected an absolute path in a file: address, got another")
        real = Path(name).resolve()
        if not any(real.is_relative_to(root.resolve()) for root in self.roots):
            raise SourceError(f"expected a file under one of studio.roots, got {name[:200]!r}; add its folder there")
        if not real.is_file():
            raise SourceError(f"expected a file at {name[:200]!r}, got none")
        if real.stat().st_size > self.most_bytes:
            raise SourceError(f"expected at most {self.most_bytes} bytes, got {real.stat().st_size}: {name[:200]!r}")
        return real

    def _download(self, uri: str, workdir: Path) -> Path:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        if host not in self.hosts or parts.username is not None or parts.port not in (None, 443):
            raise SourceError(f"expected an address on one of studio.hosts, got {uri[:200]!r}; add the host there")
        path = workdir / ("source" + "".join(c for c in Path(parts.path).suffix if c.isalnum() or c == ".")[:8])
        connection = _Pinned(host, public_addresses(host))
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise SourceError(
                    f"expected {host} to give the file, got status {response.status}; no redirect is followed"
                )
            taken = 0
            with path.open("wb") as file:
                while piece := response.read(PIECE):
                    taken += len(piece)
                    if taken > self.most_bytes:
                        raise SourceError(f"expected at most {self.most_bytes} bytes from {host}, got more")
                    file.write(piece)
            told = response.headers.get("Content-Length")
            if told is not None and told.isdecimal() and int(told) != taken:
                raise SourceError(f"expected {told} bytes from {host}, got {taken}: the connection ended early")
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"expected {host} to answer, got: {error}") from error
        finally:
            connection.close()
        return path


def public_addresses(host: str) -> list[str]:
    """The public addresses of a host, in the order in which the system would try them; private ones are left out.

    Raises:
      SourceError: it has none.
    """
    try:
        found = dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM))
    except OSError as error:
        raise SourceError(f"expected a host called {host}, got: {error}") from error
    public = [address for address in found if _is_public(address)]
    if not public:
        raise SourceError(f"expected a public address of {host}, got {', '.join(found) or 'none'}")
    return public[:MOST_ADDRESSES]


def _is_public(address: str) -> bool:
    """Whether everybody may reach it; an IPv4 address inside an IPv6 one is judged as what it is."""
    one = ipaddress.ip_address(address.partition("%")[0])
    inside = (one.ipv4_mapped or one.sixtofour) if isinstance(one, ipaddress.IPv6Address) else None
    return one.is_global and not one.is_multicast and (inside is None or inside.is_global)


class _Pinned(http.client.HTTPSConnection):
    """Connects to one of the addresses that were judged, so that a second look-up cannot lead elsewhere."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, 443, timeout=CONNECT_S, context=self._tls)
        self._addresses = addresses

    def connect(self) -> None:
        """TLS to the first address that answers, with the certificate of the host's name."""
        self.sock = self._tls.wrap_socket(reached(self._addresses), server_hostname=self.host)


def reached(addresses: Sequence[str], port: int = 443, *, patience_s: float = CONNECT_S) -> socket.socket:
    """A connection to the first of the addresses that takes one: a machine may have IPv4 or IPv6 alone.

    Raises:
      OSError: none does.
    """
    reasons: list[str] = []
    for address in addresses:
        try:
            return socket.create_connection((address, port), patience_s / len(addresses))
        except OSError as error:
            reasons.append(f"{address}: {error}")
    raise OSError(f"no connection to any of its addresses ({'; '.join(reasons)})")
