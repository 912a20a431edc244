"""How much one address may ask for: token buckets, on credit for what comes as one. Pure; the caller has the clock."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

MOST_PEERS: Final = 10_000
"""Addresses that are remembered; the one that was quiet longest is forgotten, and so starts anew."""
IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that name one site: whoever has one address has all behind it."""


@functools.lru_cache(maxsize=4_096)
def peer_of(address: str | None) -> str:
    """Who an address is, for the limit; what is no address is one peer."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))


class Rates:
    """A bucket a peer, filled at ``rate_per_s`` and as deep as a second's worth.

    >>> rates = Rates(2)
    >>> [round(rates.wait_s("a", now_s=0.0), 1) for _ in range(3)]
    [0.0, 0.0, 0.5]
    >>> rates.wait_s("a", now_s=1.0), rates.wait_s("b", now_s=0.0)
    (0.0, 0.0)
    """

    def __init__(self, rate_per_s: float, *, most_peers: int = MOST_PEERS) -> None:
        self._rate = rate_per_s
        self._most = most_peers
        self._left: dict[str, tuple[float, float]] = {}
        """Peer -> what is left, and when that was so; the quietest first."""

    def wait_s(self, peer: str, *, now_s: float, count: int = 1) -> float:
        """0 where ``count`` may be taken, which then are; else after how many seconds one may be.

        What comes together is let in while anything is left, and what it takes too much is waited for afterwards: so a
        batch that is larger than the bucket is possible at all.
        """
        left, at_s = self._left.pop(peer, (self._rate, now_s))
        left = min(self._rate, left + (now_s - at_s) * self._rate)
        wait_s = 0.0 if left >= 1.0 else (1.0 - left) / self._rate
        if wait_s == 0.0:
            left -= count
        if len(self._left) >= self._most:
            del self._left[next(iter(self._left))]
        self._left[peer] = (left, now_s)
        return wait_s

    def charge(self, peer: str, count: int) -> None:
        """Takes ``count`` more of what was let in already."""
        if count > 0 and peer in self._left:
            left, at_s = self._left[peer]
            self._left[peer] = (left - count, at_s)
