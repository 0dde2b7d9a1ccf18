"""What a person did in the built-in editor is not lost: whatever becomes of the network, the service, the lease, the
page and the browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from models.records import Correction, Task, Transcript
from serving.loop import utc_now
from tests.serving.reviewing import Desk, throw_away

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
LET_LEASES_END = """() => {
  for (const key of Object.keys(localStorage).filter((one) => one.startsWith("prelabel.held."))) {
    const held = JSON.parse(localStorage[key]);
    for (const { item } of held) item.expires_at = "2026-01-01T00:00:00Z";
    localStorage[key] = JSON.stringify(held);
  }
}"""


def taken_up(at: Desk) -> Page:
    """Another page, which has taken up what somebody began on one that is out of sight now."""
    at.open("/review/asr")
    at.page.keyboard.type(" begun")
    at.page.evaluate(HIDE, True)
    after = at.page.context.new_page()
    after.goto("/review/asr")
    expect(after.locator("#text")).to_have_value("yes begun")
    return after


@contextmanager
def breaking_off(body: bytes) -> Iterator[str]:
    """The address of a server that breaks off in the midst of what it answers."""

    class Half(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Half) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class TestNothingIsLost:
    def test_what_cannot_be_sent_is_kept_over_a_reload_and_sent_later(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.page.route("**/correction", lambda route: route.abort())
        at.page.keyboard.type(" kept")
        at.press("Enter")
        expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
        at.page.reload()
        expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
        assert at.corrections(item) == []
        at.page.unroute("**/correction")
        at.page.evaluate("window.dispatchEvent(new Event('online'))")
        assert at.correction(item)["label"]["text"] == "yes kept"
        expect(at.page.locator("#waiting")).to_be_empty()
        assert at.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('outbox'))") == []

    def test_a_server_that_fails_is_asked_again(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        answers = iter([503, 500])

        def fail(route: Any) -> None:
            status = next(answers, None)
            route.continue_() if status is None else route.fulfill(status=status, body="{}")

        at.page.route("**/correction", fail)
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes"

    def test_what_answers_in_the_name_of_the_service_takes_no_correction(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        guest = {"status": 200, "content_type": "text/html", "body": "<p>Welcome. Sign in to use this network."}
        at.page.route("**/correction", lambda route: route.fulfill(**guest), times=1)
        at.page.keyboard.type(" kept")
        at.press("Enter")
        expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
        assert at.correction(item)["label"]["text"] == "yes kept"
        expect(at.page.locator("#waiting")).to_be_empty()

    def test_a_correction_that_did_not_pass_goes_before_the_queue_is_asked(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")  # without a lease, so that the queue has it as well
        at.page.route("**/correction", lambda route: route.abort(), times=1)
        at.press("Enter")
        at.sees("empty")
        assert len(at.corrections(item)) == 1

    def test_one_that_the_service_fails_at_holds_back_no_other(self, hushed: Desk) -> None:
        at = hushed
        at.post("asr", 2)
        at.open("/review/asr")
        bad = at.item()
        at.page.route(f"**/{bad}/correction", lambda route: route.fulfill(status=500, body="{}"))
        at.press("Enter")
        at.until(lambda: at.item() != bad)
        other = at.item()
        at.sees("work")
        at.page.keyboard.type(" other")
        at.press("Enter")
        assert at.correction(other)["label"]["text"] == "yes other"
        at.sees("empty")
        expect(at.page.locator("#waiting")).to_contain_text("The service failed at it. 1 not sent yet.")
        assert at.corrections(bad) == []
        at.page.unroute(f"**/{bad}/correction")
        at.page.evaluate("window.dispatchEvent(new Event('online'))")
        assert at.correction(bad)["label"]["text"] == "yes"

    @pytest.mark.parametrize("how", [{"status": 502}, {"status": 503}, {"status": 504}, None])
    def test_one_that_fails_on_its_way_for_ever_holds_back_no_other(self, hushed: Desk, how: Any) -> None:
        at = hushed
        at.post("asr", 2)
        at.open("/review/asr")
        bad = at.item()
        at.page.route(f"**/{bad}/correction", lambda route: route.fulfill(**how) if how else route.abort())
        at.press("Enter")
        at.until(lambda: at.item() != bad)
        at.sees("work")
        other = at.item()
        expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
        at.press("Enter")
        assert at.correction(other)["label"]["text"] == "yes"
        assert at.corrections(bad) == []

    def test_a_correction_to_which_nobody_answers_is_sent_again(self, hushed: Desk) -> None:
        at = hushed
        at.page.clock.install()
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.page.route("**/correction", lambda route: None, times=1)
        with at.page.expect_request("**/correction"):
            at.press("Enter")
        at.page.clock.fast_forward(61_000)
        expect(at.page.locator("#waiting")).to_contain_text("1 not sent yet")
        at.page.clock.fast_forward(3_000)
        assert at.correction(item)["label"]["text"] == "yes"

    def test_another_tab_sends_what_a_tab_could_not(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.page.goto(f"/review/asr/{item}")
        other = at.page.context.new_page()
        other.goto(f"/review/asr/{item}")
        other.route("**/correction", lambda route: route.abort())
        expect(other.locator("#desk")).to_have_attribute("data-state", "work")
        other.locator("#text").press("Enter")
        expect(other.locator("#waiting")).to_contain_text("1 not sent yet")
        other.close()
        assert at.corrections(item) == []
        at.page.evaluate("window.dispatchEvent(new Event('online'))")
        assert at.correction(item)["label"]["text"] == "yes"

    def test_what_is_thrown_away_in_a_tab_is_gone_in_the_others(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        other = at.page.context.new_page()
        other.goto("/review/asr")
        faster = Correction(item, "asr", Transcript("bob's"), "bob", 1.0, "test", utc_now())
        at.served.loop.correct(faster, None, "tester")
        at.press("Enter")
        expect(other.locator("#refused")).to_contain_text("Your work is kept")
        throw_away(other, "Throw it away")
        expect(at.page.locator("#refused")).to_be_empty()

    def test_a_lease_that_is_over_is_told_and_the_work_kept(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        faster = Correction(item, "asr", Transcript("bob's"), "bob", 1.0, "test", utc_now())
        at.served.loop.correct(faster, None, "tester")
        at.page.keyboard.type(" mine")
        at.press("Enter")
        expect(at.page.locator("#refused")).to_contain_text("Your work is kept")
        expect(at.page.locator("#refused")).to_contain_text("bob")
        assert len(at.corrections(item)) == 1
        at.page.get_by_role("button", name="Send it all the same").click()
        at.until(lambda: len(at.corrections(item)) == 2)
        assert at.corrections(item)[-1]["label"]["text"] == "yes mine"
        expect(at.page.locator("#refused")).to_be_empty()

    def test_a_medium_that_does_not_come_sends_nothing_and_can_be_asked_again(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.page.route("**/media", lambda route: route.abort(), times=1)
        at.page.goto("/review/asr")
        at.sees("trouble")
        at.press("Enter")
        at.sees("work")
        assert at.item() == item
        assert at.corrections(item) == []

    def test_who_is_signed_out_is_told_and_loses_nothing(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("asr")
        at.open("/review/asr")
        gone = {"status": 401, "body": '{"error": {"code": "unauthenticated", "message": "expected a token"}}'}
        at.page.route("**/v1/**", lambda route: route.fulfill(**gone))
        at.press("Enter")
        expect(at.page.locator("#waiting")).to_contain_text("You are signed out. 1 not sent yet.")
        expect(at.page.locator("#sign-in")).to_be_visible()
        at.page.unroute("**/v1/**")
        at.page.reload()  # as after signing in
        assert at.correction(item)["label"]["text"] == "yes"


class TestDrafts:
    def test_of_a_particular_item_are_there_after_a_reload(self, at: Desk) -> None:
        at.post("asr")
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        at.page.keyboard.type(" begun")
        at.page.reload()
        at.sees("work")
        assert at.page.input_value("#text") == "yes begun"
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes begun"

    def test_outlive_their_lease(self, hushed: Desk) -> None:
        at = hushed
        at.post("asr", 2)
        at.open("/review/asr")
        begun = at.item()
        at.page.keyboard.type(" begun")
        at.page.goto("/log")
        at.page.evaluate(LET_LEASES_END)
        at.page.goto("/review/asr")
        at.sees("work")
        assert (at.item(), at.page.input_value("#text")) == (begun, "yes begun")
        at.press("Enter")
        at.sees("empty")  # what nobody touched is others' again

    def test_are_found_under_the_address_of_their_item_with_the_lease(self, at: Desk) -> None:
        at.post("asr", 2)
        at.open("/review/asr")
        begun = at.item()
        at.page.keyboard.type(" begun")
        at.open(f"/review/asr/{begun}")
        assert at.page.input_value("#text") == "yes begun"
        at.press("Enter")
        assert at.correction(begun)["lease_id"]
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{begun}")
        at.sees("work")  # the other one, and not the same again

    def test_of_a_page_out_of_sight_outlive_the_browser(self, at: Desk) -> None:
        at.post("asr")
        after = taken_up(at)  # as if the first had been killed
        expect(after.locator("#name")).to_have_attribute("href", f"/items/{at.item()}")
        at.page.evaluate(HIDE, False)  # it was not, and gives up what another page has taken up
        at.sees("empty")
        after.close()

    def test_of_a_page_that_went_on_with_them_count(self, at: Desk) -> None:
        at.post("asr")
        after = taken_up(at)
        after.keyboard.type(" elsewhere")
        after.goto("/log")
        at.page.evaluate(HIDE, False)
        expect(at.page.locator("#text")).to_have_value("yes begun elsewhere")
        after.close()

    def test_of_a_page_that_is_closed_out_of_sight_replace_no_newer_ones(self, at: Desk) -> None:
        (item,) = at.post("asr")
        after = taken_up(at)
        after.keyboard.type(" and sent")
        after.keyboard.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes begun and sent"
        at.page.close(run_before_unload=False)
        after.reload()
        expect(after.locator("#desk")).to_have_attribute("data-state", "empty")
        after.close()

    def test_of_an_item_that_was_sent_and_called_back_send_nothing_twice(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.page.keyboard.type(" sent")
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes sent"
        at.sees("empty")
        at.press("Alt+B")
        at.sees("work")
        at.page.goto("/log")
        at.page.evaluate(LET_LEASES_END)
        at.open("/review/asr")
        at.sees("work")
        at.press("Enter")
        at.sees("empty")
        assert len(at.corrections(item)) == 1

    def test_of_a_page_that_comes_back_into_sight_go_on(self, at: Desk) -> None:
        at.post("asr")
        at.open("/review/asr")
        at.page.keyboard.type(" begun")
        at.page.evaluate(HIDE, True)
        at.page.evaluate(HIDE, False)
        at.page.keyboard.type(" ended")
        item = at.item()
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes begun ended"
        at.page.reload()
        at.sees("empty")

    def test_of_a_line_that_is_not_ended_are_sent(self, at: Desk) -> None:
        (item,) = at.post("lane")
        at.open(f"/review/lane/{item}")
        at.press("N")
        at.click(20, 80)
        at.click(30, 20)
        at.page.locator("#send").click()
        assert at.correction(item)["label"]["lanes"][-1]["points"] == [[20, 80], [30, 20]]


class TestTheServiceIsAway:
    def test_it_is_told_so_and_asked_again(self, hushed: Desk) -> None:
        at = hushed
        at.page.clock.install()
        at.post("asr")
        at.open("/review/asr")
        at.page.route("**/v1/**", lambda route: route.abort())
        at.press("Enter")
        at.sees("away")
        expect(at.page.locator("#desk")).to_contain_text("The service does not answer.")
        buttons = at.page.locator("#desk .acts").get_by_role("button").all_inner_texts()
        assert buttons == ["Look again ⏎", "Previous", "?"]
        assert not at.page.locator("#name").is_visible()  # of the item before
        at.page.unroute("**/v1/**")
        (new,) = at.post("asr")
        at.page.clock.fast_forward(16_000)
        at.sees("work")
        assert at.item() == new

    @pytest.mark.parametrize("body", ['{"items": [', "<p>Welcome. Sign in to use this network."])
    def test_an_answer_that_is_not_its_own_is_none(self, hushed: Desk, body: str) -> None:
        at = hushed
        at.post("asr")
        at.page.route("**/v1/queue/**", lambda route: route.fulfill(body=body), times=1)
        at.page.goto("/review/asr")
        at.sees("away")
        expect(at.page.locator("#why")).to_contain_text("The service does not answer.")
        at.press("Enter")
        at.sees("work")

    @pytest.mark.parametrize(("asked", "state"), [("**/v1/queue/**", "away"), ("**/media", "trouble")])
    def test_nobody_waits_for_an_answer_for_ever(self, hushed: Desk, asked: str, state: str) -> None:
        at = hushed
        at.page.clock.install()
        at.post("detection")
        at.page.route(asked, lambda route: None, times=1)
        with at.page.expect_request(asked):
            at.page.goto("/review/detection")
        at.page.clock.fast_forward(61_000)
        at.sees(state)
        at.page.clock.fast_forward(16_000)
        at.sees("work")

    @pytest.mark.parametrize("task", ["asr", "detection"])
    def test_a_medium_of_which_a_half_came_is_not_shown_and_asked_for_again(self, hushed: Desk, task: Task) -> None:
        at = hushed
        at.page.clock.install()
        (item,) = at.post(task)
        whole = at.client.get(f"/v1/items/{item}/media").content
        with breaking_off(whole) as broken:
            at.page.route("**/media", lambda route: route.continue_(url=broken), times=1)
            at.page.goto(f"/review/{task}")
            at.sees("trouble")
        expect(at.page.locator("#why")).to_contain_text("The service does not answer.")
        at.page.clock.fast_forward(16_000)
        at.sees("work")

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (lambda route: route.abort(), "The service does not answer."),
            (lambda route: route.fulfill(status=503, body="{}"), "The service does not answer."),
            (lambda route: route.fulfill(status=410, body="gone"), "410"),
            (lambda route: route.fulfill(body="no medium"), "this browser cannot read it."),
            (lambda route: route.fulfill(body="<p>Sign in", content_type="text/html; charset=utf-8"), "A page came"),
        ],
    )
    @pytest.mark.parametrize("task", ["asr", "detection"])
    def test_a_medium_that_does_not_come_says_why_and_of_which_item(
        self, hushed: Desk, task: Any, answer: Callable[[Any], None], told: str
    ) -> None:
        at = hushed
        at.post(task)
        at.open(f"/review/{task}")
        (other,) = at.post(task)
        at.page.route("**/media", answer)
        at.press("Enter")
        at.sees("trouble")
        expect(at.page.locator("#why")).to_contain_text(told)
        assert at.item() == other
        at.page.unroute("**/media")
        expect(at.page.locator("#send")).to_contain_text("Look again")
        at.press("Enter")
        at.sees("work")
