"""How long the pages take with many items, against a plain FastAPI app that lists the same rows, in one run.

``python -m benchmarks.pages [--items 100000] [--rounds 15]`` fills a SQLite store with so many items of each task, a
twentieth of them corrected, and asks for each page in turn. A ratio compares medians with the peer's page of that kind:
counts and sums for those with figures, 48 rows in the order of doubt for the others.
"""

import argparse
import hashlib
import html
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from rich.console import Console
from rich.table import Table

from models.records import TASKS, Task
from serving.app import create_app
from serving.deployment import Deployment
from serving.loop import Loop
from serving.settings import Settings
from serving.store.database import Database
from serving.store.tables import corrections, events, item_tasks, items, preannotations

GOAL_MS = 200
CHUNK = 5000
NOW = datetime.now(UTC)
LABELS: dict[Task, dict[str, Any]] = {
    "asr": {"text": "so it was said", "words": []},
    "detection": {"width": 640, "height": 480, "boxes": [
        {"xyxy": [40.0 * i, 90.0, 40.0 * i + 30, 140.0], "category": "car", "confidence": 0.4 + 0.05 * i}
        for i in range(8)]},
    "lane": {"width": 640, "height": 480, "lanes": [
        {"points": [[100.0 * i, 20.0 * y] for y in range(24)], "std_px": [2.0] * 24, "confidence": 0.9}
        for i in range(4)]},
}  # fmt: skip
PAGES = {  # path, and the peer's page of that kind
    "/": "/figures",
    "/queue/detection": "/rows",
    "/queue/detection?decision=annotate": "/rows",
    "/queue/lane?group=clip-77": "/rows",
    "/queue/asr?text=word-9": "/rows",
    "/queue/asr?text=said": "/rows",
    "/queue/lane?state=corrected&annotator=person-3": "/rows",
    "/queue/lane?least=0.2&most=0.3": "/rows",
    "/queue/detection?due=some": "/rows",
    "/queue/detection?state=open&due=late": "/rows",
    "/models": "/figures",
    "/models/VERSION": "/figures",
    "/annotators": "/figures",
    "/errors": "/rows",
    "/log": "/rows",
    "/log?actor=person-3": "/rows",
}


def main() -> None:
    """Parses, fills, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000, help="of each task")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        settings = Settings.model_validate({"database_url": f"sqlite:///{path}", "data_dir": Path(folder)})
        loop = Loop.open(settings)
        versions = {task: version.name for task in TASKS if (version := loop.versions.serving(task))}
        fill(settings.database_url, versions, given.items)
        app = create_app(settings)
        app.state.deployment = deployment = Deployment(settings, loop)
        pages = {name.replace("VERSION", versions["lane"]): kind for name, kind in PAGES.items()}
        report(measure(TestClient(app, base_url="http://127.0.0.1:3000"), TestClient(peer(path)), pages, given.rounds),
               pages, given.items)  # fmt: skip
        deployment.close()


def fill(url: str, versions: dict[Task, str], count: int) -> None:
    """So many items a task: answered, a twentieth corrected, a hundredth failed, the tenth of the rest for audits; a
    tenth is due some time."""
    database = Database.open(url)
    for task in TASKS:
        for start in range(0, count, CHUNK):
            rows = list(_rows(task, versions[task], range(start, min(count, start + CHUNK))))
            with database.writing() as connection:
                for table, index in ((items, 0), (item_tasks, 1), (preannotations, 2), (corrections, 3), (events, 4)):
                    if some := [one for row in rows if (one := row[index]) is not None]:
                        connection.execute(table.insert(), some)
    database.close()


def _rows(task: Task, version: str, numbers: range) -> Iterator[tuple[dict[str, Any] | None, ...]]:
    offset = TASKS.index(task) * 10_000_000
    rng = np.random.default_rng(offset + numbers.start)
    for number in numbers:
        identity, key = hashlib.sha256(f"{task} {number}".encode()).hexdigest(), offset + number + 1
        score, drawn, at = float(rng.random()), float(rng.random()), NOW - timedelta(seconds=number)
        state = "corrected" if number % 20 == 0 else "failed" if number % 100 == 1 else "preannotated"
        label = LABELS[task] | ({"text": f"word-{number} was said"} if task == "asr" else {})
        decision = "audit" if drawn < 0.1 else "annotate" if score > 0.9 else "review"
        item = {"id": identity, "uri": f"{number}.jpg", "item_group": f"clip-{number // 50}", "registered_at": at,
                "actor": "x"}  # fmt: skip
        standing = {"item_id": identity, "task": task, "state": state, "audit": decision == "audit", "draw": drawn,
                    "priority": score, "version": version, "preannotation_id": key,
                    "correction_id": key if state == "corrected" else None, "updated_at": at, "actor": "x",
                    "failure": "gone" if state == "failed" else None,
                    "due_at": NOW + timedelta(minutes=number - 100) if number % 10 == 3 else None}  # fmt: skip
        said = {"id": key, "item_id": identity, "task": task, "version": version, "label": label,
                "text": label.get("text"), "score": score, "p_error": score, "seconds": 5.0, "features": {},
                "embedding": (0.0,) * 64, "decision": decision, "reason": "because of this benchmark",
                "created_at": at, "actor": "x"}  # fmt: skip
        person = f"person-{number % 40 // 20 + 2}"
        given = {"id": key, "key": identity + task, "item_id": identity, "task": task, "label": label,
                 "annotator": person, "seconds": 4.0, "tool": "x", "created_at": at, "counted_at": at,
                 "received_at": at, "model_version": version, "actor": "x"}  # fmt: skip
        done = {"at": at, "actor": person, "verb": "correct", "subject": identity, "detail": {"task": task}}
        yield item, standing, said, given if state == "corrected" else None, done


def peer(path: Path) -> FastAPI:
    """The least that such pages can be: one query, one table."""
    app = FastAPI()

    def asked(query: str) -> HTMLResponse:
        with sqlite3.connect(path) as connection:
            rows = connection.execute(query).fetchall()
        cells = ("".join(f"<td>{html.escape(str(value))}</td>" for value in row) for row in rows)
        return HTMLResponse(f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")

    @app.get("/figures")
    def figures() -> HTMLResponse:
        return asked("SELECT task, state, count(*) FROM item_tasks GROUP BY 1, 2 UNION ALL "
                     "SELECT task, model_version, sum(seconds) FROM corrections GROUP BY 1, 2")  # fmt: skip

    @app.get("/rows")
    def rows() -> HTMLResponse:
        return asked("SELECT i.uri, i.item_group, t.state, p.label, p.p_error, p.seconds, p.reason FROM item_tasks t "
                     "JOIN items i ON i.id = t.item_id JOIN preannotations p ON p.id = t.preannotation_id "
                     "WHERE t.task = 'detection' AND t.state = 'preannotated' AND t.audit = 0 "
                     "ORDER BY t.priority DESC LIMIT 48")  # fmt: skip

    return app


def measure(ours: TestClient, theirs: TestClient, pages: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each answer, by path, contestants in turn; a first round does not count."""
    found: dict[str, list[float]] = {path: [] for path in (*pages, *pages.values())}
    for number in range(rounds + 1):
        for path in found:
            client = theirs if path in pages.values() else ours
            begun = time.perf_counter()
            answer = client.get(path)
            spent = 1000 * (time.perf_counter() - begun)
            assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}"
            if number:
                found[path].append(spent)
    return found


def report(found: dict[str, list[float]], pages: dict[str, str], count: int) -> None:
    """Medians, the slowest answers, and the ratio to the peer."""
    load = os.getloadavg()[0]
    table = Table(title=f"{count:,} items a task, load {load:.1f}; goal: a median under {GOAL_MS} ms")
    for column in ("page", "median ms", "slowest ms", "peer ms", "ratio"):
        table.add_column(column, justify="left" if column == "page" else "right")
    for path, kind in pages.items():
        middle, other = statistics.median(found[path]), statistics.median(found[kind])
        table.add_row(path, f"{middle:.0f}", f"{max(found[path]):.0f}", f"{other:.0f}", f"{middle / other:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
