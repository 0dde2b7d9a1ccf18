"""Projects of Label Studio follow what serves, and are let go."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import InvalidInput, NotAllowed, NotFound, Refused
from serving.label_studio import projects
from serving.label_studio.client import basic
from serving.label_studio.config import control_of
from serving.label_studio.corrections import Reconciled
from serving.label_studio.pushing import Predict, Push
from serving.loop import utc_now
from serving.tokens import make_token
from tests.serving.fake_studio import RECTANGLES, FakeStudio
from tests.serving.served import Served, eventually, picture, serving
from tests.serving.test_label_studio import HERE, box

BEFORE = "2026-01-01T10:00:00.000000Z"  # long ago


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def joined(tmp_path: Path, studio: FakeStudio) -> Iterator[Served]:
    """A deployment that works with that Label Studio."""
    with serving(tmp_path, studio=studio.client()) as running:
        yield running


def predicted(tasks: list[dict[str, Any]], version: str = "v1") -> list[dict[str, Any]]:
    return [{"model_version": version, "score": 0.5, "result": []} for _ in tasks]


def pushed(studio: FakeStudio, version: str = "v1", predict: Predict = predicted) -> Push:
    """All tasks get a version's predictions."""
    client = studio.client()
    push = Push(client, 1, control_of(RECTANGLES, "detection"), version, predict)
    for page in client.tasks(1):
        assert {one["id"] for one in push.page(page)} == {one["id"] for one in page}
    return push


class TestPush:
    def test_predictions_are_stored_in_pages_and_counted(self, studio: FakeStudio) -> None:
        for i in range(125):
            studio.add_task(f"{i}.png", b"")
        asked = list[int]()

        def predict(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
            asked.append(len(tasks))
            return predicted(tasks)

        assert pushed(studio, "v1", predict).stored == 125
        assert asked == [10] * 12 + [5]
        assert studio.posts == [100, 25]
        assert studio.pages == 4  # read, and counted
        assert pushed(studio, "v1", predict).stored == 125
        assert (studio.pages, sum(asked), sum(studio.posts)) == (6, 125, 125)
        studio.stores = False
        with pytest.raises(Refused, match="expected 100 predictions of v2 to be stored, got 0"):
            pushed(studio, "v2")

    def test_what_has_no_result_now_has_no_prediction_until_it_has_one(self, studio: FakeStudio) -> None:
        for i in range(3):
            studio.add_task(f"{i}.png", b"")

        def predict(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**predicted(tasks)[0], "error": "cut off"}, {"error": "away"}, predicted(tasks)[2]]

        push = pushed(studio, "v1", predict)
        assert (push.stored, push.unread, push.left_out) == (2, ("task 1: cut off",), {2: "away"})
        assert [len(one["predictions"]) for one in studio.tasks] == [1, 0, 1]
        assert pushed(studio).stored == 3

    def test_a_prediction_that_an_annotation_began_as_stays_as_it_was(self, studio: FakeStudio) -> None:
        """Label Studio would forget what it was, and refuses what people save who began with one that is gone."""
        worn = [{**box(), "from_name": "before"}]
        for number in range(2):
            task = studio.add_task(f"{number}.png", b"")
            task["predictions"].append({"id": 7 + number, "model_version": "v1", "score": 0.25, "result": worn})
        studio.predicted = 9
        studio.annotate(studio.tasks[0], worn, lead_time=None, parent_prediction=7)
        assert pushed(studio).stored == 2
        kept, other = studio.tasks[0]["predictions"]
        assert (kept["id"], kept["result"], kept["score"], other["result"]) == (7, worn, 1, [])
        (redrawn,) = studio.tasks[1]["predictions"]
        assert redrawn == {"id": 8, "model_version": "v1", "score": 0.5, "result": []}
        changed = studio.changed
        assert pushed(studio).stored == 2
        assert studio.changed == changed


@pytest.mark.parametrize(("old", "new"), [('"label"', '"boxes"'), ('"car"', '"Auto"')])
def test_another_name_of_a_control_or_a_label_brings_other_predictions(
    tmp_path: Path, studio: FakeStudio, old: str, new: str
) -> None:
    for number in range(3):
        studio.add_task(f"{number}.png", picture(number))
    with serving(tmp_path, studio=studio.client(), label_studio_labels={"Auto": "car"}) as served:
        served.loop.store.studio.attach("detection", 1, "tester", utc_now())
        eventually(lambda: all(one["predictions"] for one in studio.tasks))
        studio.project["label_config"] = RECTANGLES.replace(old, new)
        served.deployment.label_studio.look()
        eventually(lambda: all(new in json.dumps(one["predictions"]) for one in studio.tasks))
        eventually(lambda: studio.project["model_version"] == served.version)
        posted = len(studio.posts)
        served.deployment.label_studio.look()
        time.sleep(2)
        assert [len(one["predictions"]) for one in studio.tasks] == [1, 1, 1]
        assert len(studio.posts) == posted


def test_a_project_is_read_once_and_from_then_on_what_changed(joined: Served, studio: FakeStudio) -> None:
    worker = joined.deployment.label_studio
    for number in range(5):
        studio.add_task(f"{number}.png", picture(number))["updated_at"] = BEFORE
    joined.loop.store.studio.attach("detection", 1, "tester", utc_now())
    eventually(lambda: studio.project["model_version"] == joined.version)
    assert studio.read == 10  # all, and once more after predictions were stored

    def read() -> int:
        pages, before = studio.pages, studio.read
        worker.look()
        eventually(lambda: studio.pages >= pages + 2)
        time.sleep(1.5)  # nothing more comes
        return studio.read - before

    assert read() == 0
    studio.annotate(studio.tasks[3], [box()])
    assert read() == 1
    eventually(lambda: len(joined.loop.store.studio.annotations("detection", 1)) == 1)
    studio.tasks[3]["updated_at"] = BEFORE
    studio.tasks[1]["predictions"].clear()  # "Delete predictions" changes no task
    assert read() == 2
    assert len(studio.tasks[1]["predictions"]) == 1
    studio.project["label_config"] = RECTANGLES.replace('"label"', '"boxes"')
    assert read() == 10
    data = studio.media.pop(studio.tasks[2]["data"]["image"])
    elsewhere = studio.add_task("elsewhere.png", data)
    elsewhere["data"]["image"], elsewhere["updated_at"] = "/etc/passwd", BEFORE
    assert read() == 1
    assert elsewhere["predictions"] == []
    assert read() == 1  # once, though it is left from before and has no prediction
    elsewhere["predictions"].append({"id": 99, "model_version": "older", "score": 1.0, "result": []})
    assert read() == 1  # it is tried again, and nothing else


def test_a_project_that_is_none_for_the_task_is_looked_at_all_the_same(joined: Served, studio: FakeStudio) -> None:
    """What people did with labels of before is theirs; predictions come when it is mended."""
    task = studio.add_task("a.png", picture())
    studio.project["label_config"] = "<View><Image name='image' value='$image'/></View>"
    joined.loop.store.studio.attach("detection", 1, "tester", utc_now())
    eventually(lambda: studio.pages > 0)
    time.sleep(1.5)
    assert studio.pages == 1  # not again and again
    studio.project["label_config"] = RECTANGLES
    body = {"action": "PROJECT_UPDATED", "project": studio.project}
    assert joined.client.post(f"{HERE}/webhook", json=body).json() == {"status": "noted"}
    eventually(lambda: [one["model_version"] for one in task["predictions"]] == [joined.version])
    eventually(lambda: studio.project["model_version"] == joined.version)
    newer = joined.add("detection", size=48)
    joined.loop.versions.promote(newer.name, "tester", force=True)
    eventually(lambda: studio.project["model_version"] == newer.name)
    joined.loop.versions.promote(joined.version, "tester", force=True)  # for which the project was none in its time
    eventually(lambda: studio.project["model_version"] == joined.version)


def test_a_promotion_is_shown_after_its_predictions_are_stored(joined: Served, studio: FakeStudio) -> None:
    studio.add_task("a.png", picture())
    joined.loop.store.studio.attach("detection", 1, "tester", utc_now())
    eventually(lambda: studio.project["model_version"] == joined.version)
    newer = joined.add("detection", size=48)
    joined.loop.versions.promote(newer.name, "tester", force=True)
    eventually(lambda: studio.project["model_version"] == newer.name)
    assert [one["model_version"] for one in studio.tasks[0]["predictions"]][1:] == [newer.name]


def test_a_project_that_is_gone_keeps_nothing_from_the_others(
    joined: Served, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = studio.add_task("a.png", picture())
    for name, project in (("asr", 9), ("detection", 1)):  # 9 was deleted there
        joined.loop.store.studio.attach(name, project, "tester", utc_now())  # type: ignore[arg-type]
    eventually(lambda: studio.project["model_version"] == joined.version)
    studio.annotate(task, [box()])
    monkeypatch.setattr(projects, "connect", lambda _: studio.client())
    found = projects.sync(joined.loop, joined.deployment.settings)
    gone, there = [one for _, one in found.projects]
    assert there == Reconciled(new=1)
    assert "/api/projects/9: expected to find it, got 404" in gone.failed[0]
    make_token(joined.loop.store, "label-studio asr 9 then", ("annotate",), "tester", utc_now())
    make_token(joined.loop.store, "label-studio detection 1 then", ("annotate",), "tester", utc_now())
    studio.webhooks = [{"id": number, "url": f"http://{url}"} for number, url in enumerate([
        "here/label-studio/asr/webhook", "there:3000/a/label-studio/asr/webhook/", "here/label-studio/lane/webhook",
        "elsewhere/webhook",
    ])]  # fmt: skip
    left = projects.detach(joined.loop, studio.client(), "asr", 9, "tester")
    assert left is not None
    assert "expected one webhook that leads to /label-studio/asr/webhook, got http://here/label-studio/asr/w" in left
    del studio.webhooks[1]
    joined.loop.store.studio.attach("asr", 9, "tester", utc_now())
    assert projects.detach(joined.loop, studio.client(), "asr", 9, "tester") is None
    assert [one["id"] for one in studio.webhooks] == [2, 3]
    assert [one.project for one in joined.loop.store.studio.projects()] == [1]
    assert [one.name for one in joined.loop.store.tokens.all() if one.revoked_at is None] == [
        "label-studio detection 1 then"
    ]
    with pytest.raises(NotFound, match="label-studio asr 9: expected an attached project, got none"):
        projects.detach(joined.loop, studio.client(), "asr", 9, "tester")
    studio.answers = False
    left = projects.detach(joined.loop, studio.client(), "detection", 1, "tester")
    assert "expected Label Studio to answer" in str(left)
    assert joined.loop.store.studio.projects() == []


def test_tasks_that_come_later_get_a_prediction_too(joined: Served, studio: FakeStudio) -> None:
    joined.loop.store.studio.attach("detection", 1, "tester", utc_now())
    eventually(lambda: studio.project["model_version"] == joined.version)
    task = studio.add_task("a.png", picture())
    body = {"action": "TASKS_CREATED", "tasks": [{"id": task["id"]}], "project": studio.project}
    assert joined.client.post(f"{HERE}/webhook", json=body).json() == {"status": "noted"}
    eventually(lambda: [one["model_version"] for one in task["predictions"]] == [joined.version])


def test_a_personal_token_buys_short_lived_ones(studio: FakeStudio) -> None:
    assert studio.client("head.body.signature").project(1)["id"] == 1
    with pytest.raises(NotAllowed, match="expected that PRELABEL_LABEL_STUDIO_TOKEN may do this, got 401"):
        studio.client("b" * 40).project(1)


def test_the_backend_of_an_address_is_changed_and_not_doubled(studio: FakeStudio) -> None:
    client, url = studio.client(), "http://here/label-studio/asr"
    studio.may_connect = False
    with pytest.raises(InvalidInput, match=r"in no public network; start .* with USE_DEFAULT_BANNED_SUBNETS=false"):
        client.keep_backend(1, url, "v1", "secret")
    studio.may_connect = True
    client.keep_backend(1, url, "v1", "secret")
    (backend,) = studio.backends
    assert backend["is_interactive"]
    backend["is_interactive"] = False  # by somebody there
    client.keep_backend(1, url, "v2", "secret")
    assert len(studio.backends) == 1
    assert (backend["title"], backend["basic_auth_pass"], backend["is_interactive"]) == ("v2", "secret", False)
    assert client.sign_webhooks(1, "http://here/label-studio/asr/", "secret") == 1
    assert studio.webhooks[0]["headers"] == {"Authorization": basic("secret")}
