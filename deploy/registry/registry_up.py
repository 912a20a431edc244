"""A real schema registry for tests and trials: Apicurio, from Maven Central, in memory, on a loopback port.

Speaks Confluent's protocol under ``/apis/ccompat/v7``. Needs Java 17 or newer, and Maven the first time. 2.6 is the
last line that runs on Java 17.

    .venv/bin/python -m deploy.registry.registry_up
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from deploy.kafka.kafka_up import default_cache, free_ports
from streams.transport.child import ends_with_parent

VERSION = "2.6.13.Final"
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
NAME = f"apicurio-registry-app-{VERSION}"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
START_S = 180.0
API = "/apis/ccompat/v7"


class RegistryUpError(Exception):
    """The registry cannot be started; the text says what to do."""


def fetch(cache: pathlib.Path) -> pathlib.Path:
    """The folder of the program, fetched and unpacked once."""
    made, partial = cache / NAME, cache / f"partial-{NAME}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock-registry", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        if shutil.which("mvn") is None:
            raise RegistryUpError("Maven is needed to fetch the registry; apt-get install maven")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
        command = ["mvn", "-B", "-q", "-ntp", COPY_GOAL, f"-Dartifact={artifact}", f"-DoutputDirectory={partial}"]
        if (done := subprocess.run(command, stdout=sys.stderr)).returncode:
            raise RegistryUpError(f"Maven could not fetch {artifact} (exit status {done.returncode}); look above")
        archive = partial / f"{NAME}-all.tar.gz"
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise RegistryUpError(
                f"expected {archive.name} with SHA-256 {SHA256}, got {digest}; remove it and try again"
            )
        with tarfile.open(archive) as packed:
            packed.extractall(partial, filter="data")
        archive.unlink()
        partial.rename(made)
    return made


@contextlib.contextmanager
def registry(cache: pathlib.Path, words: pathlib.Path) -> Iterator[str]:
    """Runs a registry; gives the address that goes into ``registry.url``. It ends with the block.

    Args:
      cache: where the program is kept. words: a file for what it says.

    Raises:
      RegistryUpError: it does not start.
    """
    program, (port,) = fetch(cache), free_ports(1)
    jar = program / f"{NAME}-runner.jar"
    command = ["java", "-Xmx320m", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1",
               f"-Dquarkus.http.port={port}", "-jar", str(jar)]  # fmt: skip
    with words.open("ab") as said:
        process = subprocess.Popen(
            ends_with_parent(command), stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=words.parent
        )
    url = f"http://127.0.0.1:{port}{API}"
    try:
        deadline_s = time.monotonic() + START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RegistryUpError(f"the registry did not start; its words: {words.read_text()[-2_000:]}")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Run one until Ctrl-C."""
    with registry(default_cache(os.environ), pathlib.Path("registry.log").resolve()) as url:
        print(f"registry.url = {url!r}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1.0)


if __name__ == "__main__":
    main()
