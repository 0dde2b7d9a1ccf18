"""Gold items stand among the tasks of a project of Label Studio: how many, where, and that nothing tells which."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.records import Box, Boxes
from serving.label_studio.ordering import BEHIND, head_scores
from serving.label_studio.planting import OpenTasks, among, plant
from serving.loop import utc_now
from serving.media_files import content_id
from serving.store.studio import Annotation
from tests.serving.fake_studio import FakeStudio
from tests.serving.served import Served, eventually, picture, serving
from tests.serving.test_label_studio_ordering import PROJECT, Joined
from tests.serving.test_label_studio_video import VIDEO
from tests.serving.work import boxes

TRUTH = Boxes(120, 90, (Box((10, 10, 50, 50), "car"),))
GOLD = [200 + shade for shade in range(9)]  # shades of pictures whose labels are known


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def served(tmp_path: Path, studio: FakeStudio) -> Iterator[Served]:
    """A project with twelve tasks, and nine gold items that came from elsewhere; nothing is attached yet."""
    with serving(tmp_path, tasks=["detection"], studio=studio.client()) as running:
        for shade in range(12):
            studio.add_task(f"{shade}.png", picture(shade))
        for shade in GOLD:
            item_id = running.client.post("/v1/detection/annotate", content=picture(shade)).json()["item_id"]
            running.loop.gold.know("detection", item_id, TRUTH, "tester")
        yield running


def planted(served: Served, studio: FakeStudio) -> int:
    open_tasks = OpenTasks(studio.project["label_config"])
    open_tasks.see(studio.tasks)
    settings = served.deployment.settings
    return len(plant(served.loop, studio.client(), settings, "detection", studio.project, open_tasks))


def of_gold(studio: FakeStudio) -> list[dict[str, Any]]:
    return [one for one in studio.tasks if studio.media[one["data"]["image"]] in map(picture, GOLD)]


def name_of(task: dict[str, Any]) -> str:
    """As Label Studio puts eight digits before it."""
    return str(task["data"]["image"]).rpartition("/")[2][9:]


def first_of(studio: FakeStudio) -> list[int]:
    """The tasks that come next, in their order."""
    scores = {one["id"]: said["score"] for one in studio.tasks for said in one["predictions"]}
    return [number for number in studio.queue() if scores[number] < BEHIND]


class TestHowMany:
    def test_the_share_of_the_policy_and_none_twice(self, served: Served, studio: FakeStudio) -> None:
        assert planted(served, studio) == 0  # by default none
        served.deployment.adopt({"planted_share": 0.25}, None, "tester")
        assert planted(served, studio) == 4  # a quarter of sixteen
        assert planted(served, studio) == 0
        for task in studio.tasks[:6]:
            studio.annotate(task, [])
        assert planted(served, studio) == 0  # there are more than two among ten
        for task in of_gold(studio):
            studio.annotate(task, [])
        assert planted(served, studio) == 2
        served.deployment.adopt({"planted_share": 0.9}, None, "tester")
        assert planted(served, studio) == len(GOLD) - 6
        assert len({one["data"]["image"] for one in of_gold(studio)}) == len(GOLD)
        assert planted(served, studio) == 0  # there are no more

    def test_what_a_task_was_about_is_not_uploaded(self, served: Served, studio: FakeStudio) -> None:
        task = studio.add_task("known.png", picture(GOLD[0]))
        served.loop.store.studio.remember("detection", task["id"], task["data"]["image"], content_id(picture(GOLD[0])))
        served.deployment.adopt({"planted_share": 0.9}, None, "tester")
        assert planted(served, studio) == len(GOLD) - 1

    def test_neither_what_has_no_label_nor_what_is_more_than_a_picture(
        self, served: Served, studio: FakeStudio
    ) -> None:
        open_item = served.client.post("/v1/detection/annotate", content=picture(250)).json()["item_id"]
        served.loop.gold.choose("detection", [open_item], "tester")
        served.deployment.adopt({"planted_share": 0.9}, None, "tester")
        config = studio.project["label_config"]
        for other in (VIDEO, config.replace("<Image", '<Text name="title" value="$title"/><Image')):
            studio.project["label_config"] = other
            assert planted(served, studio) == 0
        studio.project["label_config"] = config
        assert planted(served, studio) == len(GOLD)

    def test_a_medium_that_is_gone_is_left_out(self, served: Served, studio: FakeStudio) -> None:
        served.loop.path(served.loop.item(content_id(picture(GOLD[0])))).unlink()
        served.deployment.adopt({"planted_share": 0.9}, None, "tester")
        assert planted(served, studio) == len(GOLD) - 1


def test_open_tasks_are_known_whatever_their_data_hold() -> None:
    open_tasks = OpenTasks('<View><Text name="t" value="$text"/></View>')
    told = ("//[1] see", "http://[there/b.png", "/data/upload/1/0a1b2c3d-a b.png", "https://host/a.tar.gz?key=/x/y#z")
    open_tasks.see([{"id": n, "is_labeled": False, "data": {"text": one}} for n, one in enumerate(told)])
    assert list(open_tasks.names.values()) == ["[1] see", "b", "a b", "a.tar"]


def test_from_planting_to_the_figures_nothing_tells_which(served: Served, studio: FakeStudio) -> None:
    """What a person can see of a task: its name, its prediction with the note, and its place."""
    served.deployment.adopt({"planted_share": 0.25}, None, "tester")
    assert planted(served, studio) == 4
    served.loop.store.studio.attach("detection", 1, "tester", utc_now())
    eventually(lambda: len(first_of(studio)) > 12)
    assert {name_of(one) for one in of_gold(studio)} <= {f"{shade}.png" for shade in range(12)}
    told, first = {one["id"]: one["predictions"][0] for one in studio.tasks}, first_of(studio)
    places = set(head_scores(0, list(map(str, range(200)))).values())  # the scores that open items have
    assert {told[number]["score"] for number in first} <= places
    assert sum(one["id"] in first for one in of_gold(studio)) == len(first) - 12
    assert first_of(studio)[-1] not in [one["id"] for one in of_gold(studio)]
    notes = {number: one["result"][0]["meta"]["text"][0] for number, one in told.items()}
    ours = {notes.pop(one["id"]) for one in of_gold(studio)}
    assert ours <= set(notes.values())  # the tiny detector says the same of every plain picture
    task = next(one for one in of_gold(studio) if one["id"] in first)
    event = studio.event("ANNOTATION_CREATED", studio.annotate(task, task["predictions"][0]["result"]))
    served.client.post("/label-studio/detection/webhook", json=event)
    eventually(lambda: served.loop.labelled.planted("detection")["right"] == 1)
    eventually(lambda: told[task["id"]]["score"] >= BEHIND)


@pytest.mark.parametrize(
    ("places", "items", "gold", "laid"),
    [
        ({}, "abc", "xy", "abc"),
        ({5, 7}, "abc", "xyz", "xaybc"),
        ({5, 6, 7, 8}, "a", "xy", "xya"),
        ({6, 9}, "abc", "xy", "axbc"),  # behind the last none is planted
        ({5}, "", "xy", ""),
    ],
)
def test_places_by_hand(places: set[int], items: str, gold: str, laid: str) -> None:
    assert among(5, list(items), list(gold), places.__contains__) == list(laid)


def test_places_have_the_share_and_stay_while_people_take_the_first(tmp_path: Path) -> None:
    joined = Joined(tmp_path, [(score / 100, None) for score in range(1, 81)], calibration_share=0.001)
    gold = [f"None_{number}" for number in range(1, 41)]
    shutil.rmtree(tmp_path / "data" / "media")  # the desk's media are no pictures
    for name in gold:
        joined.desk.loop.gold.know("detection", content_id(name.encode()), boxes("van"), "tester")
    joined.desk.adopt(planted_share=0.4)
    joined.look()
    order = joined.queue()[:40]
    assert sum(name in gold for name in order) == pytest.approx(16, abs=7)
    for name in order[:10]:
        task = int(name.removeprefix("None_"))
        joined.annotate(task)
        joined.desk.loop.store.studio.keep(Annotation("detection", task, 1, task))
        assert joined.ordering.arrange(PROJECT) <= 2  # the one that is done, and the next that comes within reach
        assert joined.queue()[: 40 - 1 - order.index(name)] == order[order.index(name) + 1 :]
