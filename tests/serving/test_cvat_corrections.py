"""Completed jobs of CVAT become corrections: signed, kept first, in any order, and nothing that people said is lost."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cvat_cli.__main__ import main
from typer.testing import CliRunner

from models.records import Boxes, Label, Lanes
from serving import cvat_function
from serving.cli import app
from serving.cvat.client import Client, working_seconds
from serving.loop import utc_now
from serving.media_files import content_id
from serving.settings import environment
from serving.tokens import make_token
from tests.serving.fake_cvat import TOKEN, FakeCvat, running
from tests.serving.served import Served, eventually, listening, picture, serving

SECRET = "between the two"
CAR = (10, 10, 50, 50)  # where the tiny detector sees one


@pytest.fixture
def cvat() -> Iterator[FakeCvat]:
    """A CVAT whose job has three pictures."""
    made = FakeCvat({f"{shade}.png": picture(shade) for shade in (1, 2, 3)})
    with running(made):
        yield made


@pytest.fixture
def joined(tmp_path: Path, cvat: FakeCvat) -> Iterator[Served]:
    """A deployment that works with that CVAT."""
    with serving(tmp_path, cvat_url=cvat.url, cvat_token=TOKEN, cvat_webhook_secret=SECRET) as running:
        yield running


def preannotate(served: Served, cvat: FakeCvat) -> None:
    """As CVAT does with a serverless function."""
    for frame, data in enumerate(cvat.frames.values()):
        body = {"image": base64.b64encode(data).decode()}
        for shape in served.client.post("/cvat/detection", json=body).json():
            cvat.draw(frame, shape["label"], shape["points"], shape["type"], source="auto")


def tell(served: Served, event: dict[str, Any], secret: str = SECRET) -> Any:
    data = json.dumps(event).encode()
    signature = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return served.client.post("/cvat/webhook", content=data, headers={"X-Signature-256": signature})


def complete(served: Served, cvat: FakeCvat, minutes: int = 30) -> None:
    """The job is completed, and taken over."""
    assert tell(served, cvat.complete(minutes)).json() == {"status": "stored"}
    eventually(lambda: served.loop.store.inbox.counts("cvat")[0] == 0)


def labels(served: Served, task: Any = "detection") -> list[Label]:
    """The labels that count, by frame."""
    found = {item.id: label for item, label in served.loop.store.queue.corrected(task)}
    return [found[key] for shade in (1, 2, 3) if (key := content_id(picture(shade))) in found]


def corrections(served: Served, shade: int) -> list[dict[str, Any]]:
    return list(served.loop.history(content_id(picture(shade)))["corrections"])


def boxes(served: Served) -> list[list[tuple[float, ...]]]:
    return [[box.xyxy for box in label.boxes] for label in labels(served) if isinstance(label, Boxes)]


class TestWebhook:
    def test_only_what_is_signed_with_the_secret_passes(self, joined: Served, cvat: FakeCvat) -> None:
        event = cvat.complete()
        for secret in ("another", ""):
            assert tell(joined, event, secret).status_code == 401
        assert joined.client.post("/cvat/webhook", json=event).status_code == 401
        assert joined.loop.store.inbox.counts("cvat") == (0, 0)
        assert tell(joined, event).json() == {"status": "stored"}

    def test_without_a_secret_nothing_passes(self, served: Served, cvat: FakeCvat) -> None:
        answer = tell(served, cvat.complete(), "")
        assert answer.status_code == 401
        assert "expected PRELABEL_CVAT_WEBHOOK_SECRET to be set" in answer.json()["error"]["message"]

    def test_what_does_not_concern_corrections_is_acknowledged(self, joined: Served, cvat: FakeCvat) -> None:
        for event in ({"event": "ping"}, {"event": "update:task", "task": {}},
                      {"event": "update:job", "job": cvat.job()}):  # fmt: skip
            assert tell(joined, event).json() == {"status": "ignored"}
        assert tell(joined, {"job": {}}).status_code == 422

    def test_it_passes_where_tokens_guard_everything_else(self, joined: Served, cvat: FakeCvat) -> None:
        make_token(joined.loop.store, "ada", ("correct",), "tester", utc_now())
        assert joined.client.get("/v1/models").status_code == 401
        assert tell(joined, cvat.complete()).json() == {"status": "stored"}


class TestCorrections:
    def test_what_a_person_left_moved_and_took_away_comes_back(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        cvat.shapes[1]["points"] = [20, 10, 60, 50]
        del cvat.shapes[2]
        complete(joined, cvat)
        assert boxes(joined) == [[CAR], [(20, 10, 60, 50)], []]
        (one,) = corrections(joined, 2)
        assert (one["annotator"], one["tool"], one["seconds"]) == ("cvat:ada", "cvat", 0)
        assert one["model_version"] == joined.version
        assert one["created_at"].startswith("2026-01-01T10:30")
        report = joined.client.get("/v1/report").json()["tasks"]["detection"]
        assert (report["corrections"], report["corrections_without_seconds"], report["human_seconds"]) == (3, 3, 0)

    def test_frames_that_the_command_line_handed_over_as_pixels_are_found_again(
        self, joined: Served, cvat: FakeCvat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("CVAT_ACCESS_TOKEN", "personal.token")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        host, _, port = cvat.url.rpartition(":")
        with listening(joined) as url:
            assert main(["--server-host", host, "--server-port", port, "task", "auto-annotate", "7", "--function-file",
                         cvat_function.__file__, "-p", f"url=str:{url}", "-p", "task=str:detection"]) == 0  # fmt: skip
        complete(joined, cvat)
        found = list(joined.loop.store.queue.corrected("detection"))
        assert len(found) == 3
        for item, _ in found:
            assert item.uri.startswith("posted:")
            assert joined.loop.history(item.id)["corrections"][0]["model_version"] == joined.version

    def test_frames_that_prelabel_never_saw_are_registered_with_the_way_to_them(
        self, joined: Served, cvat: FakeCvat
    ) -> None:
        cvat.draw(0, "car", CAR)
        complete(joined, cvat)
        assert boxes(joined) == [[CAR], [], []]
        assert corrections(joined, 1)[0]["model_version"] is None
        item = joined.loop.item(content_id(picture(2)))
        assert item.uri == f"{cvat.url}/tasks/7/jobs/9?frame=1"

    @pytest.mark.parametrize(("mode", "group"), [("interpolation", "cvat task 7"), ("annotation", None)])
    def test_the_frames_of_a_video_are_one_group_also_those_that_were_seen_before(
        self, joined: Served, cvat: FakeCvat, mode: str, group: str | None
    ) -> None:
        body = {"image": base64.b64encode(picture(1)).decode()}
        joined.client.post("/cvat/detection", json=body)
        joined.client.post("/cvat/detection", json={"image": base64.b64encode(picture(2)).decode(), "group": "mine"})
        assert joined.loop.item(content_id(picture(1))).group is None
        cvat.mode = mode
        cvat.draw(0, "car", CAR)
        complete(joined, cvat)
        assert [joined.loop.item(content_id(picture(shade))).group for shade in (1, 2, 3)] == [group, "mine", group]

    def test_the_same_said_twice_counts_once_and_a_change_by_itself(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        complete(joined, cvat, 30)
        complete(joined, cvat, 31)
        assert [len(corrections(joined, shade)) for shade in (1, 2, 3)] == [1, 1, 1]
        cvat.shapes[0]["points"] = [0, 0, 40, 40]
        complete(joined, cvat, 32)
        assert [len(corrections(joined, shade)) for shade in (1, 2, 3)] == [2, 1, 1]
        assert boxes(joined)[0] == [(0, 0, 40, 40)]
        cvat.assignee = "bob"  # who looks again and agrees says it as well
        complete(joined, cvat, 33)
        assert [len(corrections(joined, shade)) for shade in (1, 2, 3)] == [3, 2, 2]

    def test_a_job_that_was_opened_again_meanwhile_says_nothing_yet(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        event = cvat.complete()
        cvat.state = "in progress"
        tell(joined, event)
        eventually(lambda: joined.loop.store.inbox.counts("cvat") == (0, 0))
        assert labels(joined) == []

    def test_working_time_is_shared_evenly_and_never_counted_twice(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        cvat.working_ms = {"ada": [20_000, 10_000], "bob": [99_000]}
        complete(joined, cvat, 30)
        assert [one["seconds"] for shade in (1, 2, 3) for one in corrections(joined, shade)] == [10, 10, 10]
        cvat.working_ms["ada"].append(7_000)
        cvat.shapes[0]["points"] = [0, 0, 40, 40]
        complete(joined, cvat, 31)
        assert [one["seconds"] for one in corrections(joined, 1)] == [10, 7]

    def test_a_job_of_an_organization_is_asked_for_there(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.organization, cvat.working_ms = 5, {"ada": [30_000]}
        cvat.draw(0, "car", CAR)
        complete(joined, cvat)
        assert [one["seconds"] for shade in (1, 2, 3) for one in corrections(joined, shade)] == [10, 10, 10]

    def test_time_of_nobodys_job_is_everybodys(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.assignee, cvat.working_ms = None, {"ada": [20_000], "bob": [10_000]}
        cvat.draw(0, "car", CAR)
        complete(joined, cvat)
        (one,) = corrections(joined, 1)
        assert (one["annotator"], one["seconds"]) == ("cvat:unknown", 10)

    def test_boxes_and_lanes_of_one_job_are_labels_of_two_tasks(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.labels = [("car", "any"), ("Strip", "polyline"), ("tree", "polygon")]
        cvat.draw(0, "car", CAR)
        cvat.draw(1, "Strip", (1, 2, 3, 80), "polyline")
        cvat.draw(1, "tree", (1, 2, 3, 4, 5, 9), "polygon")  # the project's own
        complete(joined, cvat)
        assert boxes(joined) == [[CAR], [], []]
        lanes = [[lane.points for lane in label.lanes] for label in labels(joined, "lane") if isinstance(label, Lanes)]
        assert lanes == [[], [((1, 2), (3, 80))], []]

    def test_a_job_that_does_not_speak_of_a_task_gives_it_no_empty_labels(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.labels = [("car", "rectangle"), ("lane", "polyline")]
        cvat.draw(0, "lane", (1, 2, 3, 80), "polyline")
        complete(joined, cvat)
        assert (len(labels(joined, "lane")), labels(joined)) == (3, [])

    def test_deleted_frames_are_left_out(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        cvat.deleted_frames = [1]
        complete(joined, cvat)
        assert len(labels(joined)) == 2

    def test_tracks_are_boxes_on_each_frame(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.track(0, "car", {0: (0, 0, 10, 10), 2: (20, 0, 40, 10)})
        cvat.track(0, "car", {0: (50, 50, 60, 60), 1: None})
        complete(joined, cvat)
        assert boxes(joined) == [[(0, 0, 10, 10), (50, 50, 60, 60)], [(10, 0, 25, 10)], [(20, 0, 40, 10)]]

    def test_tracks_go_on_as_if_deleted_frames_had_never_been(self, joined: Served, cvat: FakeCvat) -> None:
        cvat.track(0, "car", {0: (0, 0, 10, 10), 1: (70, 70, 80, 80), 2: (20, 0, 40, 10)})
        cvat.track(0, "car", {0: (50, 50, 60, 60), 1: None})
        cvat.deleted_frames = [1]
        complete(joined, cvat)
        assert boxes(joined) == [[(0, 0, 10, 10), (50, 50, 60, 60)], [(20, 0, 40, 10), (50, 50, 60, 60)]]

    @pytest.mark.parametrize(
        ("label", "kind", "says"),
        [
            ("car", "mask", r"job 9, frame 1: annotations: expected a rectangle for label 'car', got a mask"),
            ("tram", "rectangle", "expected labels of the model, car, or aliases in PRELABEL_CVAT_LABELS, got tram"),
        ],
    )
    def test_what_is_not_understood_is_kept_with_the_reason(
        self, joined: Served, cvat: FakeCvat, label: str, kind: str, says: str
    ) -> None:
        cvat.labels = [("car", "any"), ("tram", "rectangle")]
        preannotate(joined, cvat)
        cvat.draw(1, label, (1, 2, 30, 40), kind)
        complete(joined, cvat)
        assert joined.loop.store.inbox.counts("cvat") == (0, 1)
        assert says in joined.loop.store.inbox.failures("cvat")[0]
        assert labels(joined) == []

    def test_what_cannot_be_had_now_is_tried_again(self, joined: Served, cvat: FakeCvat) -> None:
        preannotate(joined, cvat)
        cvat.answers = False
        tell(joined, cvat.complete())
        eventually(lambda: joined.loop.store.inbox.due("cvat", utc_now(), 9) == [])
        assert joined.loop.store.inbox.counts("cvat") == (1, 0)
        cvat.answers = True
        eventually(lambda: joined.loop.store.inbox.counts("cvat") == (0, 0))
        assert len(labels(joined)) == 3

    def test_aliases_lead_back_to_the_models_names(self, tmp_path: Path, cvat: FakeCvat) -> None:
        cvat.labels = [("Auto", "rectangle")]
        values: dict[str, Any] = {"cvat_url": cvat.url, "cvat_token": TOKEN, "cvat_webhook_secret": SECRET}
        with serving(tmp_path, cvat_labels={"Auto": "car"}, **values) as served:
            preannotate(served, cvat)
            complete(served, cvat)
            assert [box.category for label in labels(served) for box in label.boxes] == ["car"] * 3  # type: ignore[union-attr]


def test_the_command_takes_over_what_no_webhook_told_of(
    joined: Served, cvat: FakeCvat, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(joined.deployment.settings).items():
        monkeypatch.setenv(name, value)
    cvat.draw(0, "car", CAR)
    open_still = CliRunner().invoke(app, ["cvat", "sync", "--job", "9"])
    assert (open_still.exit_code, labels(joined)) == (0, [])
    cvat.complete()
    for new in (3, 0):
        told = CliRunner().invoke(app, ["cvat", "sync", "--job", "9"])
        assert f"job 9: {new} new corrections" in told.output
        assert "events: 0 wait, 0 could not be worked on" in told.output
    cvat.draw(1, "car", CAR, "mask")
    told = CliRunner().invoke(app, ["cvat", "sync", "--job", "9", "--job", "8"])
    assert told.exit_code == 1
    assert "failed: job 9, frame 1: annotations: expected a rectangle for label 'car', got a mask" in told.output
    assert f"failed: {cvat.url}/api/jobs/8: expected to find it" in told.output


def test_what_is_said_of_gold_measures_and_is_no_label(joined: Served, cvat: FakeCvat) -> None:
    """Whose label somebody else gave."""
    preannotate(joined, cvat)
    truth = Boxes(120, 90, ())
    joined.loop.gold.know("detection", content_id(picture(2)), truth, "tester")
    complete(joined, cvat)
    assert boxes(joined) == [[CAR], [], [CAR]]
    planted = joined.loop.labelled.planted("detection")
    assert (planted["handed_out"], planted["answered"], planted["right"]) == (1, 1, 0)
    complete(joined, cvat, minutes=40)  # again, and nothing was changed
    assert len(corrections(joined, 2)) == 2


class TestClient:
    def test_a_legacy_key_and_a_personal_token_are_told_apart(self, cvat: FakeCvat) -> None:
        for token in (TOKEN, "personal.token"):
            assert Client(cvat.url, token).job(9)["id"] == 9

    def test_working_seconds_are_those_of_each_persons_events_alone(self) -> None:
        table = "scope,duration,user_name\nsend:working_time,1500,ada\nzoom:image,9,ada\nsend:working_time,500,ada\n"
        assert working_seconds(table + "send:working_time,,bob\n") == {"ada": 2.0, "bob": 0.0}
