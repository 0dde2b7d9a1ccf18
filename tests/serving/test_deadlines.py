"""Items with a deadline of their own: they come first in time, the reason says so, and the report tells who is late."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from selection.queueing import Deadline
from serving.answers import Entry
from serving.client import Client
from serving.media_files import content_id
from serving.store import Store
from serving.store.deadlines import Lateness
from serving.store.order import Order
from serving.store.waiting import Asking
from tests.serving.served import eventually, listening, picture, serving
from tests.serving.test_cli import prelabel
from tests.serving.test_handing_out import Desk
from tests.serving.work import START, add_version, after, answer, correction, item, item_id

DAY = timedelta(days=1)


def tell(store: Store, name: object, seconds: float) -> None:
    store.deadlines.tell([(item_id(name), "detection", after(seconds))], "tester", START)


@pytest.fixture
def waiting(store: Store) -> Store:
    """Five items that wait, the later the surer; 3 and 4 are of a group."""
    add_version(store)
    for number in range(5):
        of = item(number, "clip" if number > 2 else None)
        store.items.save(of, answer(number, score=0.9 - number / 10), 0.5, None, "tester", START)
    return store


def due(store: Store, until: float, *deadlines: Deadline) -> list[int]:
    """The numbers of what is due, which are then held."""
    order = Order("priority", until=after(until), deadlines=deadlines)
    leased = store.queue.lease(Asking("detection", "ann", "tester", after(1), after(1.5)), 9, order)
    names = {item_id(number): number for number in range(5)}
    return [names[one.item.id] for one in leased]


class TestStore:
    def test_the_earliest_comes_first_by_its_own_time_or_that_of_its_group(self, waiting: Store) -> None:
        tell(waiting, 1, 50)
        tell(waiting, 2, 30)
        tell(waiting, 4, 20)
        assert due(waiting, 40, Deadline("clip", after(25))) == [4, 3, 2]

    def test_what_is_due_later_is_not_in_it_and_of_those_due_together_the_doubtful_is_first(
        self, waiting: Store
    ) -> None:
        for number in (2, 1, 0):
            tell(waiting, number, 30)
        assert due(waiting, 30) == []
        assert due(waiting, 30.1) == [0, 1, 2]

    def test_the_first_deadline_is_of_what_waits(self, waiting: Store) -> None:
        assert waiting.deadlines.earliest("detection", []) is None
        tell(waiting, 1, 50)
        tell(waiting, 2, 30)
        assert waiting.deadlines.earliest("detection", [Deadline("clip", after(40))]) == after(30)
        waiting.queue.correct(correction(2, "car", at=1), None, "tester", after(1))
        assert waiting.deadlines.earliest("detection", [Deadline("clip", after(40))]) == after(40)
        assert waiting.deadlines.earliest("detection", [Deadline("other", after(9))]) == after(50)
        assert waiting.deadlines.earliest("lane", []) is None

    def test_the_newest_time_counts_and_is_logged_once(self, waiting: Store) -> None:
        tell(waiting, 1, 50)
        tell(waiting, 1, 70)
        tell(waiting, 1, 70)
        tell(waiting, "nobody", 70)
        assert waiting.deadlines.earliest("detection", []) == after(70)
        told = [one.detail["due"] for one in waiting.changes.page(9, verb="due")]
        assert told == [after(70).isoformat(), after(50).isoformat()]

    def test_lateness_by_hand(self, waiting: Store) -> None:
        """0 came in time and 1 too late; 2 is late, 3 is not yet, and 4 was accepted long before its group was due."""
        waiting.items.save(item("a", "clip"), answer("a", decision="accept"), 0.5, None, "tester", START)
        for name, at in ((0, 20), (1, 20), (2, 30)):
            tell(waiting, name, at)
        for name, at in ((0, 19), (1, 21)):
            waiting.queue.correct(correction(name, "car", at=at), None, "tester", after(at))
        deadlines = [Deadline("clip", after(60))]
        found = waiting.deadlines.lateness("detection", deadlines, after(40))
        assert found == Lateness(open=3, late=1, next=after(30), done=3, done_late=1)
        later = waiting.deadlines.lateness("detection", deadlines, after(61))
        assert later == Lateness(open=3, late=3, next=after(30), done=3, done_late=1)
        assert waiting.deadlines.lateness("lane", deadlines, after(61)) == Lateness(0, 0, None, 0, 0)


def test_it_goes_first_where_the_budget_would_not_reach_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(20):
        desk.post(f"doubtful {number}", 0.9)
    desk.post("soon", 0.01)
    desk.post("far", 0.01)
    for name, days in (("soon", 0.5), ("far", 30)):
        told = (content_id(name.encode()), "detection", START + days * DAY)
        desk.loop.store.deadlines.tell([told], "tester", START)  # type: ignore[list-item]
    handed = desk.loop.lease("detection", 3, "ada", "tester")
    assert [desk.names[one.item.id].split()[0] for one in handed] == ["soon", "doubtful", "doubtful"]
    assert [(one.first, one.due) for one in handed] == [(True, START + 0.5 * DAY), (False, None), (False, None)]
    desk.adopt(budget_s_per_day=1)
    assert desk.lease(1) == ["far"]  # which that budget would reach too late


def test_over_http_from_the_registration_to_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for shade in range(6):
        (folder / f"{shade}.png").write_bytes(picture(shade))
    with serving(tmp_path, tasks=("detection",), uri_roots=(folder,)) as served:
        soon = datetime.now().astimezone() + timedelta(hours=2)
        lines: list[dict[str, Any]] = [{"uri": str(folder / f"{n}.png"), "task": "detection"} for n in range(6)]
        lines[4]["due"] = soon.isoformat()
        lines[5]["due"] = "2020-01-01T00:00:00Z"
        answered = served.client.post("/v1/items", content="\n".join(map(json.dumps, lines)))
        assert answered.json()["new"] == 6
        lacks_zone = json.dumps(lines[0] | {"due": "2020-01-01T00:00:00"})
        assert served.client.post("/v1/items", content=lacks_zone).status_code == 422
        eventually(lambda: served.loop.store.workload.waiting("detection") == 6)
        handed = served.client.get("/v1/queue/detection?limit=3&annotator=ada").json()["items"]
        assert [Path(one["uri"]).name for one in handed[:2]] == ["5.png", "4.png"]
        assert handed[0]["route"]["reason"].startswith("due by 2020-01-01 00:00 UTC, so it comes first; ")
        assert datetime.fromisoformat(handed[1]["due"]) == soon
        assert handed[2]["due"] is None
        assert "due by" not in handed[2]["route"]["reason"]
        figures = served.client.get("/v1/report").json()["tasks"]["detection"]["deadlines"]
        assert figures == {"open": 2, "late": 1, "next": "2020-01-01T00:00:00+00:00", "done": 0, "done_late": 0}
        body = {"task": "detection", "label": handed[0]["label"], "annotator": "ada", "seconds": 1}
        served.client.post(f"/v1/items/{handed[0]['item_id']}/correction", json=body)
        figures = served.client.get("/v1/report").json()["tasks"]["detection"]["deadlines"]
        assert (figures["open"], figures["late"], figures["done"], figures["done_late"]) == (1, 0, 1, 1)


def test_on_the_command_line_files_are_registered_with_a_deadline(tmp_path: Path) -> None:
    (tmp_path / "street.png").write_bytes(picture(1))
    store = f"sqlite:///{tmp_path}/store.db"
    words = "register", "detection", "street.png", "--group", "clip", "--db", store
    refused = prelabel(tmp_path, *words, "--due", "2026-12-01T12:00")
    assert (refused.returncode, refused.stderr) == (
        2, "prelabel: due: expected a time with its zone such as 2026-12-01T12:00Z, got '2026-12-01T12:00'\n"
    )  # fmt: skip
    done = prelabel(tmp_path, *words, "--due", "2026-12-01T12:00Z")
    assert (done.returncode, done.stdout) == (0, "1 new, 0 known, 0 failed\n")
    opened = Store.open(store)
    history = opened.items.history(content_id(picture(1)))
    assert history["item"]["group"] == "clip"
    assert [one["due_at"] for one in history["tasks"]] == ["2026-12-01T12:00:00+00:00"]
    opened.close()


def test_a_manifest_is_registered_with_a_deadline_and_a_language_for_each(tmp_path: Path) -> None:
    told = {"group": "own", "language": "hsb", "due": "2026-12-02T12:00Z"}
    for number, more in enumerate(({}, told)):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
        with (tmp_path / "all.jsonl").open("a") as manifest:
            manifest.write(json.dumps({"uri": f"{number}.png", **more}) + "\n")
    store = f"sqlite:///{tmp_path}/store.db"
    words = "--group", "clip", "--language", "de", "--due", "2026-12-01T12:00Z", "--db", store
    done = prelabel(tmp_path, "register", "detection", "all.jsonl", *words)
    assert (done.returncode, done.stdout) == (0, "2 new, 0 known, 0 failed\n")
    opened = Store.open(store)
    histories = [opened.items.history(content_id(picture(number))) for number in range(2)]
    opened.close()
    assert [(one["item"]["group"], one["item"]["language"], one["tasks"][0]["due_at"]) for one in histories] == [
        ("clip", "de", "2026-12-01T12:00:00+00:00"),
        ("own", "hsb", "2026-12-02T12:00:00+00:00"),
    ]


def test_the_client_registers_with_a_deadline(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), uri_roots=(tmp_path,)) as served, listening(served) as url:
        (tmp_path / "1.png").write_bytes(picture(1))
        (tmp_path / "2.png").write_bytes(picture(2))
        soon = datetime.now(UTC) + timedelta(hours=1)
        entries = Entry(str(tmp_path / "1.png"), "detection"), Entry(str(tmp_path / "2.png"), "detection", due=soon)
        with Client(url) as client:
            assert client.register(entries).new == 2
            eventually(lambda: served.loop.store.workload.waiting("detection") == 2)
            (first,) = client.lease("detection", annotator="ada").items
            assert (first.due, Path(first.uri).name) == (soon, "2.png")
