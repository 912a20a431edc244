"""The starter of the test broker: what it asks for, what it writes, and that start and stop may be repeated."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy.kafka import kafka_up


def make_options(folder: Path, **wishes: object) -> kafka_up.Options:
    return dataclasses.replace(kafka_up.Options(data=folder / "data", cache=folder / "cache"), **wishes)  # type: ignore[arg-type]


def test_what_is_missing_is_named_with_how_to_get_it(tmp_path):
    missing = kafka_up.missing_tools(make_options(tmp_path, is_secure=True), which=lambda _: None)
    assert [line.split(":")[0] for line in missing] == [
        "Java 17 or newer",
        "Maven, to fetch Kafka's jars",
        "openssl, for --secure",
    ]
    assert all("apt-get install" in line and "brew install" in line for line in missing)


def test_maven_is_not_needed_once_the_jars_are_there(tmp_path):
    options = make_options(tmp_path)
    kafka_up.jars_folder(options).mkdir(parents=True)
    assert kafka_up.missing_tools(options, which=lambda tool: "/bin/java" if tool == "java" else None) == []


def test_java_without_a_version_is_refused():
    with pytest.raises(kafka_up.KafkaUpError, match="should name a version, got 'nonsense'"):
        kafka_up.java_major("nonsense")


@pytest.mark.parametrize("is_secure", [False, True])
def test_every_listener_is_on_loopback(tmp_path, monkeypatch, is_secure):
    monkeypatch.setattr(kafka_up, "make_certificates", lambda folder: folder / "server.pem")
    options = make_options(tmp_path, is_secure=is_secure, extra={"num.partitions": "7"})
    lines = kafka_up.server_properties(options, (1001, 1002, 1003)).splitlines()
    written = dict(line.split("=", 1) for line in lines)
    wanted = ["PLAINTEXT://127.0.0.1:1001", "SECURE://127.0.0.1:1003", "CONTROLLER://127.0.0.1:1002"]
    assert written["listeners"].split(",") == [one for one in wanted if is_secure or "SECURE" not in one]
    assert "0.0.0.0" not in "".join(lines)
    assert written["num.partitions"] == "7"


def test_the_cache_follows_xdg():
    assert kafka_up.default_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/marquee/kafka")
    assert kafka_up.default_cache({}) == Path.home() / ".cache/marquee/kafka"


def test_a_pid_that_another_process_got_since_is_not_ours(tmp_path):
    (tmp_path / "pid").write_text("1")
    assert kafka_up.pid_of(tmp_path) is None
    kafka_up.stop(tmp_path)  # and is left alone


@pytest.mark.slow
def test_start_again_keeps_the_running_broker_and_a_kill_is_seen(kafka):
    before = kafka_up.pid_of(kafka.options.data)
    assert kafka_up.start(kafka.options)[0] == kafka.bootstrap
    assert kafka_up.pid_of(kafka.options.data) == before is not None
    kafka.kill()
    assert kafka_up.pid_of(kafka.options.data) is None
    kafka.start()
    assert kafka_up.answers(int(kafka.bootstrap.rpartition(":")[2]))
