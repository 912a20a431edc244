"""An engine's topics on the embedded broker, as the console finds them, with hostile records among them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from PIL import Image

from streams.contract import codec, ids, topics
from streams.contract.dead_letters import Origin, dead_letter
from streams.contract.events import Asset, ContentTask, Gain, Interaction, OffsetRange, SlateItem
from streams.studio.store import Aside, Store
from streams.transport.connection import Connection
from streams.transport.publish import Out, send_all
from tests import factories
from tests.factories import NOW_MS

TITLES: Final = (
    "Gravity (2013)", "Rush (2013)", "Prisoners (2013)", "The Conjuring (2013)", "Her (2013)", "Elysium (2013)",
    "The Wolverine (2013)", "Captain Phillips (2013)", "Stoker (2013)", "Mud (2012)", "Nebraska (2013)",
    "Gloria (2013)",
)  # fmt: skip
PATH: Final = "../../etc/passwd"
SCRIPT: Final = "<script>window.hacked=1</script>"
IMAGE: Final = '"><img src=x onerror="window.hacked=1">'
USERS: Final = ("11330", "2697", PATH, SCRIPT)
PICTURED: Final = "item-3"
EVENTS: Final = 40
"""Interactions of each user."""
LEARNED: Final = 120
"""Records that the ledger names, 40 of each of three partitions at most."""
SOURCES: Final = ("successor", "tower", "popular", "fresh")
LETTERS: Final = (b'{"event_id": "cut off in the mid', b'{"event_id":"e","user_id":"<b>","item_id":"i"}', b"\xff\xfe")


def item_ids() -> list[str]:
    """The catalogue's, hostile ones last."""
    return [*(f"item-{at}" for at in range(len(TITLES))), PATH, SCRIPT]


def title_of(item_id: str) -> str:
    """As the catalogue has it."""
    return {PATH: IMAGE, SCRIPT: SCRIPT}.get(item_id) or TITLES[int(item_id.rpartition("-")[2])]


def history(user_id: str) -> list[Interaction]:
    """What a user did, oldest first."""
    names = item_ids()
    return [
        factories.make_interaction(
            event_id=f"{user_id}/{at}", user_id=user_id, item_id=names[at % len(names)], action="rate",
            value=float(1 + at % 10), occurred_at_ms=NOW_MS + 1_000 * at,
        )
        for at in range(EVENTS)
    ]  # fmt: skip


def slate_items() -> list[SlateItem]:
    """The places of every slate."""
    return [
        factories.make_slate_item(
            item_id=item_id, rank=at + 1, score=7.5 - at * 0.31, source=SOURCES[at % 4], explored=at == 5,
            propensity=0.05 if at == 5 else 1.0, reasons=["often follows Gravity (2013)"],
        )
        for at, item_id in enumerate(item_ids())
    ]  # fmt: skip


def tasks() -> list[ContentTask]:
    """Content that is wanted, with most to gain first."""
    made = []
    for at, (kind, item_id, locale) in enumerate(
        (("image", PICTURED, None), ("subtitles", "item-1", "de"), ("blurb", SCRIPT, "en"), ("dub", "item-2", "fr"))
    ):
        audience: dict[str, Any] = {"region": "DE"} if at % 2 else {}
        task_id = ids.content_task_id(item_id=item_id, kind=kind, audience=audience, locale=locale, spec={})
        gain = 90.0 - 20 * at
        made.append(factories.make_content_task(
            task_id=task_id, kind=kind, item_id=item_id, locale=locale, audience=audience,
            expected_gain=Gain(metric="completions", value=gain, interval=(gain / 2, gain * 1.5)), priority=gain,
            evidence=[{"of": "audience", "views": 200, "finished": 12, "left_early": 90},
                      {"of": "expected", "rate": 0.4, "from": "items like it"}],
        ))  # fmt: skip
    return made


def records(store_dir: Path) -> Iterator[Out]:
    """Everything, in the order in which it is published; a picture goes into the store."""
    for item_id in item_ids():
        item = factories.make_item(
            item_id=item_id, title=title_of(item_id), tags=["drama", "space"], creator="A. Maker"
        )
        yield _out(topics.ITEMS, item_id, codec.encode(item))
    for user_id in USERS:
        for event in history(user_id):
            yield _out(topics.INTERACTIONS, user_id, codec.encode(event), event.occurred_at_ms)
        slate = factories.make_slate(user_id=user_id, request_id=f"r-{user_id}", items=slate_items(), k=20)
        yield _out(topics.SLATES, user_id, codec.encode(slate))
    yield _out(topics.ITEM_STATES, "item-1", codec.encode(factories.make_item_state(item_id="item-1", count=37.0)))
    yield from _told()
    yield from _letters()
    yield from _content(store_dir)


def _told() -> Iterator[Out]:
    """What a trainer tells: windows in which the model gets better, steps, a snapshot."""
    for window in range(1, 31):
        figures = {"learned": 1_000.0 * window, "total_events": 1_000.0 * window}
        for ranker, hr in (("model", 0.1 + 0.005 * window), ("transitions", 0.14), ("decayed_popularity", 0.12)):
            for name, value in ((f"{ranker}_hr_at_10", hr), (f"{ranker}_ndcg_at_10", hr / 1.8)):
                figures |= {name: value, f"total_{name}": value}
        metric = factories.make_metric(
            series="prequential", at_ms=NOW_MS + 1_000 * window, step=10 * window, events=1_000, values=figures
        )
        yield _out(topics.METRICS, "prequential", codec.encode(metric))
    values = {"learned": 30_000.0, "items": 14.0, "users": 4.0, "rejected": 3.0, "unsaved": 12.0, "recovering": 0.0}
    metric = factories.make_metric(series="trainer", at_ms=NOW_MS, step=300, events=64, values=values)
    yield _out(topics.METRICS, "trainer", codec.encode(metric))
    for step in range(1, 4):
        spans = [OffsetRange(topic="interactions.v1", partition=step - 1, first=0, last=19)]
        yield _out(topics.LEDGER, None, codec.encode(factories.make_ledger_record(step=step, ranges=spans)))
    yield _out(topics.MODEL_SNAPSHOTS, "trainer", codec.encode(factories.make_snapshot_notice()))


def _letters() -> Iterator[Out]:
    for at, value in enumerate(LETTERS):
        refused = codec.decode(Interaction, value, timestamp_ms=NOW_MS)
        assert isinstance(refused, codec.Rejected)
        origin = Origin(topic="interactions.v1", partition=0, offset=1_000 + at, timestamp_ms=NOW_MS, key=b"11330")
        yield _letter(refused, origin)
    good = codec.encode(factories.make_interaction(event_id="mended", user_id="11330"))
    origin = Origin(topic="interactions.v1", partition=0, offset=2_000, timestamp_ms=NOW_MS, key=b"11330")
    yield _letter(codec.Rejected(good, "an older version refused this", "schema"), origin)


def _letter(refused: codec.Rejected, origin: Origin) -> Out:
    letter = dead_letter(refused, origin)
    return Out(
        topic=topics.DEAD_LETTERS.name, key=letter.key, value=letter.value, headers=letter.headers,
        timestamp_ms=letter.timestamp_ms,
    )  # fmt: skip


def _content(store_dir: Path) -> Iterator[Out]:
    picture, _, _, failed = tasks()
    for task in tasks():
        yield _out(topics.CONTENT_TASKS, task.item_id, codec.encode(task), NOW_MS)
    store_dir.mkdir(parents=True, exist_ok=True)
    made = store_dir / "made.png"
    Image.linear_gradient("L").resize((320, 180)).convert("RGB").save(made)
    store = Store(store_dir)
    aside = Aside(store.corners)
    stored = store.put(made, suffix=".png", manifest={"task_id": picture.task_id}, aside=aside.folder)
    aside.close()
    asset = Asset(
        asset_id="a-1", uri=stored.uri, media_type="image/png", sha256=stored.sha256, size_bytes=stored.size_bytes
    )
    done = factories.make_content_asset(
        task_id=picture.task_id, item_id=picture.item_id, asset=asset, quality={"sharpness": 0.82, "contrast": 0.4}
    )
    yield _out(topics.CONTENT_ASSETS, picture.item_id, codec.encode(done))
    other = factories.make_content_asset(
        task_id=failed.task_id, item_id=failed.item_id, status="failed", asset=None, error=f"no voice: {IMAGE}"
    )
    yield _out(topics.CONTENT_ASSETS, failed.item_id, codec.encode(other))


def _out(spec: topics.TopicSpec, key: str | None, value: bytes, at_ms: int | None = None) -> Out:
    return Out(topic=spec.name, key=None if key is None else key.encode(), value=value, timestamp_ms=at_ms)


def fill(connection: Connection, store_dir: Path) -> None:
    """Publishes all of it, and returns once it is acknowledged."""
    asyncio.run(send_all(connection, records(store_dir)))
