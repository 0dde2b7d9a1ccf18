"""A person in front of the built-in editor: a deployment behind a real socket, and Chromium looking at it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

from models.records import TASKS, Task
from tests.serving.browser import listening
from tests.serving.served import Served, eventually, picture, serving, sound

SIZE = (120, 90)  # of pictures

expect.set_options(timeout=20_000)  # of a machine that does much else


@dataclass
class Desk:
    """The page of a person, the API behind it, and what the browser complained of."""

    page: Page
    office: "Office"
    complaints: list[str] = field(default_factory=list)

    @property
    def client(self) -> httpx.Client:
        return self.office.client

    @property
    def served(self) -> Served:
        return self.office.served

    @property
    def address(self) -> str:
        return str(self.client.base_url)

    def post(self, task: Task, count: int = 1, seconds: float = 1) -> list[str]:
        """The ids of new items: pictures of ``SIZE``, or tones of about so many seconds."""
        media = [self.office.medium(task, seconds) for _ in range(count)]
        answers = [self.client.post(f"/v1/{task}/annotate", content=one) for one in media]
        return [str(answer.raise_for_status().json()["item_id"]) for answer in answers]

    def open(self, path: str) -> None:
        """A page, as soon as an item lies on it."""
        self.page.goto(path)
        self.sees("work")

    def sees(self, state: str) -> None:
        """Waits until the page is in a state: work, empty, trouble."""
        expect(self.page.locator("#desk")).to_have_attribute("data-state", state)

    def item(self) -> str:
        """The id of the item on the page."""
        return str(self.page.get_attribute("#name", "href")).rsplit("/", 1)[-1]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the picture is on the page."""
        frame = self.page.evaluate("document.querySelector('#stage svg').getBoundingClientRect().toJSON()")
        scale = frame["width"] / float(str(self.page.get_attribute("#stage svg", "viewBox")).split()[2])
        return frame["left"] + scale * x, frame["top"] + scale * y

    def drag(self, start: Sequence[float], end: Sequence[float]) -> None:
        """Draws the pointer from one pixel of the picture to another, with its button down."""
        self.page.mouse.move(*self.spot(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.spot(*end), steps=4)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.spot(x, y))

    def shown(self, item_id: str) -> Any:
        """The label that the model gave an item."""
        return self.client.get(f"/v1/items/{item_id}").json()["preannotations"][0]["label"]

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds; meanwhile the page goes on, and what the test answers for the server is answered."""

        def holds_now() -> bool:
            self.page.wait_for_timeout(20)
            return holds()

        eventually(holds_now)

    def state(self, item_id: str) -> str:
        """Where an item of one task is."""
        (line,) = self.client.get(f"/v1/items/{item_id}").raise_for_status().json()["tasks"]
        return str(line["state"])

    def corrections(self, item_id: str) -> list[dict[str, Any]]:
        """Those of an item in the store, oldest first."""
        found: list[dict[str, Any]] = self.client.get(f"/v1/items/{item_id}").raise_for_status().json()["corrections"]
        return found

    def correction(self, item_id: str) -> dict[str, Any]:
        """The first correction of an item, once it is there."""
        self.until(lambda: len(self.corrections(item_id)) > 0)
        return self.corrections(item_id)[0]


@dataclass
class Office:
    """A deployment with tiny versions, behind a real socket."""

    served: Served
    client: httpx.Client
    numbers: Iterator[int] = field(default_factory=count)

    def medium(self, task: Task, seconds: float) -> bytes:
        """One that was not there before."""
        number = next(self.numbers)
        return sound(seconds + number / 1000) if task == "asr" else picture(number, *SIZE)

    def close_the_day(self) -> None:
        """Takes what waits out of everybody's sight."""
        for task in TASKS:
            self.client.get(f"/v1/queue/{task}?annotator=night&limit=100").raise_for_status()


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    """A fresh deployment; several desks may stand in it, one after the other."""
    with (
        serving(folder) as served,
        listening(served.app) as origin,
        httpx.Client(base_url=origin, trust_env=False) as client,
    ):
        yield Office(served, client)


@contextmanager
def desk(chromium: Browser, place: Office, **context: Any) -> Iterator[Desk]:
    """A fresh browser profile in front of a deployment with nothing to do."""
    profile = chromium.new_context(base_url=str(place.client.base_url), **context)
    profile.set_default_timeout(30_000)
    at = Desk(profile.new_page(), place)
    at.page.on("console", lambda said: at.complaints.append(said.text) if said.type == "error" else None)
    at.page.on("pageerror", lambda error: at.complaints.append(str(error)))
    try:
        yield at
    finally:
        profile.close()
        place.close_the_day()


def throw_away(page: Page, answer: str) -> None:
    """Throws away what is not sent, and answers the question whether that is meant."""
    page.locator(".letters").get_by_role("button", name="Throw it away").click()
    page.get_by_role("dialog").get_by_role("button", name=answer).click()
