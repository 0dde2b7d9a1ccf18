"""Items that somebody chose as gold: never trained on, they decide promotions, and are evidence only where drawn."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.datasets import read
from models.errors import NotFound, Refused
from models.records import Item, Label, to_json
from selection.calibration import Calibrator
from selection.parts import PartPromise, Plan
from selection.policy import Policy
from selection.risk import Threshold
from selection.rules import About
from serving.deciding import Deciding
from serving.labels import export
from serving.loop import StoredVersion
from serving.media_files import content_id
from serving.promotion import Pairs
from serving.store import Store
from serving.store.gold import Added
from serving.store.order import Order
from serving.store.records import Spent
from serving.store.waiting import Asking
from serving.trust import Trust
from tests.serving.served import eventually, picture, serving
from tests.serving.test_cli import prelabel
from tests.serving.test_handing_out import Desk
from tests.serving.test_loop_versions import add
from tests.serving.work import (
    START,
    add_version,
    after,
    answer,
    boxes,
    correction,
    fill,
    item,
    item_id,
    prediction,
    settings,
)

KEPT = Threshold(0.5, 0.02, 0.05, 300, 200, 0)


def states(store: Store) -> dict[Any, int]:
    return store.items.counts("detection", START)


class TestStore:
    def test_what_was_accepted_unseen_is_queued_again(self, store: Store) -> None:
        add_version(store)
        fill(store, 2, decision="accept")
        assert states(store) == {"accepted": 2}
        assert store.gold.choose("detection", [item_id(0)], "boss", after(1)) == [item_id(0)]
        assert states(store) == {"accepted": 1, "preannotated": 1}
        assert store.gold.choose("detection", [item_id(0)], "boss", after(2)) == []  # it is so already
        assert store.gold.chosen("detection") == {item_id(0)}
        assert store.gold.chosen("detection", labelled=True) == frozenset()
        assert store.gold.take_back("detection", [item_id(0)], "boss", after(3)) == [item_id(0)]
        assert store.gold.take_back("detection", [item_id(0)], "boss", after(4)) == []
        told = [(one.verb, one.actor, one.subject) for one in store.changes.page(10, None, "", "", None)]
        assert told[:2] == [("ungold", "boss", item_id(0)), ("gold", "boss", item_id(0))]

    def test_all_or_none(self, store: Store) -> None:
        add_version(store)
        fill(store, 1)
        for change in (store.gold.choose, store.gold.take_back):
            with pytest.raises(NotFound, match="expected one registered for task detection"):
                change("detection", [item_id(0), "nobody knows it"], "boss", after(1))
        assert store.gold.chosen("detection") == frozenset()

    def test_what_was_seen_in_parts_is_seen_whole(self, store: Store) -> None:
        add_version(store)
        parts = replace(answer(0), decision=replace(answer(0).decision, parts=Plan((0,), (), True)))
        for name in (0, 1):
            said = replace(parts, preannotation=answer(name).preannotation)
            store.items.save(item(name), said, 0.5, None, "tester", START)
        store.queue.correct(correction(0, "car", at=1), None, "tester", after(1))
        (held,) = store.queue.lease(Asking("detection", "ann", "tester", after(1), after(60)), 9, Order("priority"))
        store.gold.choose("detection", [item_id(0), item_id(1)], "boss", after(2))
        assert states(store) == {"leased": 1, "preannotated": 1}
        store.queue.correct(correction(1, "car", at=3), held.lease_id, "tester", after(3))
        assert states(store) == {"preannotated": 2}  # they saw a part of it

    def test_a_known_label_counts_from_now_on_and_is_nobodys_work(self, store: Store) -> None:
        add_version(store)
        fill(store, 2)
        store.queue.correct(correction(0, "bus", at=1), None, "tester", after(1))
        labels: list[tuple[str, Label]] = [(item_id(0), boxes("car")), (item_id(1), boxes("car"))]
        assert store.gold.know("detection", labels, "coco:right", "boss", after(2)) == Added(2, 1)
        assert store.gold.know("detection", labels, "coco:right", "boss", after(3)) == Added(0, 0)  # as before
        assert [label for _, label in store.queue.corrected("detection")] == [boxes("car"), boxes("car")]
        assert vars(store.gold.counts("detection")) == {"chosen": 2, "labelled": 2, "known": 2}
        assert store.queue.seconds("detection") == [Spent("v1", 1, 1, 4.0)]
        assert [label for label, _ in store.queue.last_given("detection", 9)] == [boxes("bus")]

    def test_the_known_label_that_came_last_counts_also_one_that_came_before_another(self, store: Store) -> None:
        add_version(store)
        fill(store, 1)

        def bring(*names: str) -> list[Added]:
            return [store.gold.know("detection", [(item_id(0), boxes(name))], "boss", "boss", START) for name in names]

        first, same, other = Added(1, 0), Added(0, 0), Added(1, 1)
        assert bring("car", "bus", "bus", "car", "car", "bus") == [first, other, same, other, same, other]
        assert [label for _, label in store.queue.corrected("detection")] == [boxes("bus")]
        store.queue.correct(correction(0, "van", at=1), None, "tester", after(1))
        assert bring("bus") == [same]  # nothing new is known since, and a person said something else
        assert [label for _, label in store.queue.corrected("detection")] == [boxes("van")]
        for name, told in (("van", first), ("car", other)):  # the first says the same as that person
            assert store.gold.know("detection", [(item_id(0), boxes(name))], "boss", "boss", after(2)) == told


def test_people_label_a_chosen_item_however_sure_the_model_is_and_whole(tmp_path: Path) -> None:
    deciding, policy = Deciding.by(settings(tmp_path, gold_share=0)), Policy(audit_share=1e-9)
    said = replace(answer(0, score=0.1).preannotation, features={"expected_missed": 0.1})
    shown_whole = "0 of 1 parts are within"  # as one that is gold by chance
    for promise, why in ((KEPT, "chosen as gold, which people label; "), (PartPromise(KEPT, KEPT, 5), shown_whole)):
        trust = Trust(Calibrator("identity", 0, 0), promise)
        assert deciding.answer(said, About(), trust, policy).decision.decision == "accept"
        chosen = deciding.answer(said, About(chosen=True), trust, policy).decision
        assert (chosen.decision, chosen.parts, chosen.policy) == ("review", None, policy.version)
        assert chosen.reason.startswith(why)
        drawn = deciding.answer(said, About(chosen=True), trust, Policy(audit_share=0.9999)).decision
        assert (drawn.decision, drawn.parts) == ("audit", None)
        planted = deciding.as_if_open(said, About(chosen=True), trust, policy).decision
        assert planted == deciding.as_if_open(said, About(), trust, policy).decision
        assert (planted.decision, planted.parts) == ("audit", None)


class TestLoop:
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Desk:
        desk = Desk(tmp_path, gold_share=0, calibration_share=0.3)
        for number in range(40):
            desk.post(f"{number}")
        return desk

    def ids(self, *numbers: int) -> list[str]:
        return [content_id(str(number).encode()) for number in numbers]

    def gold(self, desk: Desk) -> set[str]:
        return {desk.names[one.id] for one, _ in desk.loop.labelled.gold_data("detection")}

    def test_gold_trains_nothing_and_decides_where_no_version_was_trained_on_it(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        for number in range(4):
            desk.correct(str(number), 3)
        add(desk.loop, tmp_path, "v2", "v1", (self.ids(1)[0],))
        assert desk.loop.gold.choose("detection", self.ids(0, 1, 9), "boss").words == (
            "3 more chosen as gold; 1 without a label yet, to count once a person gave one"
        )
        assert self.gold(desk) == {"0", "1"}
        assert {desk.names[one.id] for one, _ in desk.loop.labelled.training_data("detection")} == {"2", "3"}
        compared: list[str] = []

        def compare(version: StoredVersion, pairs: Pairs) -> float:
            compared.extend(desk.names[one.id] for one, _ in pairs)
            return 0.5

        assert desk.loop.versions.promote("v2", "boss", compare=compare).comparison.gold_items == 1
        assert compared == ["0", "0"]
        assert desk.loop.gold.choose("detection", self.ids(1), "boss").words == (
            "0 more chosen as gold; 1 seen in training: no yardstick for the serving version and what comes from it"
        )
        desk.correct("9", 3)
        assert self.gold(desk) == {"0", "1", "9"}
        assert desk.loop.gold.take_back("detection", self.ids(0, 2), "boss") == 1
        assert self.gold(desk) == {"1", "9"}

    def test_what_is_gold_by_chance_stays_so(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, gold_share=0.999999)
        desk.post("0")
        with pytest.raises(Refused, match=r"expected an item that was chosen, got \w+, which is gold by chance"):
            desk.loop.gold.take_back("detection", self.ids(0), "boss")
        with pytest.raises(NotFound):
            desk.loop.gold.take_back("detection", self.ids(1), "boss")

    def test_being_chosen_makes_no_evidence(self, desk: Desk, tmp_path: Path) -> None:
        """Whoever chooses what the model gets right, or wrong, changes nothing of the checks: they are those drawn."""
        drawn = {name for item_id, name in desk.names.items() if desk.loop._deciding.draw(item_id) < 0.3}
        assert 5 < len(drawn) < 20
        desk.loop.gold.choose("detection", self.ids(*range(20)), "boss")
        shutil.rmtree(tmp_path / "data" / "media")  # the desk's media are no pictures
        for number in range(20, 30):  # with their labels, known to be as the model says
            desk.loop.gold.know("detection", self.ids(number)[0], boxes("car"), "boss")
        for number in range(20):
            desk.correct(str(number), 3)
        files = [tmp_path / f"{number}.jpg" for number in range(100, 140)]
        for number, file in enumerate(files):
            file.write_bytes(picture(number))
        pairs = [(replace(item(file.name), uri=str(file)), _box()) for file in files]
        brought = desk.loop.gold.bring("detection", pairs, "coco:right", "boss")
        assert (brought.labels, brought.choice.new, brought.choice.unlabelled) == (40, 40, 0)
        assert sum(desk.loop._deciding.draw(content_id(file.read_bytes())) < 0.3 for file in files) > 5
        for one, _ in pairs:  # a version is asked about them, as it is about all that may be planted
            file = Path(one.uri)
            (waits,) = (known for known in desk.loop.pending("detection", 99) if known.uri == str(file))
            desk.names[waits.id] = file.name
            desk.loop.record("detection", waits, None, prediction(), "v1", None, "poster")
        assert desk.loop.pending("detection", 99) == []
        checks = {desk.names[one.item_id] for one in desk.loop.store.checks.audited("detection", "v1", ["v1"])}
        assert checks == {name for name in drawn if int(name) < 30}
        assert len(desk.loop.store.items.scores("detection", "v1")) == 40  # what came with its label is no pool
        assert sum(map(len, desk.loop.store.items.answers("detection", "v1", 99))) == 40

    def test_a_medium_that_is_gone_is_asked_about_once(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, gold_share=0)
        file = tmp_path / "a.jpg"
        file.write_bytes(picture(1))
        desk.loop.gold.bring("detection", [(replace(item("a"), uri=str(file)), _box())], "coco:right", "boss")
        (waits,) = desk.loop.pending("detection", 9)
        desk.loop.fail(waits.id, "detection", "gone", "worker")
        assert desk.loop.pending("detection", 9) == []
        assert states(desk.loop.store) == {"corrected": 1}
        missing = [(replace(item("b"), uri=str(tmp_path / "b.jpg")), boxes("car"))]
        assert [why for _, why in desk.loop.gold.bring("detection", missing, "coco:right", "boss").failed] == [
            f"{tmp_path}/b.jpg: No such file or directory"
        ]


def test_one_medium_with_two_labels_keeps_the_first_and_tells(tmp_path: Path) -> None:
    desk = Desk(tmp_path, gold_share=0)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(picture(1))
    car, bus = (replace(boxes(name), width=120, height=90) for name in ("car", "bus"))
    pairs = [
        (Item(uri, str(tmp_path / uri)), label)
        for uri, label in (("a.jpg", car), ("a.jpg", car), ("a.jpg", bus), ("b.jpg", bus), ("b.jpg", car))
    ]
    brought = desk.loop.gold.bring("detection", pairs, "coco:right", "boss")
    assert (brought.labels, brought.choice.new) == (1, 1)
    assert [label for _, label in desk.loop.labelled.gold_data("detection")] == [car]
    assert brought.failed == tuple(
        (str(tmp_path / uri), f"{tmp_path}/{uri}: expected the label of {tmp_path}/a.jpg, the same medium, got another")
        for uri in ("a.jpg", "b.jpg")
    )


def test_a_medium_that_cannot_be_read_is_no_gold_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    """It would stand in the way of every promotion."""
    (tmp_path / "a.ogg").write_bytes(b"no sound")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    pictures = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
        "categories": [],
        "annotations": [],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train.json").write_text(json.dumps(pictures))
    (tmp_path / "images").symlink_to(tmp_path)
    (tmp_path / "a.jsonl").write_text(json.dumps({"audio_filepath": "a.ogg", "text": "yes"}))
    for task, data, expected in (
        ("asr", f"nemo:{tmp_path}/a.jsonl", "a.ogg: expected WAV, FLAC, Ogg or MP3 audio, got"),
        ("detection", f"coco:{tmp_path}:train", "a.jpg: expected a JPEG, PNG or WebP image, got"),
    ):
        brought = prelabel(tmp_path, "gold", "import", task, data)
        assert brought.returncode == 1, brought.stderr
        assert "0 new labels; 0 more chosen as gold" in brought.stdout
        assert f"left out: {tmp_path}/" in brought.stdout
        assert expected in brought.stdout


def test_a_known_label_of_a_medium_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with serving(tmp_path, tasks=("detection",), gold_share=0) as served:
        store = f"sqlite:///{tmp_path}/store.db"
        registered = prelabel(tmp_path, "register", "detection", f"{tmp_path}/a.jpg", "--db", store)
        assert registered.returncode == 0, registered.stderr
        one = content_id(tmp_path / "a.jpg")
        body = {"task": "detection", "label": to_json(_box())}
        refused = served.client.put(f"/v1/items/{one}/gold", json=body)
        assert refused.status_code == 422, refused.text
        assert "a.jpg: expected a JPEG, PNG or WebP image, got" in refused.text
        assert served.loop.store.gold.chosen("detection") == set()


def test_over_http_and_on_the_page(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), gold_share=0) as served:
        client = served.client
        first, second, third = (
            client.post("/v1/detection/annotate", content=picture(shade)).json()["item_id"] for shade in range(3)
        )
        label = {"width": 120, "height": 90, "boxes": [{"xyxy": [1, 1, 20, 20], "category": "car", "confidence": 1.0}]}
        told = client.put(f"/v1/items/{first}/gold", json={"task": "detection", "label": label})
        assert (told.status_code, told.json()) == (200, {
            "item_id": first, "task": "detection", "new": True, "labelled": True, "trained_on": False, "replaced": False
        })  # fmt: skip
        other = {**label, "boxes": []}
        assert client.put(f"/v1/items/{first}/gold", json={"task": "detection", "label": other}).json()["replaced"]
        assert client.put(f"/v1/items/{second}/gold", json={"task": "detection"}).json()["labelled"] is False
        page = client.get("/v1/gold?task=detection&limit=1").json()
        assert (page["chosen"], page["labelled"], page["known"], page["next"]) == (2, 1, 1, min(first, second))
        rest = client.get(f"/v1/gold?task=detection&after={page['next']}").json()
        assert {one["item_id"]: one["state"] for one in page["items"] + rest["items"]} == {
            first: "corrected", second: "preannotated"
        }  # fmt: skip
        report = client.get("/v1/report").json()["tasks"]["detection"]
        assert report["gold"] == {"chosen": 2, "labelled": 1, "known": 1}
        assert (report["labels"], report["corrections"], report["human_seconds"]) == (0, 0, 0)
        assert client.get("/v1/annotators").json()["tasks"]["detection"] == []
        assert client.put("/v1/items/none/gold", json={"task": "detection"}).status_code == 404
        broken = client.put(f"/v1/items/{third}/gold", json={"task": "detection", "label": {"text": "no"}})
        assert broken.status_code == 422

        shown = client.get(f"/items/{first}").text
        assert ">gold<" in shown
        assert "Choose as gold no longer" in shown
        assert "Choose as gold<" in client.get(f"/items/{third}").text
        form = client.post(f"/items/{third}/gold", data={"task": "detection", "choose": "yes"}, follow_redirects=False)
        assert (form.status_code, form.headers["location"]) == (303, f"/items/{third}")
        assert served.loop.store.gold.chosen("detection") == {first, second, third}
        client.post(f"/items/{third}/gold", data={"task": "detection"})
        assert client.delete(f"/v1/items/{second}/gold?task=detection").status_code == 204
        assert served.loop.store.gold.chosen("detection") == {first}
        assert "chose as gold no longer" in client.get("/log").text


def test_one_gold_item_is_told_as_one(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), gold_share=0) as served:
        item_id = served.client.post("/v1/detection/annotate", content=picture(1)).json()["item_id"]
        served.loop.gold.know("detection", item_id, _box(), "boss")
        newer = served.add("detection", size=40).name
        eventually(lambda: "On 1 gold item that" in served.client.get(f"/models/{newer}/promote").text)
        told = served.client.post(f"/v1/models/{newer}/promote", json={"force": True}).json()
        assert told["note"].endswith(" on 1 gold item")
        assert " on 1 gold item<" in served.client.get(f"/models/{newer}").text


def test_only_who_may_promote_may_choose(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",)) as served:
        one = served.client.post("/v1/detection/annotate", content=picture()).json()["item_id"]
        made = {name: prelabel(tmp_path, "token", "make", name, "--scope", name, "--db", f"sqlite:///{tmp_path}/store.db")
                for name in ("correct", "promote")}  # fmt: skip
        secrets = {name: run.stdout.split()[-1] for name, run in made.items()}
        for name, status in (("correct", 403), ("promote", 200)):
            headers = {"Authorization": f"Bearer {secrets[name]}"}
            asked = served.client.put(f"/v1/items/{one}/gold", json={"task": "detection"}, headers=headers)
            assert asked.status_code == status, asked.text
            assert served.client.get("/v1/gold?task=detection", headers=headers).status_code == status


def test_from_a_file_of_labels_to_planted_items(tmp_path: Path) -> None:
    """Labels of one deployment are gold in another; its version is asked about them, and bob is planted some."""
    with serving(tmp_path / "there", tasks=("detection",)) as there:
        for shade in range(12):
            posted = there.client.post("/v1/detection/annotate", content=picture(shade)).json()
            given = replace(correction("any", "car"), item_id=posted["item_id"], label=_box())
            there.loop.correct(given, None, "tester")
        export(there.loop, "detection", "coco", tmp_path / "right")
    here = f"sqlite:///{tmp_path}/store.db"
    with serving(tmp_path, tasks=("detection",), gold_share=0) as served:
        values = {"PRELABEL_DATA_DIR": str(tmp_path / "data"), "PRELABEL_GOLD_SHARE": "0"}
        brought = prelabel(tmp_path, "gold", "import", "detection", f"coco:{tmp_path}/right", "--db", here, **values)
        assert brought.returncode == 0, brought.stderr
        assert "12 new labels; 12 more chosen as gold" in brought.stdout
        again = prelabel(tmp_path, "gold", "import", "detection", f"coco:{tmp_path}/right", "--db", here, **values)
        assert "0 new labels; 0 more chosen as gold" in again.stdout
        shutil.copytree(tmp_path / "right", tmp_path / "other")
        (labels,) = (tmp_path / "other" / "annotations").iterdir()
        labels.write_text(labels.read_text(encoding="utf-8").replace('"car"', '"bus"'), encoding="utf-8")
        other = prelabel(tmp_path, "gold", "import", "detection", f"coco:{tmp_path}/other", "--db", here, **values)
        told = "12 new labels; 0 more chosen as gold; 12 with another label before, which counts no longer"
        assert told in other.stdout
        listed = prelabel(tmp_path, "gold", "--db", here, **values)
        (line,) = (line for line in listed.stdout.splitlines() if line.strip().startswith("detection"))
        assert line.split() == ["detection", "12", "0", "12", "12"]
        wrong = prelabel(tmp_path, "gold", "import", "asr", f"coco:{tmp_path}/right", "--db", here, **values)
        assert (wrong.returncode, "expected data with asr labels, got detection" in wrong.stderr) == (2, True)
        eventually(lambda: served.loop.pending("detection", 9) == [])
        for shade in range(100, 112):
            served.client.post("/v1/detection/annotate", content=picture(shade))
        served.client.put("/v1/policy", json={"policy": {"planted_share": 0.5}})
        handed = served.client.get("/v1/queue/detection?limit=12&annotator=bob").json()["items"]
        kinds = Counter(one["item_id"] in served.loop.store.gold.chosen("detection") for one in handed)
        assert kinds == {True: 6, False: 6}
        assert not any("gold" in str(one["route"]) for one in handed)
        ids = "\n".join(sorted(served.loop.store.gold.chosen("detection")))
        (tmp_path / "ids.txt").write_text(ids)
        gone = prelabel(tmp_path, "gold", "unmark", "detection", "--from", str(tmp_path / "ids.txt"), "--db", here,
                        **values)  # fmt: skip
        assert "12 chosen as gold no longer" in gone.stdout
        back = prelabel(tmp_path, "gold", "mark", "detection", *ids.split()[:2], "--db", here, **values)
        assert "2 more chosen as gold" in back.stdout
        assert {one.id for one, _ in served.loop.labelled.gold_data("detection")} == set(ids.split()[:2])
    none = prelabel(tmp_path, "gold", "mark", "detection", "--db", here)
    assert (none.returncode, "expected ids of items, got none" in none.stderr) == (2, True)
    assert len(list(read(f"coco:{tmp_path}/right"))) == 12


def _box() -> Label:
    return replace(boxes("car"), width=120, height=90)
