"""The pages in a real browser: nothing broken, nothing that keeps people out, light or dark, in each language."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from serving import tokens
from serving.dashboard.languages import LANGUAGES
from serving.dashboard.log import LINES
from serving.loop import utc_now
from tests.serving.browser import PHONE, faults, go, listening, visiting
from tests.serving.served import Served, picture, sound


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    """A running service with two items of each task."""
    for task in ("detection", "lane"):
        for shade in (40, 200):
            assert served.client.post(f"/v1/{task}/annotate", content=picture(shade)).is_success
    for seconds in (0.5, 1.0):
        assert served.client.post("/v1/asr/annotate", content=sound(seconds)).is_success
    with listening(served.app) as url:
        yield url


@pytest.mark.parametrize("path", ["/", "/log"])
def test_a_page_has_no_grave_fault_in_any_look(chromium: Browser, address: str, path: str) -> None:
    for scheme in ("light", "dark"):
        for language in LANGUAGES:
            with visiting(chromium, address, language=language, scheme=scheme) as page:
                go(page, path)
                assert page.locator("html").get_attribute("lang") == language
                assert faults(page) == []


@pytest.mark.parametrize("path", ["/", "/log"])
def test_a_page_fits_a_phone(chromium: Browser, address: str, path: str) -> None:
    with visiting(chromium, address, viewport=PHONE) as page:
        go(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_log_tells_who_changed_what_page_by_page(chromium: Browser, address: str, served: Served) -> None:
    for number in range(60):
        served.loop.store.tokens.add(f"token {number:02}", f"hash {number}", ("correct",), "ada", utc_now())
    secret = tokens.make_token(served.loop.store, "mine", ("correct",), "ada", utc_now())
    with visiting(chromium, address) as page:
        sign_in(page, secret)
        go(page, "/log")
        page.get_by_role("combobox", name="Who").select_option("ada")
        page.get_by_role("combobox", name="What").select_option("make-token")
        page.get_by_role("button", name="Show").click()
        assert page.locator("tbody tr").count() == LINES
        assert "made a token token 59" in page.locator("tbody tr").nth(1).inner_text().replace("\t", " ")
        page.get_by_role("link", name="Next page").click()
        assert page.locator("tbody tr").count() == 61 - LINES
        assert "token 00" in page.locator("tbody tr").last.inner_text()
        assert page.get_by_role("link", name="Next page").count() == 0
        go(page, "/log?day=2001-01-01")
        assert page.get_by_text("Nothing of that kind").count() == 1


def sign_in(page: Page, secret: str) -> None:
    go(page, "/sign-in")
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
