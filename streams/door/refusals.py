"""What is not done, as an exception that carries its own answer; and how answers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.contract.codec import STAGE_SIZE, STAGE_SYNTAX
from streams.contract.problems import MEDIA_TYPE, FieldError, Problem

TITLES: Final = {
    "query": "The address has something that is not known",
    "syntax": "The body cannot be read",
    "record": "A record breaks the contract",
    "request": "The question cannot be answered as it was asked",
    "token": "A token is missing or wrong",
    "host": "Another host was meant",
    "address": "A secret in an address",
    "size": "Too large",
    "media": "A media type that is not taken",
    "method": "A method that is not taken",
    "path": "Nothing is there",
    "rate": "Too many requests",
    "full": "Too much is under way",
    "slow": "The request took too long to come",
    "broker": "The broker does not take or give records",
    "late": "No slate came in time",
}
"""Kind of problem, the end of its ``type`` -> its title."""


class RefusalError(Exception):
    """A request that is answered with a problem.

    Args:
      status: of the answer. kind: one of `TITLES`. detail: what was expected, what came, what to do.
      errors: of fields. retry_s: after how long it may go better.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, errors: Sequence[FieldError] = (), retry_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.retry_s = retry_s
        self.problem = Problem(
            type=f"urn:marquee:problem:{kind}", title=TITLES[kind], status=status, detail=detail, errors=list(errors)
        )

    def answer(self) -> web.Response:
        """The answer."""
        headers = {} if self.retry_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_s)))}
        return web.Response(
            body=msgspec.json.encode(self.problem), status=self.problem.status, content_type=MEDIA_TYPE, headers=headers
        )


def refused_records(errors: Sequence[FieldError], *, more: bool = False) -> RefusalError:
    """The refusal of a body because of what is in it."""
    first = errors[0]
    status, kind = {STAGE_SIZE: (413, "size"), STAGE_SYNTAX: (400, "syntax")}.get(first.stage, (422, "record"))
    where = "" if first.record is None else f" of record {first.record}"
    said = f"{first.field or 'the value'}{where}: expected {first.expected}" + (
        f", got {first.got}" if first.got else ""
    )
    return RefusalError(
        status, kind, f"nothing was published; {said}" + ("; there may be more" if more else ""), errors=errors
    )


def answer(value: Any, *, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
