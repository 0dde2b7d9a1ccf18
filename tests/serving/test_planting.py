"""Items whose answers are known, handed to people who are not told: what they say is measured and never a label."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.datasets import read
from models.errors import InvalidInput, Stale
from selection.calibration import Calibrator
from selection.policy import Policy
from selection.queueing import Skills
from selection.risk import Threshold
from selection.rules import About
from serving.deciding import Deciding
from serving.labels import export
from serving.media_files import content_id
from serving.store import Store
from serving.store.order import Order
from serving.store.records import Unfit
from serving.store.waiting import ANYTHING, Asking
from serving.trust import Trust
from tests.serving.served import eventually, listening, picture, serving
from tests.serving.test_cli import prelabel
from tests.serving.test_handing_out import Desk
from tests.serving.test_webhooks import Receiver
from tests.serving.work import START, add_version, after, answer, boxes, correction, fill, item, item_id, settings

QUEUE = Order("priority")


@pytest.fixture
def labelled(store: Store) -> Store:
    """Six items: ann labelled 0, 1 and 2, bob 3; 4 and 5 wait."""
    add_version(store)
    fill(store, 6)
    for name, who in ((0, "ann"), (1, "ann"), (2, "ann"), (3, "bob")):
        store.queue.correct(correction(name, "bus", annotator=who, at=1), None, "tester", after(1))
    return store


def plant(
    store: Store, annotator: str, limit: int = 9, now: float = 2, able: Skills = ANYTHING, gold: str = "0123",
    chance: float = 0.0, seconds: float | None = None,
) -> dict[str, str]:  # fmt: skip
    """The leases by the name of the item."""
    names = {item_id(name): str(name) for name in range(6)}
    by = Asking("detection", annotator, "tester", after(now), after(now + 60), able)
    order = Order("draw", seconds=seconds)
    found = store.planting.lease(by, limit, lambda one: names[one] in gold, chance, order)
    return {names[one.item.id]: one.lease_id for one in found}


class TestStore:
    def test_a_person_gets_what_somebody_else_answered_and_each_only_once(self, labelled: Store) -> None:
        assert list(plant(labelled, "bob", gold="02")) == ["0", "2"]
        assert list(plant(labelled, "bob")) == ["1"]
        assert list(plant(labelled, "bob", now=99)) == []  # not even when the leases are over
        assert list(plant(labelled, "ann")) == ["3"]
        assert list(plant(labelled, "cyd", limit=3)) == ["0", "1", "2"]  # whoever else has them
        assert list(plant(labelled, "dan", limit=3, chance=0.55)) == ["2", "3", "0"]
        assert list(plant(labelled, "eve", seconds=6.5)) == ["0", "1"]  # of three seconds each

    def test_only_what_they_can_do(self, labelled: Store) -> None:
        assert plant(labelled, "cyd", able=Skills(categories=("bus",))) == {}
        assert len(plant(labelled, "cyd", able=Skills(categories=("car",)))) == 4

    def test_the_item_stays_as_it_is(self, labelled: Store) -> None:
        before = labelled.items.counts("detection", after(3)), list(labelled.queue.corrected("detection"))
        held = plant(labelled, "bob")
        receipt = labelled.queue.correct(correction(0, "car", annotator="bob", at=3), held["0"], "tester", after(3))
        assert receipt.repeated is False
        assert (labelled.items.counts("detection", after(3)), list(labelled.queue.corrected("detection"))) == before
        assert len(labelled.queue.lease(Asking("detection", "bob", "tester", after(4), after(64)), 9, QUEUE)) == 2
        again = labelled.queue.correct(correction(0, "car", annotator="bob", at=3), held["0"], "tester", after(4))
        assert again == replace(receipt, repeated=True)

    def test_what_was_said_without_the_lease_is_no_label_either(self, labelled: Store) -> None:
        plant(labelled, "bob")
        labelled.queue.correct(correction(0, "car", annotator="bob", at=3), None, "tester", after(3))
        labelled.queue.correct(correction(0, "van", annotator="bob", at=99), None, "tester", after(99))
        labelled.queue.correct(correction(1, "car", annotator="dan", at=3), None, "tester", after(3))
        labels = {one.id: label for one, label in labelled.queue.corrected("detection")}
        assert (labels[item_id(0)], labels[item_id(1)]) == (boxes("bus"), boxes("car"))

    def test_the_word_that_it_is_unfit_changes_nothing_of_it(self, labelled: Store) -> None:
        before = labelled.items.counts("detection", after(3)), list(labelled.queue.corrected("detection"))
        held, word = plant(labelled, "bob"), Unfit(item_id(0), "detection", "damaged", "bob", 2.0, "test", after(3))
        assert not labelled.unfit.say(word, held["0"], "tester", after(3))
        assert labelled.unfit.say(word, held["0"], "tester", after(4))
        assert not labelled.unfit.say(replace(word, item_id=item_id(1)), None, "tester", after(3))
        assert (labelled.items.counts("detection", after(3)), list(labelled.queue.corrected("detection"))) == before
        assert (labelled.unfit.reasons("detection"), labelled.unfit.seconds("detection")) == ({}, 4.0)
        (lease,) = labelled.items.history(item_id(0))["leases"]
        assert lease["ended_at"] == after(3).isoformat()

    def test_a_lease_of_it_ends_as_any_other(self, labelled: Store) -> None:
        held = plant(labelled, "bob")
        with pytest.raises(Stale, match="expected a correction before"):
            labelled.queue.correct(correction(0, "car", annotator="bob", at=70), held["0"], "tester", after(70))
        labelled.queue.release(held["1"], "tester", after(5))
        labelled.queue.release(held["1"], "tester", after(6))
        ended = {one["id"]: one["ended_at"] for one in labelled.items.history(item_id(1))["leases"]}
        assert ended == {held["1"]: after(5).isoformat()}
        assert plant(labelled, "bob", now=99) == {}

    def test_it_is_told_apart_in_every_figure(self, labelled: Store) -> None:
        before = labelled.queue.seconds("detection")
        held = plant(labelled, "bob")
        labelled.queue.correct(correction(0, "car", annotator="bob", at=3), held["0"], "tester", after(3))
        untold = replace(correction(1, "bus", annotator="bob", at=3), seconds=0)
        labelled.queue.correct(untold, held["1"], "tester", after(3))
        assert labelled.queue.seconds("detection") == before
        assert (labelled.planting.handed_out("detection"), labelled.planting.seconds("detection")) == (3, 4.0)
        told = [(one.annotator, one.given, one.known) for one in labelled.planting.measured("detection")]
        assert told == [("bob", boxes("car"), boxes("bus")), ("bob", boxes("bus"), boxes("bus"))]
        assert labelled.queue.seconds_since("detection", after(2)) == 4.0

    def test_when_its_answer_is_taken_back_what_was_planted_does_not_become_it(self, labelled: Store) -> None:
        held = plant(labelled, "bob")
        labelled.queue.correct(correction(0, "car", annotator="bob", at=3), held["0"], "tester", after(3))
        (known,) = (one.known_id for one in labelled.planting.measured("detection"))
        labelled.queue.withdraw(known, "tester", after(4))
        assert item_id(0) not in {one.id for one, _ in labelled.queue.corrected("detection")}
        assert list(labelled.planting.measured("detection")) == []

    def test_a_check_is_not_moved_by_it(self, store: Store) -> None:
        """What its first person said and when they were handed it: a planted answer is nobody's first."""
        add_version(store)
        store.items.save(item(0), answer(0, decision="audit"), 0.5, None, "tester", START)
        first = store.queue.correct(correction(0, "van", annotator="ann", at=1), None, "tester", after(1))
        held = plant(store, "bob", now=2)
        store.queue.correct(correction(0, "car", annotator="bob", at=3), held["0"], "tester", after(3))
        store.queue.correct(correction(0, "bus", annotator="cyd", at=4), None, "tester", after(4))
        store.queue.withdraw(first.correction_id, "tester", after(5))
        (check,) = store.checks.audited("detection", "v1", ["v1"])
        assert (check.truth, check.handed_at) == (boxes("bus"), after(4))


def desk_of(folder: Path, n: int, **terms: Any) -> Desk:
    """Half of the items are labelled by ann, and all of these gold; the rest waits."""
    desk = Desk(folder, gold_share=0.999999)
    for number in range(n):
        desk.post(f"known {number}", 0.5)
        desk.post(f"open {number}", 0.5)
        desk.correct(f"known {number}", 4)
    desk.adopt(**terms)
    return desk


def test_people_are_handed_the_share_that_the_policy_says(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, 60, planted_share=0.25)
    handed = [name for _ in range(20) for name in desk.lease(4, "bob")]
    assert Counter(name.split()[0] for name in handed) == pytest.approx({"known": 20, "open": 60}, abs=6)
    assert len(set(handed)) == 80


def test_no_place_tells_which_are_planted(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, 60, planted_share=0.5)
    batches = [desk.lease(4, "bob") for _ in range(28)]
    places = {place for names in batches for place, name in enumerate(names) if name.startswith("known")}
    assert places == {0, 1, 2, 3}


def test_nothing_is_planted_where_nothing_waits_nor_by_default(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, 4)
    assert all(name.startswith("open") for name in desk.lease(2, "dan"))
    desk.adopt(planted_share=0.9)
    handed = desk.lease(9, "eve")
    assert len(handed) == 6
    assert sum(name.startswith("known") for name in handed) == 4
    assert desk.lease(9, "fay") == []
    assert desk.why("fay") == ("nothing is open; others hold 8 items of detection", None)


def test_a_share_of_one_is_refused() -> None:
    assert Policy(planted_share=0.0).version == Policy().version
    with pytest.raises(InvalidInput, match=r"planted_share: expected a share in \[0, 1\), got 1"):
        Policy(planted_share=1)


def test_what_is_sure_enough_to_be_accepted_looks_like_an_audit(tmp_path: Path) -> None:
    deciding, policy = Deciding.by(settings(tmp_path)), Policy(audit_share=1e-9)
    trust = Trust(Calibrator("identity", 0, 0), Threshold(0.5, 0.02, 0.05, 300, 200, 0))
    for score, openly, planted in ((0.1, "accept", "audit"), (0.9, "review", "review")):
        said = replace(answer(0, score=score).preannotation, features={"expected_missed": 0.1})
        assert deciding.answer(said, About(), trust, policy).decision.decision == openly
        assert deciding.as_if_open(said, About(), trust, policy).decision.decision == planted


def test_over_http_from_the_queue_to_the_figures(tmp_path: Path) -> None:
    """Ann labels ten pictures right; bob is planted some of them, answers, and no label changes."""
    with serving(tmp_path, tasks=("detection",), gold_share=0.999999) as served:
        for shade in range(20):
            served.client.post("/v1/detection/annotate", content=picture(shade))
        for one in served.client.get("/v1/queue/detection?limit=10&annotator=ann").json()["items"]:
            send(served.client, one, "ann", "car")
        assert served.client.put("/v1/policy", json={"policy": {"planted_share": 0.5}}).status_code == 200
        served.loop.recalibrate(served.version, "tester")  # tells all that is open how many checks there are now
        before = labels_of(served.loop, tmp_path / "before")
        handed = served.client.get("/v1/queue/detection?limit=8&annotator=bob").json()["items"]
        assert len({tuple(sorted(one)) for one in handed}) == 1  # nothing tells which are planted
        known_by_then = {found for one in handed for found in re.findall("\\w+ random check", one["route"]["reason"])}
        assert len(known_by_then) == 1  # not how many checks there were when it was open
        owed = served.loop.store.planting.owed("detection", "local")
        planted = [one for one in handed if one["item_id"] in owed]
        assert len(planted) == 4
        receipts = [send(served.client, one, "bob", "bus" if one is planted[0] else "car") for one in planted]
        assert {tuple(sorted(one)) for one in receipts} == {("correction_id", "item_id", "repeated")}
        assert labels_of(served.loop, tmp_path / "after") == before
        assert labels_of(served.loop, tmp_path / "agreed", consensus=True) == before
        report = served.client.get("/v1/report").json()["tasks"]["detection"]
        assert report["planted"] == {"handed_out": 4, "answered": 4, "right": 3, "human_seconds": 12.0}
        assert (report["labels"], report["corrections"], report["human_seconds"]) == (10, 10, 42.0)
        ann, bob = served.client.get("/v1/annotators?task=detection").json()["tasks"]["detection"]
        assert (ann["gold"]["of"], ann["gold_speed"], ann["labels"]) == (0, None, 10)
        assert (bob["gold"]["right"], bob["gold"]["of"], bob["gold_speed"]["median"], bob["labels"]) == (3, 4, 3.0, 4)
        said = served.client.get(f"/v1/items/{planted[0]['item_id']}/consensus").json()["tasks"]["detection"]
        assert {one["annotator"]: (one["counts"], one["planted"]) for one in said["given"]} == {
            "ann": (True, False), "bob": (False, True)
        }  # fmt: skip
        assert said["people"] == 1
        for names_matter, right in ((False, 4), (True, 3)):  # what is an error, the policy says
            terms = {"planted_share": 0.5, "matters_category": names_matter}
            served.client.put("/v1/policy", json={"policy": terms})
            assert served.client.get("/v1/report").json()["tasks"]["detection"]["planted"]["right"] == right
    shown = prelabel(tmp_path, "annotators", "--task", "detection", "--db", f"sqlite:///{tmp_path}/store.db",
                     PRELABEL_GOLD_SHARE="0.999999", PRELABEL_DATA_DIR=str(tmp_path / "data"))  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    (line,) = (line for line in shown.stdout.splitlines() if " bob " in line)
    assert "3 of 4" in line
    assert "19 to 99 %" in line


def test_what_is_said_of_a_planted_item_is_of_the_version_whose_label_was_shown(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), gold_share=0.999999) as served:
        for shade in range(8):
            served.client.post("/v1/detection/annotate", content=picture(shade))
        for one in served.client.get("/v1/queue/detection?limit=4&annotator=ann").json()["items"]:
            send(served.client, one, "ann", "car")
        served.client.put("/v1/policy", json={"policy": {"planted_share": 0.5}}).raise_for_status()
        newer = served.add("detection", size=48).name
        served.client.post(f"/v1/models/{newer}/promote", json={"force": True}).raise_for_status()
        handed = served.client.get("/v1/queue/detection?limit=8&annotator=bob").json()["items"]
        assert served.loop.store.planting.owed("detection", "local") <= {one["item_id"] for one in handed}
        for one in handed:
            send(served.client, one, "bob", "car")
            given = served.client.get(f"/v1/items/{one['item_id']}").json()["corrections"][-1]
            assert given["model_version"] == one["model_version"] == newer


def test_nothing_that_can_be_looked_at_tells_what_is_planted_before_it_is_answered(tmp_path: Path) -> None:
    """Bob's token sees what ann labelled and he is planted as it sees what is open; another token sees it as it is."""
    with serving(tmp_path, tasks=("detection",), gold_share=0.999999, calibration_share=0.4) as served:
        client = served.client
        for shade in range(24):
            client.post("/v1/detection/annotate", content=picture(shade))
        for one in client.get("/v1/queue/detection?limit=12&annotator=ann").json()["items"]:
            send(client, one, "ann", "car")
        client.put("/v1/policy", json={"policy": {"planted_share": 0.5}})
        served.loop.recalibrate(served.version, "tester")
        bob, boss = (_with_token(tmp_path, client, name, scope)
                     for name, scope in (("bob", "correct"), ("boss", "admin")))  # fmt: skip
        handed = bob("GET", "/v1/queue/detection?limit=12").json()["items"]
        owed = served.loop.store.planting.owed("detection", "bob")
        planted = [one for one in handed if one["item_id"] in owed]
        openly = [one for one in handed if one["item_id"] not in owed]
        assert (len(planted), len(openly)) == (6, 6)
        assert {_outline(one) for one in planted} <= {_outline(one) for one in openly}
        for held in ("leased", "preannotated"):  # while bob holds them, and after he gave them back
            for path in ("/v1/items/{}", "/v1/items/{}/consensus", "/items/{}"):
                seen, others = ({_seen(bob("GET", path.format(one["item_id"])), one) for one in some}
                                for some in (planted, openly))  # fmt: skip
                assert seen <= others, path
            for one in planted:
                told, shown = bob("GET", f"/v1/items/{one['item_id']}").json(), one["route"]
                assert (told["tasks"][0]["state"], told["corrections"]) == (held, [])
                said = told["preannotations"][-1]
                assert (said["reason"], said["otherwise"]) == (shown["reason"], shown["otherwise"])
                truly = boss("GET", f"/v1/items/{one['item_id']}").json()
                assert (truly["tasks"][0]["state"], truly["corrections"][0]["annotator"]) == ("corrected", "ann")
                assert any(lease["planted"] for lease in truly["leases"])
            for path in ("/queue/detection?state=corrected", "/log", "/v1/suspects?task=detection"):
                for who, tells in ((bob, 0), (boss, 6)):
                    text = _eventually_told(who, path)
                    assert sum(one["item_id"] in text for one in planted) == tells, (path, who)
            for one in handed if held == "leased" else ():
                assert bob("DELETE", f"/v1/leases/{one['lease_id']}").status_code == 204
        given = {"task": "detection", "label": planted[0]["label"], "annotator": "bob", "seconds": 3.0}
        path = f"/v1/items/{planted[0]['item_id']}"
        assert bob("POST", f"{path}/correction", json=given).status_code == 200
        assert bob("GET", path).json()["tasks"][0]["state"] == "corrected"


def test_who_hears_of_routes_hears_the_same_of_planted_items_as_of_others(tmp_path: Path) -> None:
    """Handing one out, giving it back, answering it and leaving it out are silent, and what was told before looks
    alike; a picture that comes in afterwards shows that all was delivered."""
    receiver = Receiver()
    with (
        serving(tmp_path, tasks=("detection",), gold_share=0.999999, calibration_share=0.4) as served,
        listening(served) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as client,
    ):
        client.post("/v1/webhooks", json={"url": receiver.url, "events": ["item.routed"]}).raise_for_status()
        client.put("/v1/policy", json={"policy": {"planted_share": 0.5}}).raise_for_status()
        eventually(lambda: not served.loop.due_for_calibration())  # or what came before is decided, and told, once more
        told = [_heard_after(client, receiver, shade) for shade in range(24)][-1]
        for one in client.get("/v1/queue/detection?limit=12&annotator=ann").json()["items"]:
            send(client, one, "ann", "car")
        handed = client.get("/v1/queue/detection?limit=12&annotator=bob").json()["items"]
        owed = served.loop.store.planting.owed("detection", "local")
        planted, openly = ([one for one in handed if (one["item_id"] in owed) is known] for known in (True, False))
        assert (len(planted), len(openly)) == (6, 6)
        assert _outlines(told, planted) <= _outlines(told, openly)
        for given_back, left_out, *answered in (planted, openly):
            client.delete(f"/v1/leases/{given_back['lease_id']}").raise_for_status()
            word = {"task": "detection", "reason": "damaged", "annotator": "bob", "seconds": 1.0}
            lease = {"lease_id": left_out["lease_id"]}
            client.post(f"/v1/items/{left_out['item_id']}/unfit", json=word | lease).raise_for_status()
            for number, one in enumerate(answered):
                send(client, one, "bob", "bus" if number else "car")
        new = _heard_after(client, receiver, 99)[len(told) :]
        assert [one["data"]["item_id"] for one in new] == [content_id(picture(99))]
    receiver.close()


def test_what_would_be_due_is_not_planted(tmp_path: Path) -> None:
    """Were it open, it would come first and say so."""
    desk = desk_of(tmp_path, 20, planted_share=0.9)
    late = [content_id(f"known {number}".encode()) for number in range(19)]
    desk.loop.store.deadlines.tell([(one, "detection", START) for one in late], "tester", desk.clock())
    assert [name for name in desk.lease(9, "bob") if name.startswith("known")] == ["known 19"]


def _with_token(folder: Path, client: Any, name: str, scope: str) -> Any:
    made = prelabel(folder, "token", "make", name, "--scope", scope, "--db", f"sqlite:///{folder}/store.db")
    headers = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
    return lambda method, path, **given: client.request(method, path, headers=headers, **given)


def _outline(told: Any) -> str:
    """What an answer looks like, whatever item it is of: its names, its words, and where something is."""
    text = re.sub(r"\d+\.\d+(e-\d+)?", "N", json.dumps(told, sort_keys=True))
    return re.sub(r"\d+", "N", re.sub(r"[0-9a-f]{32,64}|[0-9a-f]{12}\b", "ID", text))


def _seen(answered: Any, one: dict[str, Any]) -> str:
    assert answered.status_code == 200, answered.text
    return _outline(answered.text.replace(one["item_id"], "ID"))


def _heard_after(client: Any, receiver: Receiver, shade: int) -> list[dict[str, Any]]:
    """All messages up to that of a new picture, which comes after all of before."""
    client.post("/v1/detection/annotate", content=picture(shade)).raise_for_status()
    eventually(lambda: bool(receiver.heard) and receiver.messages[-1]["data"]["item_id"] == content_id(picture(shade)))
    return receiver.messages


def _outlines(messages: list[dict[str, Any]], leased: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    """What was told of each of these items, in order."""
    return {tuple(_outline(one) for one in messages if one["data"]["item_id"] == item["item_id"]) for item in leased}


def _eventually_told(who: Any, path: str) -> str:
    """The answer, once the ranking that it needs is there."""
    eventually(lambda: who("GET", path).status_code == 200)
    return str(who("GET", path).text)


def send(client: Any, leased: dict[str, Any], annotator: str, category: str) -> dict[str, Any]:
    label = {**leased["label"], "boxes": [{"xyxy": [1, 1, 20, 20], "category": category, "confidence": 1.0}]}
    body = {"task": "detection", "label": label, "annotator": annotator, "seconds": 3.0, "lease_id": leased["lease_id"]}
    answered = client.post(f"/v1/items/{leased['item_id']}/correction", json=body)
    assert answered.status_code == 200, answered.text
    told: dict[str, Any] = answered.json()
    return told


def history(client: Any, leased: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = client.get(f"/v1/items/{leased['item_id']}").json()
    return told


def labels_of(loop: Any, folder: Path, consensus: bool = False) -> dict[str, list[str]]:
    export(loop, "detection", "coco", folder, consensus=consensus)
    return {one.id: [box.category for box in label.boxes] for one, label in read(f"coco:{folder}")}  # type: ignore[union-attr]
