"""Every page of the console in a real Chromium: what it shows, its errors, hostile text, who is asked."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.console import world
from tests.console.conftest import TOKEN, Served
from tests.e2e.chromium import HOW, Page, chromium, program

NO_CHROMIUM = "MARQUEE_NO_CHROMIUM"
PAGES = {
    "now": ("#/now", "Ranking each event before it is learned"),
    "people": ("#/people", "Who acted just now"),
    "user": ("#/people?" + urlencode({"user": "11330"}), "Current slate"),
    "item": ("#/people?" + urlencode({"item": world.PICTURED}), "Check report"),
    "studio": ("#/studio", "Evidence"),
    "log": ("#/log", "The newest"),
}
CHIP = "[...document.querySelectorAll('.chip')].find((one) => one.textContent.startsWith('{}'))"
AXE = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = '{runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], resultTypes: ["violations"]}'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.environ.get(NO_CHROMIUM) == "1", reason=f"{NO_CHROMIUM}=1: the console's pages are UNTESTED"),
]


@pytest.fixture
async def tab(served: Served, tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Opens tabs of one Chromium."""
    if program() is None:
        pytest.fail(HOW)
    async with chromium(tmp_path) as open_tab:
        yield open_tab


async def opened(open_tab: Callable[[], Any], served: Served, *, width: int = 1_280, is_dark: bool = False) -> Page:
    """A tab with the console, live."""
    page: Page = await open_tab()
    await page.size(width, is_dark=is_dark)
    await page.go(served.address)
    await page.until("document.querySelector('#link')?.dataset.state === 'live'", "live")
    return page


async def show(page: Page, name: str) -> None:
    """Goes to a page and waits for what it is about."""
    address, words = PAGES[name]
    await page.run(f"location.hash = {json.dumps(address)}")
    await page.until_text(words)


async def violations(page: Page) -> list[str]:
    """What axe-core finds, with the elements."""
    found = await page.run(f"axe.run(document, {RULES}).then((told) => JSON.stringify(told.violations))")
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:4]]}" for one in json.loads(found)
    ]


async def test_every_page_shows_what_is_there_to_everybody_and_asks_nobody_else(served, tab):
    page = await opened(tab, served)
    await page.run(AXE + "; 1")
    for is_dark in (False, True):
        for name in PAGES:
            await page.size(1_280, is_dark=is_dark)
            await show(page, name)
            assert await violations(page) == [], (name, is_dark)
            for width in (320, 800, 1_440):
                await page.size(width, is_dark=is_dark)
                fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                await page.until(fits, f"{name} no wider than {width} pixels")  # charts follow a frame later
    assert page.faults == []
    assert {one.split("/")[2] for one in page.asked if not one.startswith(("data:", "blob:"))} == {
        f"127.0.0.1:{served.port}"
    }


async def test_figures_are_those_of_the_topics_and_each_has_its_definition(served, tab):
    page = await opened(tab, served)
    await page.until_text("30,000")
    text = await page.run("document.querySelector('main').innerText")
    for words in ("30,000", "12 steps since", "step 300", "0.250", "0.140", "0.120"):
        assert words in text, words
    assert await page.run("[...document.querySelectorAll('.figure')].every((one) => one.querySelector('.term'))")
    assert await page.run("document.querySelectorAll('.u-wrap canvas').length") == 2
    await page.run("document.querySelector('.figure .term').focus()")
    assert await page.run("document.querySelector('#tip').hidden") is False
    assert "since the log's start" in await page.run("document.querySelector('#tip').textContent")
    await page.press("Escape")
    assert await page.run("document.querySelector('#tip').hidden") is True


async def test_hostile_titles_and_ids_are_text(served, tab):
    page = await opened(tab, served)
    for user_id in (world.SCRIPT, world.PATH):
        await page.run(f"location.hash = '#/people?' + new URLSearchParams({{user: {json.dumps(user_id)}}})")
        await page.until_text(f"User {user_id}")
        await page.until_text(world.IMAGE)
    await page.run(f"location.hash = '#/people?' + new URLSearchParams({{item: {json.dumps(world.PATH)}}})")
    await page.until("document.querySelector('h2.title')?.textContent.includes('onerror')", "the item")
    await show(page, "studio")
    await page.run(
        "[...document.querySelectorAll('.chip')].find((one) => one.textContent.startsWith('failed')).click()"
    )
    await page.until_text("no voice")
    await show(page, "log")
    assert await page.run("window.hacked === undefined") is True
    assert await page.run("[...document.querySelectorAll('main script, main img')].length") == 0
    assert page.faults == []


async def test_a_picture_that_was_made_is_seen(served, tab):
    page = await opened(tab, served)
    await show(page, "item")
    await page.until("document.querySelector('main img')?.naturalWidth === 320", "the picture")


async def test_search_leads_to_an_item_by_keyboard_alone(served, tab):
    page = await opened(tab, served)
    await page.press("Tab")
    assert await page.run("document.activeElement.id") == "skip"
    await show(page, "people")
    await page.run("document.querySelector('#q').focus()")
    await page.call("Input.insertText", text="gravity")
    await page.until(
        "[...document.querySelectorAll('.chip')].some((one) => one.textContent === 'Gravity (2013)')", "found"
    )
    await page.run(
        "[...document.querySelectorAll('.chip')].find((one) => one.textContent === 'Gravity (2013)').focus()"
    )
    await page.press("Enter")
    await page.until("document.querySelector('h2.title + p')?.textContent === 'item-0'", "the item's page")


@pytest.mark.parametrize("name", ["people", "user", "item", "studio", "log"])
async def test_each_page_says_when_it_gets_no_answer(served, tab, name):
    page = await opened(tab, served)
    await page.call("Network.setBlockedURLs", urls=["*/api/*"])
    await page.run(f"location.hash = {json.dumps(PAGES[name][0])}")
    await page.until("document.querySelector('main .failed')?.textContent.includes('does not answer')", "an error")


async def test_a_lost_stream_is_said(served, tab):
    page = await opened(tab, served)
    await page.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    await page.call("Network.setBlockedURLs", urls=["*"])
    await page.go(served.address)
    await page.call(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    await page.call("Network.setBlockedURLs", urls=["*/api/live*"])
    await page.go(served.address)
    await page.until("document.querySelector('#link')?.dataset.state === 'lost'", "said")


async def test_a_task_is_taken_back_with_the_token_that_was_typed(served, tab):
    page = await opened(tab, served)
    await show(page, "studio")
    await page.run(CHIP.format("open") + ".click()")
    task = "[...document.querySelectorAll('.task')].find((one) => one.innerText.includes('blurb'))"
    button = f"{task}.querySelector('.button')"
    await page.until(f"{button} && true", "the button")
    await page.run(f"{button}.click()")
    await page.until("document.querySelector('dialog[open] #token') && true", "asked for the token")
    await page.call("Input.insertText", text="wrong-token-wrong-token")
    await page.press("Enter")
    await page.until_text("expected the console's token")
    await page.run(f"{button}.click()")
    await page.until("document.querySelector('dialog[open] #token') && true", "asked again")
    await page.call("Input.insertText", text=TOKEN)
    await page.press("Enter")
    await page.until_text("the task is now withdrawn.")
    assert not any(TOKEN in one for one in page.asked)
    assert await page.run("JSON.stringify([localStorage, sessionStorage, document.cookie])") == '[{},{},""]'


@pytest.mark.skipif(
    "CONSOLE_PICTURES" not in os.environ, reason="CONSOLE_PICTURES=FOLDER takes the pictures of the docs"
)
async def test_pictures(served, tab):
    folder = Path(os.environ["CONSOLE_PICTURES"])
    address = os.environ.get("CONSOLE_ADDRESS", served.address)
    page: Page = await tab()
    await page.size(1_280, 800)
    await page.go(address)
    await page.until("document.querySelector('#link')?.dataset.state === 'live'", "live")
    users = await page.run("fetch('/api/search?q=').then((one) => one.json()).then((told) => told.users)")
    for name, is_dark in (("now", False), ("now", True), ("user", False)):
        await page.size(1_280, 860, is_dark=is_dark)
        await page.run(f"location.hash = {json.dumps('#/' + name.replace('user', f'people?user={users[0]}'))}")
        await page.until("document.querySelectorAll('main .u-wrap, main .places, main table').length > 0", name)
        await page.picture(folder / f"console-{name}{'-dark' if is_dark else ''}.png", is_whole=False)
