"""What people are due to do and how well they do it, on the pages; and nothing of either where nobody uses it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from serving.media_files import content_id
from tests.serving.browser import faults_in_every_look, go, listening, visiting
from tests.serving.served import Served, picture, serving

LATE, SOON, IN_TIME = content_id(picture(0)), content_id(picture(1)), content_id(picture(2))
LONG_AGO = datetime(2020, 1, 1, 12, tzinfo=UTC)
FAR = datetime(2099, 12, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """Ann labelled eight pictures; bob was planted four of them and is wrong once; one of three deadlines is past, and
    one was met."""
    with serving(tmp_path_factory.mktemp("people"), gold_share=0.999999) as served:
        for shade in range(16):
            assert served.client.post("/v1/detection/annotate", content=picture(shade)).is_success
        due = [(LATE, LONG_AGO), (SOON, FAR), (IN_TIME, FAR)]
        served.loop.store.deadlines.tell(
            [(item_id, "detection", at) for item_id, at in due], "tester", datetime.now(UTC)
        )
        for shade in range(2, 10):
            label(served, content_id(picture(shade)), "ann", "car", 4.0)
        policy = {"policy": {"planted_share": 0.9}}
        assert served.client.put("/v1/policy", json=policy).is_success
        answered = 0
        while answered < 4:  # a planted item that waits for its answer looks as if nobody had labelled it
            (one,) = served.client.get("/v1/queue/detection?limit=1&annotator=bob").json()["items"]
            if one["item_id"] in served.loop.store.planting.owed("detection", "local"):
                label(served, one["item_id"], "bob", "car" if answered else "bus", 2.5, one["lease_id"])
                answered += 1
            else:
                assert served.client.delete(f"/v1/leases/{one['lease_id']}").is_success
        with listening(served.app) as url:
            yield served, url


@pytest.fixture
def page(chromium: Browser, shown: tuple[Served, str]) -> Iterator[Page]:
    with visiting(chromium, shown[1]) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/annotators", "/queue/detection?due=some", f"/items/{LATE}", "/log"])
def test_a_page_has_no_fault_in_any_look(chromium: Browser, shown: tuple[Served, str], path: str) -> None:
    assert faults_in_every_look(chromium, shown[1], path) == []


def test_the_first_page_tells_of_deadlines_and_of_planted_items(page: Page) -> None:
    go(page, "/")
    lines = page.locator("article", has_text="Object detection").locator(".asides li").all()
    assert [" ".join(line.inner_text().split()) for line in lines] == [
        "Deadlines open 2 late 1 done 1 late since 2020-01-01 12:00 UTC",
        "Planted gold items right 3 of 4 10 s",
    ]
    page.get_by_role("link", name="Items are past their deadline.").click()
    assert page.locator("figure.item").count() == 1
    assert page.locator("figure.item .due").inner_text() == "due by 2020-01-01 12:00 UTC late"


def test_the_queue_shows_when_items_are_due_and_finds_them(page: Page) -> None:
    go(page, "/queue/detection")
    all_that_wait = page.locator("figure.item").count()
    page.get_by_role("combobox", name="Due").select_option("with a deadline")
    page.get_by_role("button", name="Show").click()
    assert page.locator("figure.item").count() == 2 < all_that_wait
    assert sorted(page.locator("figure.item .due").all_inner_texts()) == [
        "due by 2020-01-01 12:00 UTC late", "due by 2099-12-31 12:00 UTC"
    ]  # fmt: skip
    go(page, "/queue/detection?state=corrected&due=some")
    assert page.locator("figure.item .due").all_inner_texts() == ["due by 2099-12-31 12:00 UTC"]


def test_an_item_says_when_it_is_due_and_what_was_planted(page: Page, shown: tuple[Served, str]) -> None:
    go(page, f"/items/{LATE}")
    assert page.locator(".story .due").inner_text() == "due by 2020-01-01 12:00 UTC late"
    planted = next(one for one in said(shown[0]) if one["planted"])
    go(page, f"/items/{planted['item_id']}")
    chapter = page.locator(".chapters .given", has_text="bob labelled it")
    assert chapter.locator(".badge").all_inner_texts() == ["planted"]


def test_the_page_of_annotators_tells_how_fast_and_how_often_right_each_is(
    page: Page, shown: tuple[Served, str]
) -> None:
    handed_out = shown[0].client.get("/v1/report").json()["tasks"]["detection"]["planted"]["handed_out"]
    go(page, "/annotators")
    assert page.get_by_role("heading", level=2).all_inner_texts() == ["Object detection"]
    ann, bob = (row.split("\t") for row in page.locator("tbody tr").all_inner_texts())
    assert [cell.strip() for cell in ann] == ["ann", "8", "4.0 s 4.0 – 4.0", "–", "–"]
    assert [" ".join(cell.split()) for cell in bob] == ["bob", "4", "2.5 s", "3 of 4 19 – 99 %", "2.5 s"]
    assert f"{handed_out} handed out, 4 answered, 3 of these right, in 10 s." in page.locator("main").inner_text()
    page.get_by_role("link", name="ann", exact=True).click()
    owed = shown[0].loop.store.planting.owed("detection", "local")  # what bob did not answer looks open
    assert page.locator("figure.item").count() == 8 - len(owed)


def test_a_notice_of_late_items_leads_to_all_of_them(chromium: Browser, served: Served) -> None:
    ids = [content_id(picture(shade)) for shade in range(4)]
    for shade in range(4):
        served.client.post("/v1/detection/annotate", content=picture(shade))
    served.loop.store.deadlines.tell([(one, "detection", LONG_AGO) for one in ids], "tester", datetime.now(UTC))
    label(served, ids[0], "ann", "car", 4.0)
    assert len(served.client.get("/v1/queue/detection?limit=2&annotator=bob").json()["items"]) == 2
    with listening(served.app) as url, visiting(chromium, url) as page:
        go(page, "/")
        notice = page.locator(".notices li", has_text="Items are past their deadline.")
        assert notice.locator("b").inner_text() == "3"
        notice.get_by_role("link").click()
        assert page.locator("figure.item .due.late").count() == 3
        assert page.get_by_text("held by bob until").count() == 2
        assert page.locator(".states-nav [aria-current]").inner_text() == "open 3"


def test_what_nobody_uses_takes_no_room(chromium: Browser, served: Served) -> None:
    served.client.post("/v1/detection/annotate", content=picture(1))
    with listening(served.app) as url, visiting(chromium, url) as page:
        go(page, "/")
        assert page.locator(".asides, .due, .notices").count() == 0
        go(page, "/queue/detection")
        assert page.locator("figure.item").count() == 1
        assert page.locator(".due, [name=due]").count() == 0
        go(page, "/annotators")
        assert page.get_by_text("Nobody has labelled anything yet.").count() == 1
        label(served, content_id(picture(1)), "ann", "car", 4.0)
        go(page, "/annotators")
        assert page.get_by_role("columnheader").all_inner_texts() == ["who", "labels", "seconds a label"]


def test_a_deadline_of_a_group_counts_where_it_is_earlier(served: Served) -> None:
    folder = served.folder / "media"
    folder.mkdir()
    (folder / "1.png").write_bytes(picture(1))
    line: dict[str, Any] = {"uri": str(folder / "1.png"), "task": "detection", "group": "clip", "due": FAR.isoformat()}
    assert served.client.post("/v1/items", json=[line]).json()["new"] == 1
    page = f"/items/{content_id(picture(1))}"
    assert "due by 2099-12-31 12:00 UTC" in served.client.get(page).text
    by = datetime.now(UTC) - timedelta(days=1)
    served.client.put("/v1/policy", json={"policy": {"deadlines": [{"group": "clip", "by": by.isoformat()}]}})
    assert f"due by {by:%Y-%m-%d %H:%M} UTC" in served.client.get(page).text


def said(served: Served) -> list[dict[str, Any]]:
    found = [served.client.get(f"/v1/items/{content_id(picture(shade))}").json() for shade in range(16)]
    return [one for history in found for one in history["corrections"]]


def label(
    served: Served, item_id: str, annotator: str, category: str, seconds: float, lease_id: str | None = None
) -> None:
    boxes = [{"xyxy": [1, 1, 20, 20], "category": category, "confidence": 1.0}]
    body = {"task": "detection", "label": {"width": 120, "height": 90, "boxes": boxes}, "annotator": annotator,
            "seconds": seconds, "lease_id": lease_id}  # fmt: skip
    assert served.client.post(f"/v1/items/{item_id}/correction", json=body).is_success
