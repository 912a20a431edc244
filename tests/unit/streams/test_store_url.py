"""What snapshot_dir may name, and that nothing that may hold a secret is taken or shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.settings import Settings
from streams.store_url import StoreUrl, store_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("marquee-data/snapshots", Path("marquee-data/snapshots")),
        ("/srv/a b/snapshots", Path("/srv/a b/snapshots")),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("local:///srv/snapshots/", Path("/srv/snapshots")),
        ("s3://bucket", StoreUrl("s3", "bucket")),
        ("S3://bucket/pre-fix/x/", StoreUrl("s3", "bucket/pre-fix/x")),
        ("gs://bucket.example.org/all", StoreUrl("gs", "bucket.example.org/all")),
        ("sftp://host:22/srv/all", StoreUrl("sftp", "host:22/srv/all")),
        ("abfs://box@account.dfs.core.windows.net/all", StoreUrl("abfs", "box@account.dfs.core.windows.net/all")),
        ("memory:///all", StoreUrl("memory", "/all")),
    ],
)
def test_a_folder_or_a_store(text: str, expected: Path | StoreUrl) -> None:
    assert store_of(text) == expected
    assert Settings.from_env({"MARQUEE_SNAPSHOT_DIR": text}).snapshot_dir == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:hunter22@bucket/all",
        "s3://hunter22@bucket/all",
        "s3://bucket/all?key=hunter22",
        "s3://bucket/all#hunter22",
        "s3://AKIA:hunt/er22@bucket",
        "abfs://user:hunter22@account/all",
        "https://host/all?X-Amz-Signature=hunter22",
        "https://host/hunter22",
        "simplecache::s3://hunter22/all",
        "s3://bucket/../hunter22",
        "s3:/bucket/hunter22",
        "file://host/hunter22",
        "file:///srv?hunter22",
        "s3://",
        "s3:// hunter22",
    ],
)
def test_a_secret_or_half_an_address_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "marquee.toml"
    file.write_text(f'snapshot_dir = "{text}"\n')
    for given in ({"environ": {"MARQUEE_SNAPSHOT_DIR": text}}, {"environ": {}, "path": file}):
        with pytest.raises(SettingsError, match=r"snapshot_dir|SNAPSHOT_DIR") as caught:
            Settings.from_env(**given)
        assert "without user, password and query, as s3://bucket/prefix, got ***" in str(caught.value)
        assert "hunter22" not in str(caught.value)
        assert "er22" not in str(caught.value)
