"""The keys of the built-in editor: on any layout, with any input method, and wherever the focus is."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from models.records import Task
from serving.store.records import UNFIT
from tests.serving.browser import command
from tests.serving.reviewing import SIZE, Desk, Office, desk
from tests.serving.test_review_pictures import change_queue

W, H = SIZE
ABOVE_THE_BUTTONS = """() => {
  const [at, buttons] = [document.activeElement, document.querySelector(".acts")];
  return buttons.contains(at) || at.getBoundingClientRect().bottom <= buttons.getBoundingClientRect().top;
}"""
ALT = 1  # as Chromium's protocol counts modifiers
CTRL = 2
LONG = "a_very_long_name_of_a_category_" + "of_which_nobody_sees_the_end_" * 4


class TestLayouts:
    @pytest.mark.parametrize(
        ("pressed", "named"),
        [
            ({"key": "n", "code": "KeyN"}, "N"),
            ({"key": "т", "code": "KeyN"}, "N"),  # Russian
            ({"key": "я", "code": "KeyZ", "ctrlKey": True}, "Ctrl+Z"),
            ({"key": "z", "code": "KeyY", "ctrlKey": True}, "Ctrl+Z"),  # German
            ({"key": "Z", "code": "KeyZ", "ctrlKey": True, "shiftKey": True}, "Ctrl+Shift+Z"),
            ({"key": "&", "code": "Digit1"}, "1"),  # French
            ({"key": "1", "code": "Digit1", "shiftKey": True}, "1"),
            ({"key": "!", "code": "Digit1", "shiftKey": True}, "!"),
            ({"key": "-", "code": "Digit6"}, "-"),
            ({"key": "١", "code": "Digit1"}, "1"),  # Arabic
            ({"key": "7", "code": "Numpad7"}, "7"),
            ({"key": "?", "code": "Slash", "shiftKey": True}, "?"),
            ({"key": "ю", "code": "Period"}, "."),
            ({"key": "m", "code": "Semicolon", "altKey": True}, "Alt+M"),  # French
            ({"key": ",", "code": "KeyM", "altKey": True}, "Alt+,"),
            ({"key": "ы", "code": "KeyS", "altKey": True}, "Alt+S"),
            ({"key": "ß", "code": "KeyS", "altKey": True}, "Alt+S"),  # a Mac
            ({"key": "@", "code": "KeyL", "altKey": True}, "Alt+L"),
            ({"key": "≤", "code": "Comma", "altKey": True}, "Alt+,"),
            ({"key": "Dead", "code": "KeyU", "altKey": True}, "Alt+U"),
            ({"key": "ArrowLeft", "code": "ArrowLeft", "altKey": True, "shiftKey": True}, "Alt+Shift+ArrowLeft"),
            ({"key": " ", "code": "Space", "ctrlKey": True}, "Ctrl+ "),
            ({"key": "Process", "code": "KeyN"}, "Process"),
        ],
    )
    def test_a_key_is_what_is_printed_on_it_or_else_where_it_is(
        self, idle: Page, pressed: dict[str, Any], named: str
    ) -> None:
        script = "async (keys) => (await import('/static/review-keys.js')).chord(new KeyboardEvent('keydown', keys))"
        assert idle.evaluate(script, pressed) == named

    def test_letters_that_are_not_latin_draw_and_undo(self, at: Desk) -> None:
        (item,) = at.post("detection")
        at.open(f"/review/detection/{item}")
        for key, code, held in (("т", "KeyN", 0), ("т", "KeyN", 0), ("т", "KeyN", 0), ("т", "KeyN", 0)):
            press(at, key, code, held)
        expect(at.page.locator("#parts button")).to_have_count(3)
        press(at, "я", "KeyZ", CTRL)
        expect(at.page.locator("#parts button")).to_have_count(2)

    def test_reasons_are_chosen_by_the_row_of_digits(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        press(at, "г", "KeyU", ALT)
        press(at, "é", "Digit2")
        at.until(lambda: at.state(item) == "unfit")
        assert at.client.get(f"/v1/items/{item}").json()["unfit"][0]["reason"] == list(UNFIT["asr"])[1]

    def test_characters_that_need_altgr_are_text(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        at.press("Control+A")
        press(at, "@", "KeyQ", text="@")
        assert (at.item(), at.page.input_value("#text")) == (item, "@")

    def test_a_question_mark_is_help_outside_of_text_alone(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        at.press("?")
        assert at.page.input_value("#text") == "yes?"
        at.page.focus("#by-itself")
        at.press("?")
        expect(at.page.locator("#help-dialog")).to_be_visible()

    def test_letters_beside_the_text_mean_no_other_item(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        at.page.locator("#text").blur()
        at.press("b", "u")
        expect(at.page.locator("#unfit-dialog")).to_be_hidden()
        expect(at.page.locator("#live")).not_to_contain_text("no item before")
        at.press("s")
        assert at.page.get_attribute("#desk", "data-state") == "work"

    @pytest.mark.parametrize("task", ["asr", "detection"])
    def test_alt_with_an_arrow_never_leaves_the_page(self, at: Desk, task: Task) -> None:
        at.page.goto(f"/review/{task}")
        at.sees("empty")
        keys = "{key: 'ArrowLeft', code: 'ArrowLeft', altKey: true, bubbles: true, cancelable: true}"
        assert not at.page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {keys}))")

    def test_an_input_method_writes_chinese(self, at: Desk) -> None:
        (item,) = at.post("asr")
        at.open(f"/review/asr/{item}")
        at.press("Control+A")
        keys = at.page.context.new_cdp_session(at.page)
        keys.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
        keys.send("Input.insertText", {"text": "你好"})
        assert at.item() == item
        at.press("Enter")
        assert at.correction(item)["label"]["text"] == "你好"


def press(at: Desk, key: str, code: str, held: int = 0, text: str = "") -> None:
    """A key of some layout, with modifiers."""
    keys = at.page.context.new_cdp_session(at.page)
    for kind in ("keyDown", "keyUp"):
        keys.send("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code, "modifiers": held, "text": text})


def press_on(at: Desk, where: str, key: str) -> None:
    """A key on what has the focus, while a box is chosen."""
    (item,) = at.post("detection")
    at.open(f"/review/detection/{item}")
    at.press("Tab")
    at.page.locator(where).focus()
    at.press(key)


class TestFocus:
    def test_a_stretch_that_is_marked_leaves_it_with_the_text(self, at: Desk) -> None:
        (item,) = at.post("asr", seconds=20)
        at.open(f"/review/asr/{item}")
        wave = at.page.locator("#wave canvas")
        wave.drag_to(wave, source_position={"x": 20, "y": 50}, target_position={"x": 90, "y": 50})
        expect(at.page.locator(".stretch")).to_be_visible()
        expect(at.page.locator("#text")).to_be_focused()

    @pytest.mark.parametrize(
        ("where", "key"),
        [
            ("#categories button", "+"),
            ("#parts button", "+"),
            ("#categories button", "ArrowRight"),
            ("#parts button", "N"),
        ],
    )
    def test_it_stays_where_it_is(self, at: Desk, where: str, key: str) -> None:
        press_on(at, where, key)
        expect(at.page.locator(where)).to_be_focused()

    @pytest.mark.parametrize(("where", "key"), [("#delete", "Space"), ("#parts button", "Delete")])
    def test_it_goes_to_the_picture_with_what_is_gone(self, at: Desk, where: str, key: str) -> None:
        press_on(at, where, key)
        expect(at.page.locator("#parts button")).to_have_count(0)
        expect(at.page.locator("#stage")).to_be_focused()

    def test_the_list_follows_the_keys(self, at: Desk) -> None:
        crowd(at, ["car"] * 300)
        at.press(*["Tab"] * 90)
        expect(at.page.locator("#parts [aria-pressed=true]")).to_be_in_viewport()
        assert at.page.evaluate("scrollY") == 0

    @pytest.mark.parametrize("size", [{"width": 640, "height": 450}, {"width": 390, "height": 844}])
    def test_it_is_never_behind_the_buttons_that_stay(
        self, chromium: Browser, place: Office, size: ViewportSize
    ) -> None:
        with desk(chromium, place, viewport=size) as at:
            crowd(at, ["car"] * 40)
            at.page.locator("#categories button").focus()
            for _ in range(40):
                at.press("Tab")
                assert at.page.evaluate(ABOVE_THE_BUTTONS)

    @pytest.mark.parametrize("key", ["S", "B", "Enter"])
    def test_a_key_that_is_held_means_one_item(self, at: Desk, key: str) -> None:
        at.post("detection", 4)
        at.open("/review/detection")
        seen = [at.item()]
        for _ in range(2):
            at.press("S")
            expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{seen[-1]}")
            at.sees("work")
            seen.append(at.item())
        at.page.keyboard.down(key)
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{seen[-1]}")
        at.sees("work")
        now = at.item()
        at.page.keyboard.down(key)  # the same again: it repeats
        at.page.wait_for_timeout(300)
        assert (at.item(), at.page.get_attribute("#desk", "data-state")) == (now, "work")
        at.page.keyboard.up(key)

    def test_the_reason_is_told_in_full(self, at: Desk) -> None:
        (item,) = at.post("detection")
        at.open(f"/review/detection/{item}")
        reason = at.page.locator("#reason")
        expect(reason).to_contain_text("are weighed yet")
        assert reason.evaluate("at => at.scrollWidth > at.clientWidth")
        reason.focus()
        assert reason.evaluate("at => at.scrollWidth <= at.clientWidth")

    def test_help_begins_with_its_first_keys(self, chromium: Browser, place: Office) -> None:
        with desk(chromium, place, viewport={"width": 640, "height": 450}) as at:  # 1280 x 900 at 200 %
            (item,) = at.post("lane")
            at.open(f"/review/lane/{item}")
            at.press("F1")
            expect(at.page.locator("#help-title")).to_be_in_viewport()
            at.press("Escape")
            expect(at.page.locator("#stage")).to_be_focused()


class TestLooks:
    def test_where_a_system_forces_its_colours_what_is_chosen_and_doubtful_differs(
        self, chromium: Browser, place: Office
    ) -> None:
        with desk(chromium, place, forced_colors="active") as at:
            at.post("asr")
            change_queue(at.page, lambda told: told["label"]["words"][0].update(confidence=0.2))
            at.open("/review/asr")
            at.press("Alt+L")

            def style(where: str, name: str) -> str:
                return str(at.page.locator(where).evaluate(f"at => getComputedStyle(at).{name}"))

            assert style("#loop", "backgroundColor") != style("#slower", "backgroundColor")
            assert style(".head", "backgroundColor") != style("body", "backgroundColor")
            assert style("#marks .doubtful", "boxShadow") != "none"
            assert style("#text", "backgroundColor") == "rgba(0, 0, 0, 0)"  # the marks lie beneath it

    def test_hidden_shapes_are_shown_with_the_next_item(self, at: Desk) -> None:
        at.post("detection", 2)
        at.open("/review/detection")
        first = at.item()
        at.press("H")
        expect(at.page.locator("#stage svg")).not_to_be_visible()
        at.press("Enter")
        expect(at.page.locator("#name")).not_to_have_attribute("href", f"/items/{first}")
        expect(at.page.locator("#stage svg")).to_be_visible()

    @pytest.mark.parametrize("width", [1280, 390])
    def test_long_names_stay_on_the_page(self, chromium: Browser, place: Office, width: int) -> None:
        with desk(chromium, place, viewport={"width": width, "height": 844}) as at:
            crowd(at, [LONG, "سيارة", "car"])
            assert at.page.evaluate("document.documentElement.scrollWidth") <= width
            at.press("Tab")
            tag = at.page.locator(".tag").first.text_content() or ""
            assert len(tag) < 35
            expect(at.page.get_by_role("button", name="\u2068سيارة\u2069 0.50")).to_be_visible()

    def test_what_the_model_did_is_offered_while_nothing_is_there(self, at: Desk) -> None:
        at.post("detection")
        change_queue(at.page, lambda told: told["route"].update(decision="annotate"))
        at.open("/review/detection")
        offer = at.page.locator("#model")
        expect(offer).to_be_visible()
        at.press("M")
        expect(offer).to_be_hidden()
        at.press("Control+Z")
        expect(offer).to_be_visible()

    def test_text_from_right_to_left_begins_at_the_right(self, at: Desk) -> None:
        text = "مرحبا بكم, 3."
        words = [
            {"text": one, "start_s": row / 4, "end_s": row / 4 + 0.2, "confidence": 0.5}
            for row, one in enumerate(text.split())
        ]
        at.post("asr")
        change_queue(at.page, lambda told: told.update(label={"text": text, "words": words}))
        at.open("/review/asr")
        for part in ("#text", "#marks", "#words button >> nth=1"):
            assert at.page.locator(part).evaluate("at => getComputedStyle(at).direction") == "rtl"

    def test_marks_lie_under_their_words_beside_a_scroll_bar(self, chromium: Browser, place: Office) -> None:
        seen = chromium.browser_type.launch(
            executable_path=command(), args=["--no-sandbox"], ignore_default_args=["--hide-scrollbars"]
        )
        with desk(seen, place, viewport={"width": 700, "height": 900}) as at:
            (item,) = at.post("asr")
            at.open(f"/review/asr/{item}")
            at.page.fill("#text", "yes and more words " * 30)
            sizes = "[text, marks].map((at) => [at.clientWidth, at.clientLeft, at.scrollHeight])"
            text, marks = at.page.evaluate(sizes)
            assert text[0] < at.page.evaluate("text.offsetWidth") - 2  # there is one
            assert text == marks
        seen.close()

    def test_a_line_ends_at_its_last_point_without_a_keyboard(self, at: Desk) -> None:
        (item,) = at.post("lane")
        at.open(f"/review/lane/{item}")
        at.page.locator("#new").click()
        for point in ((5, 85), (20, 40), (22, 10), (22, 10)):
            at.click(*point)
        expect(at.page.locator("#parts button")).to_have_count(2)
        expect(at.page.locator(".lane.new")).to_have_count(0)


def crowd(at: Desk, names: list[str]) -> None:
    """A picture with a box of each name, on the desk."""
    at.post("detection")
    boxes = [
        {"xyxy": [row % 100, row % 70, row % 100 + 20, row % 70 + 20], "category": name, "confidence": 0.5}
        for row, name in enumerate(names)
    ]
    change_queue(at.page, lambda told: told.update(label={"width": W, "height": H, "boxes": boxes}))
    at.open("/review/detection")
