"""A real browser on the pages: Debian's Chromium, headless, driven by Playwright.

``PRELABEL_TEST_CHROMIUM`` may name another chromium.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Response, ViewportSize, sync_playwright

DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)
GRAVE = ("serious", "critical")


def command() -> str | None:
    """The chromium that is installed, if one is."""
    return shutil.which(os.environ.get("PRELABEL_TEST_CHROMIUM", "chromium")) or shutil.which("chromium-browser")


@contextmanager
def launched(program: str) -> Iterator[Browser]:
    """A browser until the block ends.

    While it runs, this thread has an event loop: ``asyncio.run`` does not work in it.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of an app that a server of this process answers on loopback, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    *,
    language: str = "en",
    scheme: str = "light",
    viewport: ViewportSize = DESK,
    **context: Any,
) -> Iterator[Page]:
    """A fresh visitor of ``address``; whatever the browser complains of until the block ends fails the test."""
    visitor = browser.new_context(
        base_url=address, locale=language, color_scheme=scheme, viewport=viewport, **context  # type: ignore[arg-type]
    )  # fmt: skip
    complaints: list[str] = []
    page = visitor.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
        assert complaints == []
    finally:
        visitor.close()


def go(page: Page, path: str) -> Response:
    """Goes to a page of the service, which answers well."""
    response = page.goto(path)
    assert response is not None
    assert response.ok, f"{path}: {response.status} {response.text()[:500]}"
    return response


def faults(page: Page) -> list[str]:
    """What axe calls serious or critical on the page as it stands: the rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found if one["impact"] in GRAVE
        for node in one["nodes"]
    ]  # fmt: skip
