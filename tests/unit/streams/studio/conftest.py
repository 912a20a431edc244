"""One film with known cuts for all tests of the studio's media."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.films import film


class Made(NamedTuple):
    """A film and the first frame of each of its scenes but the first."""

    path: Path
    cuts: Sequence[int]


@pytest.fixture(scope="session")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four scenes of two seconds, 192x108, with sound in English."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return Made(path, film(path, scenes=(0, 1, 3, 4), frames=50))
