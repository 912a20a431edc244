"""Which command the supervisor starts for a role."""

from __future__ import annotations

import sys
from pathlib import Path

from click.testing import CliRunner

from streams.commands.worker import worker
from streams.roles.app import ROLES, commands_for


def test_each_role_is_this_program_again() -> None:
    commands = commands_for(ROLES, broker="h:1", prefix="p", config=Path("m.toml"), is_embedded=True)
    assert list(commands) == ["trainer", "recommender"]
    for role, command in commands.items():
        assert command[:5] == [sys.executable, "-m", "streams.cli", "worker", role]
        assert command[5:] == ["--broker", "h:1", "--prefix", "p", "--config", "m.toml", "--embedded"]


def test_what_is_not_given_is_left_out() -> None:
    (command,) = commands_for(["trainer"], broker="h:1", prefix="", config=None).values()
    assert command[5:] == ["--broker", "h:1", "--prefix", ""]


def test_the_worker_takes_these_options() -> None:
    known = {option for parameter in worker.params for option in parameter.opts}
    command = commands_for(["trainer"], broker="h:1", prefix="p", config=Path("m"), is_embedded=True)["trainer"]
    assert {word for word in command[5:] if word.startswith("--")} <= known
    assert CliRunner().invoke(worker, ["nobody"]).exit_code == 2
