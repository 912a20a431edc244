"""Rewrites the golden wire bytes on purpose: ``python -m tests.golden.regenerate``, then read the diff.

A changed file means that what is on users' topics changes. Bytes of earlier versions belong into a file of their own
name, beside the new ones: they must decode for ever.
"""

from __future__ import annotations

from pathlib import Path

from streams.contract import codec
from tests.golden.cases import CASES

WIRE = Path(__file__).parent / "wire"


def main() -> None:
    """Write one file for each case."""
    WIRE.mkdir(exist_ok=True)
    for name, event in CASES.items():
        (WIRE / f"{name}.json").write_bytes(codec.encode(event))


if __name__ == "__main__":
    main()
