"""The built-in editor's list of what the service does not have yet: told, opened again, thrown away, in every tab."""

from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.serving.reviewing import Desk, throw_away

IS_UNSENT = """(values) => {
  const key = Object.keys(localStorage).find((one) => one.includes("outbox"));
  const letter = JSON.parse(localStorage[key]);
  Object.assign(letter.body, values);
  localStorage[key] = JSON.stringify(letter);
}"""

UNHURRIED = """
const timed = setTimeout;
window.setTimeout = (act, ms, ...rest) => (ms < 2000 ? timed(act, ms, ...rest) : 0);
"""


def unsent(page: Page) -> list[Any]:
    """What the browser keeps until the service has it."""
    ours = "Object.keys(localStorage).filter((key) => key.includes('outbox'))"
    return list(page.evaluate(f"{ours}.map((key) => JSON.parse(localStorage[key]))"))


def fails(at: Desk, item: str) -> None:
    """Lets the service say of every correction of an item that it failed; only a page that opens, or a new correction,
    tries it again."""
    at.page.context.add_init_script(UNHURRIED)
    told = '{"error": {"code": "internal", "message": "internal error; number 4f"}}'
    at.page.context.route(f"**/{item}/correction", lambda route: route.fulfill(status=500, body=told))


def has_failed(at: Desk, times: int) -> None:
    """Waits until the only correction that is not sent has failed so often."""
    at.until(lambda: [letter.get("failed", {}).get("times") for letter in unsent(at.page)] == [times])


def stuck(at: Desk, typed: str = "") -> str:
    """The id of an item whose correction the service failed at, with the list of what is not sent unfolded."""
    (item,) = at.post("asr")
    fails(at, item)
    at.open("/review/asr")
    at.page.keyboard.type(typed)
    at.page.wait_for_timeout(300)
    at.press("Enter")
    at.page.get_by_text("What is not sent").click()
    has_failed(at, 1)
    return item


def test_it_is_told_with_its_item_its_time_and_what_the_service_said(hushed: Desk) -> None:
    at = hushed
    item = stuck(at)
    expect(at.page.locator("#waiting")).to_contain_text("The service failed at it. 1 not sent yet.")
    (line,) = at.page.locator("#letters > div").all()
    expect(line).to_contain_text(item[:12])
    expect(line).to_contain_text("internal error; number 4f")
    assert line.locator("time").get_attribute("datetime") == unsent(at.page)[0]["body"]["created_at"]


def test_it_is_opened_again_as_it_was_and_what_is_sent_then_replaces_it(hushed: Desk) -> None:
    at = hushed
    item = stuck(at, " mine")
    before = unsent(at.page)[0]["body"]["seconds"]
    at.page.get_by_role("link", name="Open it again").click()
    at.sees("work")
    assert (at.item(), at.page.input_value("#text")) == (item, "yes mine")
    at.page.keyboard.type(" too")
    at.page.reload()  # a draft of it replaces it all the same
    at.sees("work")
    has_failed(at, 3)
    at.page.context.unroute(f"**/{item}/correction")
    at.press("Enter")
    at.until(lambda: len(at.corrections(item)) == 1)
    (sent,) = at.corrections(item)
    assert sent["label"]["text"] == "yes mine too"
    assert sent["seconds"] > before > 0
    expect(at.page.locator("#waiting")).to_be_empty()
    assert unsent(at.page) == []


def test_it_is_left_alone_where_the_item_is_opened_for_another_task(hushed: Desk) -> None:
    at = hushed
    picture = at.office.medium("detection", 1)
    for task in ("detection", "lane"):
        item = at.client.post(f"/v1/{task}/annotate", content=picture).raise_for_status().json()["item_id"]
    fails(at, item)
    at.open("/review/detection")
    at.press("Enter")
    at.page.get_by_text("What is not sent").click()
    at.open(f"/review/lane/{item}")
    at.press("Enter")
    at.page.get_by_text("What is not sent").click()
    expect(at.page.locator("#letters > div")).to_have_count(2)
    assert {letter["body"]["task"]: set(letter["body"]["label"]) for letter in unsent(at.page)} == {
        "detection": {"width", "height", "boxes"},
        "lane": {"width", "height", "lanes"},
    }


def test_that_of_somebody_else_is_not_replaced(hushed: Desk) -> None:
    at = hushed
    item = stuck(at, " theirs")
    at.page.evaluate(IS_UNSENT, {"annotator": "whoever worked here before"})
    at.open(f"/review/asr/{item}")
    assert at.page.input_value("#text") == "yes"
    at.press("Enter")
    at.until(lambda: len(unsent(at.page)) == 2)
    assert {letter["body"]["label"]["text"] for letter in unsent(at.page)} == {"yes", "yes theirs"}


def test_it_tells_no_more_seconds_than_the_service_takes(hushed: Desk) -> None:
    at = hushed
    item = stuck(at)
    at.page.evaluate(IS_UNSENT, {"seconds": 86_400})
    at.open(f"/review/asr/{item}")
    at.page.keyboard.type(" mine")
    at.page.wait_for_timeout(300)
    has_failed(at, 2)
    at.page.context.unroute(f"**/{item}/correction")
    at.press("Enter")
    at.until(lambda: len(at.corrections(item)) == 1)
    assert at.corrections(item)[0]["seconds"] == 86_400


def test_it_tells_its_seconds_once_where_it_arrives_while_another_replaces_it(hushed: Desk) -> None:
    at = hushed
    item = stuck(at)
    at.page.evaluate(IS_UNSENT, {"seconds": 86_400})
    at.page.context.unroute(f"**/{item}/correction")
    slow = list[Route]()
    at.page.context.route(f"**/{item}/correction", lambda route: route.continue_() if slow else slow.append(route))
    at.open(f"/review/asr/{item}")
    at.until(lambda: bool(slow))
    at.page.keyboard.type(" mine")
    at.page.wait_for_timeout(300)
    at.press("Enter")
    at.until(lambda: any(letter["body"]["label"]["text"] == "yes mine" for letter in unsent(at.page)))
    slow[0].continue_()
    at.until(lambda: len(at.corrections(item)) == 2)
    assert sorted(sent["seconds"] < 1000 for sent in at.corrections(item)) == [False, True]


def test_it_is_thrown_away_after_a_question_in_every_tab(hushed: Desk) -> None:
    at = hushed
    stuck(at)
    other = at.page.context.new_page()
    other.goto("/review/asr")
    other.get_by_text("What is not sent").click()
    throw_away(at.page, "Keep it")
    assert len(unsent(at.page)) == 1
    throw_away(at.page, "Throw it away")
    for page in (at.page, other):
        expect(page.locator("#waiting")).to_be_empty()
        expect(page.locator("#unsent")).to_be_hidden()
    assert unsent(other) == []


def test_it_stays_thrown_away_where_another_tab_is_just_sending_it(hushed: Desk) -> None:
    at = hushed
    (item,) = at.post("asr")
    waiting: list[Any] = []
    at.page.route(f"**/{item}/correction", lambda route: waiting.append(route))
    at.open("/review/asr")
    at.press("Enter")
    at.until(lambda: len(waiting) == 1)
    other = at.page.context.new_page()
    other.goto("/log")
    other.evaluate("for (const key of Object.keys(localStorage)) localStorage.removeItem(key)")
    waiting[0].fulfill(status=500, body="{}")
    at.sees("empty")
    at.page.evaluate("window.dispatchEvent(new Event('online'))")
    at.page.wait_for_timeout(300)
    assert unsent(other) == []
    expect(at.page.locator("#waiting")).to_be_empty()
    assert len(waiting) == 1


def test_it_is_sent_by_one_tab_at_a_time(hushed: Desk) -> None:
    at = hushed
    (item,) = at.post("asr")
    waiting: list[Any] = []
    at.page.context.route(f"**/{item}/correction", lambda route: waiting.append(route))
    at.open("/review/asr")
    at.press("Enter")
    at.until(lambda: len(waiting) == 1)
    other = at.page.context.new_page()
    other.goto("/review/asr")  # sends what waits
    other.wait_for_timeout(500)
    assert len(waiting) == 1
    waiting[0].continue_()
    assert at.correction(item)["label"]["text"] == "yes"
    other.wait_for_timeout(300)
    for again in waiting[1:]:  # of a tab that has not heard of it yet, which is harmless
        again.continue_()
    expect(other.locator("#waiting")).to_be_empty()
    assert len(at.corrections(item)) == 1


def test_who_waits_for_the_next_item_does_not_wait_for_it(hushed: Desk) -> None:
    at = hushed
    at.post("asr")
    at.open("/review/asr")
    at.page.route("**/correction", lambda route: None)  # the next time nobody answers
    at.page.route("**/correction", lambda route: route.fulfill(status=504), times=1)
    at.press("Enter")
    at.sees("empty")
    expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
    (other,) = at.post("asr")
    at.press("Enter")
    at.sees("work")
    assert at.item() == other
