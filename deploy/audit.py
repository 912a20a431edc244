#!/usr/bin/env python3
"""Looks at the locked packages: are they pinned by hash, may they be shipped, is a vulnerability of theirs known?

    python deploy/audit.py requirements/base.txt

Hashes and licences need no network: licences are those that the installed packages state. Vulnerabilities are asked
of the package index's JSON API (``AUDIT_URL``, by default PyPI's); where it does not answer, that is said, and is no
failure: a check without a network must not fail, and must not look as if it had been made. Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

DEFAULT_URL: Final = "https://pypi.org/pypi"
TIMEOUT_S: Final = 10.0
PIN: Final = re.compile(
    r"^(?P<name>[a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==(?P<version>[^ ;\\\s]+)(?P<rest>(?:.|\n(?![a-z0-9]))*)", re.M
)
ALLOWED: Final = re.compile(
    r"\b(apache|mit|bsd|0bsd|psf|python software foundation|zlib|cc0|isc|mpl|unlicense|repoze public license)\b", re.I
)
"""Words of licences that let anybody use, change and ship a package."""
REFUSED: Final = re.compile(r"\b(a?gpl|lgpl|sspl|busl?|gnu|affero|commons clause|non-?commercial|proprietary)", re.I)


class Pin(NamedTuple):
    """One locked package."""

    name: str
    version: str
    has_hash: bool


class UnreachableError(Exception):
    """The service gave no answer."""


def pins_of(text: str) -> list[Pin]:
    r"""The packages of a locked set.

    >>> pins_of("msgspec==0.20.0 \\\n    --hash=sha256:00\nsix==1.17.0\n")
    [Pin(name='msgspec', version='0.20.0', has_hash=True), Pin(name='six', version='1.17.0', has_hash=False)]
    """
    return [Pin(m["name"], m["version"], "--hash=sha256:" in m["rest"]) for m in PIN.finditer(text)]


def licence_of(metadata: Mapping[str, Any], classifiers: Iterable[str]) -> str:
    """What a package says of its licence, in one line; empty if it says nothing.

    >>> licence_of({"License": "MIT"}, ["License :: OSI Approved :: MIT License", "Topic :: Utilities"])
    'MIT; MIT License'
    """
    said = [str(metadata.get(name) or "").partition("\n")[0].strip() for name in ("License-Expression", "License")]
    said += [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    return "; ".join(one for one in said if one)


def may_be_shipped(licence: str) -> bool:
    """Whether these words name a permissive licence and no other.

    >>> [may_be_shipped(words) for words in ("MIT", "GPL-3.0-only", "MIT OR GPL-2.0", "Copyright (c) me", "")]
    [True, False, False, False, False]
    """
    return ALLOWED.search(licence) is not None and REFUSED.search(licence) is None


def known_of(answer: Mapping[str, Any]) -> list[str]:
    """The vulnerabilities that the index's JSON names: those that were not withdrawn.

    >>> known_of({"vulnerabilities": [{"id": "PYSEC-1", "fixed_in": ["2.0"]}, {"id": "X", "withdrawn": "2024-01-01"}]})
    ['PYSEC-1 (fixed in 2.0)']
    """
    return [
        f"{one['id']} (fixed in {', '.join(one.get('fixed_in') or ['no version yet'])})"
        for one in answer.get("vulnerabilities") or ()
        if not one.get("withdrawn")
    ]


def asked(url: str, pin: Pin) -> Mapping[str, Any]:
    """What the index says of a package.

    Raises:
      UnreachableError: nothing, or something else than JSON with a list of vulnerabilities.
    """
    try:
        with urllib.request.urlopen(f"{url}/{pin.name}/{pin.version}/json", timeout=TIMEOUT_S) as answer:  # noqa: S310 - `main` has looked at it
            found = json.loads(answer.read())
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise UnreachableError(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, dict) or "vulnerabilities" not in found:
        raise UnreachableError("it has no list of vulnerabilities")
    return found


def audit(
    pins: Iterable[Pin], *, licence: Callable[[str], str | None], ask: Callable[[Pin], Mapping[str, Any]]
) -> tuple[list[str], str | None]:
    """What is wrong with these packages, and why vulnerabilities were not looked for; None if they were.

    Args:
      licence: the words of an installed package; None if it is not installed. ask: see `asked`.
    """
    wrong: list[str] = []
    unasked: str | None = None
    for pin in pins:
        if not pin.has_hash:
            wrong.append(f"{pin.name} {pin.version}: expected a sha256 of each file, got none; run `make lock`")
        words = licence(pin.name)
        if words is not None and not may_be_shipped(words):
            wrong.append(f"{pin.name} {pin.version}: expected a permissive licence, got {words[:80]!r}; replace it")
        if unasked is None:
            try:
                wrong += [f"{pin.name} {pin.version}: {known}; take a later version" for known in known_of(ask(pin))]
            except UnreachableError as error:
                unasked = str(error)
    return wrong, unasked


def installed_licence(name: str) -> str | None:
    """The words of an installed package."""
    try:
        found = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    fields = {field: found[field] for field in ("License-Expression", "License") if field in found}
    return licence_of(fields, found.get_all("Classifier") or ())


def main(arguments: list[str]) -> int:
    """The command line; 1 if something is wrong."""
    url = os.environ.get("AUDIT_URL", DEFAULT_URL).rstrip("/")
    if not url.startswith(("https://", "http://127.0.0.1:")):
        sys.exit(f"audit: expected AUDIT_URL to begin with https://, got {url!r}")
    pins = sorted({pin for path in arguments for pin in pins_of(Path(path).read_text(encoding="utf-8"))})
    if not pins:
        sys.exit("audit: expected locked sets, such as requirements/base.txt")
    wrong, unasked = audit(pins, licence=installed_licence, ask=lambda pin: asked(url, pin))
    for line in wrong:
        print(f"audit: {line}")
    if unasked is not None:
        print(
            f"not audited: no answer from {url} ({unasked}); hashes and licences of {len(pins)} packages were looked at"
        )
    elif not wrong:
        print(f"audit: {len(pins)} packages, no known vulnerability")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
