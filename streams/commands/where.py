"""What `--where` and `--since` take: text of the command line to values."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Where(click.ParamType):
    """FIELD=TEXT, as (field, text)."""

    name = "field=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Splits at the first "="; the field must be one that letters have."""
        from streams.cores.redrive import FIELDS

        if isinstance(value, tuple):
            return value
        field, sign, text = str(value).partition("=")
        if field not in FIELDS or not sign or not text:
            self.fail(f"expected {', '.join(f'{name}=TEXT' for name in FIELDS)}, got {value!r}", param, ctx)
        return field, text


class Since(click.ParamType):
    """A date, a time or how long ago, as UTC epoch ms."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As :func:`since_ms`, before now."""
        if isinstance(value, int):
            return value
        found = since_ms(str(value), now_ms=time.time_ns() // 1_000_000)
        if found is None:
            self.fail(f"expected a time like 2026-01-31, 2026-01-31T12:00, 90m, 2h or 7d, got {value!r}", param, ctx)
        return found


def since_ms(text: str, *, now_ms: int) -> int | None:
    """UTC epoch ms of an ISO 8601 date or time (UTC unless it says otherwise), or of so long before now.

    >>> since_ms("2h", now_ms=7_200_001)
    1
    >>> since_ms("1970-01-01T00:00:01", now_ms=0)
    1000
    >>> since_ms("yesterday", now_ms=0) is None
    True
    """
    if ago := re.fullmatch(r"([0-9]{1,6})([smhd])", text):
        return now_ms - int(ago[1]) * UNITS_MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


WHERE = Where()
SINCE = Since()
