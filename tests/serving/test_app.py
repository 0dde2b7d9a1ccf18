"""Every route gives the answers that the API promises, in their shapes."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.recordings import medium
from models.records import Task
from models.tasks import Runtime
from serving.errors import StoreAway
from serving.media_files import content_id
from serving.registration import MOST_LINES
from tests.serving.served import Served, eventually, picture, sound
from tests.serving.work import version_folder

ROOT = Path(__file__).parents[2]


def annotate(served: Served, task: Task = "detection", data: bytes | None = None) -> Any:
    """The answer on a posted medium."""
    data = data or (sound() if task == "asr" else picture())
    answer = served.client.post(f"/v1/{task}/annotate", content=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def error_of(answer: Any, status: int) -> tuple[str, str]:
    """Code and message of a failure, which has the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message"]
    return body["error"]["code"], body["error"]["message"]


class TestAnnotate:
    def test_a_picture_gets_boxes_doubt_and_a_route(self, served: Served) -> None:
        answer = annotate(served)
        assert list(answer) == ["item_id", "task", "model_version", "label", "uncertainty", "route"]
        (box,) = answer["label"].pop("boxes")
        assert answer["label"] == {"width": 120, "height": 90}
        assert box == {"xyxy": [10, 10, 50, 50], "category": "car", "confidence": pytest.approx(0.9)}
        assert list(answer["uncertainty"]) == ["p_error", "seconds", "score"]
        assert answer["route"]["decision"] in ("review", "annotate", "calibrate")
        assert (
            "nothing is accepted unseen yet" in answer["route"]["reason"] or answer["route"]["decision"] == "calibrate"
        )
        assert answer["task"] == "detection"
        assert answer["model_version"] == served.version

    def test_a_road_gets_lanes_and_a_sound_gets_words(self, served: Served) -> None:
        (lane,) = annotate(served, "lane")["label"]["lanes"]
        assert list(lane) == ["points", "std_px", "confidence"]
        assert len(lane["points"]) == len(lane["std_px"]) > 1
        label = annotate(served, "asr")["label"]
        assert label["text"] == "yes"
        assert list(label["words"][0]) == ["text", "start_s", "end_s", "confidence"]

    def test_the_same_bytes_are_asked_about_once(self, served: Served) -> None:
        first = annotate(served)
        assert annotate(served) == first
        assert 'prelabel_predictions_total{task="detection"' in served.client.get("/metrics").text
        assert re.search(r'prelabel_predictions_total\{task="detection".*\} 1\.0', served.client.get("/metrics").text)

    def test_many_files_get_a_list_in_their_order_and_a_bad_one_its_error(self, served: Served) -> None:
        files = [("a.png", picture(1)), ("broken.png", picture(2)[:60]), ("b.png", picture(3))]
        answer = served.client.post("/v1/detection/annotate", files=[("file", file) for file in files])
        assert answer.status_code == 200
        first, broken, last = answer.json()
        assert first["item_id"] == annotate(served, data=picture(1))["item_id"]
        assert last["item_id"] == annotate(served, data=picture(3))["item_id"]
        assert broken["name"] == "broken.png"
        assert broken["error"]["code"] == "unreadable_media"
        assert "broken.png" in broken["error"]["message"]

    def test_one_file_is_a_list_of_one(self, served: Served) -> None:
        answer = served.client.post("/v1/asr/annotate", files={"any": ("a.wav", sound())})
        assert [one["label"]["text"] for one in answer.json()] == ["yes"]

    def test_where_no_file_can_be_read_the_request_fails(self, served: Served) -> None:
        answer = served.client.post(
            "/v1/detection/annotate", files=[("file", ("x.png", b"x")), ("file", ("y.png", b""))]
        )
        assert error_of(answer, 422)[0] == "unreadable_media"

    def test_fields_that_are_no_files_are_refused(self, served: Served) -> None:
        answer = served.client.post("/v1/detection/annotate", data={"file": "http://example.org/"}, files={"a": b"x"})
        assert error_of(answer, 422)[0] == "invalid_input"

    def test_a_uri_is_read_where_it_is_allowed(self, served: Served, tmp_path: Path) -> None:
        (tmp_path / "media").mkdir()
        (tmp_path / "media" / "a.png").write_bytes(picture(7))
        answer = served.client.post("/v1/detection/annotate", json={"uri": f"{tmp_path}/media/a.png"})
        assert answer.status_code == 200
        assert not (tmp_path / "data" / "media").exists()  # a file that stays where it is needs no copy
        assert answer.json()["item_id"] == annotate(served, data=picture(7))["item_id"]
        uri = served.client.get(f"/v1/items/{answer.json()['item_id']}").json()["item"]["uri"]
        assert uri == f"{tmp_path}/media/a.png"
        refused = served.client.post("/v1/detection/annotate", json={"uri": f"{tmp_path}/store.db"})
        assert error_of(refused, 403)[0] == "not_allowed"
        plain = served.client.post("/v1/detection/annotate", content=b'{"uri": "http://127.0.0.1/"}')
        assert error_of(plain, 403)[0] == "not_allowed"
        for body in ({"uri": ""}, {"url": "a"}, {}, {"uri": 1}):
            assert error_of(served.client.post("/v1/detection/annotate", json=body), 422)[0] == "invalid_input"

    def test_what_is_no_picture_is_named(self, served: Served) -> None:
        for data in (b"", b"text", picture()[:50], sound()):
            code, message = error_of(served.client.post("/v1/detection/annotate", content=data), 422)
            assert code == "unreadable_media"
            assert message.startswith("body: expected")

    def test_an_unknown_task_is_not_found(self, served: Served) -> None:
        answer = served.client.post("/v1/nothing/annotate", content=picture())
        assert error_of(answer, 404) == ("not_found", "task: expected one of asr, detection, lane, got 'nothing'")


class TestItems:
    def test_lines_are_registered_once_and_failures_told(self, served: Served, tmp_path: Path) -> None:
        folder = tmp_path / "media"
        folder.mkdir()
        for name, shade in (("a", 1), ("copy of a", 1), ("b", 2)):
            (folder / name).write_bytes(picture(shade))
        names = ("a", "copy of a", "b", "none")
        lines = [{"uri": f"{folder}/{name}", "task": "lane", "group": "clip"} for name in names]
        body = "\n\n".join(map(json.dumps, lines)) + "\n"
        answer = served.client.post("/v1/items", content=body)
        assert answer.status_code == 200
        told = answer.json()
        assert (told["new"], told["known"], told["failed"]) == (2, 1, 1)
        (failure,) = told["failures"]
        assert (failure["line"], failure["uri"]) == (7, f"{folder}/none")
        assert failure["error"]["code"] == "not_found"
        again = served.client.post("/v1/items", content=body).json()
        assert (again["new"], again["known"], again["failed"]) == (0, 3, 1)

    def test_a_broken_line_is_named_and_nothing_registered(self, served: Served, tmp_path: Path) -> None:
        (tmp_path / "media").mkdir()
        (tmp_path / "media" / "a").write_bytes(picture())
        good = json.dumps({"uri": f"{tmp_path}/media/a", "task": "lane"})
        for line, says in (
            ('{"uri": "/a", "task": "nothing"}', "line 2: task"),
            ('{"task": "asr"}', "line 2: uri"),
            ('{"uri": "/a", "task": "asr", "label": 1}', "line 2: label"),
            ("[]", "line 2: "),
            ('{"uri": "/a\\u0000", "task": "asr"}', "line 2: uri"),
            ('{"uri": "/a", "task": "asr", "due": "9999-12-31T23:59:59-14:00"}', "line 2: due"),
            ('{"uri": "/a", "task": "asr", "due": "20261201"}', "line 2: due: expected a time such as"),
        ):
            code, message = error_of(served.client.post("/v1/items", content=f"{good}\n{line}"), 422)
            assert (code, message[: len(says)]) == ("invalid_input", says)
        assert served.client.get("/v1/report").json()["tasks"]["lane"]["items"] == {}

    def test_of_too_many_lines_the_rest_is_not_looked_at(self, served: Served) -> None:
        lines = [json.dumps({"uri": "/a.png", "task": "detection"})] * MOST_LINES
        answer = served.client.post("/v1/items", content="\n".join([*lines, "no JSON"]))
        assert error_of(answer, 413)[0] == "too_large"

    def test_a_json_list_says_the_same_as_lines(self, served: Served, tmp_path: Path) -> None:
        (tmp_path / "media").mkdir()
        (tmp_path / "media" / "a").write_bytes(picture())
        entries = [{"uri": f"{tmp_path}/media/{name}", "task": "lane", "group": "clip"} for name in ("none", "a")]
        told = served.client.post("/v1/items", json=entries).json()
        assert (told["new"], told["known"], [failed["line"] for failed in told["failures"]]) == (1, 0, [1])
        answer = served.client.post("/v1/items", json=[entries[0], {"uri": "/a", "task": "nothing"}])
        code, message = error_of(answer, 422)
        assert (code, message[:12]) == ("invalid_input", "line 2: task")
        for broken in (b' [{"uri": ', b"[" * 100_000):
            assert error_of(served.client.post("/v1/items", content=broken), 422)[1].startswith("body: expected")

    def test_stretches_of_recordings_are_items_as_from_the_command_line(self, served: Served, tmp_path: Path) -> None:
        (tmp_path / "media").mkdir()
        (tmp_path / "media" / "talk.wav").write_bytes(sound())
        (tmp_path / "secret.wav").write_bytes(sound())
        talk = f"{tmp_path}/media/talk.wav"
        uris = [
            f"{talk}#t=0.1,0.3",
            f"file://{talk}#t=0.1,0.3",
            f"{talk}#t=0.2",
            f"{talk}#t=900",
            f"{tmp_path}/secret.wav#t=0",
        ]
        told = served.client.post("/v1/items", json=[{"uri": uri, "task": "asr", "group": "g"} for uri in uris]).json()
        assert (told["new"], told["known"], told["failed"]) == (2, 1, 2)
        failed = [(one["line"], one["error"]["code"]) for one in told["failures"]]
        assert failed == [(4, "unreadable_media"), (5, "not_allowed")]
        answer = served.client.post("/v1/asr/annotate", json={"uri": uris[0]}).json()
        assert answer["item_id"] == content_id(medium(uris[0]))
        assert served.client.get(f"/v1/items/{answer['item_id']}/media").content == medium(uris[0])
        item = served.client.get(f"/v1/items/{answer['item_id']}").json()["item"]
        assert (item["uri"], item["group"]) == (uris[0], "g")

    def test_an_empty_body_is_a_mistake(self, served: Served) -> None:
        for body in (b"\n", b"[]"):
            assert error_of(served.client.post("/v1/items", content=body), 422)[0] == "invalid_input"

    def test_the_history_tells_what_happened(self, served: Served) -> None:
        answer = annotate(served)
        told = served.client.get(f"/v1/items/{answer['item_id']}").json()
        assert told["item"]["id"] == answer["item_id"]
        (said,) = told["preannotations"]
        assert said["version"] == answer["model_version"]
        assert said["actor"] == "local"
        assert told["corrections"] == told["leases"] == []

    def test_the_medium_comes_back_as_it_was(self, served: Served) -> None:
        answer = served.client.get(f"/v1/items/{annotate(served)['item_id']}/media")
        assert answer.content == picture()
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]

    def test_what_is_not_there_is_not_found(self, served: Served) -> None:
        for path in ("/v1/items/none", "/v1/items/none/media", "/v1/nothing", "/v2", "/docs.json", "/schema.json"):
            assert error_of(served.client.get(path), 404)[0] == "not_found"

    def test_a_route_that_is_not_there_is_told_with_where_to_look(self, served: Served) -> None:
        answer = served.client.get("/v1/nothing")
        assert error_of(answer, 404) == ("not_found", "/v1/nothing: expected a route that /docs describes, got none")

    def test_another_method_is_not_allowed(self, served: Served) -> None:
        expected = "/v1/items: expected a method that /docs describes there, got PUT"
        assert error_of(served.client.put("/v1/items"), 405) == ("method_not_allowed", expected)


class TestQueue:
    def lease(self, served: Served, annotator: str = "ada", limit: int = 1, **more: str) -> Any:
        answer = served.client.get("/v1/queue/detection", params={"annotator": annotator, "limit": limit, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    def body(self, leased: Any, **more: Any) -> dict[str, Any]:
        return {"task": "detection", "label": leased["label"], "annotator": "ada", "seconds": 3.5, **more}

    def send(self, served: Served, leased: Any, body: dict[str, Any]) -> Any:
        return served.client.post(f"/v1/items/{leased['item_id']}/correction", json=body)

    def test_an_item_is_leased_to_one_person(self, served: Served) -> None:
        answer = annotate(served)
        (leased,) = self.lease(served)
        assert {key: leased[key] for key in answer} == answer
        assert leased["lease_id"]
        assert leased["group"] is None
        left = datetime.fromisoformat(leased["expires_at"]) - datetime.now(UTC)
        assert timedelta(seconds=1700) < left <= timedelta(seconds=1800)
        assert self.lease(served, "bob") == []

    def test_a_correction_counts_once_however_often_it_is_sent(self, served: Served) -> None:
        answer = annotate(served)
        (leased,) = self.lease(served)
        body = self.body(leased, lease_id=leased["lease_id"])
        first = self.send(served, leased, body)
        assert first.status_code == 200
        assert first.json() == {"item_id": answer["item_id"], "correction_id": 1, "repeated": False}
        assert self.send(served, leased, body).json()["repeated"]
        (kept,) = served.client.get(f"/v1/items/{answer['item_id']}").json()["corrections"]
        assert (kept["annotator"], kept["seconds"], kept["tool"]) == ("ada", 3.5, "api")
        assert kept["model_version"] == answer["model_version"]
        assert kept["lease_id"] == leased["lease_id"]

    def test_going_back_to_an_earlier_label_is_another_correction(self, served: Served) -> None:
        annotate(served)
        (leased,) = self.lease(served)
        empty = {**leased["label"], "boxes": []}
        for label in (leased["label"], empty, leased["label"]):
            assert not self.send(served, leased, self.body(leased) | {"label": label}).json()["repeated"]
        assert len(served.client.get(f"/v1/items/{leased['item_id']}").json()["corrections"]) == 3

    def test_a_time_that_is_given_tells_corrections_apart(self, served: Served) -> None:
        annotate(served)
        (leased,) = self.lease(served)
        times = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T01:00:01+01:00")
        sent = [self.send(served, leased, self.body(leased, created_at=time)).json()["repeated"] for time in times]
        assert sent == [False, False, True]

    def test_a_stale_lease_is_told_so(self, served: Served) -> None:
        annotate(served)
        (leased,) = self.lease(served)
        assert self.send(served, leased, self.body(leased, annotator="bob")).status_code == 200
        stale = self.send(served, leased, self.body(leased, lease_id=leased["lease_id"], seconds=9, tool="late"))
        code, message = error_of(stale, 409)
        assert code == "stale"
        assert "'bob' corrected item" in message

    def test_a_wrong_correction_is_named(self, served: Served) -> None:
        annotate(served)
        (leased,) = self.lease(served)
        outside = {"width": 9, "height": 9, "boxes": [{"xyxy": [0, 0, 99, 9], "category": "x"}]}
        changes: tuple[tuple[dict[str, Any], str], ...] = (
            ({"label": {"text": "a word"}}, "invalid_record"),
            ({"label": outside}, "invalid_record"),
            ({"created_at": "2026-01-01T00:00:00"}, "invalid_record"),
            ({"created_at": "9999-12-31T23:59:59-14:00"}, "invalid_input"),
            ({"created_at": "0001-01-01T00:00:00+14:00"}, "invalid_input"),
            ({"seconds": -1}, "invalid_input"),
            ({"seconds": 86_401}, "invalid_input"),
            ({"seconds": 1e300}, "invalid_input"),
            ({"seconds": None}, "invalid_input"),
            ({"task": "none"}, "invalid_input"),
            ({"more": 1}, "invalid_input"),
            ({"annotator": "a\0"}, "invalid_input"),
        )
        for change, code in changes:
            assert error_of(self.send(served, leased, self.body(leased) | change), 422)[0] == code

    def test_a_time_without_its_zone_is_told_as_times_are_written(self, served: Served) -> None:
        annotate(served)
        (leased,) = self.lease(served)
        _, message = error_of(self.send(served, leased, self.body(leased) | {"created_at": "2026-01-01T00:00:00"}), 422)
        assert message == "Correction.created_at: expected a time with its zone, got 2026-01-01T00:00:00"

    def test_a_word_of_a_time_that_utc_does_not_have_is_refused(self, served: Served) -> None:
        item_id = annotate(served)["item_id"]
        word = {"task": "detection", "reason": "damaged", "annotator": "ada", "seconds": 1}
        far = word | {"created_at": "0001-01-01T00:00:00+14:00"}
        assert error_of(served.client.post(f"/v1/items/{item_id}/unfit", json=far), 422) == (
            "invalid_input",
            "created_at: expected a time from year 1 to 9999 of UTC, got 0001-01-01T00:00:00+14:00",
        )

    def test_a_correction_of_nothing_is_not_found(self, served: Served) -> None:
        body = self.body({"label": {"width": 1, "height": 1}})
        assert error_of(served.client.post("/v1/items/none/correction", json=body), 404)[0] == "not_found"

    def test_a_wrong_question_is_named(self, served: Served) -> None:
        for query in ("limit=0", "limit=101", "limit=x", "annotator=", "strategy=best"):
            assert error_of(served.client.get(f"/v1/queue/detection?{query}"), 422)[0] == "invalid_input"

    def test_a_parameter_that_is_not_there_is_named(self, served: Served) -> None:
        queue, report = "/v1/queue/detection", "/v1/report"
        for path, expected in (
            (f"{queue}?limt=2", f"{queue}: expected no parameters but limit, seconds, annotator, strategy; got 'limt'"),
            (f"{report}?task=asr&since=1", f"{report}: expected no parameters; got 'task', 'since'"),
        ):
            assert error_of(served.client.get(path), 422) == ("invalid_input", expected)
        body = {"url": "http://127.0.0.1:1/hook", "events": ["item.routed"]}
        assert error_of(served.client.post("/v1/webhooks?secret=x", json=body), 422)[0] == "invalid_input"
        assert served.client.get("/v1/webhooks").json() == {"webhooks": []}
        assert served.client.get("/livez?verbose").status_code == 200, "probes come with what their senders like"

    def test_who_asks_may_name_a_strategy(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        answer, asked = annotate(served), []
        lease = served.deployment.loop.lease

        def watched(task: Task, limit: int, annotator: str, actor: str, strategy: Any = None, *more: Any) -> Any:
            asked.append(strategy)
            return lease(task, limit, annotator, actor, strategy, *more)

        monkeypatch.setattr(served.deployment.loop, "lease", watched)
        (leased,) = self.lease(served, strategy="k-center")
        assert leased["item_id"] == answer["item_id"]
        assert self.lease(served) == []
        assert asked == ["k-center", None]

    def test_an_unknown_task_has_no_queue(self, served: Served) -> None:
        assert error_of(served.client.get("/v1/queue/none"), 404)[0] == "not_found"

    def test_a_correction_is_of_the_version_whose_label_the_person_saw(self, served: Served) -> None:
        older = annotate(served)["model_version"]
        (leased,) = self.lease(served)
        newer = served.add("detection", size=48)
        served.client.post(f"/v1/models/{newer.name}/promote")
        assert annotate(served)["model_version"] == newer.name  # the same picture, while ada holds it
        self.send(served, leased, self.body(leased, lease_id=leased["lease_id"]))
        (kept,) = served.client.get(f"/v1/items/{leased['item_id']}").json()["corrections"]
        assert kept["model_version"] == older

    def test_an_item_that_an_older_version_answered_is_asked_about_afresh(self, served: Served) -> None:
        served.deployment.background.close()
        annotate(served)
        newer = served.add("detection", size=48)
        assert served.client.post(f"/v1/models/{newer.name}/promote").status_code == 200
        (leased,) = self.lease(served)
        assert leased["model_version"] == newer.name
        assert leased["label"]["boxes"][0]["xyxy"] == [10, 10, 70, 70]
        self.send(served, leased, self.body(leased, lease_id=leased["lease_id"]))
        (kept,) = served.client.get(f"/v1/items/{leased['item_id']}").json()["corrections"]
        assert kept["model_version"] == newer.name

    def test_what_cannot_be_asked_about_afresh_is_handed_out_with_the_older_answer(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or else all that was leased with it would be held by nobody who knows of it."""
        served.deployment.background.close()
        file = served.folder / "media" / "a.png"
        file.parent.mkdir()
        file.write_bytes(picture(1))
        assert served.client.post("/v1/detection/annotate", json={"uri": str(file)}).status_code == 200
        file.write_bytes(picture(2))
        older = annotate(served)["model_version"]
        assert served.client.post(f"/v1/models/{served.add('detection', size=48).name}/promote").status_code == 200

        def away(*_: object) -> None:
            raise StoreAway("database is locked")

        monkeypatch.setattr(served.loop.store.queue, "show", away)
        leased = self.lease(served, limit=2)
        assert [one["model_version"] for one in leased] == [older, older]


class TestModels:
    def test_versions_are_told_and_promoted(self, served: Served) -> None:
        newer = served.add("detection", size=48)
        before = served.version
        told = {one["version"]: one for one in served.client.get("/v1/models").json()["models"]}
        assert told[newer.name]["state"] == "candidate"
        assert told[before]["state"] == "serving"
        assert "folder" not in told[before]
        answer = served.client.post(f"/v1/models/{newer.name}/promote")
        assert answer.status_code == 200
        assert (answer.json()["version"], answer.json()["previous"]) == (newer.name, before)
        assert answer.json()["note"] == "no gold items that neither was trained on: promoted without a comparison"
        assert annotate(served)["model_version"] == newer.name

    def test_a_version_that_does_not_load_is_refused_and_the_one_before_serves(self, served: Served) -> None:
        broken = served.add("detection", broken=True)
        before = annotate(served)["model_version"]
        assert error_of(served.client.post(f"/v1/models/{broken.name}/promote"), 409)[0] == "refused"
        assert annotate(served, data=picture(1))["model_version"] == before
        told = {one["version"]: one for one in served.client.get("/v1/models").json()["models"]}
        assert told[broken.name]["state"] == "failed"
        assert told[broken.name]["failure"]
        assert told[before]["state"] == "serving"
        assert error_of(served.client.post(f"/v1/models/{broken.name}/promote"), 409)[0] == "refused"

    def test_a_rollback_to_what_does_not_load_is_refused_and_what_served_goes_on(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = annotate(served)["model_version"]
        newer = served.add("detection", size=48)
        served.deployment.promote(newer.name, force=True, actor="tester")
        folder = served.loop.versions.get(before).folder
        folder.rename(folder.with_name("away"))
        path = f"/models/{newer.name}/rollback"
        assert error_of(served.client.post(path), 404)[0] == "not_found"
        folder.with_name("away").rename(folder)

        def broken(*_: Any) -> Runtime:
            raise RuntimeError("it was made for another machine")

        monkeypatch.setattr(served.deployment.live, "_load", broken)
        assert error_of(served.client.post(path), 409)[0] == "refused"
        assert annotate(served, data=picture(1))["model_version"] == newer.name
        assert served.client.get("/readyz").status_code == 200

    def test_an_unknown_version_is_not_found(self, served: Served) -> None:
        assert error_of(served.client.post("/v1/models/none/promote"), 404)[0] == "not_found"

    def test_a_wrong_body_is_named(self, served: Served) -> None:
        path = f"/v1/models/{served.add('detection', size=48).name}/promote"
        for body in (b"x", b'{"force": 3}', b'{"forced": true}'):
            assert error_of(served.client.post(path, content=body), 422)[0] == "invalid_input"


class TestFigures:
    def test_the_report_counts(self, served: Served) -> None:
        annotate(served, "lane")
        told = served.client.get("/v1/report").json()["tasks"]
        assert set(told) == {"asr", "detection", "lane"}
        assert told["lane"]["items"] == {"preannotated": 1}
        assert told["lane"]["serving"] == served.deployment.live.version("lane")

    def test_metrics_are_labelled_by_route_and_nothing_that_was_asked_for(self, served: Served) -> None:
        served.client.get("/v1/items/secret-name")
        served.client.get("/secret-path")
        served.client.request("STRANGE", "/secret-path")
        answer = served.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert "secret" not in answer.text
        assert "STRANGE" not in answer.text
        for route, status in (("/v1/items/{item_id}", 404), ("unknown", 404)):
            assert f'prelabel_requests_total{{method="GET",route="{route}",status="{status}"}} 1.0' in answer.text

    def test_metrics_write_no_file_whose_disk_might_be_full(self, tmp_path: Path) -> None:
        code = (
            "from serving.metrics import Metrics; kept = Metrics(); kept.serves('asr', 'a', None); "
            "kept.serves('asr', 'b', 'a'); print(kept.text().decode())"
        )
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        assert 'prelabel_serving{task="asr",version="b"} 1.0' in done.stdout
        assert done.stderr == ""
        assert list(tmp_path.iterdir()) == []

    def test_probes_answer(self, served: Served) -> None:
        for path in ("/livez", "/healthz", "/readyz"):
            assert served.client.get(path).json() == {"status": "ok"}

    def test_it_is_not_ready_while_a_promoted_version_is_not_loaded(self, served: Served) -> None:
        served.deployment.live.close()
        newer = served.add("detection", size=48)
        served.loop.versions.promote(newer.name, "tester", force=True)
        assert error_of(served.client.get("/readyz"), 503)[0] == "unavailable"
        assert served.client.get("/livez").status_code == 200


class TestPages:
    OUTSIDE = re.compile(r"""(?:src|href|url|action)\s*[=(:]\s*["']?\s*(?:https?:)?//""")

    def test_the_description_loads_nothing_from_outside(self, served: Served) -> None:
        page = served.client.get("/docs").text
        assert not self.OUTSIDE.search(page)
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert served.client.get(path).status_code == 200, path

    def test_every_route_is_described_with_its_failures(self, served: Served) -> None:
        schema = served.client.get("/openapi.json").json()
        paths = schema["paths"]
        assert set(paths) >= {
            "/v1/{task}/annotate",
            "/v1/items",
            "/v1/items/{item_id}",
            "/v1/queue/{task}",
            "/v1/items/{item_id}/correction",
            "/v1/models",
            "/v1/models/{version}/promote",
            "/v1/report",
        }
        annotate = paths["/v1/{task}/annotate"]["post"]
        assert set(annotate["responses"]) >= {"200", "401", "403", "404", "413", "422", "429"}
        assert set(annotate["requestBody"]["content"]) >= {"application/json", "multipart/form-data"}
        assert {path for path, verbs in paths.items() for verb in verbs.values() if verb.get("security") == []} == {
            "/healthz", "/livez", "/readyz", "/cvat/webhook",
        }  # fmt: skip
        assert "HTTPValidationError" not in json.dumps(schema)

    def test_the_page_shows_figures_pictures_and_versions(self, served: Served) -> None:
        answers = [annotate(served, task) for task in ("detection", "lane", "asr")]
        page = served.client.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert not self.OUTSIDE.search(page.text)
        for answer in answers:
            assert f"/thumbnails/{answer['item_id']}" in page.text
            assert answer["model_version"] in page.text
        assert page.text.count("<polyline") == 1
        assert re.search(r"<li style=[^>]+>car <b>1</b></li>", page.text)
        assert ">yes</span>" in page.text
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
            assert served.client.get(path).status_code == 200, path

    def test_an_empty_store_has_a_page_too(self, served: Served) -> None:
        assert "None yet" in served.client.get("/").text

    def test_what_models_write_is_shown_as_text(self, served: Served) -> None:
        newer = served.add("asr", word="<b>&'\"")
        served.client.post(f"/v1/models/{newer.name}/promote")
        assert annotate(served, "asr")["label"]["text"] == "<b>&'\""
        page = served.client.get("/").text
        assert "<b>&" not in page
        assert "&lt;b&gt;&amp;&#39;&#34;" in page

    def test_only_assets_are_handed_out(self, served: Served) -> None:
        for name in ("pages.py", "..%2fpages.py", "page.html"):
            assert served.client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "<h1>There is nothing here</h1>"),
        (f"/items/{'0' * 64}", 404, "item: expected the id of a registered item"),
        ("/queue/lidar", 404, "lidar"),
        ("/queue/detection?state=lost", 422, "<h1>This page cannot be shown</h1>"),
    ],
)
def test_who_looks_at_a_page_that_is_not_there_gets_a_page(served: Served, path: str, status: int, told: str) -> None:
    page = served.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert told in page.text
    assert '<a href="/">Back to the overview</a>' in page.text
    error_of(served.client.get(path), status)
    below = served.client.get(f"/v1/items/{'0' * 64}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert error_of(below, 404)[0] == "not_found"


def test_a_page_in_place_of_a_failure_keeps_its_headers(served: Served) -> None:
    page = served.client.get(f"/items/{'0' * 64}/gold", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["allow"]) == (405, "POST")
    assert "<h1>This page cannot be shown</h1>" in page.text


def test_an_item_says_which_versions_were_trained_on_it(served: Served, tmp_path: Path) -> None:
    item_id = annotate(served)["item_id"]
    (line,) = served.client.get(f"/v1/items/{item_id}").json()["tasks"]
    assert line["trained"] == []
    assert "no evidence" not in served.client.get(f"/items/{item_id}").text
    for name, ids in (("v2", (item_id,)), ("v3", ())):
        served.loop.versions.add(version_folder(tmp_path, name, served.version, ids), "tester")
    (line,) = served.client.get(f"/v1/items/{item_id}").json()["tasks"]
    assert line["trained"] == ["v2"]
    page = served.client.get(f"/items/{item_id}").text
    assert re.search(r'no evidence.*<a href="/models/v2"><code>v2</code></a></p>', page)


def test_registered_items_are_answered_in_the_background(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for shade in range(3):
        (folder / f"{shade}").write_bytes(picture(shade))
    (folder / "broken").write_bytes(b"nothing")
    lines = [json.dumps({"uri": str(path), "task": "detection"}) for path in folder.iterdir()]
    served.client.post("/v1/items", content="\n".join(lines))
    expected = {"preannotated": 3, "failed": 1}
    eventually(lambda: served.client.get("/v1/report").json()["tasks"]["detection"]["items"] == expected)
