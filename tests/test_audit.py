"""The check of the locked packages: what it refuses, and that it never says that it looked where it could not."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import audit

ROOT = Path(__file__).resolve().parent.parent
BASE = ROOT / "requirements" / "base.txt"
MSGSPEC = audit.Pin("msgspec", "1.0", has_hash=True)


def nothing_known(_: audit.Pin) -> dict[str, Any]:
    return {"vulnerabilities": []}


def test_every_package_that_users_get_is_pinned_by_hash_and_may_be_shipped() -> None:
    pins = audit.pins_of(BASE.read_text(encoding="utf-8"))
    lines = [line for line in BASE.read_text(encoding="utf-8").splitlines() if "==" in line and line[0].isalnum()]
    assert len(pins) == len(lines) > 50
    wrong, unasked = audit.audit(pins, licence=audit.installed_licence, ask=nothing_known)
    assert (wrong, unasked) == ([], None)
    assert sum(audit.installed_licence(pin.name) is not None for pin in pins) > len(pins) - 10


@pytest.mark.parametrize("words", ["GPL-3.0-only", "AGPL-3.0", "MIT AND LGPL-2.1", "UNKNOWN", "", "my own terms"])
def test_a_licence_that_is_not_permissive_or_not_known_is_refused(words: str) -> None:
    (line,), _ = audit.audit([MSGSPEC], licence=lambda _: words, ask=nothing_known)
    assert "expected a permissive licence" in line


def test_a_package_without_hash_is_refused() -> None:
    (line,), _ = audit.audit([MSGSPEC._replace(has_hash=False)], licence=lambda _: "MIT", ask=nothing_known)
    assert "expected a sha256" in line


def test_after_the_first_silence_nobody_is_asked_again() -> None:
    calls: list[audit.Pin] = []

    def silent(pin: audit.Pin) -> dict[str, Any]:
        calls.append(pin)
        raise audit.UnreachableError("no route")

    assert audit.audit([MSGSPEC] * 9, licence=lambda _: "MIT", ask=silent) == ([], "no route")
    assert len(calls) == 1


class Index(http.server.BaseHTTPRequestHandler):
    """A package index that knows of one vulnerability."""

    vulnerable = "msgspec"

    def do_GET(self) -> None:
        known = [{"id": "PYSEC-1", "fixed_in": ["99"]}] if self.path.startswith(f"/pypi/{self.vulnerable}/") else []
        body = json.dumps({"vulnerabilities": known}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/pypi"
        server.shutdown()


def run(url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "audit.py"), str(BASE)], env={"AUDIT_URL": url, "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_known_vulnerability_fails(index: str) -> None:
    status, words = run(index)
    assert status == 1
    assert "PYSEC-1 (fixed in 99)" in words
    assert words.count("\n") == 1


def test_where_nobody_answers_it_says_that_it_did_not_look_and_does_not_fail() -> None:
    status, words = run("http://127.0.0.1:9/pypi")
    assert status == 0
    assert words.startswith("not audited: no answer from http://127.0.0.1:9/pypi")
