"""Over HTTP: people's labels in the store, worst first and in pages, and who labels how well."""

import threading
from typing import Any

import pytest

from models.errors import NotFound
from serving.suspecting import Suspecting
from tests.serving.served import Served, eventually, picture, serving
from tests.serving.work import after

PATH = "/v1/suspects"
CAR = {"xyxy": [8, 8, 40, 40], "category": "car"}  # as the tiny detector sees it
BUS = {"xyxy": [70, 20, 100, 70], "category": "bus"}


def label(served: Served, shade: int, *boxes: dict[str, Any], annotator: str = "ada") -> str:
    """Posts a picture and what a person says of it."""
    answer = served.client.post("/v1/detection/annotate", content=picture(shade)).json()
    correction = {
        "task": "detection", "label": {"width": 120, "height": 90, "boxes": boxes}, "annotator": annotator,
        "seconds": 4.0, "tool": "test", "created_at": after(shade).isoformat(),
    }  # fmt: skip
    path = f"/v1/items/{answer['item_id']}/correction"
    assert served.client.post(path, json=correction).status_code == 200
    return str(answer["item_id"])


def ranked(served: Served, **query: Any) -> dict[str, Any]:
    answer = served.client.get(PATH, params={"task": "detection", **query})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_labels_worst_first_in_pages_and_anew_when_they_change(served: Served) -> None:
    good = [label(served, shade, CAR) for shade in range(6)]
    bad = label(served, 9, CAR, BUS, annotator="bob")
    first = ranked(served, limit=3)
    worst = first["suspects"][0]
    assert (worst["item_id"], worst["annotator"], worst["rank"], first["total"]) == (bad, "bob", 1, 7)
    assert worst["reason"] == "the model is less than 1 % sure of a bus here"
    assert worst["findings"][0]["where"] == BUS["xyxy"]
    assert worst["uri"].startswith("posted:")
    assert first["model_version"] == served.version
    pages = [first]
    while pages[-1]["next"] is not None:
        pages.append(ranked(served, limit=3, offset=pages[-1]["next"]))
    assert [one["rank"] for page in pages for one in page["suspects"]] == list(range(1, 8))
    assert {page["ranked_at"] for page in pages} == {first["ranked_at"]}
    label(served, 9, CAR, annotator="cyd")  # puts it right
    eventually(lambda: ranked(served)["ranked_at"] > first["ranked_at"])
    again = ranked(served)
    assert {one["item_id"] for one in again["suspects"]} == {*good, bad}
    assert again["suspects"][0]["score"] < worst["score"]


def test_no_labels_are_an_empty_page(served: Served) -> None:
    assert ranked(served) | {"ranked_at": ""} == {
        "task": "detection", "model_version": served.version, "ranked_at": "", "total": 0, "suspects": [],
        "unread": [], "next": None,
    }  # fmt: skip


def test_media_that_cannot_be_read_are_named_and_the_others_ranked(served: Served) -> None:
    good, broken, gone = (label(served, shade, CAR) for shade in (1, 2, 3))
    for item_id, data in ((broken, b"no picture"), (gone, None)):
        file = served.loop.path(served.loop.item(item_id))
        file.write_bytes(data) if data else file.unlink()
    page = ranked(served)
    assert [one["item_id"] for one in page["suspects"]] == [good]
    unread = {one["item_id"]: one["error"] for one in page["unread"]}
    assert {item_id: error["code"] for item_id, error in unread.items()} == {
        broken: "unreadable_media", gone: "not_found",
    }  # fmt: skip
    assert "expected a JPEG, PNG or WebP image" in unread[broken]["message"]


@pytest.mark.parametrize(("query", "status"), [("task=ocr", 404), ("", 422), ("task=lane&limit=0", 422)])
def test_what_cannot_be_answered(served: Served, query: str, status: int) -> None:
    assert served.client.get(f"{PATH}?{query}").status_code == status


def test_a_long_ranking_asks_to_come_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first medium is being looked at, the answer says how far it is; afterwards it is there."""
    label(served, 1, CAR)
    released, load = threading.Event(), served.deployment.suspecting._load

    def slowly(*given: Any) -> Any:
        assert released.wait(20)
        return load(*given)

    monkeypatch.setattr(served.deployment.suspecting, "_load", slowly)
    monkeypatch.setattr("serving.suspecting.WAIT_S", 0.0)
    answer = served.client.get(PATH, params={"task": "detection"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "0 of" in answer.json()["error"]["message"]
    released.set()
    monkeypatch.setattr("serving.suspecting.WAIT_S", 20.0)
    assert ranked(served)["total"] == 1


def test_while_a_newer_ranking_is_made_the_one_before_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the labels that count no longer, so that nobody is shown again what they have just put right."""
    good, bad, stays = (label(served, shade, CAR) for shade in range(1, 4))
    first = ranked(served)
    released, load = threading.Event(), served.deployment.suspecting._load

    def slowly(*given: Any) -> Any:
        assert released.wait(20)
        return load(*given)

    monkeypatch.setattr(served.deployment.suspecting, "_load", slowly)
    monkeypatch.setattr("serving.suspecting.WAIT_S", 60.0)  # nobody waits so long who has one
    unfit = {"task": "detection", "reason": "damaged", "annotator": "ada", "seconds": 1.0, "tool": "test"}
    assert served.client.post(f"/v1/items/{good}/unfit", json=unfit).status_code == 200
    label(served, 2, BUS, annotator="bob")
    assert ranked(served) == first | {"suspects": [one for one in first["suspects"] if one["item_id"] == stays]}
    released.set()
    eventually(lambda: ranked(served)["total"] == 2)
    assert {one["item_id"] for one in ranked(served)["suspects"]} == {bad, stays}


def test_a_task_without_a_version_has_no_ranking(tmp_path: Any) -> None:
    with serving(tmp_path, tasks=["lane"]) as served, pytest.raises(NotFound, match="expected a serving version"):
        Suspecting(served.loop, lambda: False).ranking("asr")


def test_what_people_agree_on_about_an_item(served: Served) -> None:
    for annotator in ("ada", "bob", "cyd"):
        item_id = label(served, 1, CAR, *[BUS] * (annotator == "cyd"), annotator=annotator)
    other, alone = label(served, 2, BUS), label(served, 3, CAR)
    path = "/v1/items/{}/consensus".format
    told = served.client.get(path(item_id)).json()
    assert (told["item_id"], list(told["tasks"])) == (item_id, ["detection"])
    agreed = told["tasks"]["detection"]
    assert [box["category"] for box in agreed["label"]["boxes"]] == ["car"]
    assert (agreed["people"], [one["annotator"] for one in agreed["given"]]) == (3, ["ada", "bob", "cyd"])
    assert [len(one["label"]["boxes"]) for one in agreed["given"]] == [1, 1, 2]
    assert [one["counts"] for one in agreed["given"]].count(True) == 1
    assert agreed["agreement"] == pytest.approx((1 + 2 / 3) / 2)
    of_one = served.client.get(path(other)).json()["tasks"]["detection"]
    assert (of_one["people"], of_one["agreement"], of_one["label"]["boxes"][0]["category"]) == (1, 1.0, "bus")
    label(served, 3, BUS, annotator="bob")  # is seen at once
    assert served.client.get(path(alone)).json()["tasks"]["detection"]["people"] == 2
    assert served.client.get(path("0" * 64)).status_code == 404
    fresh = served.client.post("/v1/detection/annotate", content=picture(7)).json()["item_id"]
    assert served.client.get(path(fresh)).json() == {"item_id": fresh, "tasks": {}}


def test_who_labels_how_well(served: Served) -> None:
    for annotator in ("ada", "bob", "cyd"):
        label(served, 1, CAR, *[BUS] * (annotator == "bob"), annotator=annotator)
    told = served.client.get("/v1/annotators").json()["tasks"]
    assert told["asr"] == told["lane"] == []
    found = {one["annotator"]: one for one in told["detection"]}
    assert {name: one["consensus"]["right"] for name, one in found.items()} == {"ada": 1, "bob": 0, "cyd": 1}
    assert found["ada"]["speed"] == {"n": 1, "total": 4.0, "median": 4.0, "low": None, "high": None}
    assert found["bob"]["consensus"]["high"] == pytest.approx(0.975)
    assert served.client.get("/v1/annotators?task=ocr").status_code == 404
    assert list(served.client.get("/v1/annotators?task=lane").json()["tasks"]) == ["lane"]
