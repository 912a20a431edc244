"""The folder of compiled kernels changes whenever any kernel's source does."""

import os

from streams.kernel_cache import VARIABLE, kernel_cache_dir, use_kernel_cache


def test_a_change_in_any_source_gives_another_folder(tmp_path):
    sources = tmp_path / "models"
    (sources / "deep").mkdir(parents=True)
    (sources / "a.py").write_text("x = 1\n")
    (sources / "deep" / "b.py").write_text("y = 1\n")
    first = kernel_cache_dir(tmp_path, sources)
    assert first == kernel_cache_dir(tmp_path, sources)
    (sources / "deep" / "b.py").write_text("y = 2\n")
    assert kernel_cache_dir(tmp_path, sources) != first
    assert first.parent == tmp_path / "kernels"


def test_a_moved_source_gives_another_folder(tmp_path):
    sources = tmp_path / "models"
    sources.mkdir()
    (sources / "a.py").write_text("x = 1\n")
    first = kernel_cache_dir(tmp_path, sources)
    (sources / "a.py").rename(sources / "b.py")
    assert kernel_cache_dir(tmp_path, sources) != first


def test_a_folder_of_the_environment_stands(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "elsewhere")
    use_kernel_cache(tmp_path)
    assert os.environ[VARIABLE] == "elsewhere"
