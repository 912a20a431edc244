"""Which tasks are rendered, in which order, and what may be committed."""

from typing import Any

from streams.contract import ids
from streams.contract.events import ContentTask
from streams.cores.render import Place, Progress, Refusal, Waiting, asset_id_of, done, judge, refused, seed_of
from tests.factories import make_content_task, make_item

AT = ("tasks", 0)


def task(**changes):
    made = make_content_task(**changes)
    task_id = ids.content_task_id(
        item_id=made.item_id, kind=made.kind, audience=made.audience, locale=made.locale, spec=made.spec
    )
    return make_content_task(**{**changes, "task_id": task_id})


def test_a_new_task_is_rendered():
    assert judge(task(not_after_ms=None), item=make_item(), is_answered=False, now_ms=0) == "render"


def test_a_finished_task_is_not_done_again():
    one = task()
    assert judge(one, item=None, is_answered=True, now_ms=0) == "finished"


def test_a_task_that_was_taken_back_is_not_rendered_and_not_told_of():
    assert judge(task(withdrawn=True), item=None, is_answered=False, now_ms=0) == "withdrawn"


def test_an_asset_says_its_language_where_it_has_one():
    told: dict[str, Any] = {
        "uri": "file:///a",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "media_type": "text/vtt",
        "duration_ms": None,
    }
    for kind, language in (("subtitles", "fr"), ("cut", None)):
        found = done(task(kind=kind, locale="fr"), **told, quality={}, engine={})
        assert found.asset is not None
        assert found.asset.language == language


def test_a_task_is_refused_with_its_reason():
    late = judge(task(not_after_ms=5), item=make_item(), is_answered=False, now_ms=6)
    wrong = judge(make_content_task(task_id="other"), item=make_item(), is_answered=False, now_ms=0)
    unknown = judge(task(not_after_ms=None), item=None, is_answered=False, now_ms=0)
    for verdict, word in ((late, "by 5"), (wrong, "task_id"), (unknown, "catalogue")):
        assert isinstance(verdict, Refusal)
        assert word in verdict.reason


def test_a_reason_fits_its_field():
    assert len(refused(task(), "x" * 5_000).error or "") == 1_000


def test_ids_and_seeds_are_the_task_s():
    assert asset_id_of("a") == asset_id_of("a") != asset_id_of("b")
    assert seed_of(0, "a") == seed_of(0, "a") != seed_of(1, "a")


def test_the_highest_priority_comes_first_and_equals_in_order():
    waiting = Waiting()
    for offset, priority in enumerate([1.0, 5.0, 1.0, 5.0]):
        waiting.add(Place(AT, offset, 1), task(priority=priority))
    order = []
    while (found := waiting.next()) is not None:
        assert isinstance(found[1], ContentTask)
        order.append(found[0].offset)
    assert order == [1, 3, 0, 2]


def test_only_what_is_done_without_a_gap_is_committed():
    progress = Progress()
    assert progress.done_up_to(AT) is None
    progress.begin(AT, [10, 11, 13], 14)
    progress.end(AT, 11)
    assert progress.done_up_to(AT) == 10
    progress.end(AT, 10)
    assert progress.done_up_to(AT) == 13
    progress.end(AT, 13)
    assert progress.done_up_to(AT) == 14


def test_a_chunk_without_tasks_is_done_at_once():
    progress = Progress()
    progress.begin(AT, [], 7)
    assert progress.done_up_to(AT) == 7
