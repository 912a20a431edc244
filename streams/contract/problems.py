"""What is wrong with a record, field by field, as an HTTP answer tells it (RFC 9457, ``application/problem+json``)."""

import re
from typing import Final

import msgspec

from streams.contract.codec import STAGE_SCHEMA, Rejected

MEDIA_TYPE: Final = "application/problem+json"
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_EXPECTED: Final = re.compile(
    r"[Ee]xpected (?P<expected>.*?)(?:, got (?P<got>.*?))?(?: - at `(?:key` in `)?\$\.?(?P<path>[^`]*)`)?", re.DOTALL
)
_NAMED: Final = re.compile(r"`(?P<field>[a-z_][a-z0-9_.]*)`")


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong.

    Attributes:
      field: where, as ``context.device`` or ``tags[3]``; empty: the record whole.
      expected, got: what should be there, and what is, as JSON where it can be told.
      record: which of several records, from 0. stage: of the contract's checks.
    """

    field: str = ""
    expected: str = ""
    got: str = ""
    record: int | None = None
    stage: str = STAGE_SCHEMA


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done: the body of every answer from status 400 on.

    Attributes:
      type: a name of the kind of problem, a URN. title: the same in a few words, always alike.
      status: of the answer. detail: what was expected, what came, what to do.
      errors: what is wrong with which field, the first few.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: list[FieldError] = []


def field_error(rejected: Rejected, *, record: int | None = None) -> FieldError:
    """The refusal of one record, taken apart; what cannot be taken apart is whole in ``expected``.

    >>> field_error(Rejected(b"", "Expected `int` >= 0, got -5 - at `$.dwell_ms`", "schema")).field
    'dwell_ms'
    >>> field_error(Rejected(b"", "Object missing required field `user_id`", "schema")).field
    'user_id'
    """
    reason = rejected.reason
    if (match := _MISSING.fullmatch(reason)) is not None:
        field = ".".join(part for part in (match["path"], match["field"]) if part)
        return FieldError(field=field, expected="a value", got="none", record=record, stage=rejected.stage)
    match = _EXPECTED.fullmatch(reason)
    if match is None:
        return FieldError(expected=reason, record=record, stage=rejected.stage)
    expected, field = match["expected"], match["path"] or ""
    if not field and (named := _NAMED.search(expected)) is not None and rejected.stage != STAGE_SCHEMA:
        field = named["field"]
    return FieldError(field=field, expected=expected, got=match["got"] or "", record=record, stage=rejected.stage)
