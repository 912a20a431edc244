"""Sources: only files under the roots, only hosts of the list, never a private address."""

import socket

import pytest

from streams.studio.errors import SourceError
from streams.studio.sources import Sources, public_addresses, reached


@pytest.fixture
def media_root(tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / "film one.mp4").write_bytes(b"film")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link.mp4").symlink_to(tmp_path / "secret")
    return root


def test_a_file_under_a_root_is_given(media_root, tmp_path):
    uri = (media_root / "film one.mp4").as_uri()
    assert Sources(roots=[media_root]).fetch(uri, tmp_path).read_bytes() == b"film"


@pytest.mark.parametrize("name", ["link.mp4", "../secret", "%2e%2e/secret", "film one.mp4/../../secret"])
def test_a_way_out_of_the_root_is_refused(media_root, tmp_path, name):
    with pytest.raises(SourceError, match=r"studio\.roots"):
        Sources(roots=[media_root]).fetch(f"file://{media_root}/{name}", tmp_path)


def test_no_roots_means_no_files(media_root, tmp_path):
    with pytest.raises(SourceError, match=r"studio\.roots"):
        Sources().fetch((media_root / "film one.mp4").as_uri(), tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.org/a.mp4",
        "ftp://example.org/a",
        "/etc/passwd",
        "file://evil/etc/passwd",
        "https://elsewhere.org/a.mp4",
        "https://example.org@elsewhere.org/a.mp4",
        "https://user@example.org/a.mp4",
        "https://example.org:8443/a.mp4",
        "concat:/etc/passwd",
    ],
)
def test_other_addresses_are_refused(uri, tmp_path):
    with pytest.raises(SourceError, match="expected"):
        Sources(hosts=["example.org"], roots=[tmp_path]).fetch(uri, tmp_path)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "fd00::1", "0.0.0.0", "::ffff:10.0.0.8", "2002:a00:8::1"],
)
def test_a_private_address_is_never_among_those_that_are_tried(monkeypatch, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    private = (family, socket.SOCK_STREAM, 6, "", (address, 443))
    public = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:2800:220:1:248:1893:25c8:1946", 443, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [private, *public, private])
    assert public_addresses("example.org") == ["2606:2800:220:1:248:1893:25c8:1946", "93.184.216.34"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [private])
    with pytest.raises(SourceError, match="public address"):
        public_addresses("example.org")


def test_addresses_are_tried_in_turn():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with reached(["::1", "127.0.0.2", "127.0.0.1"], port) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
    with pytest.raises(OSError, match=r"127\.0\.0\.1: .*127\.0\.0\.2: "):
        reached(["127.0.0.1", "127.0.0.2"], port)


def test_a_file_too_large_is_refused(media_root, tmp_path):
    with pytest.raises(SourceError, match="at most 3 bytes"):
        Sources(roots=[media_root], most_bytes=3).fetch((media_root / "film one.mp4").as_uri(), tmp_path)
