"""The command line: what it prints, where, and what it exits with; no broker, no network."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from streams.cli import COMMANDS, MODULES, marquee, run
from streams.errors import BrokerUnavailableError, DeliveryError, SettingsError

HEAVY = ("faust", "jax", "polars", "confluent_kafka", "kafka", "aiokafka", "numpy", "rich", "msgspec")


def test_the_overview_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, streams.cli\n"
        "assert streams.cli.run(['--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
    assert all(name in done.stdout and line in done.stdout for name, line in COMMANDS.items())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0

    out = capsys.readouterr().out
    assert out.startswith(f"Usage: marquee {name}")
    assert f"Example: marquee {name}" in out
    module = MODULES.get(name, name)
    command = getattr(importlib.import_module(f"streams.commands.{module}"), module)
    assert command.name == name
    assert (command.help or "").strip(), "a docstring that says what it does"


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["dance"], ["replay"], ["replay", "x", "--limit", "0"], ["fetch", "ml-2m"], ["--nope"]):
        assert run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Error: " in captured.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokerUnavailableError("nobody there"), 3),
        (SettingsError("wrong setting"), 2),
        (DeliveryError("refused"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_failures_are_one_line_with_their_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(marquee, "get_command", lambda _ctx, _name: broken)

    assert run(["broken"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == (f"Error: {error}" if str(error) else "interrupted")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def buggy() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(marquee, "get_command", lambda _ctx, _name: buggy)
    with pytest.raises(ZeroDivisionError):
        run(["buggy"])


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "streams.cli", "dance"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'dance'" in done.stderr


def test_fetch_of_the_packaged_log_for_people_and_machines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MARQUEE_CACHE_DIR", str(tmp_path))

    assert run(["fetch", "movietweetings"]) == 0
    assert "MIT, Simon Dooms 2013" in capsys.readouterr().out
    assert run(["fetch", "movietweetings", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "movietweetings"
    assert (Path(answer["path"]) / "interactions.csv.gz").is_file()


def test_settings_that_are_wrong_exit_with_2_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "marquee.toml"
    file.write_text("[trainer]\nbatchsize = 1\n")
    assert run(["replay", "movietweetings", "--config", str(file)]) == 2
    assert "got 'batchsize'; did you mean batch_size?" in capsys.readouterr().err
    assert run(["replay", "movietweetings", "--broker", "kafka"]) == 2
    assert "broker must be host:port" in capsys.readouterr().err


def test_replay_says_which_log_or_rate_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MARQUEE_CACHE_DIR", str(tmp_path))
    assert run(["replay", "ml-1m"]) == 1
    assert "run `marquee fetch ml-1m` first" in capsys.readouterr().err
    assert run(["replay", "movietweetings", "--rate", "fast"]) == 1
    assert "expected a rate like max, 10x or 500/s" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["topics", "doctor", "replay"])
def test_no_broker_exits_with_3_and_says_so_once(command: str) -> None:
    arguments = [command, "--broker", "127.0.0.1:1", *(["movietweetings"] if command == "replay" else [])]
    program = [sys.executable, "-m", "streams.cli"]  # of its own: kafka-python forgets sockets that found nobody

    done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 3
    said = done.stdout + done.stderr
    assert said.count("127.0.0.1:1") >= 1
    assert "Traceback" not in said
    assert len(done.stderr.splitlines()) == (0 if command == "doctor" else 1)
