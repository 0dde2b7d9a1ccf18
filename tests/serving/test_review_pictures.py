"""Boxes and lines in the built-in editor: what a pointer and what keys do to them, to the exact pixel."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from models.records import Box, Boxes, Correction, Task
from serving.loop import utc_now
from tests.serving.reviewing import SIZE, Desk, Office, desk

W, H = SIZE


def on_the_desk(at: Desk, task: Task = "detection") -> str:
    """A new picture, open in the editor."""
    (item,) = at.post(task)
    at.open(f"/review/{task}/{item}")
    return item


def sent(at: Desk, item: str) -> list[dict[str, Any]]:
    """The boxes or lines that are in the store after Enter."""
    at.press("Enter")
    label = at.correction(item)["label"]
    assert (label["width"], label["height"]) == (W, H)
    shapes: list[dict[str, Any]] = label.get("boxes", label.get("lanes"))
    return shapes


def out_of_sight(at: Desk) -> None:
    """The page is covered by another, and comes back."""
    for hidden in ("true", "false"):
        at.page.evaluate(f"Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }})")
        at.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


class TestBoxes:
    def test_a_drag_goes_on_after_the_page_was_out_of_sight(self, at: Desk) -> None:
        item = on_the_desk(at)
        at.page.mouse.move(*at.spot(80, 50))
        at.page.mouse.down()
        at.page.mouse.move(*at.spot(90, 60), steps=3)
        out_of_sight(at)
        at.page.mouse.move(*at.spot(100, 75), steps=3)
        at.page.mouse.up()
        assert [box["xyxy"] for box in sent(at, item)[1:]] == [[80, 50, 100, 75]]

    def test_right_as_it_is_keeps_every_digit(self, at: Desk) -> None:
        item = on_the_desk(at)
        (shown,) = at.shown(item)["boxes"]
        assert sent(at, item) == [{**shown, "confidence": 1.0}]
        assert 0 < at.correction(item)["seconds"] < 60

    def test_a_drag_moves_it_by_whole_pixels(self, at: Desk) -> None:
        item = on_the_desk(at)
        x1, y1, x2, y2 = at.shown(item)["boxes"][0]["xyxy"]
        at.drag((x1 + 9, y1 + 9), (x1 + 29, y1 + 16))
        assert sent(at, item)[0]["xyxy"] == pytest.approx([x1 + 20, y1 + 7, x2 + 20, y2 + 7], abs=1e-9)

    def test_a_click_chooses_it_and_moves_nothing(self, at: Desk) -> None:
        item = on_the_desk(at)
        shown = at.shown(item)["boxes"][0]["xyxy"]
        at.click(shown[0] + 9, shown[1] + 9)
        expect(at.page.locator("#parts button")).to_have_attribute("aria-pressed", "true")
        assert sent(at, item)[0]["xyxy"] == shown

    def test_handles_move_its_sides(self, at: Desk) -> None:
        item = on_the_desk(at)
        x1, y1, x2, y2 = at.shown(item)["boxes"][0]["xyxy"]
        at.click(x1 + 9, y1 + 9)
        at.drag((x2, y2), (70, 80))
        at.drag((x1, (y1 + 80) / 2), (3, 40))
        assert sent(at, item)[0]["xyxy"] == [3, y1, 70, 80]

    def test_a_new_one_is_drawn_and_clipped_to_the_picture(self, at: Desk) -> None:
        item = on_the_desk(at)
        at.drag((80, 20), (100, 61))
        at.press("Shift+Tab")  # leaves the new one chosen no more: the next drag begins on the picture
        at.drag((90, 70), (400, 400))
        boxes = sent(at, item)
        assert [box["xyxy"] for box in boxes[1:]] == [[80, 20, 100, 61], [90, 70, W, H]]
        assert [(box["category"], box["confidence"]) for box in boxes[1:]] == [("car", 1.0)] * 2

    def test_it_is_deleted_and_comes_back_by_undoing(self, at: Desk) -> None:
        item = on_the_desk(at)
        at.press("Tab", "Delete")
        expect(at.page.locator("#parts button")).to_have_count(0)
        at.press("Control+Z")
        expect(at.page.locator("#parts button")).to_have_count(1)
        at.press("Control+Y")
        assert sent(at, item) == []

    def test_keys_alone_do_all_of_it(self, at: Desk) -> None:
        item = on_the_desk(at)
        x1, y1, x2, y2 = at.shown(item)["boxes"][0]["xyxy"]
        at.press("Tab", "ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight", "Alt+Shift+ArrowDown", "Alt+ArrowUp")
        at.press("N", "N", "Shift+ArrowLeft", "ArrowUp")
        first, new = sent(at, item)
        assert first["xyxy"][:2] == pytest.approx([x1 + 1, y1 + 10], abs=1e-9)
        assert first["xyxy"][2:] == [round(x2 + 2), round(y2 + 19)]
        left, top, right, bottom = new["xyxy"]
        assert ((left + right) / 2, (top + bottom) / 2) == (W / 2 - 10, H / 2 - 1)

    def test_digits_say_what_it_is(self, at: Desk) -> None:
        (item,) = at.post("detection")
        known = Boxes(W, H, (Box((1.5, 2.5, 30, 40), "tram"),))
        at.served.loop.correct(Correction(item, "detection", known, "bob", 1.0, "test", utc_now()), None, "tester")
        at.open(f"/review/detection/{item}")
        expect(at.page.locator("#categories button")).to_have_text(["car1", "tram2"])
        at.press("Tab", "1")
        at.press("Enter")
        at.until(lambda: len(at.corrections(item)) == 2)
        (box,) = at.corrections(item)[-1]["label"]["boxes"]
        assert (box["xyxy"], box["category"]) == ([1.5, 2.5, 30, 40], "car")

    def test_zoomed_in_and_moved_the_pixels_are_the_same(self, at: Desk) -> None:
        item = on_the_desk(at)
        at.page.mouse.move(*at.spot(90, 60))
        at.page.mouse.wheel(0, -400)
        at.press("ArrowRight")
        before = at.spot(80, 50)
        at.drag((80, 50), (88, 57))
        assert at.spot(80, 50) == before
        assert at.spot(88, 57)[0] - before[0] > 8 * 10  # pixels of the screen
        assert sent(at, item)[1]["xyxy"] == [80, 50, 88, 57]

    @pytest.mark.parametrize(("task", "drawn"), [("detection", [80, 50, 100, 75]), ("lane", [[80, 50], [100, 75]])])
    def test_what_is_being_drawn_while_enter_is_pressed_is_sent(self, at: Desk, task: Task, drawn: list[Any]) -> None:
        item = on_the_desk(at, task)
        at.page.mouse.move(*at.spot(80, 50))
        at.page.mouse.down()
        at.page.mouse.move(*at.spot(100, 75), steps=3)
        (_, shape) = sent(at, item)
        at.page.mouse.up()
        assert shape.get("xyxy", shape.get("points")) == drawn

    @pytest.mark.parametrize("key", ["Delete", "Tab"])
    @pytest.mark.parametrize("task", ["detection", "lane"])
    def test_a_drag_changes_no_other_one_that_is_chosen_meanwhile(self, at: Desk, task: Task, key: str) -> None:
        item = on_the_desk(at, task)
        (shown,) = at.shown(item)["boxes" if task == "detection" else "lanes"]
        kind = "xyxy" if task == "detection" else "points"
        x, y = [at + 9 for at in shown["xyxy"][:2]] if task == "detection" else shown["points"][0]
        at.drag((90, 50), (110, 75))
        at.page.mouse.move(*at.spot(x, y))
        at.page.mouse.down()
        at.page.mouse.move(*at.spot(x + 9, y - 4), steps=3)
        at.press(key)
        at.page.mouse.up()
        kept = [shape[kind] for shape in sent(at, item)]
        drawn = [90, 50, 110, 75] if task == "detection" else [[90, 50], [110, 75]]
        assert kept == ([drawn] if key == "Delete" else [shown[kind], drawn])

    def test_what_a_promise_accepted_is_pale_and_stays_as_it_is(self, at: Desk) -> None:
        at.post("detection")
        box = {"category": "car", "confidence": 0.9}
        first, second, third = [5.25, 5, 20, 20], [40, 40, 60.5, 60], [70, 5, 90, 9]
        label = {"width": W, "height": H, "boxes": [{**box, "xyxy": xyxy} for xyxy in (first, second, third)]}
        route = {"decision": "review", "reason": "", "parts": {"accepted": [0, 2], "shown": [1], "asked": True}}
        change_queue(at.page, lambda told: told.update(label=label, route=route))
        at.open("/review/detection")
        item = at.item()
        expect(at.page.locator(".box.accepted")).to_have_count(2)
        expect(at.page.locator(".box.doubtful")).to_have_count(1)
        expect(at.page.locator("#asked")).to_contain_text("Is anything missing?")
        at.press("Tab", "ArrowRight")
        expect(at.page.locator("#parts button")).to_have_count(1)
        at.drag((100, 60), (110, 80))
        given = sent(at, item)
        assert [one["xyxy"] for one in given] == [first, [41, 40, 61.5, 60], third, [100, 60, 110, 80]]
        assert [one["confidence"] for one in given] == [0.9, 1, 0.9, 1]

    def test_what_is_to_be_labelled_afresh_begins_empty(self, at: Desk) -> None:
        at.post("detection")
        change_queue(at.page, lambda told: told["route"].update(decision="annotate"))
        at.open("/review/detection")
        item = at.item()
        expect(at.page.locator("#parts button")).to_have_count(0)
        at.page.get_by_role("button", name="Begin with what the model drew").click()
        expect(at.page.locator("#parts button")).to_have_count(1)
        assert len(sent(at, item)) == 1


class TestLanes:
    def test_right_as_it_is_keeps_every_digit(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        (shown,) = at.shown(item)["lanes"]
        assert len(shown["points"]) > 2
        assert sent(at, item) == [{"points": shown["points"], "std_px": [], "confidence": 1.0}]

    def test_a_knot_is_moved_and_the_line_is_what_its_knots_say(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        first, last = ends(at, item)
        at.click(first[0], (first[1] + last[1]) / 2)
        expect(at.page.locator(".knot")).to_have_count(2)  # it is straight
        at.drag(last, (100, 30))
        (line,) = sent(at, item)
        assert line["points"] == [first, [100, 30]]

    def test_the_middle_between_two_knots_becomes_one(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        first, last = ends(at, item)
        at.press("Tab")
        middle = ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
        at.drag(middle, (middle[0] + 20, middle[1] + 5))
        (line,) = sent(at, item)
        assert line["points"] == [first, [round(middle[0] + 20), round(middle[1] + 5)], last]

    def test_a_line_is_carried_by_whole_pixels(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        points = at.shown(item)["lanes"][0]["points"]
        x = points[0][0]
        at.press("Tab", "Escape")
        at.drag((x, points[2][1]), (x + 12, points[2][1] + 3))
        (line,) = sent(at, item)
        assert line["points"] == [[x + 12, y + 3] for x, y in points]

    def test_points_are_added_moved_and_removed_by_keys(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        first, last = ends(at, item)
        at.press("Tab", ".", "I", "Shift+ArrowRight", "ArrowUp", "I", "ArrowLeft", "Delete")
        (line,) = sent(at, item)
        x, y = round((first[0] + last[0]) / 2), round((first[1] + last[1]) / 2)
        assert line["points"] == [first, [x + 10, y - 1], last]

    def test_lines_are_drawn_by_a_drag_by_clicks_and_by_keys(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        at.drag((90, 80), (110, 20))
        at.press("N")
        for point in ((5, 85), (20, 40), (22, 10)):
            at.click(*point)
        at.press("Enter")
        at.press("Escape", "N", "Shift+ArrowLeft", " ", "Shift+ArrowDown", "ArrowDown", " ", "Enter")
        lines = sent(at, item)[1:]
        assert [line["points"] for line in lines] == [
            [[90, 80], [110, 20]],
            [[5, 85], [20, 40], [22, 10]],
            [[W / 2 - 10, H / 2], [W / 2 - 10, H / 2 + 11]],
        ]

    def test_a_line_is_deleted_and_steps_are_undone(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        points = at.shown(item)["lanes"][0]["points"]
        at.press("Tab", "ArrowRight", "Delete")
        expect(at.page.locator("#parts button")).to_have_count(0)
        at.press("Control+Z", "Control+Z", "Control+Z", "Control+Y")
        (line,) = sent(at, item)
        assert line["points"] == [[x + 1, y] for x, y in points]

    def test_undoing_takes_back_points_of_a_line_that_is_drawn_and_nothing_else(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        at.drag((90, 80), (110, 20))
        at.press("N")
        at.click(5, 85)
        at.click(60, 60)
        at.page.locator("#undo").click()
        at.press("Control+Y")  # there is nothing to do again
        at.click(20, 40)
        at.press("Enter")
        assert [line["points"] for line in sent(at, item)[1:]] == [[[90, 80], [110, 20]], [[5, 85], [20, 40]]]

    def test_one_that_is_drawn_goes_on_after_the_page_was_out_of_sight(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        at.press("N")
        points = [[5, 85], [60, 60], [20, 40]]
        for x, y in points:
            at.click(x, y)
            out_of_sight(at)
        at.press("Enter")
        assert [line["points"] for line in sent(at, item)[1:]] == [points]

    def test_after_undoing_a_point_that_is_there_is_moved(self, at: Desk) -> None:
        item = on_the_desk(at, "lane")
        first, (x, y) = ends(at, item)
        at.press("Tab", ".", *"IIII", *["Control+Z"] * 4)
        expect(at.page.locator(".knot")).to_have_count(2)
        at.press("ArrowLeft", "Control+Z", "Control+Z")
        expect(at.page.locator("#live")).to_have_text("Nothing to undo or do again.")
        at.press("ArrowLeft")
        (line,) = sent(at, item)
        assert line["points"] == [first, [x - 1, y]]

    def test_what_a_promise_accepted_keeps_its_doubt(self, at: Desk) -> None:
        at.post("lane")
        sure = {"points": [[10, 80.5], [20.25, 5]], "std_px": [1.5, 2], "confidence": 0.95}
        unsure = {"points": [[60, 80], [70, 5]], "std_px": [3, 4], "confidence": 0.5}
        label = {"width": W, "height": H, "lanes": [sure, unsure]}
        route = {"decision": "review", "reason": "", "parts": {"accepted": [0], "shown": [1], "asked": False}}
        change_queue(at.page, lambda told: told.update(label=label, route=route))
        at.open("/review/lane")
        item = at.item()
        assert at.page.inner_text("#asked") == "Only the marked parts need a look."
        assert sent(at, item) == [sure, {**unsure, "std_px": [], "confidence": 1}]


def ends(at: Desk, item: str) -> tuple[list[float], list[float]]:
    """The first and the last point of the model's only line."""
    points = at.shown(item)["lanes"][0]["points"]
    return points[0], points[-1]


class TestGeometry:
    @pytest.mark.parametrize(
        ("points", "kept"),
        [
            ([[0, 0], [5, 0.9], [10, 0]], [0, 2]),
            ([[0, 0], [5, 1.1], [10, 0]], [0, 1, 2]),
            ([[0, 0], [2, 0.5], [4, 3], [6, 0.5], [8, 0]], [0, 2, 4]),  # those between are 0.8 off
            ([[0, 0], [0, 10], [0, 20], [10, 20], [20, 20]], [0, 2, 4]),
            ([[0, 0], [10, 0], [0, 0]], [0, 1, 2]),  # there and back
            ([[3, 3], [4, 4]], [0, 1]),
        ],
    )
    def test_a_line_keeps_the_points_between_which_it_is_straight(
        self, idle: Page, points: list[list[float]], kept: list[int]
    ) -> None:
        script = "async (points) => (await import('/static/review-shapes.js')).simplified(points, 1)"
        assert idle.evaluate(script, points) == [points[row] for row in kept]

    @pytest.mark.parametrize(
        ("call", "xyxy"),
        [
            ("moved([1.5, 2, 11.25, 12], 3.4, -1.2, size)", [4.5, 1, 14.25, 11]),
            ("moved([1.5, 2, 11.25, 12], -30, 200, size)", [0, 80, 9.75, 90]),
            ("resized([1.5, 2, 11.25, 12], 'e', [40.4, 99], size)", [1.5, 2, 40, 12]),
            ("resized([1.5, 2, 11.25, 12], 'nw', [4.6, 7.2], size)", [5, 7, 11.25, 12]),
            ("resized([10, 10, 20, 20], 'w', [30, 0], size)", [20, 10, 30, 20]),  # past the side opposite
            ("resized([10, 10, 20, 20], 's', [0, 10], size)", [10, 10, 20, 11]),  # never without height
            ("resized([10, 10, 20, 20], 'se', [500, 500], size)", [10, 10, 120, 90]),
            ("spanned([50, 60], [40, 20], size)", [40, 20, 50, 60]),
            ("spanned([-5, -5], [-9, -9], size)", [0, 0, 1, 1]),
            ("spanned([130, 95], [150, 100], size)", [119, 89, 120, 90]),
        ],
    )
    def test_cases_worked_out_by_hand(self, idle: Page, call: str, xyxy: list[float]) -> None:
        script = f"""async () => {{
          const {{ moved, resized, spanned }} = await import("/static/review-shapes.js");
          const size = {{ width: {W}, height: {H} }};
          return {call};
        }}"""
        assert idle.evaluate(script) == xyxy


class TestFingers:
    def test_one_draws_and_two_zoom(self, chromium: Browser, place: Office) -> None:
        with desk(chromium, place, has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740}) as at:
            item = on_the_desk(at)
            touch(at, [[(80, 50)], [(90, 60)], [(100, 75)]])
            before = at.spot(1, 1)[0] - at.spot(0, 0)[0]
            touch(at, [[(50, 40), (70, 40)], [(40, 40), (80, 40)], [(30, 40), (90, 40)]])
            assert at.spot(1, 1)[0] - at.spot(0, 0)[0] > 1.5 * before
            (_, drawn) = sent(at, item)
            assert drawn["xyxy"] == pytest.approx([80, 50, 100, 75], abs=1)  # of three pixels of the screen each
            assert at.complaints == []


def touch(at: Desk, frames: list[list[tuple[float, float]]]) -> None:
    """Fingers on the picture, frame by frame, and up again."""
    fingers = at.page.context.new_cdp_session(at.page)
    places = [[at.spot(*pixel) for pixel in frame] for frame in frames]
    for number, frame in enumerate(places):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(frame)]
        kind = "touchMove" if number else "touchStart"
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def change_queue(page: Page, change: Callable[[dict[str, Any]], object]) -> None:
    """Lets the page be handed other items than there are."""

    def answer(route: Any) -> None:
        told = route.fetch()
        body = told.json()
        for item in body["items"]:
            change(item)
        route.fulfill(response=told, body=json.dumps(body))

    page.route("**/v1/queue/**", answer, times=1)
