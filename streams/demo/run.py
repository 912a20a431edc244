"""Runs the demo: broker, topics, engine and show, in that order, and takes all of it down again.

The main thread supervises the processes and takes the signals, since a child is bound to the thread that starts it;
`show.Show` conducts in a thread of its own.
"""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path
from typing import Final

from rich.console import Console

from streams.contract.topics import TOPICS
from streams.demo import beside, workshop
from streams.demo.show import Show, Wish
from streams.demo.summary import Outcome
from streams.errors import ReplayError, RoleError
from streams.printable import printable
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import EventLog, read_log
from streams.roles.app import ROLES, commands_for
from streams.roles.supervisor import Supervisor
from streams.settings import environ_without_settings
from streams.transport import admin
from streams.transport.embedded import embedded_broker, free_port

DRAIN_S: Final = 2.0
"""What the roles get to end in, so that all is gone within 5 s of Ctrl-C; their state goes with the demo anyway."""
LAST_WORDS_CHARS: Final = 3_000


def run(wish: Wish, *, events: int, console: Console) -> Outcome:
    """The whole demo; gives how it ended, once everything is stopped again.

    Args:
      events: interactions to stream, from the log's beginning; all when there are fewer.
      console: gets the show and the summary.

    Raises:
      EmbeddedBrokerError: there is no broker to run.
      ReplayError: the user to follow is not in the log.
      RoleError: the engine stopped learning; its last words are in the text.
    """
    log = chosen(read_log(PACKAGED_DIR / "movietweetings"), events=events, follow=wish.follow)
    with tempfile.TemporaryDirectory(prefix="marquee-demo-") as folder, embedded_broker() as connection:
        _say(console, f"an embedded broker listens on {connection.bootstrap}, in memory, for this demo alone")
        admin.create_topics(connection, TOPICS, prefix="")
        _say(console, f"made its {len(TOPICS)} topics")
        config = Path(folder) / "marquee.toml"
        port = free_port()
        config.write_text(settings_toml(Path(folder), console_port=port), encoding="utf-8")
        address = f"http://127.0.0.1:{port}/"
        _say(console, f"the console: {address}")
        roles = (*ROLES, "console")
        commands = commands_for(roles, broker=connection.bootstrap, prefix="", config=config, is_embedded=True)
        items = workshop.prepare(connection, Path(folder), log)
        _say(console, f"a small platform beside it: {sum(bool(one.assets) for one in items)} clips and their viewers")
        beside_config = Path(folder) / "studio.toml"
        beside_config.write_text(workshop.settings_toml(Path(folder)), encoding="utf-8")
        commands |= commands_for(
            workshop.ROLES, broker=connection.bootstrap, prefix=beside.PREFIX, config=beside_config, is_embedded=True
        )
        words_path = Path(folder) / "roles.log"
        with words_path.open("wb") as words:
            show = Show(wish, log, connection, items, console=console, address=address)
            supervisor = Supervisor(
                commands, say=show.hear, environ=environ_without_settings(), words=words, drain_s=DRAIN_S
            )
            conductor = threading.Thread(target=show.run, args=(supervisor.stop,), name="demo")
            conductor.start()
            try:
                supervisor.run()
            finally:
                show.stop.set()
                conductor.join()
        said = words_path.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS_CHARS:].strip()
        if show.error is not None:
            raise RoleError(f"{show.error}" + (f"\nthe roles' last words:\n{said}" if said else "")) from show.error
        if show.restarts:
            told = [f"! {line}" for line in show.restarts] + ["! what the roles said:", *said.splitlines()]
            console.print("\n".join(map(printable, told)), markup=False, highlight=False, soft_wrap=True)
    return show.outcome


def chosen(log: EventLog, *, events: int, follow: str | None) -> EventLog:
    """The first ``events`` of the log.

    Raises:
      ReplayError: ``follow`` does nothing in them.
    """
    log = log.head(events)
    if follow is not None and follow not in set(log.user_id.tolist()):
        raise ReplayError(
            f"expected a user of the first {len(log):,} events, got {follow!r}; try {log.user_id[0]}, or leave it out"
        )
    return log


def settings_toml(folder: Path, *, console_port: int) -> str:
    """The roles' settings: snapshots of their own, small steps to watch, a slate after every interaction.

    Words are only hashed: encoding the catalogue would take a good part of the demo's two minutes.
    """
    return (
        f"snapshot_dir = {json.dumps(str(folder / 'snapshots'))}\n"
        'text_encoder = "hashed"\n'
        "[trainer]\nsnapshot_every_steps = 0\nbatch_size = 128\nlinger_ms = 100\n"
        "[recommender]\npush_slates = true\npush_interval_ms = 0\n"
        f"[console]\nport = {console_port}\ncontent_prefix = {json.dumps(beside.PREFIX)}\n"
        + workshop.store_toml(folder)
    )


def _say(console: Console, line: str) -> None:
    console.print(f"✓ {line}", markup=False, highlight=False, soft_wrap=True)
