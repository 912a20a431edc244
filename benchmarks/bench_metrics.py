"""What being watched costs a role: a beat each second and a scrape each 15 s, as a share of a core; and a batch's.

Roles are made and not run: 64 partitions of each topic are assigned, so that every figure is there. The scrape goes
through the WSGI application, without the socket.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, report
from streams.roles.answering import BATCH
from streams.roles.condition import RecommenderCondition, TrainerCondition
from streams.roles.recommender import RecommenderRole
from streams.roles.trainer import Trainer
from streams.settings import Settings
from streams.telemetry.board import BEAT_S, Board
from streams.telemetry.durations import Durations
from streams.telemetry.exported import ANSWER_BOUNDS_S
from streams.telemetry.server import application

PARTITIONS = 64
SCRAPE_S = 15.0
ROUNDS = 7


def main() -> None:
    """Measures both roles; the dearer one is judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="beats and scrapes of a round")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(snapshot_dir=Path(folder) / "s", cache_dir=Path(folder) / "c", text_encoder="hashed")
        trainer, recommender = Trainer(settings), RecommenderRole(settings)
        boards = {"trainer": Board("trainer"), "recommender": Board("recommender")}
        watched: dict[str, Any] = {
            "trainer": TrainerCondition(trainer, boards["trainer"]), "recommender": RecommenderCondition(recommender),
        }  # fmt: skip
        for role in (trainer, recommender):
            places = {(topic, at): 0 for topic in role.app.reader.topics for at in range(PARTITIONS)}
            role.app.reader.positions.start(places, places)
            role.app.reader.positions._end = dict.fromkeys(places, 1_000)
        trainer._announcement(waiting=0, recovering=0)
        trainer.telling._prequential()
        shares: dict[str, float] = {}
        details: dict[str, dict[str, float]] = {}
        for name, board in boards.items():
            ask = asking(board)
            beat_s = cpu_s(lambda board=board, one=watched[name]: board.beat(one), times)  # type: ignore[misc]
            scrape_s = cpu_s(ask, times)
            shares[name] = beat_s / BEAT_S + scrape_s / SCRAPE_S
            details[name] = {"beat_us": round(beat_s * 1e6, 1), "scrape_us": round(scrape_s * 1e6, 1)}
    took = Durations(ANSWER_BOUNDS_S)
    batch = [0.001 * at for at in range(BATCH)]
    batch_s = cpu_s(lambda: took.take(batch), 10 * times)
    report(
        Figure(name="core taken by being watched", ours=max(shares.values()), unit="share", goal="ours <= 0.002"),
        Figure(name="answering times of a slate", ours=batch_s / BATCH * 1e6, unit="us", goal="ours <= 1"),
        partitions=PARTITIONS, roles=details,
    )  # fmt: skip


def asking(board: Board) -> Callable[[], object]:
    """One scrape."""
    app = application(board, version="0")
    environ = {"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET"}
    return lambda: b"".join(app(environ, lambda _status, _headers: None))


def cpu_s(call: Callable[[], object], times: int) -> float:
    """Processor time of a call, s: median of rounds, after one that is not counted."""
    rounds = []
    for _ in range(ROUNDS + 1):
        began_s = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - began_s) / times)
    return statistics.median(rounds[1:])


if __name__ == "__main__":
    main()
