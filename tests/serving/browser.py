"""A real browser on the pages: Debian's Chromium, headless, driven by Playwright.

``PRELABEL_TEST_CHROMIUM`` may name another chromium.
"""

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Response, ViewportSize, sync_playwright

from serving.dashboard.languages import ENGLISH, LANGUAGES

DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)

TWO_WORDS = re.compile(r"\b[a-z]{2,}[ ,:;]+[a-z]{2,}\b")  # of English; a label, an id or a name is rarely like that
STICKING_OUT = """() => [...document.querySelectorAll("th, td")]
  .filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.innerText)"""
EVERYTHING_SAID = """() => {
  const own = (at) => !at.closest("[lang=en], code, kbd, script, style");
  const said = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) if (own(texts.currentNode.parentElement)) said.push(texts.currentNode.data.trim());
  for (const at of document.querySelectorAll("[title], [aria-label], [placeholder], [alt]"))
    if (own(at)) said.push(...["title", "aria-label", "placeholder", "alt"].map((name) => at.getAttribute(name) ?? ""));
  return said;
}"""


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
    """What axe finds on the page as it stands: the rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"]
    ]  # fmt: skip


def english(page: Page) -> list[str]:
    """What a page says in English: texts, tooltips and names for screen readers, but for what is marked as English."""
    return [f"{page.url}: {said}" for said in page.evaluate(EVERYTHING_SAID) if TWO_WORDS.search(said)]


def faults_in_every_look(
    browser: Browser, address: str, path: str, ready: Callable[[Page], object] = lambda page: None
) -> list[str]:
    """What is wrong with a page once it is ``ready``: faults in each language, in light and in dark, and on a phone;
    what sticks out of a phone; and English in other languages."""
    found = []
    for language in LANGUAGES:
        with visiting(browser, address, language=language) as page:
            go(page, path)
            ready(page)
            assert page.locator("html").get_attribute("lang") == language
            found += english(page) if language != ENGLISH else []
            found += [f"{page.url}: {text!r} is wider than its cell" for text in page.evaluate(STICKING_OUT)]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found += faults(page)
            page.set_viewport_size(PHONE)
            if (width := page.evaluate("document.documentElement.scrollWidth")) > PHONE["width"]:
                found.append(f"{page.url}: {width} pixels wide on a phone")
    return found + faults_on_a_phone(browser, address, path, ready)


def faults_on_a_phone(browser: Browser, address: str, path: str, ready: Callable[[Page], object]) -> list[str]:
    """The faults of a page that a phone opens."""
    with visiting(browser, address, viewport=PHONE) as page:
        go(page, path)
        ready(page)
        return faults(page)
