"""How long a person waits in the built-in editor between sending an item and having the next one before them, against
the plainest page that could do it, in one run.

``python -m benchmarks.review [--items 80] [--measured 60]`` puts so many items of each task into a real service with
the starters, and lets a real browser (Debian's Chromium, or what ``PRELABEL_TEST_CHROMIUM`` names) send one after the
other by ``Enter``. The peer is a page with the medium and a button in a form, which answers with the next such page.
A wait ends when the next item can be worked on: its label and its medium are there.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import soundfile
import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.serving import free_port, peer, service
from models import scenes
from models.records import TASKS, Task
from serving.settings import Settings

SIZE = (960, 540)
PAUSE_MS = 1000  # of a person, at the least, at one item
THERE = """before => document.getElementById("desk").dataset.state === "work"
    && document.getElementById("name").getAttribute("href") !== before"""
PEER_THERE = """before => document.body && document.body.id !== before
    && [...document.images].every(one => one.complete) && document.readyState === "complete\""""


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=80, help="of each task")
    parser.add_argument("--measured", type=int, default=60, help="of those")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for task in TASKS:
            write_media(folder / task, task, given.items)
        ours = stack.enter_context(prelabel(folder))
        theirs = f"http://127.0.0.1:{stack.enter_context(peer('benchmarks.review', folder, '/asr/0'))}"
        fill(ours, folder)
        page = stack.enter_context(browser())
        report({
            task: (
                waits(page, f"{ours}/review/{task}", "document.getElementById('name').getAttribute('href')", THERE,
                      given.measured),
                waits(page, f"{theirs}/{task}/0", "document.body.id", PEER_THERE, given.measured),
            )
            for task in TASKS
        })  # fmt: skip


def write_media(folder: Path, task: Task, count: int) -> None:
    """Rendered roads, or seconds of noise."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng((TASKS.index(task), number))
        if task == "asr":
            soundfile.write(folder / f"{number}.wav", 0.05 * rng.standard_normal(3 * 16000), 16000)
        else:
            Image.fromarray(scenes.render(rng, *SIZE, indoor=False).image).save(folder / f"{number}.jpg", quality=90)


def fill(address: str, folder: Path) -> None:
    """Lets the service say something of each of them."""
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for task in TASKS:
            for medium in sorted((folder / task).iterdir()):
                client.post(f"/v1/{task}/annotate", content=medium.read_bytes()).raise_for_status()


def waits(page: Page, address: str, which: str, there: str, count: int) -> list[float]:
    """The milliseconds from each ``Enter`` to the next item; the first, of a cold browser, does not count."""
    page.goto(address)
    page.wait_for_function(there, arg="")
    taken = list[float]()
    for _ in range(count + 1):
        page.wait_for_timeout(PAUSE_MS)
        before = page.evaluate(which)
        begun = time.perf_counter()
        page.keyboard.press("Enter")
        page.wait_for_function(there, arg=before, polling="raf")
        taken.append(1000 * (time.perf_counter() - begun))
    return taken[1:]


def report(found: dict[Task, tuple[list[float], list[float]]]) -> None:
    """Medians, slow ones, and the ratio to the peer."""
    count = len(next(iter(found.values()))[0])
    table = Table(
        title=f"milliseconds from Enter to the next item, {count} of each task, load {os.getloadavg()[0]:.1f}"
    )
    for column in ("task", "median", "9 of 10 within", "slowest", "plain page", "ratio"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task, (ours, theirs) in found.items():
        middle, other = statistics.median(ours), statistics.median(theirs)
        slow = float(np.quantile(ours, 0.9))
        table.add_row(task, f"{middle:.0f}", f"{slow:.0f}", f"{max(ours):.0f}", f"{other:.0f}", f"{middle / other:.2f}")
    Console(width=120).print(table)


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a real browser."""
    program = shutil.which(os.environ.get("PRELABEL_TEST_CHROMIUM", "chromium"))
    if program is None:
        sys.exit("chromium: expected it to be installed (Debian: apt install chromium), got none")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium.new_page()
        chromium.close()


@contextmanager
def prelabel(folder: Path) -> Iterator[str]:
    """The address of the service with the starters, on a fresh store."""
    port = free_port()
    values = {"port": port, "database_url": f"sqlite:///{folder}/store.db", "data_dir": folder / "data"}
    settings = Settings.model_validate(values)
    with service(settings):
        yield f"http://127.0.0.1:{port}"


def serve_peer(port: int, folder: Path) -> None:
    """A page for each medium, with a form that leads to the next."""
    app = FastAPI()

    @app.get("/media/{task}/{name}")
    def medium(task: Task, name: str) -> Response:
        return FileResponse(folder / task / name)

    @app.get("/{task}/{number}")
    def item(task: Task, number: int) -> HTMLResponse:
        kind, name = ("audio controls", f"{number}.wav") if task == "asr" else ("img", f"{number}.jpg")
        return HTMLResponse(f"<body id='at-{number}'><{kind} src='/media/{task}/{name}'></{kind.split()[0]}>"
                            f"<form method=post><button autofocus>Send</button></form>")  # fmt: skip

    @app.post("/{task}/{number}")
    def send(task: Task, number: int) -> RedirectResponse:
        return RedirectResponse(f"/{task}/{number + 1}", 303)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
