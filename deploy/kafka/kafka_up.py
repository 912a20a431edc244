#!/usr/bin/env python3
"""One real Apache Kafka broker (KRaft, loopback only) from the jars that the project publishes on Maven Central.

    python deploy/kafka/kafka_up.py start --data /tmp/kafka      # prints 127.0.0.1:PORT
    python deploy/kafka/kafka_up.py stop --data /tmp/kafka

For tests and for trying things out: one broker, test credentials, a certificate of its own. ``start`` and ``stop`` may
be repeated; a stop and a start keep ports and records. The jars (45 files, 45 MB) are fetched once a version into
``${XDG_CACHE_HOME:-~/.cache}/marquee/kafka``. Needs Java 17 or newer and Maven; ``--secure`` needs openssl. Standard
library only, so that it runs without the project's environment.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NEWEST_VERSION = "4.4.0"
OLDEST_VERSION = "4.0.2"
TEST_USER, TEST_PASSWORD = "app", "app-secret"  # for the loopback listener of a test, nowhere else
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
MIN_JAVA = 17
LOGIN_MODULES = "org.apache.kafka.common.security"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
PROJECT = (
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>local</groupId>'
    "<artifactId>kafka-run</artifactId><version>1</version><dependencies>{}</dependencies></project>"
)
INSTALL = {
    "java": "Java 17 or newer: `apt-get install default-jre-headless` (Debian, Ubuntu), `brew install openjdk` (macOS)",
    "mvn": "Maven, to fetch Kafka's jars: `apt-get install maven` (Debian, Ubuntu), `brew install maven` (macOS)",
    "openssl": "openssl, for --secure: `apt-get install openssl` (Debian, Ubuntu), `brew install openssl` (macOS)",
}
# PR_SET_PDEATHSIG: the kernel ends the broker with the thread that started it; the setting survives the exec.
BIND_AND_EXEC = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); os.execvp(sys.argv[1], sys.argv[1:])"
)

_started: dict[pathlib.Path, subprocess.Popen[bytes]] = {}
"""Brokers that this process started, by folder: their parent has to reap them."""


class KafkaUpError(Exception):
    """The broker cannot be started; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to start.

    Attributes:
      data: the broker's folder: records, ports, pid, log, certificates.
      cache: where the jars are kept.
      version: Kafka's version.
      heap: the JVM's ``-Xmx``.
      is_secure: also a SASL_SSL listener (SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN).
      dies_with_parent: end the broker with the thread that starts it (Linux).
      extra: further broker properties.
    """

    data: pathlib.Path
    cache: pathlib.Path
    version: str = NEWEST_VERSION
    heap: str = "512m"
    is_secure: bool = False
    dies_with_parent: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)


def default_cache(environ: Mapping[str, str]) -> pathlib.Path:
    """The folder for the jars by the XDG rules."""
    base = environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(base) / "marquee" / "kafka"


def missing_tools(options: Options, *, which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """One line for each program that must be installed first."""
    needed = ["java"]
    if not jars_folder(options).exists():
        needed.append("mvn")
    if options.is_secure:
        needed.append("openssl")
    return [INSTALL[tool] for tool in needed if which(tool) is None]


def java_major(version_text: str) -> int:
    """The major version in what ``java -version`` prints.

    >>> java_major('openjdk version "17.0.15" 2025-04-15'), java_major('java version "1.8.0_412"')
    (17, 8)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    if found is None:
        raise KafkaUpError(f"`java -version` should name a version, got {version_text!r}; install {INSTALL['java']}")
    return int(found[1])


def require_tools(options: Options) -> None:
    """Raises KafkaUpError naming all that is missing."""
    if missing := missing_tools(options):
        raise KafkaUpError("a real Kafka broker needs programs that are not installed:\n  " + "\n  ".join(missing))
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    if (major := java_major(shown.stderr + shown.stdout)) < MIN_JAVA:
        raise KafkaUpError(f"Kafka needs Java {MIN_JAVA} or newer, got {major}; install {INSTALL['java']}")


def jars_folder(options: Options) -> pathlib.Path:
    """Where this version's jars are, once complete."""
    return options.cache / f"libs-{options.version}"


def fetch_jars(options: Options) -> None:
    """Fetches the version's jars, once; only a complete set gets the final name."""
    libs, partial = jars_folder(options), options.cache / f"partial-{options.version}"
    options.cache.mkdir(parents=True, exist_ok=True)
    with open(options.cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if libs.exists():
            return
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        wanted = DEPENDENCY.format("org.apache.kafka", "kafka_2.13", options.version)
        wanted += DEPENDENCY.format("org.slf4j", "slf4j-simple", "1.7.36")  # without it the broker logs nothing
        (partial / "pom.xml").write_text(PROJECT.format(wanted))
        command = ["mvn", "-B", "-q", "-ntp", "-f", str(partial / "pom.xml"), "-DincludeScope=runtime"]
        done = subprocess.run([*command, f"-DoutputDirectory={partial}", COPY_GOAL], stdout=sys.stderr)
        if done.returncode:
            raise KafkaUpError(
                f"Maven could not fetch Kafka {options.version} (exit status {done.returncode}, its words are above);"
                " check the version and the network, or configure a mirror in ~/.m2/settings.xml"
            )
        partial.rename(libs)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def answers(port: int) -> bool:
    """Whether a broker answers ApiVersions, which it does only once it is unfenced."""
    body = struct.pack(">hhih", 18, 0, 7, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(struct.pack(">i", len(body)) + body)
            return connection.recv(8)[4:] == struct.pack(">i", 7)
    except OSError:
        return False


def command_line(pid: int) -> str:
    """The command line of a process, from /proc or ps; empty if there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        if pathlib.Path("/proc/self").exists():
            return ""
    return subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


def pid_of(data: pathlib.Path) -> int | None:
    """The running broker of this folder; its command line guards against a pid that another process got since."""
    try:
        pid = int((data / "pid").read_text())
    except (OSError, ValueError):
        return None
    if data in _started:
        _started[data].poll()
    return pid if str(data / "server.properties") in command_line(pid) else None


def make_certificates(folder: pathlib.Path) -> pathlib.Path:
    """A certificate authority and a server certificate for 127.0.0.1; gives the PEM key store."""
    store = folder / "server.pem"
    if store.exists():
        return store
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for line in (
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out server.crt",
    ):
        subprocess.run(["openssl", *line.split()], check=True, cwd=folder, capture_output=True)
    store.write_text("".join((folder / name).read_text() for name in ("server.key", "server.crt", "ca.pem")))
    return store


def server_properties(options: Options, ports: tuple[int, int, int]) -> str:
    """The broker's configuration: loopback only, one node, quick to start and to restart."""
    plain, controller, secure = ports
    listeners = [f"PLAINTEXT://127.0.0.1:{plain}"]
    if options.is_secure:
        listeners.append(f"SECURE://127.0.0.1:{secure}")
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": options.data / "log",
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "broker.heartbeat.interval.ms": 200,  # with the next line: a restart in 2-5 s in place of 11
        "broker.session.timeout.ms": 3000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
    }
    if options.is_secure:
        prefix = "listener.name.secure."
        plain_login = f'{LOGIN_MODULES}.plain.PlainLoginModule required user_{TEST_USER}="{TEST_PASSWORD}";'
        settings |= {
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
            prefix + "scram-sha-256.sasl.jaas.config": f"{LOGIN_MODULES}.scram.ScramLoginModule required;",
            prefix + "scram-sha-512.sasl.jaas.config": f"{LOGIN_MODULES}.scram.ScramLoginModule required;",
            prefix + "plain.sasl.jaas.config": plain_login,
            prefix + "ssl.keystore.type": "PEM",
            prefix + "ssl.keystore.location": make_certificates(options.data / "tls"),
        }
    return "".join(f"{key}={value}\n" for key, value in (settings | dict(options.extra)).items())


def format_storage(options: Options, class_path: str, properties: pathlib.Path) -> None:
    """Prepares an empty log folder, as KRaft wants it."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    scram = [f"{name}=[name={TEST_USER},password={TEST_PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = ["java", quiet, "-cp", class_path, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    command += ["-c", str(properties), *(word for one in scram if options.is_secure for word in ("--add-scram", one))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def start(options: Options) -> list[str]:
    """Starts the broker, or finds it running.

    Returns:
      ``host:port`` of the plain listener, and of the secure one if there is one.

    Raises:
      KafkaUpError: a program is missing, the jars cannot be fetched, or the broker ends or does not answer.
    """
    data = options.data
    data.mkdir(parents=True, exist_ok=True)
    properties, saved = data / "server.properties", data / "ports"
    if not saved.exists():
        saved.write_text(" ".join(map(str, free_ports(3))))
    plain, controller, secure = (int(port) for port in saved.read_text().split())
    if pid_of(data) is None or not answers(plain):
        require_tools(options)
        fetch_jars(options)
        class_path = f"{jars_folder(options)}/*"
        properties.write_text(server_properties(options, (plain, controller, secure)))
        if not (data / "log" / "meta.properties").exists():
            format_storage(options, class_path, properties)
        command = ["java", "-Xms128m", f"-Xmx{options.heap}", "-XX:+UseSerialGC", "-cp", class_path]
        command += ["kafka.Kafka", str(properties)]
        if options.dies_with_parent and sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", BIND_AND_EXEC, *command]
        with open(data / "broker.log", "a") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _started[data] = process
        (data / "pid").write_text(str(process.pid))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(plain):
            if process.poll() is not None or time.monotonic() > deadline:
                stop(data)
                raise KafkaUpError(f"the broker did not start within {START_TIMEOUT_S:.0f} s; see {data}/broker.log")
            time.sleep(0.1)
    return [f"127.0.0.1:{port}" for port in ([plain, secure] if options.is_secure else [plain])]


def stop(data: pathlib.Path, *, is_abrupt: bool = False) -> None:
    """Ends the broker of this folder, if it runs: in order, or at once (SIGKILL), as a crash would."""
    for number in (signal.SIGKILL,) if is_abrupt else (signal.SIGTERM, signal.SIGKILL):
        pid = pid_of(data)
        if pid is None:
            break
        os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while pid_of(data) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
    if child := _started.pop(data, None):
        child.wait(STOP_TIMEOUT_S)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "stop"])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the broker's folder")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(os.environ), help="folder of the jars")
    parser.add_argument("--version", default=NEWEST_VERSION, help=f"from {OLDEST_VERSION} on (default: %(default)s)")
    parser.add_argument("--heap", default="512m", help="the JVM's heap (default: %(default)s)")
    parser.add_argument("--secure", action="store_true", help="also a SASL_SSL listener with test credentials")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a broker property")
    given = parser.parse_args(arguments)
    if given.command == "stop":
        stop(given.data.resolve())
        return
    options = Options(
        data=given.data.resolve(), cache=given.cache.resolve(), version=given.version, heap=given.heap,
        is_secure=given.secure, extra=dict(pair.split("=", 1) for pair in given.set),
    )  # fmt: skip
    try:
        print(*start(options), sep="\n")
    except KafkaUpError as error:
        sys.exit(f"kafka_up: {error}")


if __name__ == "__main__":
    main()
