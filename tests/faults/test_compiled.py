"""A process that compiles its kernels and programs, and one that finds them on disk, learn the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROGRAM = """
from models.recommend.state import to_arrays
from streams.cores.learn import Learner
from streams.durability.ledger import learned_hash
from streams.durability.manifest import entries_of
from tests.planted import SMALL, interactions, random_log

learner = Learner(SMALL)
log = interactions(random_log(600, users=20, seed=5))
for begin in range(0, 600, 100):
    learner.learn(log[begin : begin + 100])
print(learned_hash(entries_of(to_arrays(learner.state))))
"""


def test_what_was_compiled_and_what_was_loaded_learn_the_same(tmp_path: Path) -> None:
    environ = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "programs"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    hashes = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environ, check=True, stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        hashes.append(done.stdout.strip())
        assert any((tmp_path / "kernels").rglob("*.nbc"))
        assert any((tmp_path / "programs").iterdir())
    assert len(hashes[0]) == 64
    assert hashes[0] == hashes[1]
