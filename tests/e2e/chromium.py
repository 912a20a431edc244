"""A real Chromium, driven over its own protocol: pages, keys, pictures, and everything that it asked for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from streams.transport.child import ends_with_parent

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = (
    "the console's pages are tried in a real Chromium, which is not there; on Debian: apt install chromium; "
    "MARQUEE_NO_CHROMIUM=1 leaves these tests out knowingly"
)
WAIT_S = 60.0


def program() -> str | None:
    """Where Chromium is; None where it is not."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.asked: list[str] = []
        """Every address that the page asked for."""
        self.faults: list[str] = []
        """Exceptions of its scripts, and what the browser itself complains of."""

    async def listen(self) -> None:
        """Takes what the browser says; run it as a task."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.asked.append(told["params"]["request"]["url"])
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.faults.append(details.get("exception", {}).get("description") or details["text"])
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.faults.append(f"{told['params']['entry']['text']} {told['params']['entry'].get('url', '')}")

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol; gives its result."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": params}))
        told = await asyncio.wait_for(self._answers[number], WAIT_S)
        assert "error" not in told, (method, told["error"])
        result: dict[str, Any] = told["result"]
        return result

    async def run(self, script: str) -> Any:
        """Value of an expression in the page; promises are waited for."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, (script[:200], told["exceptionDetails"])
        return told["result"].get("value")

    async def go(self, address: str) -> None:
        """Opens an address."""
        await self.call("Page.navigate", url=address)

    async def until(self, script: str, what: str) -> Any:
        """Waits until an expression is true; what it gave."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(AssertionError):  # the page is just being replaced
                if found := await self.run(script):
                    return found
            if time.monotonic() > deadline_s:
                raise AssertionError(f"not {what}: {await self.run('document.body.innerText')}\n{self.faults}")
            await asyncio.sleep(0.05)

    async def until_text(self, words: str) -> None:
        """Waits until the page shows a text."""
        await self.until(f"document.body.innerText.includes({json.dumps(words)})", f"showing {words!r}")

    async def size(self, width: int, height: int = 900, *, is_dark: bool = False) -> None:
        """The window's size, CSS pixels, and the system's wish for light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def picture(self, path: Path, *, is_whole: bool = True) -> None:
        """A PNG of the page."""
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(told["data"]))

    async def press(self, key: str) -> None:
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_CODES[key], **text
            )


_CODES = {"Tab": 9, "Enter": 13, "Escape": 27}


@contextlib.asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Callable[[], Any]]:
    """Runs Chromium with a profile in ``folder``; gives a function that opens tabs."""
    name = program()
    assert name is not None, HOW
    command = [
        name, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        f"--user-data-dir={folder}", "about:blank",
    ]  # fmt: skip
    with (folder / "words").open("wb") as words:
        process = subprocess.Popen(
            ends_with_parent(command), stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True,
            env=os.environ | {"HOME": str(folder)},
        )  # fmt: skip
    try:
        port_file, deadline_s = folder / "DevToolsActivePort", time.monotonic() + WAIT_S
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert process.poll() is None, (folder / "words").read_text(errors="replace")
            assert time.monotonic() < deadline_s, (folder / "words").read_text(errors="replace")
            await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:

            async def open_tab() -> Page:
                async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as response:
                    address = (await response.json())["webSocketDebuggerUrl"]
                socket = await stack.enter_async_context(session.ws_connect(address, max_msg_size=0))
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                stack.callback(listening.cancel)
                for domain in ("Page", "Runtime", "Network", "Log"):
                    await page.call(f"{domain}.enable")
                await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
                return page

            yield open_tab
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with all of its helpers
        process.wait()
