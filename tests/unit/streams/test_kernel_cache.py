"""Compiled code is found again, and never what was compiled from other sources or for another processor."""

import os
import subprocess
import sys

from streams.kernel_cache import (
    PROGRAMS_VARIABLE,
    VARIABLE,
    kernel_cache_dir,
    program_cache_dir,
    use_kernel_cache,
    use_program_cache,
)


def test_a_change_in_any_source_gives_another_folder(tmp_path):
    sources = tmp_path / "models"
    (sources / "deep").mkdir(parents=True)
    (sources / "a.py").write_text("x = 1\n")
    (sources / "deep" / "b.py").write_text("y = 1\n")
    first = kernel_cache_dir(tmp_path, [sources])
    assert first == kernel_cache_dir(tmp_path, [sources])
    (sources / "deep" / "b.py").write_text("y = 2\n")
    assert kernel_cache_dir(tmp_path, [sources]) != first
    assert first.parent == tmp_path / "kernels"


def test_a_moved_source_gives_another_folder(tmp_path):
    sources = tmp_path / "models"
    sources.mkdir()
    (sources / "a.py").write_text("x = 1\n")
    first = kernel_cache_dir(tmp_path, [sources])
    (sources / "a.py").rename(sources / "b.py")
    assert kernel_cache_dir(tmp_path, [sources]) != first


def test_a_folder_of_the_environment_stands(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "elsewhere")
    use_kernel_cache(tmp_path)
    assert os.environ[VARIABLE] == "elsewhere"


def test_the_folder_of_programs_is_named_by_what_the_processors_can_do(tmp_path):
    processors = tmp_path / "cpuinfo"
    processors.write_text("processor : 0\nflags : sse avx\ncpu MHz : 2000\nprocessor : 1\nflags : sse avx\n")
    first = program_cache_dir(tmp_path, processors)
    processors.write_text("processor : 0\nflags : sse avx\ncpu MHz : 2400\n")  # they differ in nothing that counts
    assert program_cache_dir(tmp_path, processors) == first
    processors.write_text("processor : 0\nflags : sse avx avx512f\n")
    assert program_cache_dir(tmp_path, processors) != first
    assert program_cache_dir(tmp_path, tmp_path / "no such file").parent == tmp_path / "programs"


def test_a_folder_of_programs_of_the_environment_stands(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRAMS_VARIABLE, "elsewhere")
    use_program_cache(tmp_path)
    assert os.environ[PROGRAMS_VARIABLE] == "elsewhere"


PROGRAM = """
import pathlib, sys
from streams.kernel_cache import use_program_cache
use_program_cache(pathlib.Path(sys.argv[1]))
import jax, jax.numpy as jnp
compiled = []
jax.monitoring.register_event_listener(lambda event, **_: compiled.append(event))
print(float(jax.jit(lambda x: jnp.sin(x) @ x)(jnp.arange(5.0))))
print(compiled.count("/jax/compilation_cache/cache_misses"))
"""


def run(cache_dir, *options):
    command = [sys.executable, *options, "-c", PROGRAM, str(cache_dir)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.split()


def test_a_second_process_compiles_nothing_and_a_damaged_entry_is_compiled_again(tmp_path):
    value, missed = run(tmp_path, "-W", "error")
    assert int(missed) > 0
    assert run(tmp_path, "-W", "error") == [value, "0"]
    entries = [path for path in (tmp_path / "programs").rglob("*") if path.is_file() and path.stat().st_size > 100]
    assert entries
    for path in entries:  # as a process leaves them that is killed while it writes
        path.write_bytes(path.read_bytes()[:50])
    assert run(tmp_path)[0] == value
