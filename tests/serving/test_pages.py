"""The pages in a real browser: nothing broken, nothing that keeps people out, light or dark, in each language."""

import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from models.versions import starters
from serving import tokens
from serving.dashboard.frame import LINES
from serving.loop import Registration, utc_now
from serving.media_files import content_id
from serving.promotion import Pairs, quality_of
from serving.store.records import StoredVersion
from tests.serving.browser import DESK, PHONE, faults, faults_in_every_look, go, listening, visiting
from tests.serving.served import Served, eventually, picture, serving, sound

AN_ITEM = content_id(sound(1.0))
AN_UNFIT_ITEM = content_id(picture(200))
PATHS = [
    "/",
    "/queue/asr",
    "/queue/detection",
    "/queue/lane?state=corrected",
    "/queue/detection?state=unfit",
    "/items/an-item",
    "/items/an-unfit-item",
    "/models",
    "/models/a-version",
    "/models/a-version/promote",
    "/models/it-serves/rollback",
    "/annotators",
    "/errors",
    "/log",
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A deployment whose corrected items are all gold."""
    with serving(tmp_path, gold_share=0.99) as running:
        yield running


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    """A running service with items of each task, and with what went wrong."""
    fill(served)
    with listening(served.app) as url:
        yield url


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """The same for all tests that only look, with an item that cannot be labelled."""
    with serving(tmp_path_factory.mktemp("shown"), gold_share=0.99) as running:
        fill(running)
        unfit = {"task": "detection", "reason": "other-scene", "annotator": "ada", "seconds": 2}
        assert running.client.post(f"/v1/items/{AN_UNFIT_ITEM}/unfit", json=unfit).is_success
        with listening(running.app) as url:
            yield running, url


def fill(served: Served) -> None:
    """Items of each task, and what goes wrong."""
    candidate = served.add("detection", size=60, parent=served.version)
    served.deployment.promote(candidate.name, True, "tester")
    for task in ("detection", "lane"):
        for shade in (40, 200):
            assert served.client.post(f"/v1/{task}/annotate", content=picture(shade)).is_success
    for seconds in (0.5, 1.0):
        answer = served.client.post("/v1/asr/annotate", content=sound(seconds)).json()
        correct(served, answer["item_id"], "asr", {"text": "no"}, answer["model_version"])
    correct(served, content_id(picture(40)), "lane", {"width": 120, "height": 90, "lanes": []})
    missing = Registration("gone.jpg", "detection", picture(77))
    served.loop.register([missing], "tester")
    served.loop.fail(content_id(picture(77)), "detection", "gone.jpg: expected a medium, got none", "tester")
    body = {"action": "ANNOTATION_CREATED", "task": {"id": 5}, "annotation": {"id": 7}}
    served.loop.store.inbox.receive("label-studio", "detection", body, utc_now())
    eventually(lambda: served.loop.store.inbox.dead() == 1)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_fault_in_any_look(chromium: Browser, shown: tuple[Served, str], path: str) -> None:
    served, address = shown
    assert faults_in_every_look(chromium, address, place(path, served)) == []


def test_the_description_is_in_english_and_has_a_middle(chromium: Browser, shown: tuple[Served, str]) -> None:
    with visiting(chromium, shown[1]) as page:
        go(page, "/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        assert [one for one in faults(page) if re.search("html-has-lang|landmark-one-main|: region", one)] == []


def test_a_small_chart_names_one_number_where_all_are_the_same(chromium: Browser, shown: tuple[Served, str]) -> None:
    with visiting(chromium, shown[1]) as page:
        go(page, "/")
        assert page.locator(".small-chart", has_text="Quality").locator("figcaption .quiet").inner_text() == "· 0.500"


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
        assert page.locator("tbody tr").nth(1).locator(".details").inner_text() == "scopes correct"
        page.get_by_role("link", name="Next page").click()
        assert page.locator("tbody tr").count() == 61 - LINES
        assert "token 00" in page.locator("tbody tr").last.inner_text()
        assert page.get_by_role("link", name="Next page").count() == 0
        go(page, "/log?verb=correct&lang=zh-Hans")
        assert page.locator("tbody tr").first.inner_text().split()[-4:] == ["任务", "车道线检测", "修正", "3"]
        go(page, "/log?day=2001-01-01&lang=en")
        assert page.get_by_text("Nothing of that kind").count() == 1


def test_the_queue_shows_small_pictures_with_labels_that_stay(chromium: Browser, address: str) -> None:
    with visiting(chromium, address) as page:
        loaded: list[str] = []
        page.on("response", lambda answer: loaded.append(answer.url))
        go(page, "/queue/detection")
        assert page.locator("figure.item").count() == 2
        assert page.locator("figure.item .frame rect").count() == 2
        assert page.locator("figure.item img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert not [url for url in loaded if "/media" in url]
        page.get_by_role("link", name="history").first.click()
        assert page.locator("section.story").count() == 2


def test_the_queue_is_narrowed_by_its_form(chromium: Browser, address: str) -> None:
    with visiting(chromium, address) as page:
        go(page, "/queue/asr")
        assert page.locator("figure.item").count() == 0
        page.get_by_role("link", name="corrected").click()
        assert page.locator("figure.item").count() == 2
        page.get_by_role("combobox", name="Corrected by").select_option("ada")
        page.get_by_role("searchbox", name="Text").fill("ye")
        page.get_by_role("button", name="Show").click()
        assert page.locator("figure.item").count() == 2
        page.get_by_role("searchbox", name="Text").fill("nothing like it")
        page.get_by_role("button", name="Show").click()
        assert page.get_by_text("No items of that kind.").count() == 1


def test_an_item_tells_its_history_with_what_a_person_changed(chromium: Browser, address: str) -> None:
    with visiting(chromium, address) as page:
        go(page, f"/items/{AN_ITEM}")
        chapters = page.locator(".chapters li")
        assert chapters.count() == 2
        assert chapters.nth(1).locator("del").inner_text() == "yes"
        assert chapters.nth(1).locator("ins").inner_text() == "no"
        assert "ada labelled it" in chapters.nth(1).inner_text()


def test_long_names_stay_on_the_page_and_text_has_its_direction(
    chromium: Browser, served: Served, address: str
) -> None:
    heard = served.client.post("/v1/asr/annotate", content=sound(1.5)).json()
    name = "Maximiliane-Theodora-" + "Hohenlohe" * 12
    correct(served, heard["item_id"], "asr", {"text": "مرحبا بكم"}, heard["model_version"], name)
    for size in (DESK, PHONE):
        with visiting(chromium, address, viewport=size) as page:
            for path in ("/queue/asr?state=corrected", "/annotators", f"/items/{heard['item_id']}"):
                go(page, path)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
            assert "rtl" in page.locator(".text").evaluate_all("all => all.map((at) => getComputedStyle(at).direction)")
            go(page, "/queue/asr?state=corrected")
            named = page.locator(".ways span", has_text=name)
            assert named.evaluate("(at) => at.scrollWidth <= at.closest('.item').clientWidth")


def test_what_a_link_shows_is_what_it_is_called(chromium: Browser, shown: tuple[Served, str]) -> None:
    with visiting(chromium, shown[1]) as page:
        go(page, "/")
        assert page.get_by_role("link", name="yes history").count() == 2


def test_what_failed_can_be_tried_again(chromium: Browser, address: str, served: Served) -> None:
    with visiting(chromium, address) as page:
        go(page, "/errors")
        assert "gone.jpg: expected a medium, got none" in page.get_by_role("region", name="Items").inner_text()
        assert "task 5, annotation 7" in page.get_by_role("region", name="What annotation tools").inner_text()
        page.get_by_role("region", name="Items").get_by_role("button", name="Try again").click()
        page.wait_for_url("**/errors")
        assert page.get_by_role("region", name="Items").count() == 0
        counts = served.loop.store.items.counts
        eventually(lambda: counts("detection", utc_now()) == {"preannotated": 3})
        page.get_by_role("button", name="Try again").click()
        page.wait_for_url("**/errors")
        retried = [change.subject for change in served.loop.store.changes.page(9, verb="retry")]
        assert retried == ["event 1", content_id(picture(77))]


def test_a_version_is_promoted_and_rolled_back_by_clicking(chromium: Browser, address: str, served: Served) -> None:
    before, better = served.version, served.add("detection", size=40)
    shown = {"width": 120, "height": 90, "boxes": [{"xyxy": [8, 8, 48, 48], "category": "car"}]}
    correct(served, content_id(picture(40)), "detection", shown)
    with visiting(chromium, address) as page:
        go(page, "/models")
        page.get_by_role("row", name=better.name).get_by_role("link", name="Compare and promote").click()
        expect(page.get_by_role("region", name="The comparison")).to_contain_text("On 1 gold item that")
        expect(page.get_by_role("region", name="The comparison")).to_contain_text("no worse")
        page.get_by_role("button", name="Promote").click()
        page.wait_for_url(f"**/models/{better.name}")
        assert served.version == better.name
        page.get_by_role("link", name="Roll back").click()
        page.get_by_role("button", name="Roll back").click()
        page.wait_for_url(f"**/models/{before}")
        assert served.version == before


def test_a_long_comparison_lets_the_page_come_and_shows_itself_there(
    chromium: Browser, address: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, goes_on, compared = served.add("detection", size=40), threading.Event(), list[str]()

    def slowly(version: StoredVersion, pairs: Pairs) -> float:
        compared.append(version.name)
        assert goes_on.wait(60)
        return quality_of(version, pairs)

    monkeypatch.setattr("serving.dashboard.models.PATIENCE_S", 0.1)
    monkeypatch.setattr("serving.comparing.quality_of", slowly)
    correct(served, content_id(picture(40)), "detection", {"width": 120, "height": 90, "boxes": []})
    with visiting(chromium, address) as page:
        go(page, f"/models/{candidate.name}/promote")
        region = page.get_by_role("region", name="The comparison")
        expect(region).to_contain_text("being compared")
        expect(page.get_by_role("button", name="Promote")).to_have_count(0)
        goes_on.set()
        expect(region).to_contain_text("On 1 gold item that", timeout=20_000)
    assert sorted(compared) == sorted([candidate.name, served.version])


def test_a_worse_version_is_promoted_by_force_alone(chromium: Browser, address: str, served: Served) -> None:
    worse = next(one for one in served.loop.versions.all() if one.state == "retired")
    shown = {"width": 120, "height": 90, "boxes": [{"xyxy": [8, 8, 68, 68], "category": "car"}]}
    correct(served, content_id(picture(40)), "detection", shown)
    with visiting(chromium, address) as page:
        go(page, f"/models/{worse.name}/promote")
        expect(page.get_by_role("region", name="The comparison")).to_contain_text("is worse than what serves")
        page.get_by_role("button", name="Promote").click()  # the browser asks for the tick first
        assert served.version != worse.name
        page.get_by_role("checkbox", name="Force").check()
        page.get_by_role("button", name="Promote").click()
        page.wait_for_url(f"**/models/{worse.name}")
        assert served.version == worse.name
        assert "forced" in page.get_by_role("region", name="When it served").inner_text()
    refused = served.client.post(f"/models/{worse.name}/promote", headers={"Origin": "http://elsewhere.example"})
    assert refused.status_code == 403


def test_a_refused_promotion_says_why(chromium: Browser, address: str, served: Served) -> None:
    broken = served.add("lane", broken=True)
    correct(served, content_id(picture(200)), "lane", {"width": 120, "height": 90, "lanes": []})
    with visiting(chromium, address) as page:
        go(page, f"/models/{broken.name}/promote")
        expect(page.get_by_role("alert")).to_contain_text("Refused:")
        expect(page.get_by_role("alert")).to_contain_text("to load and to answer")
        go(page, "/errors")
        assert broken.name in page.get_by_role("region", name="Versions that do not work").inner_text()


@pytest.mark.parametrize("path", ["/", "/queue/detection", "/models/a-version/promote", "/errors"])
def test_the_keyboard_reaches_everything(chromium: Browser, served: Served, address: str, path: str) -> None:
    with visiting(chromium, address) as page:
        go(page, place(path, served))
        things = "a[href], button, select, input:not([type=hidden]), summary, [tabindex='0']"
        page.evaluate(
            "things => document.querySelectorAll(things).forEach((one, i) => { one.dataset.place = i })", things
        )
        count, reached = page.locator(things).count(), set[str]()
        for _ in range(count + 5):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.place"))
        assert {str(number) for number in range(count)} <= reached


def test_thumbnails_are_small_and_lasting(served: Served) -> None:
    answer = served.client.post("/v1/detection/annotate", content=picture(9, 3000, 1500)).json()
    small = served.client.get(f"/thumbnails/{answer['item_id']}")
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.size == (480, 240)
    assert "immutable" in small.headers["cache-control"]
    again = served.client.get(small.url, headers={"If-None-Match": small.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    wave = served.client.post("/v1/asr/annotate", content=sound()).json()
    assert served.client.get(f"/thumbnails/{wave['item_id']}").headers["content-type"] == "image/svg+xml"
    assert served.client.get("/thumbnails/unknown").status_code == 404


def test_the_log_keeps_what_an_address_may_hold_of_secrets(served: Served) -> None:
    webhook = {"url": "http://ada:pass@127.0.0.1:9/hook?key=secret", "events": ["item.routed"]}
    assert served.client.post("/v1/webhooks", json=webhook).is_success
    told = served.client.get("/log").text
    assert "<i>address</i> 127.0.0.1:9<" in told
    assert not {"pass", "secret"} & set(re.findall(r"\w+", told))


def test_a_version_tells_its_training_in_lines(served: Served) -> None:
    starter = next(one for one in starters() if one.task == "lane")
    served.loop.versions.add(starter.folder, "tester")
    told = served.client.get(f"/models/{starter.name}").text
    assert f'title="{starter.metrics["held_out"]}">' in served.client.get("/models").text
    for name, value in (("arithmetic graph", "int8"), ("arithmetic fp32 ms", "29.5"), ("batch size", "16")):
        assert f'<dt lang="en">{name}</dt><dd>{value}</dd>' in told
    assert "{" not in told


def place(path: str, served: Served) -> str:
    """The path, of things that are there."""
    others = [one.name for one in served.loop.versions.all() if one.state == "retired"]
    path = path.replace("an-item", AN_ITEM).replace("an-unfit-item", AN_UNFIT_ITEM)
    return path.replace("a-version", others[0]).replace("it-serves", served.version)


def sign_in(page: Page, secret: str) -> None:
    go(page, "/sign-in")
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def correct(
    served: Served, item_id: str, task: str, label: dict[str, Any], version: str | None = None, annotator: str = "ada"
) -> None:
    body = {"task": task, "label": label, "annotator": annotator, "seconds": 4.5, "model_version": version}
    assert served.client.post(f"/v1/items/{item_id}/correction", json=body).is_success
