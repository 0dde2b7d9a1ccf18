"""What a person sees of a task on the pages of the real Label Studio, in a real browser.

What is drawn of the regions is found by hiding them: the pixels that change.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

from models.arrays import Bools
from tests.serving.real_studio import EMAIL, PASSWORD, RealStudio

DESK = ViewportSize(width=1300, height=700)
SETTLED_MS = 1500  # until what was asked for is drawn
_READY = """() => window.Htx && Htx.annotationStore && Htx.annotationStore.selected
    && Htx.annotationStore.selected.regionStore.regions.length"""
_REGIONS = "() => Htx.annotationStore.selected.serializeAnnotation()"
_TOGGLE = "() => Htx.annotationStore.selected.regionStore.regions.forEach(region => region.toggleHidden())"
_SELECT = "at => {const given = Htx.annotationStore.selected; given.selectArea(given.regionStore.regions[at])}"
_MEDIUM = """() => {
    const image = document.querySelector('img[alt=image]');
    const drawn = image || [...document.querySelectorAll('canvas')].find(one => one.width > 300);
    if (!drawn || (image && !image.naturalWidth)) return null;
    const {x, y, width, height} = drawn.getBoundingClientRect();
    return [x, y, width, height]
}"""


@dataclass(frozen=True, eq=False)
class Shown:
    """A task as it is shown: the regions by Label Studio's own account, and the pixels (height, width) of the medium in
    which something of them is drawn, ``left`` and ``top`` its first ones on the page."""

    regions: list[dict[str, Any]]
    drawn: Bools
    left: float
    top: float


@contextmanager
def signed_in(browser: Browser, studio: RealStudio) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    visitor = browser.new_context(base_url=studio.url, viewport=DESK)
    page = visitor.new_page()
    page.set_default_timeout(120_000)
    try:
        page.goto("/user/login/")
        page.fill("input[name=email]", EMAIL)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/login" not in url)
        yield page
    finally:
        visitor.close()


def open_task(page: Page, project: int, task: int) -> Shown:
    """Opens a task and looks where its regions are."""
    page.goto(f"/projects/{project}/data?task={task}")
    page.wait_for_function(_READY)
    page.wait_for_function(_MEDIUM)
    page.wait_for_timeout(SETTLED_MS)
    seen = _pixels(page)
    page.evaluate(_TOGGLE)
    page.wait_for_timeout(SETTLED_MS)
    hidden = _pixels(page)
    page.evaluate(_TOGGLE)
    page.wait_for_timeout(SETTLED_MS)
    x, y, width, height = page.evaluate(_MEDIUM)
    changed = np.abs(seen - hidden).sum(axis=2) > 20
    place = (slice(round(y), round(y + height)), slice(round(x), round(x + width)))
    return Shown(list(page.evaluate(_REGIONS)), changed[place], x, y)


def select_region(page: Page, number: int) -> str:
    """Selects a region, and returns all that can be read on the page then."""
    page.evaluate(_SELECT, number)
    page.wait_for_timeout(SETTLED_MS)
    return page.inner_text("body")


def save(page: Page, where: Path) -> None:
    """A picture of the page, in 256 colours."""
    with Image.open(io.BytesIO(page.screenshot())) as seen:
        seen.convert("RGB").quantize(256, kmeans=1).save(where, optimize=True)


def _pixels(page: Page) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(page.screenshot())) as seen:
        return np.asarray(seen.convert("RGB")).astype(np.int64)
