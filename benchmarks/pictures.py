"""The pictures of the pages that stand in the README, taken anew.

``python -m benchmarks.pictures [--out docs/pictures]`` renders road scenes and asks a real service with the starters
about them. Two people who know the truth work through a part of the queue, in the seconds of the cost model. Then a
real browser (Debian's Chromium, or what ``PRELABEL_TEST_CHROMIUM`` names) takes the pictures.
"""

import argparse
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Page

from benchmarks.review import THERE, browser, prelabel
from models import scenes
from models.records import LABEL_TYPES, Label, Task, from_json, to_json
from models.scenes import Scene
from selection.actions import actions, spent_seconds
from selection.cost import Costs

ROOT = Path(__file__).parent.parent
PICTURED: tuple[Task, ...] = ("detection", "lane")
SCENES = 30  # of each task
SIZE = (960, 540)
SEED = 4
PEOPLE = {"ada": 12, "bob": 6}  # items of each task
POLICY = {"planted_share": 0.3}
WIDTH = 1180
HEIGHTS = {"page": 860, "queue": 780, "review": 740}
STEP = 3  # between the colours that are kept: nobody sees it, and the files are half as large

Truth = Mapping[tuple[Task, str], Label]  # by task and item


def main() -> None:
    """Parses, fills, takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        address = stack.enter_context(prelabel(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            work(client, fill(client))
        page = stack.enter_context(browser())
        for name, picture in pictures(page, address):
            size = save(given.out / f"{name}.png", picture)
            print(f"{given.out / name}.png: {size // 1000} kB")


def fill(client: httpx.Client) -> Truth:
    """Lets the service say something of each scene; returns the truth of each item."""
    truth: dict[tuple[Task, str], Label] = {}
    for number in range(SCENES):
        for task in PICTURED:
            scene = scenes.render(np.random.default_rng((SEED, PICTURED.index(task), number)), *SIZE, indoor=False)
            answer = client.post(f"/v1/{task}/annotate", content=jpeg(scene)).raise_for_status().json()
            truth[task, answer["item_id"]] = scene.boxes if task == "detection" else scene.lanes
    return truth


def jpeg(scene: Scene) -> bytes:
    """The bytes of a scene's picture."""
    file = io.BytesIO()
    Image.fromarray(scene.image).save(file, "JPEG", quality=92)
    return file.getvalue()


def work(client: httpx.Client, truth: Truth) -> None:
    """People put right what the queue hands them; the second of them also gets planted items."""
    for person, count in PEOPLE.items():
        for task in PICTURED:
            asked: dict[str, str | int] = {"limit": count, "annotator": person}
            for leased in client.get(f"/v1/queue/{task}", params=asked).raise_for_status().json()["items"]:
                correct(client, task, person, leased, truth[task, leased["item_id"]])
        client.put("/v1/policy", json={"policy": POLICY}).raise_for_status()


def correct(client: httpx.Client, task: Task, person: str, leased: Mapping[str, Any], label: Label) -> None:
    """Sends the truth, with the seconds that it takes to put the answer right."""
    shown = from_json(LABEL_TYPES[task], leased["label"])
    seconds = round(spent_seconds(task, actions(task, shown, label), Costs()), 1)
    body = {"task": task, "label": to_json(label), "annotator": person, "seconds": seconds,
            "lease_id": leased["lease_id"]}  # fmt: skip
    client.post(f"/v1/items/{leased['item_id']}/correction", json=body).raise_for_status()


def pictures(page: Page, address: str) -> Iterator[tuple[str, bytes]]:
    """The first page, the queue, and the editor with the least certain line chosen."""
    for name, path in (("page", "/"), ("queue", "/queue/lane"), ("review", "/review/lane")):
        page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[name]})
        page.goto(address + path, wait_until="networkidle")
        if name == "review":
            page.wait_for_function(THERE, arg="")
            page.keyboard.press("Tab")
        yield name, page.screenshot()


def save(path: Path, picture: bytes) -> int:
    """Writes a small PNG, and returns its bytes."""
    with Image.open(io.BytesIO(picture)) as image:
        colours = np.asarray(image.convert("RGB")).astype(int)
    coarse = np.minimum((colours + STEP // 2) // STEP * STEP, 255).astype(np.uint8)
    Image.fromarray(coarse).save(path, optimize=True)
    return path.stat().st_size


if __name__ == "__main__":
    main()
