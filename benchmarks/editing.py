"""What the built-in editor asks of a person's hands in the usual cases, and how long it then lets them wait.

``python -m benchmarks.editing [--items 10] [--speech nemo:/data/words/dev.jsonl]`` puts rendered roads, and clips of a
data set, into a real service with the starters. A script that knows the keys works in a real browser (Debian's
Chromium, or what ``PRELABEL_TEST_CHROMIUM`` names) through so many items of each case; each correction in the store
is looked at. A wait is from ``Enter`` until the next item is there: its label, its picture, and its sound playing by
itself. How long a person looks, listens and thinks is nobody's measurement: no person was timed.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page
from rich.console import Console
from rich.table import Table

from benchmarks.review import PAUSE_MS, browser, prelabel, write_media
from models.datasets import read
from models.recordings import medium
from models.records import Task

HOUR_S = 3600
ITEMS_AN_HOUR = 300
WORD = "sunrise"  # typed in place of a wrong one
SIDE_PX = 60  # of a box that was missing
SPARE = 6  # items of each case: the first, and those that it does not fit
READY = """before => {
  const image = document.querySelector("#stage img"), play = document.getElementById("play");
  return document.getElementById("desk").dataset.state === "work"
    && document.getElementById("name").getAttribute("href") !== before
    && (!image || image.complete) && (!play || play.getAttribute("aria-pressed") === "true");
}"""

Given = Mapping[str, Any]  # a label as JSON


@dataclass
class Hands:
    """What somebody does at the page: keys, letters of a text, clicks and drags, counted since the item came."""

    page: Page
    done: dict[str, int] = field(default_factory=dict)

    def press(self, *keys: str) -> None:
        for key in keys:
            self._count("keys")
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self._count("letters", len(text))
        self.page.keyboard.type(text)

    def click(self, x: float, y: float) -> None:
        """At a pixel of the picture."""
        self._count("clicks")
        self.page.mouse.click(*self._spot(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """From one pixel of the picture to another."""
        self._count("drags")
        self.page.mouse.move(*self._spot(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self._spot(*end), steps=3)
        self.page.mouse.up()

    def _count(self, what: str, by: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + by

    def _spot(self, x: float, y: float) -> tuple[float, float]:
        frame = self.page.evaluate("document.querySelector('#stage svg').getBoundingClientRect().toJSON()")
        width = float(str(self.page.get_attribute("#stage svg", "viewBox")).split()[2])
        return frame["left"] + x * frame["width"] / width, frame["top"] + y * frame["width"] / width


@dataclass(frozen=True)
class Case:
    """Something that is wrong with an item: which labels it fits, what hands do about it, and whether the correction
    is what they meant."""

    task: Task
    name: str
    fits: Callable[[Given], bool]
    mend: Callable[[Hands, Given], None]
    is_meant: Callable[[Given, Given], bool]


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10, help="of each case")
    parser.add_argument("--speech", help="clips of a data set, FORMAT:ROOT[:SPLIT]; without it, no speech")
    given = parser.parse_args()
    cases = [one for one in CASES if given.speech or one.task != "asr"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(prelabel(folder))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=60, trust_env=False))
        for task in dict.fromkeys(one.task for one in cases):
            put_in(client, folder, task, (given.items + SPARE) * sum(one.task == task for one in cases), given.speech)
        page = stack.enter_context(browser())
        report([(one, *measure(page, client, one, given.items)) for one in cases])


def put_in(client: httpx.Client, folder: Path, task: Task, count: int, speech: str | None) -> None:
    """Lets the service say something of so many clips, or rendered roads."""
    if task != "asr":
        write_media(folder / task, task, count)
    uris = islice((item.uri for item, _ in read(speech)), count) if task == "asr" and speech \
        else map(str, sorted((folder / task).iterdir()))  # fmt: skip
    for uri in uris:
        client.post(f"/v1/{task}/annotate", content=medium(uri)).raise_for_status()


def measure(page: Page, client: httpx.Client, case: Case, count: int) -> tuple[list[dict[str, int]], list[float]]:
    """What hands did at each of ``count`` items, and the milliseconds until the next one was there; an item that the
    case does not fit, or that begins empty, is sent as it is, and the first item of a page is not counted."""
    page.goto(f"{client.base_url}/review/{case.task}")
    page.wait_for_function("() => document.getElementById('desk').dataset.state === 'work'")
    done, waits = list[dict[str, int]](), list[float]()
    is_first = True
    while len(done) < count:
        page.wait_for_timeout(PAUSE_MS)
        before = str(page.get_attribute("#name", "href"))
        item = f"/v1{before}"
        shown = client.get(item).raise_for_status().json()["preannotations"][-1]
        counts = not is_first and shown["decision"] != "annotate" and case.fits(shown["label"])
        hands = Hands(page)
        if counts:
            case.mend(hands, shown["label"])
        begun = time.perf_counter()
        hands.press("Enter")
        page.wait_for_function(READY, arg=before, polling="raf")
        spent, is_first = 1000 * (time.perf_counter() - begun), False
        if counts:
            sent = correction(page, client, item)
            assert case.is_meant(shown["label"], sent), f"{case.task}, {case.name}: {shown['label']} became {sent}"
            done.append(hands.done)
            waits.append(spent)
    return done, waits


def correction(page: Page, client: httpx.Client, item: str) -> Given:
    """The label that was sent, which is on its way while the next item is shown."""
    while not (sent := client.get(item).raise_for_status().json()["corrections"]):
        page.wait_for_timeout(20)
    label: Given = sent[-1]["label"]
    return label


def report(found: list[tuple[Case, list[dict[str, int]], list[float]]]) -> None:
    """Medians of what hands did and waited, and what the slowest case leaves of an hour."""
    table = Table(title=f"{len(found[0][1])} items of each case, load {os.getloadavg()[0]:.1f}")
    for column in ("task", "case", "keys", "letters", "clicks", "drags", "wait ms", "9 of 10 within"):
        table.add_column(column, justify="left" if column in ("task", "case") else "right")
    for case, done, waits in found:
        acts = (statistics.median(one.get(what, 0) for one in done) for what in ("keys", "letters", "clicks", "drags"))
        slow = float(np.quantile(waits, 0.9))
        table.add_row(case.task, case.name, *(f"{n:g}" for n in acts), f"{statistics.median(waits):.0f}", f"{slow:.0f}")
    Console(width=120).print(table)
    waited = ITEMS_AN_HOUR * max(statistics.median(waits) for _, _, waits in found) / 1000
    left = (HOUR_S - waited) / ITEMS_AN_HOUR
    print(f"{ITEMS_AN_HOUR} items an hour: at most {waited:.0f} s of {HOUR_S} are waits; {left:.2f} s an item are left")


def parts(label: Given) -> list[Any]:
    """Its words, boxes or lines."""
    return list(label.get("boxes") or label.get("lanes") or label.get("words") or [])


def replace_a_word(hands: Hands, label: Given) -> None:
    """The first doubtful one, or else the last, is chosen, which selects it; typing replaces it."""
    doubtful = hands.page.locator("#words button.doubtful").count()
    hands.press("Alt+ArrowDown" if doubtful else "Alt+ArrowRight")
    hands.write(WORD)


def delete_a_box(hands: Hands, label: Given) -> None:
    """The least certain one."""
    hands.press("Tab", "Delete")


def draw_a_box(hands: Hands, label: Given) -> None:
    """Where no other is, and says what it is."""
    x, y = next(free_places(label))
    hands.drag((x, y), (x + SIDE_PX, y + SIDE_PX))
    hands.press("2")


def free_places(label: Given) -> Iterator[tuple[float, float]]:
    """Corners of squares that touch no box."""
    for y in range(10, label["height"] - SIDE_PX - 10, 20):
        for x in range(10, label["width"] - SIDE_PX - 10, 20):
            apart = (x + SIDE_PX + 12 < x1 or x2 + 12 < x or y + SIDE_PX + 12 < y1 or y2 + 12 < y
                     for x1, y1, x2, y2 in (box["xyxy"] for box in label["boxes"]))  # fmt: skip
            if all(apart):
                yield x, y


def draw_and_delete(hands: Hands, label: Given) -> None:
    delete_a_box(hands, label)
    draw_a_box(hands, label)


def drag_a_knot(hands: Hands, label: Given) -> None:
    """Of the first line, by the pointer: a click chooses the line, a drag moves its end."""
    points = label["lanes"][0]["points"]
    hands.click(*points[len(points) // 2])
    knot = hands.page.locator("#stage .knot").first.evaluate(
        "one => [+one.getAttribute('cx'), +one.getAttribute('cy')]"
    )
    hands.drag((knot[0], knot[1]), (knot[0] + 15, knot[1]))


def step_a_knot(hands: Hands, label: Given) -> None:
    """Of the least certain line, by keys: choose the line, its first knot, ten pixels to the right."""
    hands.press("Tab", ".", "Shift+ArrowRight")


def same(shown: Given, sent: Given) -> bool:
    """Whether nothing was changed but who vouches for it."""
    return outline(shown) == outline(sent)


def outline(label: Given) -> list[Any]:
    """What a label says, without certainties."""
    if "text" in label:
        return [label["text"].split()]
    return [one.get("xyxy") or one["points"] for one in parts(label)]


def one_differs(shown: Given, sent: Given) -> bool:
    """Whether just one word, or one line, is another."""
    before, after = outline(shown), outline(sent)
    if "text" in shown:
        before, after = before[0], after[0]
    return len(before) == len(after) and sum(a != b for a, b in zip(before, after, strict=True)) == 1


def box_count(by: int) -> Callable[[Given, Given], bool]:
    return lambda shown, sent: len(sent["boxes"]) == len(shown["boxes"]) + by and not same(shown, sent)


CASES = (
    Case("asr", "right as it is", lambda label: True, lambda hands, label: None, same),
    Case("asr", "one word is wrong", lambda label: bool(parts(label)), replace_a_word, one_differs),
    Case("detection", "right as it is", lambda label: True, lambda hands, label: None, same),
    Case("detection", "a box is false", lambda label: bool(parts(label)), delete_a_box, box_count(-1)),
    Case("detection", "a box is missing", lambda label: True, draw_a_box, box_count(1)),
    Case("detection", "one is false, one is missing", lambda label: bool(parts(label)), draw_and_delete, box_count(0)),
    Case("lane", "right as it is", lambda label: True, lambda hands, label: None, same),
    Case("lane", "a point is off, by pointer", lambda label: bool(parts(label)), drag_a_knot, one_differs),
    Case("lane", "a point is off, by keys", lambda label: bool(parts(label)), step_a_knot, one_differs),
)


if __name__ == "__main__":
    main()
