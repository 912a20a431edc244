"""How long to wait before the next try. Pure: nothing here sleeps."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Backoff:
    """Waits that double from ``first_s`` to ``most_s``.

    >>> backoff = Backoff(first_s=0.5, most_s=3.0)
    >>> [backoff.next_s() for _ in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    >>> backoff.reset()
    >>> backoff.next_s()
    0.5
    """

    first_s: float = 0.5
    most_s: float = 30.0
    tries: int = field(default=0, init=False)

    def next_s(self) -> float:
        """Seconds to wait now."""
        wait_s = min(self.most_s, self.first_s * 2.0 ** min(self.tries, 60))
        self.tries += 1
        return wait_s

    def reset(self) -> None:
        """It worked: the next wait is the first again."""
        self.tries = 0
