"""The built-in editor, driven as a person drives it: what it shows, what it sends, and how it counts their seconds."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from models.records import TASKS, Task
from serving.loop import utc_now
from serving.tokens import make_token
from tests.serving.browser import faults_in_every_look
from tests.serving.reviewing import Desk, Office, desk
from tests.serving.served import Served


def seconds_of(page: Page, steps: list[list[Any]]) -> float:
    """What the clock counts of some steps: after so many seconds, call a method with some arguments."""
    script = """async (steps) => {
      const { ActiveTime } = await import("/static/review-clock.js");
      let now = 5000;
      const clock = new ActiveTime(() => now);
      for (const [after, method, ...values] of steps) { now += 1000 * after; clock[method](...values); }
      return clock.seconds;
    }"""
    return float(page.evaluate(script, steps))


class TestActiveSeconds:
    @pytest.mark.parametrize(
        ("steps", "seconds"),
        [
            ([[0, "start"], [4, "act"], [3, "act"]], 7),
            ([[0, "start"], [25, "act"], [2, "act"]], 12),  # 10 of the 25, and 2
            ([[0, "start"], [60, "act"]], 10),
            ([[60, "start"], [3, "act"]], 3),  # what came before the item is not its own
            ([[0, "start"], [3, "setPresent", False], [20, "setPresent", True], [2, "act"]], 5),
            ([[0, "start"], [30, "setPresent", False], [5, "act"]], 10),
            ([[0, "start"], [1, "setPlaying", True], [40, "setPlaying", False], [20, "act"]], 51),
            ([[0, "start"], [1, "setPlaying", True], [5, "setPresent", False], [9, "setPresent", True], [2, "act"]], 8),
            ([[0, "start"], [1, "setPlaying", False], [30, "act"]], 10),  # nothing played: its end is no act
            ([[0, "start", 6.5], [2, "act"]], 8.5),  # an item that was on the table before
        ],
    )
    def test_cases_worked_out_by_hand(self, idle: Page, steps: list[list[Any]], seconds: float) -> None:
        assert seconds_of(idle, steps) == pytest.approx(seconds)

    def test_a_person_who_is_away_costs_ten_seconds_and_no_more(self, at: Desk) -> None:
        at.page.clock.install()
        at.page.add_init_script("localStorage.setItem('prelabel.plays-by-itself', 'false')")
        (item,) = at.post("asr")
        at.open("/review/asr")
        before = float(at.page.evaluate("performance.now()"))
        at.press("End")
        at.page.clock.fast_forward(4_000)
        at.press("End")
        at.page.clock.fast_forward(60_000)
        at.press("Enter")
        spent = at.correction(item)["seconds"]
        after = float(at.page.evaluate("performance.now()"))
        assert 14 <= spent < 14 + (after - before) / 1000 - 64 + 20  # and what the machine needed meanwhile

    def test_a_sound_counts_while_it_plays_and_a_forgotten_loop_does_not(self, at: Desk) -> None:
        at.page.clock.install()
        at.post("asr", seconds=20)
        at.open("/review/asr")
        now, play = at.page.locator("#now"), at.page.locator("#play")
        at.press("Alt+L", "Alt+ArrowRight")  # the word is over in no time, and begins again
        at.page.wait_for_timeout(1_000)
        at.page.clock.fast_forward(11_000)
        expect(now).not_to_have_class("counts")
        expect(play).to_have_attribute("aria-pressed", "true")
        at.press("Alt+L")
        expect(play).to_have_attribute("aria-pressed", "false")
        at.press("Escape")  # the rest of it
        expect(play).to_have_attribute("aria-pressed", "true")
        at.page.clock.fast_forward(11_000)
        expect(now).to_have_class("counts")

    def test_a_page_in_the_background_does_not_count(self, at: Desk) -> None:
        at.page.clock.install()
        at.page.add_init_script("localStorage.setItem('prelabel.plays-by-itself', 'false')")
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.page.evaluate("window.dispatchEvent(new Event('blur'))")
        for _ in range(5):
            at.page.clock.fast_forward(5_000)
            at.page.mouse.move(5, 5)
        at.page.evaluate("window.dispatchEvent(new Event('focus'))")
        at.press("Enter")
        assert at.correction(item)["seconds"] < 10


class TestSpeech:
    def test_right_as_it_is_takes_one_key(self, at: Desk) -> None:
        first, second = sorted(at.post("asr", 2))
        at.open("/review/asr")
        assert at.page.input_value("#text") == "yes"
        shown = at.item()
        at.press("Enter")
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{shown}")
        at.press("Enter")
        at.sees("empty")
        buttons = at.page.locator("#desk .acts").get_by_role("button").all_inner_texts()
        assert buttons == ["Look again ⏎", "Previous", "?"]
        for item in (first, second):
            given = at.correction(item)
            assert given["label"]["text"] == "yes"
            assert [word["text"] for word in given["label"]["words"]] == ["yes"]
            assert (given["tool"], given["annotator"]) == ("prelabel", "local")
            assert given["model_version"] == at.served.deployment.live.version("asr")
            assert 0 < given["seconds"] < 60
            assert given["lease_id"]
        expect(at.page.locator("#items")).to_have_text("2")

    def test_what_is_typed_is_what_is_sent(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.press("Control+A")
        at.page.keyboard.type("no  matter? ")
        at.press("Enter")
        label = at.correction(item)["label"]
        assert (label["text"], label["words"]) == ("no matter?", [])

    def test_enter_that_ends_a_composition_sends_nothing(self, at: Desk) -> None:
        at.post("asr")
        at.open("/review/asr")
        shown = at.item()
        at.page.evaluate("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
                         "{key: 'Enter', code: 'Enter', isComposing: true, bubbles: true}))")  # fmt: skip
        at.page.wait_for_timeout(200)
        assert at.item() == shown
        assert at.corrections(shown) == []

    def test_a_word_is_heard_selected_and_replaced_by_keys(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.press("Alt+ArrowRight")
        expect(at.page.locator("#words .chosen")).to_have_text("yes")
        assert at.page.evaluate("getSelection().toString() || text.value.slice(text.selectionStart, text.selectionEnd)")
        at.page.keyboard.type("no")
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "no"

    def test_playing_looping_and_speed(self, at: Desk) -> None:
        at.post("asr", seconds=20)
        at.open("/review/asr")
        play, loop = at.page.locator("#play"), at.page.locator("#loop")
        expect(play).to_have_attribute("aria-pressed", "true")  # by itself
        at.press("Escape")
        expect(play).to_have_attribute("aria-pressed", "false")
        at.press("Alt+L", "Alt+Comma", "Alt+ArrowRight")
        expect(loop).to_have_attribute("aria-pressed", "true")
        assert at.page.inner_text("#rate") == "0.75 ×"
        at.page.wait_for_timeout(900)  # longer than the word
        expect(play).to_have_attribute("aria-pressed", "true")
        expect(at.page.locator("#words .now")).to_have_text("yes")
        at.press("Alt+L")
        expect(play).to_have_attribute("aria-pressed", "false")
        assert at.page.input_value("#text") == "yes"


class TestWords:
    @pytest.mark.parametrize(
        ("heard", "typed", "rows"),
        [
            ("a b c", "a b c", [0, 1, 2]),
            ("a b c", "a x c", [0, -1, 2]),
            ("a b c", "b c", [1, 2]),
            ("a b c", "a b b c", [0, 1, -1, 2]),
            ("a b c d", "a d c b d", [0, -1, 2, -1, 3]),
            ("", "a", [-1]),
            ("a", "", []),
        ],
    )
    def test_typed_words_find_the_heard_ones(self, idle: Page, heard: str, typed: str, rows: list[int]) -> None:
        script = "async ([a, b]) => (await import('/static/review-words.js')).align(a, b)"
        assert idle.evaluate(script, [heard.split(), typed.split()]) == rows

    @pytest.mark.parametrize(
        ("confidences", "parts", "marked"),
        [
            ([0.9, 0.95, 0.7], None, [2]),
            ([0.1, 0.3, 0.2, 0.4], None, [0, 1, 2]),  # uncertain throughout: its lesser half
            ([0.3], None, [0]),
            ([0.1, 0.2, 0.3], {"shown": [1], "accepted": [0, 2], "asked": True}, [1]),
        ],
    )
    def test_what_is_doubtful_is_marked(
        self, idle: Page, confidences: list[float], parts: dict[str, Any] | None, marked: list[int]
    ) -> None:
        words = [{"text": "a", "start_s": 0, "end_s": 1, "confidence": one} for one in confidences]
        script = "async ([words, parts]) => (await import('/static/review-words.js')).doubts(words, parts)"
        found = idle.evaluate(script, [words, parts])
        assert [row for row, doubtful in enumerate(found) if doubtful] == marked

    def test_people_vouch_for_words_but_for_those_that_a_promise_let_nobody_see(self, idle: Page) -> None:
        words = [{"text": text, "start_s": 0, "end_s": 1, "confidence": 0.5} for text in ("a", "b")]
        script = "async (args) => (await import('/static/review-words.js')).transcript(...args)"
        parts = {"accepted": [0], "shown": [1], "asked": False}
        given = idle.evaluate(script, [" a  b ", words, parts])
        assert (given["text"], [word["confidence"] for word in given["words"]]) == ("a b", [0.5, 1])
        assert idle.evaluate(script, ["a c", words, parts]) == {"text": "a c", "words": []}


class TestTheQueue:
    def test_a_skipped_item_is_open_for_others_and_not_handed_out_again(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.press("Alt+S")
        at.sees("empty")
        at.until(lambda: at.state(item) == "preannotated")
        assert [one["item_id"] for one in at.client.get("/v1/queue/asr?annotator=ada").json()["items"]] == [item]
        assert at.corrections(item) == []

    def test_a_slip_of_skipping_is_mended(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open("/review/asr")
        at.page.keyboard.type(" work")
        at.press("Alt+S")
        at.sees("empty")
        at.press("Alt+B")
        at.sees("work")
        assert at.page.input_value("#text") == "yes work"
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "yes work"

    def test_what_cannot_be_labelled_is_left_out_by_two_keys_and_brought_back_by_a_label(self, at: Desk) -> None:
        at.post("asr", 2)
        at.open("/review/asr")
        first = at.item()
        at.press("Alt+U")
        expect(at.page.get_by_role("dialog", name="Why can this not be labelled?")).to_be_visible()
        at.press("Escape")  # it can be
        at.press("Alt+U", "2")
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{first}")
        expect(at.page.locator("#live")).to_contain_text("Left out: nobody speaks. Next:")
        at.until(lambda: at.state(first) == "unfit")
        (word,) = at.client.get(f"/v1/items/{first}").json()["unfit"]
        assert (word["reason"], word["annotator"], word["tool"]) == ("no-speech", "local", "prelabel")
        assert 0 < word["seconds"] < 60
        assert at.corrections(first) == []
        expect(at.page.locator("#items")).to_have_text("1")
        at.press("Alt+B")
        expect(at.page.locator("#name")).to_have_attribute("href", f"/items/{first}")
        at.sees("work")
        at.press("Enter")
        assert at.correction(first)["label"]["text"] == "yes"
        assert at.state(first) == "corrected"

    def test_what_cannot_be_shown_can_be_left_out(self, hushed: Desk) -> None:
        at = hushed
        (item,) = at.post("lane")
        at.page.route("**/media", lambda route: route.abort())
        at.page.goto("/review/lane")
        at.sees("trouble")
        at.page.get_by_role("button", name="Cannot be labelled").click()
        at.page.get_by_role("button", name="it shows no road").click()
        at.until(lambda: at.state(item) == "unfit")
        at.page.goto(f"/items/{item}")
        at.page.get_by_role("button", name="Bring it back").click()
        at.page.wait_for_url(f"**/items/{item}")
        assert at.state(item) == "preannotated"
        expect(at.page.get_by_text("local left it out")).to_be_visible()

    def test_the_item_before_is_called_back_and_mended(self, at: Desk) -> None:
        at.post("asr", 2)
        at.open("/review/asr")
        first = at.item()
        at.press("Enter")
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{first}")
        second = at.item()
        at.page.keyboard.type(" no")
        at.press("Alt+B")
        expect(at.page.locator("#name")).to_have_attribute("href", f"/items/{first}")
        at.sees("work")
        at.page.keyboard.type(" mended")
        at.press("Enter")
        expect(at.page.locator("#name")).to_have_attribute("href", f"/items/{second}")
        at.sees("work")
        assert at.page.input_value("#text") == "yes no"  # what was begun is still there
        at.until(lambda: len(at.corrections(first)) == 2)
        assert [one["label"]["text"] for one in at.corrections(first)] == ["yes", "yes mended"]
        expect(at.page.locator("#items")).to_have_text("1")

    def test_a_reload_goes_on_with_the_same_item_and_draft(self, at: Desk) -> None:
        at.post("asr", 3)
        at.open("/review/asr")
        shown = at.item()
        at.page.keyboard.type(" begun")
        at.page.reload()
        at.sees("work")
        assert (at.item(), at.page.input_value("#text")) == (shown, "yes begun")
        for _ in range(3):
            at.sees("work")
            before = at.item()
            at.press("Enter")
            expect(at.page.locator("#desk")).not_to_have_attribute("data-state", "loading")
            at.until(lambda before=before: len(at.corrections(before)) == 1)  # type: ignore[misc]
        at.sees("empty")

    def test_a_particular_item_needs_no_lease(self, at: Desk) -> None:
        one, other = at.post("asr", 2)
        at.open(f"/review/asr/{other}")
        assert at.item() == other
        at.page.keyboard.type(" indeed")
        at.press("Enter")
        given = at.correction(other)
        assert (given["label"]["text"], given["lease_id"]) == ("yes indeed", None)
        assert given["model_version"] == at.served.deployment.live.version("asr")
        expect(at.page.locator("#name")).to_have_attribute("href", f"/items/{one}")
        at.sees("work")
        at.page.reload()
        at.sees("work")
        assert at.item() == one  # not what is done
        at.open(f"/review/asr/{other}")
        assert at.page.input_value("#text") == "yes indeed"  # what a person said of it is what is shown
        assert at.client.get("/review/asr/none").status_code == 404
        assert at.client.get("/review/none").status_code == 404

    def test_the_busiest_task_comes_first(self, at: Desk) -> None:
        at.post("asr")
        at.page.goto("/review")
        assert at.page.url.endswith("/review/asr")


class TestThePage:
    @pytest.mark.parametrize(("language", "button"), [("en-GB", "Right, next"), ("zh-CN", "正确，下一条")])
    def test_it_speaks_both_languages(self, chromium: Browser, place: Office, language: str, button: str) -> None:
        with desk(chromium, place, locale=language) as at:
            at.post("asr")
            at.open("/review/asr")
            expect(at.page.locator("#send")).to_contain_text(button)
            assert at.complaints == []

    def test_scripts_say_nothing_that_is_not_translated(self, at: Desk) -> None:
        at.page.goto("/review/asr?lang=zh-Hans")
        said = json.loads(at.page.locator("#said").inner_text() or at.page.locator("#said").text_content() or "")
        assert [sentence for sentence, told in said.items() if sentence == told] == []

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("keys", [(), ("F1",), ("Alt+U",)])
    def test_it_has_no_fault_in_any_look(self, chromium: Browser, at: Desk, task: Task, keys: tuple[str, ...]) -> None:
        (item,) = at.post(task)

        def ready(page: Page) -> None:
            expect(page.locator("#desk")).to_have_attribute("data-state", "work")
            expect(page.locator("#reason")).not_to_be_empty()
            for key in keys:
                page.keyboard.press(key)

        assert faults_in_every_look(chromium, at.address, f"/review/{task}/{item}", ready) == []

    def test_who_may_not_correct_is_told_so(self, served: Served) -> None:
        secret = make_token(served.loop.store, "camera", ("annotate",), "tester", utc_now())
        headers = {"Authorization": f"Bearer {secret}"}
        assert "prelabel token make NAME --scope correct" in served.client.get("/review/asr", headers=headers).text
