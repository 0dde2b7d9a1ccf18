"""Long recordings in the built-in editor: thousands of words, of which a key changes one."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serving.reviewing import Desk, Office, desk
from tests.serving.test_review_pictures import change_queue

SAID = [f"w{row * 7919 % 97}" for row in range(3000)]
DECODED_AT_ONCE = """(() => {
  const decode = OfflineAudioContext.prototype.decodeAudioData;
  let now = window.most = 0;
  OfflineAudioContext.prototype.decodeAudioData = async function (bytes) {
    window.most = Math.max(window.most, ++now);
    try { return await decode.call(this, bytes); } finally { now--; }
  };
})()"""


def recording(at: Desk, count: int) -> None:
    """An item with so many words of half a second, on the page, and silent."""
    words = [
        {"text": text, "start_s": row / 2, "end_s": row / 2 + 0.4, "confidence": 0.5 if row % 10 == 3 else 0.9}
        for row, text in enumerate(SAID[:count])
    ]
    at.page.add_init_script("localStorage.setItem('prelabel.plays-by-itself', 'false')")
    at.post("asr", seconds=3)
    label = {"text": " ".join(SAID[:count]), "words": words}
    route = {"decision": "review", "reason": "", "parts": None}
    change_queue(at.page, lambda told: told.update(label=label, route=route))
    at.open("/review/asr")


class TestWords:
    @pytest.mark.parametrize(
        ("first", "added", "last"),
        [(0, 0, 2999), (0, 20, 2999), (5, 100, 2990), (1000, 3, 1900)],
    )
    def test_those_far_apart_are_found_as_well(self, idle: Page, first: int, added: int, last: int) -> None:
        typed = [*SAID[:first], "x", *SAID[first + 1 : 1500], *["y"] * added, *SAID[1500:last], "z", *SAID[last + 1 :]]
        expected = [-1 if row in (first, last) else row for row in range(1500)]
        expected += [-1] * added + [-1 if row in (first, last) else row for row in range(1500, 3000)]
        script = "async ([a, b]) => (await import('/static/review-words.js')).align(a, b)"
        assert idle.evaluate(script, [SAID, typed]) == expected

    @pytest.mark.parametrize("added", [1000, 9000])
    def test_those_behind_a_long_stretch_that_was_put_in_are_found(self, idle: Page, added: int) -> None:
        """The last ones are about as far along in both texts, however far behind the first ones were left."""
        typed = ["x", *SAID[1:1500], *["y"] * added, *SAID[1500:2999], "z"]
        script = "async ([a, b]) => (await import('/static/review-words.js')).align(a, b)"
        found: list[int] = idle.evaluate(script, [SAID, typed])
        assert [SAID[row] for row in found if row >= 0] == [typed[place] for place, row in enumerate(found) if row >= 0]
        assert sum(row >= 0 for row in found[1500 + added :]) > 400

    def test_a_table_of_them_stays_small(self, idle: Page) -> None:
        script = """async (words) => {
          const { align } = await import("/static/review-words.js");
          const Row = window.Uint16Array;
          let cells = 0;
          window.Uint16Array = class extends Row { constructor(size) { super(size); cells += size; } };
          try { align(words, ["x", ...words.slice(1, -1), "y"]); } finally { window.Uint16Array = Row; }
          return cells;
        }"""
        assert 0 < idle.evaluate(script, SAID) <= 1.1 * 2**20


class TestMarks:
    def test_a_key_draws_one_of_them_anew(self, at: Desk) -> None:
        recording(at, 300)
        marks = at.page.locator("#marks mark")
        expect(marks).to_have_count(300)
        at.page.evaluate("document.querySelectorAll('#marks mark').forEach((mark) => (mark.drawn = 'before'))")
        at.page.locator("#text").evaluate("at => at.setSelectionRange(0, 0)")
        at.page.keyboard.type("x")
        at.press("Control+End")
        at.page.keyboard.type(" and more")
        assert (
            at.page.evaluate("[...document.querySelectorAll('#marks mark')].filter((mark) => mark.drawn).length") == 299
        )
        assert at.page.locator("#marks").text_content() == at.page.input_value("#text") + "\u200b"

    def test_they_say_what_the_text_says_after_any_edits(self, at: Desk) -> None:
        recording(at, 40)
        doubtful = [text for row, text in enumerate(SAID[:40]) if row % 10 == 3]
        marked = at.page.locator("#marks .doubtful")
        expect(marked).to_have_text(doubtful)
        edits: list[tuple[int, int, str]] = [
            (0, 0, "  "), (5, 9, ""), (0, 3, "数 "), (10, 11, ""), (7, 30, " مرحبا "), (2, 2, "\n"), (0, 400, ""),
            (0, 0, " a  b "), (1, 2, "b"), (0, 9, " ".join(SAID[:40])),
        ]  # fmt: skip
        for start, end, text in edits:
            at.page.locator("#text").evaluate(
                "(at, [start, end, text]) => { at.setRangeText(text, start, Math.min(end, at.value.length), 'end');"
                " at.dispatchEvent(new Event('input')); }", [start, end, text])  # fmt: skip
            said = at.page.input_value("#text")
            assert at.page.locator("#marks").text_content() == said + "\u200b"
            assert at.page.locator("#marks mark").all_text_contents() == said.split()
        expect(marked).to_have_text(doubtful)

    def test_the_chosen_word_is_the_one_that_tab_reaches(self, at: Desk) -> None:
        recording(at, 6)
        chips = at.page.locator("#words button")
        at.press("Control+Home", *["Alt+ArrowRight"] * 4, "Alt+ArrowLeft")
        states: list[Any] = chips.evaluate_all(
            "all => all.map((one) => [one.tabIndex, one.className.includes('chosen')])"
        )
        assert [row for row, state in enumerate(states) if state != [-1, False]] == [2]
        assert states[2] == [0, True]


class TestFingers:
    def test_one_that_scrolls_the_wave_marks_nothing(self, chromium: Browser, place: Office) -> None:
        with desk(chromium, place, has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740}) as at:
            recording(at, 6)
            wave, stretch = at.page.locator("#wave"), at.page.locator(".stretch")
            swipe(at)
            at.until(lambda: wave.evaluate("at => at.scrollLeft") > 50)
            expect(stretch).to_be_hidden()
            at.press("Control+Home", "Alt+ArrowRight")
            expect(stretch).to_be_visible()
            width = stretch.evaluate("at => at.style.width")
            swipe(at)
            assert stretch.evaluate("at => at.style.width") == width


def swipe(at: Desk) -> None:
    """A finger that draws the wave to the left."""
    finger = at.page.context.new_cdp_session(at.page)
    frame = at.page.evaluate("document.querySelector('#wave canvas').getBoundingClientRect().toJSON()")
    for number, x in enumerate((250, 240, 200, 120, 60)):
        points = [{"x": x, "y": frame["top"] + 50, "id": 0}]
        kind = "touchMove" if number else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


class TestSounds:
    def test_one_is_decoded_after_the_other(self, chromium: Browser, place: Office) -> None:
        with desk(chromium, place) as at:
            at.page.add_init_script(DECODED_AT_ONCE)
            at.post("asr", 4, seconds=5)
            at.open("/review/asr")
            for _ in range(3):
                shown = at.item()
                at.press("Alt+S")
                expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{shown}")
            at.sees("work")
            assert at.page.evaluate("most") == 1


class TestWhatTheModelHeard:
    def test_is_taken_where_the_browser_inserts_nothing(self, at: Desk) -> None:
        at.page.add_init_script("Document.prototype.execCommand = () => false")
        at.post("asr")
        change_queue(at.page, lambda told: told["route"].update(decision="annotate"))
        at.open("/review/asr")
        at.press("Alt+M")
        expect(at.page.locator("#text")).to_have_value("yes")
        expect(at.page.locator("#heard")).to_be_hidden()
        expect(at.page.locator("#marks mark")).to_have_text(["yes"])

    def test_is_taken_and_undone_and_taken_again(self, at: Desk) -> None:
        at.page.add_init_script("localStorage.setItem('prelabel.plays-by-itself', 'false')")
        at.post("asr")
        change_queue(at.page, lambda told: told["route"].update(decision="annotate"))
        at.open("/review/asr")
        text, offer = at.page.locator("#text"), at.page.locator("#heard")
        for key in ("Alt+M", None):
            if key:
                at.press(key)
            else:
                offer.click()
            expect(text).to_have_value("yes")
            expect(offer).to_be_hidden()
            at.page.keyboard.type(" it")
            at.press("Control+Z", "Control+Z")
            expect(text).to_have_value("")
            expect(offer).to_be_visible()
        at.press("Control+Shift+Z")
        expect(text).to_have_value("yes")
        expect(at.page.locator("#marks mark")).to_have_text(["yes"])
