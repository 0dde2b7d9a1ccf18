"""prelabel as Label Studio's backend: one prediction a task whatever happens, and no correction is ever lost."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.records import Box, Boxes
from serving.label_studio.client import basic
from serving.label_studio.corrections import Reconciled
from serving.loop import utc_now
from serving.tokens import make_token
from tests.serving.fake_studio import RECTANGLES, FakeStudio
from tests.serving.served import Served, eventually, picture, serving, sound

HERE = "/label-studio/detection"


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def joined(tmp_path: Path, studio: FakeStudio) -> Iterator[Served]:
    """A deployment that works with that Label Studio."""
    with serving(tmp_path, studio=studio.client(), uri_roots=(tmp_path / "media",)) as running:
        yield running


def predict(served: Served, *tasks: dict[str, Any], config: str = RECTANGLES, where: str = HERE, **more: Any) -> Any:
    body = {"tasks": tasks, "project": "1.1795426557", "label_config": config, **more}
    answer = served.client.post(f"{where}/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def box(x: float = 10, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["car"]}
    return {"id": "r", "from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value, **more}


def tell(served: Served, body: dict[str, Any]) -> None:
    assert served.client.post(f"{HERE}/webhook", json=body).json() == {"status": "stored"}


def settled(served: Served) -> None:
    """Waits until every event was worked on."""
    eventually(lambda: served.loop.store.inbox.counts("label-studio")[0] == 0)


def labels(served: Served) -> list[Boxes]:
    return [label for _, label in served.loop.store.queue.corrected("detection") if isinstance(label, Boxes)]


def given(served: Served, item_id: str) -> list[dict[str, Any]]:
    return list(served.loop.history(item_id)["corrections"])


class TestBackend:
    def test_health_setup_and_versions(self, joined: Served) -> None:
        assert joined.client.get(f"{HERE}/health").json()["status"] == "UP"
        assert joined.client.get(HERE).json()["status"] == "UP"
        assert joined.client.get("/label-studio/ocr/health").status_code == 404
        body = {"project": "1.2", "schema": RECTANGLES, "hostname": "http://x", "access_token": "secret"}
        assert joined.client.post(f"{HERE}/setup", json=body).json() == {"model_version": joined.version}
        refused = joined.client.post(f"{HERE}/setup", json=body | {"schema": RECTANGLES.replace("car", "cow")})
        assert refused.status_code == 422
        assert "got cow among cow" in refused.json()["error"]["message"]
        newer = joined.add("detection", size=48)
        assert joined.client.get(f"{HERE}/versions").json() == {"versions": [joined.version, newer.name]}

    def test_a_prediction_has_its_version_its_place_and_its_regions(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        (result,) = predict(joined, task)
        assert result["model_version"] == joined.version
        (region,) = result["result"]
        assert region["value"] == {"x": pytest.approx(100 * 10 / 120), "y": pytest.approx(100 * 10 / 90),
                                   "width": pytest.approx(100 * 40 / 120), "height": pytest.approx(100 * 40 / 90),
                                   "rotation": 0, "rectanglelabels": ["car"]}  # fmt: skip
        item_id = joined.loop.store.studio.item_of("detection", 1)
        assert item_id is not None
        answer = joined.loop.answered(item_id, "detection", joined.version)
        assert answer is not None
        assert answer.decision.reason in region["meta"]["text"][0]
        studio.media.clear()
        assert predict(joined, task) == [result]  # what is known is not fetched again

    def test_every_task_gets_exactly_one_result(self, joined: Served, studio: FakeStudio) -> None:
        good, broken = studio.add_task("a.png", picture(1)), studio.add_task("b.png", picture(2)[:50])
        elsewhere = {"id": 3, "data": {"image": "/etc/passwd"}}
        nothing, odd = {"id": 4, "data": {}}, {"id": "x", "data": {"image": "/data/upload/1/a.png"}}
        results = predict(joined, broken, elsewhere, good, nothing, odd)
        assert [len(one["result"]) if "result" in one else None for one in results] == [0, None, 1, 0, None]
        assert all(one["model_version"] == joined.version for one in results)
        assert results[0]["score"] == 0
        for one in predict(joined, good, good, config="<View/>"):
            assert "result" not in one  # Label Studio would keep an empty one when the project is mended
            assert "expected RectangleLabels on Image" in one["error"]

    def test_while_something_is_away_there_is_no_result(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture(1))
        studio.answers = False
        (result,) = predict(joined, task)
        assert "expected Label Studio to answer" in result.pop("error")
        assert result == {"model_version": joined.version, "score": 0}
        assert (
            predict(joined, task, params={"context": {"result": [box()]}})[0]["result"] == []
        )  # somebody waits for it
        studio.answers = True
        assert len(predict(joined, task)[0]["result"]) == 1

    @pytest.mark.parametrize("context", [None, 1, {}, {"result": None}, {"result": 0.5}, {"result": {}}])
    def test_a_context_that_holds_no_regions_is_none(self, joined: Served, studio: FakeStudio, context: Any) -> None:
        task = studio.add_task("a.png", picture(1))
        (result,) = predict(joined, task, params={"context": context})
        assert len(result["result"]) == 1

    def test_without_the_settings_of_label_studio_there_is_no_result(self, tmp_path: Path, studio: FakeStudio) -> None:
        with serving(tmp_path) as served:
            (result,) = predict(served, studio.add_task("a.png", picture()))
        assert "expected PRELABEL_LABEL_STUDIO_URL and _TOKEN to fetch it with, got none" in result.pop("error")
        assert result == {"model_version": served.version, "score": 0}

    def test_nothing_serves_and_still_there_is_an_answer(self, tmp_path: Path, studio: FakeStudio) -> None:
        with serving(tmp_path, tasks=("lane",), studio=studio.client()) as served:
            task = studio.add_task("a.png", picture())
            (result,) = predict(served, task)
            assert "expected a version that serves" in result.pop("error")
            assert result == {"model_version": "none", "score": 0}

    def test_media_of_files_are_read_as_the_settings_allow(self, joined: Served) -> None:
        path = joined.folder / "media" / "a.png"
        path.parent.mkdir()
        path.write_bytes(picture())
        assert len(predict(joined, {"id": 1, "data": {"image": str(path)}})[0]["result"]) == 1

    def test_speech_and_lanes_too(self, joined: Served, studio: FakeStudio) -> None:
        speech = '<View><Audio name="a" value="$audio"/><TextArea name="t" toName="a"/></View>'
        task = studio.add_task("a.wav", sound(), "audio")
        (result,) = predict(joined, task, config=speech, where="/label-studio/asr")
        assert result["result"][0]["value"] == {"text": ["yes"]}
        lines = """<View><Image name="i" value="$image"/><VectorLabels name="v" toName="i"><Label value="Any"/>
        </VectorLabels></View>"""
        (result,) = predict(joined, studio.add_task("r.png", picture(7)), config=lines, where="/label-studio/lane")
        assert result["result"][0]["value"]["vectorlabels"] == ["Any"]

    def test_an_interactive_call_gets_what_the_hand_touches(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())  # a car at (10, 10, 50, 50) of 120 x 90
        for x, found in ((20, 1), (80, 0)):
            drawn = {"value": {"x": x, "y": 20, "width": 5, "height": 5}}
            (result,) = predict(joined, task, params={"context": {"result": [drawn]}})
            assert len(result["result"]) == found

    def test_label_studio_brings_the_token_as_a_password(self, joined: Served) -> None:
        secret = make_token(joined.loop.store, "studio", ("annotate", "correct"), "tester", utc_now())
        for headers, status in (({"Authorization": basic(secret)}, 200), ({"Authorization": basic("wrong")}, 401),
                                ({"Authorization": "Basic nonsense"}, 401)):  # fmt: skip
            assert joined.client.get(f"{HERE}/health", headers=headers).status_code == status

    def test_training_is_begun_once_and_its_end_is_told(self, joined: Served) -> None:
        where = "/label-studio/asr"
        assert joined.client.get(f"{where}/job_status").json() == {"job_status": "idle"}
        event = {"action": "START_TRAINING", "project": {"id": 1}}
        assert joined.client.post(f"{where}/webhook", json=event).json() == {"status": "running"}
        assert joined.client.post(f"{where}/train").json() == {"status": "running"}
        assert len(joined.deployment.training._processes) == 1


class TestCorrections:
    def test_an_annotation_becomes_a_correction_of_what_was_shown(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        (result,) = predict(joined, task)
        prediction = {"id": 4, "model_version": result["model_version"]}
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box()], prediction=prediction)))
        settled(joined)
        (label,) = labels(joined)
        assert label.boxes[0].xyxy == (12, 18, 48, 54)
        (one,) = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert (one["annotator"], one["seconds"], one["tool"]) == ("label-studio:7", 12.5, "label-studio")
        assert one["model_version"] == joined.version

    def test_seconds_grow_with_each_change_and_only_the_newest_counts(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        first = studio.event("ANNOTATION_CREATED", studio.annotate(task, [box(10)], id=100, at=1))
        second = studio.event("ANNOTATION_UPDATED", studio.annotate(task, [box(20)], id=100, at=2, lead_time=20.0))
        for body in (first, second, first, second):
            tell(joined, body)
        settled(joined)
        assert labels(joined)[0].boxes[0].xyxy[0] == 24
        corrections = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert [one["seconds"] for one in corrections] == [12.5, 7.5]

    def test_the_other_way_round_the_same_counts(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        first = studio.event("ANNOTATION_CREATED", studio.annotate(task, [box(10)], id=100, at=1))
        second = studio.event("ANNOTATION_UPDATED", studio.annotate(task, [box(20)], id=100, at=2, lead_time=20.0))
        for body in (second, first):
            tell(joined, body)
        settled(joined)
        assert labels(joined)[0].boxes[0].xyxy[0] == 24
        corrections = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert sum(one["seconds"] for one in corrections) == 20

    def test_a_change_is_of_whoever_made_it_and_a_star_is_none(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        made = studio.annotate(task, [box(10)], id=100, at=1, updated_by=7)
        changed = studio.annotate(task, [box(20)], id=100, at=2, lead_time=20.0, updated_by=8)
        starred = changed | {"updated_at": "2026-01-01T10:00:03.5Z", "updated_by": 9, "ground_truth": True}
        looked_at = starred | {"updated_at": "2026-01-01T10:00:04.5Z", "lead_time": 23.0}
        for one in (made, changed, starred, looked_at, starred, changed, made):
            tell(joined, studio.event("ANNOTATION_UPDATED", one))
        settled(joined)
        item = joined.loop.store.studio.item_of("detection", 1) or ""
        assert [(one["annotator"], one["seconds"]) for one in given(joined, item)] == [
            ("label-studio:7", 12.5), ("label-studio:8", 7.5), ("label-studio:9", 3),
        ]  # fmt: skip
        task["annotations"] = [looked_at]
        assert studio.reconciled(joined.deployment.corrections).new == 0
        assert len(given(joined, item)) == 3

    def test_what_was_changed_before_it_was_seen_is_of_who_made_it(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        changed = studio.annotate(task, [box(20)], id=100, updated_by=8)
        assert studio.reconciled(joined.deployment.corrections).new == 1
        tell(joined, studio.event("ANNOTATION_UPDATED", changed))
        settled(joined)
        (one,) = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert one["annotator"] == "label-studio:7"

    def test_regions_of_another_projects_controls_are_no_empty_label(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        relation = {"type": "relation", "from_id": "a", "to_id": "b"}
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box() | {"from_name": "bbox"}])))
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box(), relation])))
        settled(joined)
        assert [len(label.boxes) for label in labels(joined)] == [1]
        (why,) = joined.loop.store.inbox.failures("label-studio")
        assert why == "annotation: expected regions of the project's controls, label, got some of bbox"

    def test_who_does_not_see_the_control_gives_no_label(self, joined: Served, studio: FakeStudio) -> None:
        usable = """<View><Choices name="usable" toName="image"><Choice value="yes"/><Choice value="no"/></Choices>
            <View visibleWhen="choice-selected" whenTagName="usable" whenChoiceValue="yes">"""
        studio.project["label_config"] = RECTANGLES.replace("<View>", usable) + "</View>"
        task = studio.add_task("a.png", picture())
        yes, no = ({"from_name": "usable", "type": "choices", "value": {"choices": [one]}} for one in ("yes", "no"))
        made = studio.annotate(task, [yes])
        assert studio.reconciled(joined.deployment.corrections) == Reconciled(new=1)
        assert [label.boxes for label in labels(joined)] == [()]
        studio.annotate(task, [no, box()], id=made["id"], at=5)  # the editor saves what the model drew
        assert studio.reconciled(joined.deployment.corrections) == Reconciled(known=1)
        assert labels(joined) == []

    def test_a_deleted_annotation_counts_no_longer_even_if_it_comes_late(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        task = studio.add_task("a.png", picture())
        kept, deleted, late = (studio.annotate(task, [box(x)], at=x) for x in (10, 20, 30))
        for one in (kept, deleted):
            tell(joined, studio.event("ANNOTATION_CREATED", one))
        tell(joined, {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": deleted["id"]}, {"id": late["id"]}]})
        tell(joined, studio.event("ANNOTATION_CREATED", late))
        settled(joined)
        assert labels(joined)[0].boxes[0].xyxy[0] == 12
        tell(joined, {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": kept["id"]}]})
        settled(joined)
        assert labels(joined) == []
        history = joined.loop.history(joined.loop.store.studio.item_of("detection", 1) or "")
        assert history["tasks"][0]["state"] in ("registered", "preannotated")
        assert len(history["corrections"]) == 2

    def test_a_skipped_task_gives_nothing_and_takes_back_what_was_given(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        task = studio.add_task("a.png", picture())
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box()], id=100, at=1)))
        skipped = studio.annotate(task, [], id=100, at=2, was_cancelled=True)
        tell(joined, studio.event("ANNOTATION_UPDATED", skipped))
        settled(joined)
        assert labels(joined) == []

    def test_bulk_conversion_names_its_prediction_by_number_alone(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        task["predictions"].append({"id": 3, "model_version": joined.version})
        one = studio.annotate(task, [box()], prediction={}, parent_prediction=3)
        about = {"id": task["id"], "data": task["data"]}
        tell(joined, {"action": "ANNOTATIONS_CREATED", "annotation": [one], "task": [about], "project": studio.project})
        settled(joined)
        (correction,) = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert correction["model_version"] == joined.version

    def test_copies_of_predictions_are_nobodys_word_until_somebody_saves_them(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        copy, other = studio.add_task("a.png", picture()), studio.add_task("b.png", picture(1))
        for number, task in enumerate((copy, other), 3):
            task["predictions"].append({"id": number, "model_version": joined.version, "result": [box()]})
        made = [
            studio.annotate(copy, [box()], lead_time=None, prediction={}, parent_prediction=3),
            studio.annotate(other, [box(20)], lead_time=None, prediction={}, parent_prediction=4),
        ]
        tell(joined, {"action": "ANNOTATIONS_CREATED", "annotations": made, "project": studio.project})
        settled(joined)
        assert studio.reconciled(joined.deployment.corrections) == Reconciled(0, 2)
        assert [label.boxes[0].xyxy[0] for label in labels(joined)] == [24]
        made[0]["parent_prediction"] = copy["predictions"].clear()  # "Delete predictions" takes it away there, too
        assert studio.reconciled(joined.deployment.corrections) == Reconciled(0, 2)
        saved = made[0] | {"lead_time": 3.0, "updated_at": "2026-01-01T10:00:09.5Z"}
        tell(joined, studio.event("ANNOTATION_UPDATED", saved))
        settled(joined)
        assert sorted(label.boxes[0].xyxy[0] for label in labels(joined)) == [12, 24]

    def test_a_copy_that_is_first_seen_when_its_prediction_is_gone_is_nobodys_word(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        copied, imported = studio.add_task("a.png", picture()), studio.add_task("b.png", picture(1))
        drawn = predict(joined, copied, imported)[0]["result"]
        studio.annotate(copied, drawn, lead_time=None, parent_prediction=None)
        value = {**drawn[0]["value"], "x": 40}
        studio.annotate(imported, [{**drawn[0], "value": value}], lead_time=None, parent_prediction=None)
        assert studio.reconciled(joined.deployment.corrections) == Reconciled(1, 1)
        assert [label.boxes[0].xyxy[0] for label in labels(joined)] == [48]

    def test_a_burst_of_a_thousand_loses_none_shuffled_and_repeated(self, joined: Served, studio: FakeStudio) -> None:
        task = studio.add_task("a.png", picture())
        given_by = [studio.annotate(task, [box()], id=1000 + i, completed_by=i, lead_time=1.0) for i in range(800)]
        events = [studio.event("ANNOTATION_CREATED", one) for one in given_by]
        events += random.Random(0).sample(events, 200)
        random.Random(1).shuffle(events)
        for body in events:
            tell(joined, body)
        eventually(lambda: joined.loop.store.inbox.counts("label-studio")[0] == 0, within_s=120)
        corrections = given(joined, joined.loop.store.studio.item_of("detection", 1) or "")
        assert joined.loop.store.inbox.counts("label-studio") == (0, 0)
        assert len(joined.loop.store.studio.annotations("detection", 1)) == 800
        assert sum(one["seconds"] for one in corrections) == 800

    def test_what_cannot_be_had_now_is_tried_again_and_what_never_can_is_kept(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        studio.answers = False
        task = studio.add_task("a.png", picture())
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box()])))
        wrong = studio.annotate(task, [box() | {"value": {"rectanglelabels": ["cow"]}}])
        eventually(lambda: joined.loop.store.inbox.due("label-studio", utc_now(), 9) == [])
        assert joined.loop.store.inbox.counts("label-studio") == (1, 0)
        studio.answers = True
        tell(joined, studio.event("ANNOTATION_CREATED", wrong))
        tell(joined, {"action": "ANNOTATION_CREATED", "annotation": {"nonsense": 1}})
        settled(joined)
        assert joined.loop.store.inbox.counts("label-studio") == (0, 2)
        assert len(labels(joined)) == 1

    def test_what_does_not_concern_corrections_is_acknowledged(self, joined: Served) -> None:
        for action in ("TASKS_DELETED", "SOMETHING_NEW"):
            answer = joined.client.post(f"{HERE}/webhook", json={"action": action})
            assert answer.json() == {"status": "ignored"}
        assert joined.client.post(f"{HERE}/webhook", content=b"no json").status_code == 422
        assert joined.loop.store.inbox.counts("label-studio") == (0, 0)

    def test_a_look_finds_what_was_missed_and_another_one_changes_nothing(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        tasks = [studio.add_task(f"{i}.png", picture(i)) for i in range(3)]
        tasks[0]["predictions"].append({"id": 3, "model_version": joined.version, "result": []})
        first = [studio.annotate(task, [box()], prediction={}, parent_prediction=3) for task in tasks]
        corrections = joined.deployment.corrections
        assert studio.reconciled(corrections) == Reconciled(new=3)
        assert studio.shown == 3
        assert studio.reconciled(corrections) == Reconciled(known=3)
        assert studio.shown == 3  # what is known is not asked for again
        tasks[0]["annotations"].clear()
        studio.annotate(tasks[1], [box(20)], id=first[1]["id"], at=9)
        studio.tasks.remove(tasks[2])  # a task that is gone takes no label with it
        assert studio.reconciled(corrections) == Reconciled(new=1, withdrawn=1)
        assert studio.reconciled(corrections) == Reconciled(known=1)
        assert sorted(label.boxes[0].xyxy[0] for label in labels(joined)) == [12, 24]


class TestGold:
    """What people say there of an item that was chosen as gold, and whose label somebody else gave, measures them."""

    TRUTH = Boxes(120, 90, (Box((10, 10, 50, 50), "car"),))

    def known(self, served: Served, studio: FakeStudio) -> dict[str, Any]:
        task = studio.add_task("a.png", picture())
        predict(served, task)
        served.loop.gold.know("detection", item_of(served), self.TRUTH, "tester")
        return task

    def test_an_answer_is_measured_and_changes_no_label(self, joined: Served, studio: FakeStudio) -> None:
        task = self.known(joined, studio)
        first = studio.annotate(task, [box(60)], id=100, at=1)
        changed = studio.annotate(task, [box(61)], id=100, at=2, lead_time=20.0)
        for one in (first, changed, first):
            tell(joined, studio.event("ANNOTATION_CREATED", one))
        settled(joined)
        right = studio.annotate(task, [right_box()], completed_by=8)
        for _ in range(2):  # the second look changes nothing
            studio.reconciled(joined.deployment.corrections)
            assert labels(joined) == [self.TRUTH]
            assert list(joined.loop.labelled.training_data("detection")) == []
            told = joined.loop.labelled.planted("detection")
            assert told == {"handed_out": 2, "answered": 2, "right": 1, "human_seconds": 32.5}
            seven, eight = joined.loop.labelled.annotators("detection")
            assert (seven.annotator, seven.gold.right, seven.gold.of) == ("label-studio:7", 0, 1)
            assert seven.gold_speed is not None
            assert seven.gold_speed.median == 20
            assert (eight.annotator, eight.gold.right, eight.gold.of) == ("label-studio:8", 1, 1)
        tell(joined, {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": right["id"]}]})
        settled(joined)
        assert joined.loop.labelled.planted("detection")["answered"] == 1
        assert labels(joined) == [self.TRUTH]

    def test_the_first_label_of_a_chosen_item_is_one_and_whose_it_is_may_change_it(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        task = studio.add_task("a.png", picture())
        predict(joined, task)
        joined.loop.gold.choose("detection", [item_of(joined)], "tester")
        first = studio.annotate(task, [box(10)], id=100, at=1)
        tell(joined, studio.event("ANNOTATION_CREATED", first))
        tell(joined, studio.event("ANNOTATION_UPDATED", studio.annotate(task, [box(20)], id=100, at=2)))
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, [box(50)], completed_by=8, at=3)))
        settled(joined)
        assert labels(joined)[0].boxes[0].xyxy[0] == 24
        assert [one["planted"] for one in given(joined, item_of(joined))] == [False, False, True]


def item_of(served: Served, task: int = 1) -> str:
    return served.loop.store.studio.item_of("detection", task) or ""


def right_box() -> dict[str, Any]:
    """Where the known label has it."""
    exactly = {"x": 100 / 12, "y": 100 / 9, "width": 100 / 3, "height": 400 / 9}
    return box() | {"value": box()["value"] | exactly}
