"""What happens beside the supervised processes: feeding, watching, drawing, and deciding when it is over.

One thread conducts. It takes what the feed's and the tail's threads say off one queue, in order, gives it to the
`Watch` and draws; so the figures need no lock, and drawing delays no stamp.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from streams.contract.events import ContentAsset, ContentTask, Item
from streams.demo import screen, summary, workshop
from streams.demo.feed import BROKEN_COUNT, Feed
from streams.demo.making import MakingWatch
from streams.demo.summary import Outcome
from streams.demo.tail import Arrived, note, tail
from streams.demo.watch import Figures, Sent, Watch
from streams.errors import MarqueeError, RoleError
from streams.replay.logs import EventLog
from streams.replay.player import KafkaSender
from streams.transport.connection import Connection

WARM_EVENTS: Final = 1_500
"""Interactions on which the engine compiles and settles: learned and judged like all, but their freshness is not."""
DRAW_EVERY_S: Final = 0.25
FIGURE_EVERY_S: Final = 0.1
PLAIN_EVERY_S: Final = 3.0
BEHIND_S: Final = 2.0
"""The feed waits while more than so many seconds of its stream are not learned, or not in a slate, yet."""
PATIENCE_S: Final = 120.0
"""Without any progress for so long the demo has failed; a cold start on a slow machine takes less."""
NOTICE_S: Final = 20.0
LAST_SLATES_S: Final = 5.0
POINTS: Final = 24
"""Of a curve: few enough that a window of the default stream ends in each."""


Said = Sent | Arrived | ContentTask | ContentAsset | str
"""What the threads and the supervisor tell the conductor."""


class StoppedError(Exception):
    """Somebody stopped the demo; ends the conducting thread, nothing else."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants to see.

    Attributes:
      per_second: pace of the stream, events/s.
      follow: the user whose slate is shown; None: whoever acted last.
      keeps: serve on after the end, until Ctrl-C.
      has_screen: draw a live screen; otherwise a plain line every few seconds.
    """

    per_second: float
    follow: str | None = None
    keeps: bool = False
    has_screen: bool = True


def is_all_there(figures: Figures, *, events: int, items: int) -> bool:
    """Whether everything that was produced has been learned, and everything broken has been refused."""
    return figures.learned >= events and figures.items >= items and figures.dead_letters >= BROKEN_COUNT


class Show:
    """The conductor.

    Args:
      wish: what to show. log: what to feed. connection: the broker, with its topics.
      beside: the catalogue of the small platform beside the log.
      console: gets the show. address: of the console in a browser.
    """

    def __init__(
        self,
        wish: Wish,
        log: EventLog,
        connection: Connection,
        beside: Sequence[Item],
        *,
        console: Console,
        address: str = "",
    ) -> None:
        self.stop = threading.Event()
        self.error: MarqueeError | None = None
        self.restarts: list[str] = []
        """The supervisor's lines about roles that ended by themselves."""
        self._wish = wish
        self._connection = connection
        self._console = console
        self._address = address
        self._began_s = time.monotonic()
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        titles = dict(zip(log.catalogue.item_id.tolist(), log.catalogue.title.tolist(), strict=True))
        self._watch = Watch(titles, expected=len(log), follow=wish.follow)
        self._beside = beside
        self._making = MakingWatch({item.item_id: item.title for item in beside})
        self._feed = Feed(log, KafkaSender(connection), tell=self._said.put, stop=self.stop, must_wait=self._is_behind)
        self._first_ms = int(log.time_ms[0])
        self._total, self._items = len(log), len(log.catalogue)
        self._warm = min(WARM_EVENTS, len(log) // 2)
        self._notice = ""
        self._was_behind = False
        self._noticed_s = self._began_s
        self._phase, self._steps = "sets itself up", ["starting trainer and recommender, a process each"]
        self._figures = self._watch.figures(points=POINTS)
        self._drawn_s = self._figured_s = 0.0
        self._progress: tuple[tuple[int, ...], float] = ((), self._began_s)
        self._live: Live | None = None
        self.outcome = Outcome(figures=self._figures, total=self._total, films=self._items, broken=0)

    def hear(self, line: str) -> None:
        """A line of the supervisor's, from its thread."""
        self._said.put(line)

    def run(self, end: Callable[[], None]) -> None:
        """Conduct the demo to its end; then call ``end``, unless it is to be kept."""
        try:
            with self._screen(), self._threads() as start:
                self._conduct(start)
        except StoppedError:
            self.outcome = self._outcome(is_interrupted=True)
        except MarqueeError as error:
            self.outcome, self.error = self._outcome(), error
        finally:
            if not (self._wish.keeps and self.outcome.is_complete):
                end()
        if self.outcome.is_complete:
            self._console.print(summary.summary(self.outcome), highlight=False)
            if self._wish.keeps:
                user = self._figures.shown.user_id if self._figures.shown else "USER"
                lines = summary.serving(broker=self._connection.bootstrap, user_id=user, address=self._address)
                self._console.print(lines, highlight=False, soft_wrap=True)

    def _conduct(self, start: Callable[..., Future[Any]]) -> None:
        start(tail, self._connection, self._said.put, self.stop)
        start(workshop.tail, self._connection, self._said.put, self.stop)
        start(workshop.feed, self._connection, self._beside, self.stop, start_ms=self._first_ms)
        self._wait_for(start(self._feed.catalogue))
        self._until(lambda: self._figures.steps > 0 or self._figures.users > 0 or self._figures.items > 0)
        self._step(f"reading the catalogue of {self._items:,} films")
        self._until(lambda: self._figures.items >= self._items)
        self._step(f"warming up on the first {self._warm:,} interactions; a first start compiles for 10 to 20 s")
        half = self._warm // 2
        pace = self._wish.per_second
        self._wait_for(start(self._feed.events, 0, half, per_second=10 * pace, is_measured=False))
        self._wait_for(start(self._feed.events, half, self._warm, per_second=pace, is_measured=False))
        self._until(lambda: self._figures.learned >= self._warm and self._figures.waiting == 0)
        self._phase, self._steps = "learns from every event, live", []
        began_streaming_s = time.monotonic()
        self._wait_for(start(self._feed.events, self._warm, self._total, per_second=pace, is_measured=True))
        self._phase = "learns what is left"
        self._until(lambda: is_all_there(self._figures, events=self._total, items=self._items))
        streamed_s = time.monotonic() - began_streaming_s
        deadline_s = time.monotonic() + LAST_SLATES_S
        self._until(lambda: self._figures.waiting == 0 or time.monotonic() > deadline_s)
        self.outcome = self._outcome(is_complete=True, streamed_s=streamed_s)

    def _is_behind(self) -> bool:
        """Read by the feed's thread: whether this machine is too busy for the pace."""
        figures, most = self._figures, BEHIND_S * self._wish.per_second
        self._was_behind = figures.produced - figures.learned > most or figures.waiting > most
        return self._was_behind

    def _outcome(self, *, is_complete: bool = False, is_interrupted: bool = False, streamed_s: float = 0.0) -> Outcome:
        return Outcome(
            figures=self._figures, total=self._total, films=self._items, broken=self._feed.broken_count,
            streamed=self._total - self._warm, streamed_s=streamed_s, making=self._making.making(),
            is_complete=is_complete, is_interrupted=is_interrupted,
        )  # fmt: skip

    def _step(self, words: str) -> None:
        self._steps = [*self._steps, words]
        if not self._wish.has_screen:
            self._print_line()

    # --- the loop ------------------------------------------------------------------------------------------------

    def _wait_for(self, future: Future[Any]) -> None:
        self._until(future.done)
        future.result()

    def _until(self, is_met: Callable[[], bool]) -> None:
        """Take what is said, and draw, until ``is_met``."""
        while not is_met():
            if self.stop.is_set():
                raise StoppedError
            self._take()
            now_s = time.monotonic()
            if now_s - self._drawn_s >= (DRAW_EVERY_S if self._live else PLAIN_EVERY_S):
                self._drawn_s = now_s
                self._draw()
            self._check_progress(now_s)

    def _take(self) -> None:
        deadline_s = time.monotonic() + DRAW_EVERY_S / 2
        with contextlib.suppress(queue.Empty):
            said = self._said.get(timeout=0.05)
            while True:
                if isinstance(said, Sent):
                    self._watch.take_sent(said)
                elif isinstance(said, Arrived):
                    note(self._watch, said)
                elif isinstance(said, ContentTask):
                    self._making.take_task(said)
                elif isinstance(said, ContentAsset):
                    self._making.take_asset(said)
                elif "starting again" in said or "stopping" in said:
                    self._notice = said.replace(", its words are above", "")
                    self._noticed_s = time.monotonic()
                    self.restarts.append(self._notice)
                if time.monotonic() > deadline_s:
                    break
                said = self._said.get_nowait()
        if time.monotonic() - self._figured_s >= FIGURE_EVERY_S:
            self._figured_s = time.monotonic()
            self._figures = self._watch.figures(points=POINTS)

    def _check_progress(self, now_s: float) -> None:
        figures = self._figures
        reached = (figures.produced, figures.learned, figures.items, figures.slates, figures.dead_letters)
        if reached != self._progress[0]:
            self._progress = (reached, now_s)
        elif now_s - self._progress[1] > PATIENCE_S:
            raise RoleError(
                f"expected {self._total:,} interactions to be learned and {self._feed.broken_count} broken records "
                f"to be refused, got {figures.learned:,} and {figures.dead_letters}, and no more for {PATIENCE_S:.0f} s"
                f"{'; ' + self._notice if self._notice else ''}; run `marquee doctor`"
            )

    def _scene(self) -> screen.Scene:
        waits = "; this machine is busy, the feed waits for it" if self._was_behind and not self._steps else ""
        return screen.Scene(
            phase=self._phase + waits, steps=tuple(self._steps), elapsed_s=time.monotonic() - self._began_s,
            total=self._total, broken=self._feed.broken_count,
            notice=self._notice if time.monotonic() - self._noticed_s < NOTICE_S else "",
            making=self._making.making(), address=self._address,
        )  # fmt: skip

    def _draw(self) -> None:
        if self._live is None:
            self._print_line()
        else:
            size = self._console.size
            drawn = screen.picture(self._scene(), self._figures, width=size.width, height=size.height)
            self._live.update(drawn, refresh=True)

    def _print_line(self) -> None:
        line = screen.line(self._scene(), self._figures)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        if not self._wish.has_screen:
            yield
            return
        with Live(console=self._console, screen=True, auto_refresh=False) as self._live:
            yield

    @contextlib.contextmanager
    def _threads(self) -> Iterator[Callable[..., Future[Any]]]:
        """Threads for the feeds and the tails; they end with the block."""
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="demo") as pool:
            try:
                yield pool.submit
            finally:
                self.stop.set()
