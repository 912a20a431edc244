"""Bytes of slates, against records made by hand and encoded whole."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from models.recommend.slating import FRESH_SOURCE, Slates, empty_slates
from models.recommend.state import ModelConfig
from streams.contract import codec
from streams.contract.arms import ItemArm, ItemArms
from streams.contract.events import AsOf, Request, Slate, SlateItem
from streams.cores import telling
from streams.cores.serving import Serving
from streams.cores.showcase import Showcase
from streams.cores.telling import Telling
from tests.factories import make_item, make_user

ODD = ["", 'a "quoted" one', "film, “naïf” \\", 'x","rank":1,"score":0.5,"y', "\x00\n\u2028", "plain", "other"]
"""Ids by row; nobody has row 0."""


@pytest.fixture
def serving() -> Serving:
    made = Serving(ModelConfig())
    for row, item_id in enumerate(ODD[1:], start=1):
        made.items.put(item_id, row)
    made.take_item("plain", make_item(item_id="plain", title='The "Plain"'))
    return made


def told(made: Telling, slates: Slates, requests: list[Request]) -> list[bytes]:
    lengths = [(request.k, "odd" if request.k > 2 else None) for request in requests]
    return made.slates(requests, lengths, slates, generated_at_ms=5, offsets={"0": 7})


def slate(serving: Serving, request: Request, items: list[SlateItem]) -> bytes:
    return codec.encode(
        Slate(
            request_id=request.request_id, user_id=request.user_id, generated_at_ms=5, model=serving.model, k=request.k,
            as_of=AsOf(event_time_ms=serving.newest_ms, offsets={"0": 7}), items=items,
            error="odd" if request.k > 2 else None,
        )
    )  # fmt: skip


def place(row: int, rank: int, score: float, **others: object) -> SlateItem:
    return SlateItem(item_id=ODD[row], rank=rank, score=float(np.float32(score)), **others)  # type: ignore[arg-type]


def three() -> tuple[Slates, list[Request]]:
    made = empty_slates(3, 4)
    made.filled[:] = [4, 0, 2]
    made.rows[0], made.rows[2, :2] = [1, 2, 3, 4], [6, 5]
    made.scores[0], made.scores[2, :2] = [1e-20, 0.1, -0.0, -3e7], [2.5, 0.3]
    made.source[0], made.source[2, :2] = np.array([0, 1, 2, 2]), np.array([FRESH_SOURCE, 2])
    made.because[0, 3] = 5
    made.explored[2, 0], made.propensity[2, 0] = True, 1 / 3
    requests = [Request(request_id=f'r"{k}', user_id=f"ü{k}", k=k) for k in (4, 1, 0, 2)]
    return made, requests


def test_bytes_are_those_of_the_whole_record(serving: Serving) -> None:
    slates, requests = three()
    first = [
        place(1, 1, 1e-20, source="popular", reasons=[telling.REASONS["popular"]]),
        place(2, 2, 0.1, source="tower", reasons=[telling.REASONS["tower"]]),
        place(3, 3, -0.0, source="successor", reasons=[telling.REASONS["successor"]]),
        place(4, 4, -3e7, source="successor", reasons=['often follows The "Plain"']),
    ]
    last = [
        place(6, 1, 2.5, source="fresh", reasons=[telling.REASONS["fresh"]], explored=True, propensity=1 / 3),
        place(5, 2, 0.3, source="successor", reasons=[telling.REASONS["successor"]]),
    ]
    want = [slate(serving, request, items) for request, items in zip(requests, [first, [], [], last], strict=True)]
    made = Telling(serving, Showcase(seed=0))
    assert told(made, slates, requests) == want
    assert told(made, slates, requests) == want  # from what was kept


def test_a_place_with_assets_has_the_bytes_of_the_whole_record_and_others_are_as_before(serving: Serving) -> None:
    slates, requests = three()
    showcase = Showcase(seed=0)
    before = told(Telling(serving, showcase), slates, requests)
    own = ItemArm(asset_id="own:image", kind="image", control=True)
    for row in (2, 6):
        for_germans = ItemArm(asset_id='a "b"', kind="image", language="de", task_id="t")
        showcase.take(ItemArms(item_id=ODD[row], at_ms=0, arms=[own, for_germans]))
    serving.take_user(make_user(user_id="ü4", languages=["de-AT"]))
    first, _, empty, last = (msgspec.json.decode(one, type=Slate) for one in before)
    chosen = {"asset_propensities": [1.0]}
    for items, at, assets in ((first.items, 1, ['a "b"']), (last.items, 0, ["own:image"])):
        items[at] = msgspec.structs.replace(items[at], asset_ids=assets, **chosen)
    want = [codec.encode(first), before[1], codec.encode(empty), codec.encode(last)]
    assert told(Telling(serving, showcase), slates, requests) == want
    showcase.withdraw(ODD[2], offset=0)
    showcase.withdraw(ODD[6], offset=0)
    assert told(Telling(serving, showcase), slates, requests) == before


def test_a_new_title_is_told_at_once(serving: Serving) -> None:
    slates, requests = three()
    made = Telling(serving, Showcase(seed=0))
    told(made, slates, requests)
    serving.take_item("plain", make_item(item_id="plain", title="New"))
    assert b"often follows New" in told(made, slates, requests)[0]
    serving.take_item("plain", None)
    assert b"often follows plain" in told(made, slates, requests)[0]


def test_what_is_kept_is_bounded(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "KEPT_MOST", 2)
    slates, requests = three()
    made = Telling(serving, Showcase(seed=0))
    want = told(made, slates, requests)
    for _ in range(3):
        assert told(made, slates, requests) == want
        assert len(made._items) <= 2 + 6
        assert len(made._reasons) <= 2 + 5
