"""Texts that somebody wrote, as a draft: the first of them that keeps to every rule."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from streams.contract.events import Item
from streams.cores import blurb_rules as rules
from streams.studio.checks import Check
from streams.studio.engines import Draft
from streams.studio.errors import EngineError


def first_fit(texts: Iterable[str], item: Item, workdir: Path, *, most_chars: int, is_closed: bool) -> Draft:
    """The first text that is a blurb of the item, cut to whole sentences.

    Args:
      texts: candidates in their order; no more are taken than are needed.
      most_chars, is_closed: see `streams.cores.blurb_rules.judge`.

    Raises:
      EngineError: none is; the text says what the first one broke.
    """
    broken: list[str] = []
    for place, text in enumerate(texts, start=1):
        cut = rules.trimmed(text, most_chars)
        verdicts = rules.judge(cut, item, most_chars=most_chars, is_closed=is_closed)
        worst = next((one for one in verdicts if not one.is_ok), None)
        if worst is None:
            path = workdir / "blurb.txt"
            path.write_text(cut + "\n", encoding="utf-8")
            checks = [
                *(Check(name=one.name, value=one.value, is_ok=one.is_ok, expected=one.expected) for one in verdicts),
                Check(name="candidate", value=place, is_ok=True, expected="told, not judged"),
            ]
            return Draft(path=str(path), media_type="text/plain", suffix=".txt", checks=checks)
        broken.append(f"{worst.name}: expected {worst.expected}")
    if not broken:
        raise EngineError("expected texts to choose from, got none")
    raise EngineError(
        f"expected one of {len(broken)} texts to keep to the rules, got none; the first: {broken[0]}"[:500]
    )
