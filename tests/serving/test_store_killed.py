"""``kill -9`` at any moment loses nothing that was acknowledged, and leaves nothing half done."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.records import Correction, Item
from serving.loop import Loop, Registration, utc_now
from serving.media_files import MediaFiles, content_id
from serving.store import Store
from tests.serving.processes import killed
from tests.serving.work import after, boxes, prediction, settings, version_folder

Send = Callable[[Any], None]
KILLS = 5


def open_loop(url: str, root: Path) -> Loop:
    chosen = settings(root / "data", calibration_share=0.0001)
    return Loop(Store.open(url), MediaFiles(root / "data" / "media"), chosen, utc_now)


@pytest.fixture
def loop(database_url: str, tmp_path: Path) -> Loop:
    opened = open_loop(database_url, tmp_path)
    for name in ("v1", "v2"):
        opened.versions.add(version_folder(tmp_path / "versions", name), "tester")
    opened.versions.promote("v1", "tester")
    return opened


def ingest(send: Send, url: str, root: Path, name: str) -> None:
    loop = open_loop(url, root)
    for i in count():
        data = f"{name}-{i}".encode() * 1000
        loop.register([Registration(str(i), "detection", data)], "child")
        send(("registered", content_id(data)))
        loop.record("detection", Item(content_id(data), f"{i}"), data, prediction(), "v1", None, "child")
        send(("answered", content_id(data)))


def test_ingestion(loop: Loop, database_url: str, tmp_path: Path) -> None:
    acknowledged, rng = [], np.random.default_rng(0)
    for number in range(KILLS):
        acknowledged += killed(ingest, database_url, tmp_path, f"run{number}", rng=rng)
    for what, item_id in acknowledged:
        assert content_id(loop.path(loop.item(item_id))) == item_id
        if what == "answered":
            assert loop.answered(item_id, "detection", "v1") is not None
    states = loop.report()["tasks"]["detection"]["items"]
    assert states["preannotated"] >= sum(what == "answered" for what, _ in acknowledged)
    for item in loop.pending("detection", 10_000):  # registered and killed before the answer
        assert loop.answered(item.id, "detection", "v1") is None


def annotate(send: Send, url: str, root: Path, name: str) -> None:
    loop = open_loop(url, root)
    for i in count():
        (held,) = loop.lease("detection", 1, name, "child")
        given = Correction(held.item.id, "detection", boxes(f"{name}-{i}"), name, 1.0, "test", after(i), "v1")
        receipt = loop.correct(given, held.lease_id, "child")
        send((receipt.correction_id, held.item.id, f"{name}-{i}"))


def test_corrections(loop: Loop, database_url: str, tmp_path: Path) -> None:
    for i in range(120):
        data = str(i).encode()
        loop.record("detection", Item(content_id(data), f"{i}"), data, prediction(), "v1", None, "tester")
    acknowledged, rng = [], np.random.default_rng(0)
    for number in range(KILLS):
        acknowledged += killed(annotate, database_url, tmp_path, f"run{number}", rng=rng)
    labels = {item.id: label for item, label in loop.store.queue.corrected("detection")}
    for correction_id, item_id, category in acknowledged:
        assert labels[item_id] == boxes(category)
        assert [one["id"] for one in loop.history(item_id)["corrections"]] == [correction_id]
    for item_id in labels:  # also those whose acknowledgement the kill cut off
        told = loop.history(item_id)
        assert told["tasks"][0]["state"] == "corrected"
        assert told["tasks"][0]["correction_id"] == told["leases"][0]["correction_id"] == told["corrections"][0]["id"]
    states = loop.report()["tasks"]["detection"]["items"]
    assert states["corrected"] == len(labels)
    assert sum(states.values()) == 120


def switch(send: Send, url: str, root: Path) -> None:
    loop = open_loop(url, root)
    while True:
        for version in ("v2", "v1"):
            send(loop.versions.promote(version, "child", force=True))


def test_promotions(loop: Loop, database_url: str, tmp_path: Path) -> None:
    acknowledged, rng = [], np.random.default_rng(0)
    for _ in range(KILLS):
        acknowledged += killed(switch, database_url, tmp_path, rng=rng)
    log = loop.store.versions.promotions("detection")
    assert {one.id: one for one in log}.items() >= {one.id: one for one in acknowledged}.items()
    serving = [version.name for version in loop.versions.all() if version.state == "serving"]
    assert serving == [log[-1].version]
    assert [one.previous for one in log[1:]] == [one.version for one in log[:-1]]
