"""What a version is trusted with, and when another takes its place."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models import versions as version_files
from models.errors import InvalidInput, NotFound, Refused, Stale, UnreadableMedia
from models.records import Box, Boxes, Correction, Item, Prediction
from models.versions import read_version
from selection.parts import Plan
from selection.risk import NoPromise, Threshold
from selection.routing import DRAWN
from serving.loop import Answer, Loop, StoredVersion
from serving.media_files import MediaFiles, content_id
from serving.promotion import Pairs, quality_of
from tests.serving.work import Clock, after, boxes, new_loop, prediction, serve, settings, version_folder

Build = Callable[..., Loop]
EASY = {"alpha": 0.2, "delta": 0.2, "calibration_share": 0.5, "audit_share": 0.1}  # a promise needs 8 audit items


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Makes a loop on one store with the given settings; version v1 serves, v2 descends from it."""

    def make(**values: Any) -> Loop:
        loop = new_loop(tmp_path, **values)
        if not loop.versions.all():
            serve(loop, tmp_path)
        return loop

    return make


def add(loop: Loop, root: Path, name: str, parent: str | None = None, trained_on: tuple[str, ...] = ()) -> None:
    loop.versions.add(version_folder(root / "versions", name, parent, trained_on), "tester")


def post(loop: Loop, name: object, score: float, version: str = "v1", label: Boxes | None = None) -> Item:
    data = str(name).encode()
    item = Item(content_id(data), f"{name}.jpg")
    loop.record("detection", item, data, prediction(score, label), version, None, "poster")
    return item


def correct(loop: Loop, item: Item, *categories: str) -> None:
    """What was said is one car, so anything else is an error of the model."""
    given = Correction(item.id, "detection", boxes(*categories), "ann", 4.0, "test", after(0), "v1")
    loop.correct(given, None, "tester")


def decision(loop: Loop, item: Item, version: str = "v1") -> str:
    answer = loop.answered(item.id, "detection", version)
    assert answer is not None
    return answer.decision.decision


def work_off(loop: Loop, items: list[Item], wrong: Callable[[int], bool]) -> None:
    """People correct the audit items."""
    for i, item in enumerate(items):
        if decision(loop, item) in DRAWN:
            correct(loop, item, "bus" if wrong(i) else "car")


def test_nothing_is_accepted_before_the_promise_and_the_certain_ones_after(build: Build) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 120) for i in range(120)]
    assert {decision(loop, item) for item in items} == {"calibrate", "review"}
    work_off(loop, items, wrong=lambda i: i >= 60)
    trust = loop.recalibrate("v1", "tester")
    assert isinstance(trust.promise, Threshold)
    assert 0.4 <= trust.promise.threshold <= 0.7
    assert trust.calibrator.n == trust.promise.n > 30
    assert decision(loop, post(loop, "sure", 0.01)) in ("accept", "audit")
    rerouted = {decision(loop, item) for item in items[:40]}
    assert "accept" in rerouted
    assert "accept" not in {decision(loop, item) for item in items[90:]}
    report = loop.report()["tasks"]["detection"]
    assert report["promise"]["holds"] is True
    assert report["items"]["accepted"] > 10
    sure = loop.answered(items[1].id, "detection", "v1")
    assert sure is not None
    assert sure.preannotation.uncertainty.p_error < 0.3


def test_what_was_learnt_outlives_the_process(build: Build) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 120) for i in range(120)]
    work_off(loop, items, wrong=lambda i: i >= 60)
    trust = loop.recalibrate("v1", "tester")
    again = build(**EASY)
    item = post(again, "another", 0.3)
    answer = again.answered(item.id, "detection", "v1")
    assert answer is not None
    assert answer.preannotation.uncertainty.p_error == pytest.approx(trust.p_error(0.3, answer.preannotation.features))


@pytest.mark.parametrize("changed", [{"alpha": 0.3}, {"delta": 0.1}])
def test_a_promise_made_for_other_terms_is_not_used_but_made_anew(build: Build, changed: dict[str, float]) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 300) for i in range(300)]
    work_off(loop, items, wrong=lambda i: i >= 200)
    promised = loop.recalibrate("v1", "tester")
    assert loop.due_for_calibration() == []
    other = build(**EASY | changed)
    later = [post(other, f"later {i}", i / 40) for i in range(40)]
    assert {decision(other, item) for item in later} == {"calibrate", "review"}
    answer = other.answered(later[0].id, "detection", "v1")
    assert answer is not None
    terms = {"alpha": "alpha 30 %, delta 20 %", "delta": "alpha 20 %, delta 10 %"}[next(iter(changed))]
    why = f"nothing is accepted unseen yet: the random checks are not yet weighed for {terms}"
    assert why in answer.decision.reason
    assert answer.preannotation.uncertainty.p_error == promised.p_error(0.0, {})
    assert other.report()["tasks"]["detection"]["promise"]["holds"] is False
    assert [version.name for version in other.due_for_calibration()] == ["v1"]
    renewed = other.recalibrate("v1", "tester").promise
    assert isinstance(renewed, Threshold)
    assert {"alpha": renewed.alpha, "delta": renewed.delta} == {"alpha": 0.2, "delta": 0.2} | changed
    assert "accept" in {decision(other, item) for item in later}
    assert [each.due_for_calibration() for each in (build(**EASY), other)] == [[], []]  # each has a promise of its own


def test_work_chosen_by_its_doubt_teaches_no_promise(build: Build) -> None:
    """The easy half is corrected out of turn, all right; taken for a random sample it would promise anything."""
    loop = build(**EASY)
    items = [post(loop, i, score=i / 120) for i in range(120)]
    for item in items:
        if decision(loop, item) == "review":
            correct(loop, item, "car")
    trust = loop.recalibrate("v1", "tester")
    assert isinstance(trust.promise, NoPromise)
    assert trust.calibrator.n == 0


def test_items_of_one_group_are_one_piece_of_evidence(build: Build) -> None:
    loop = build(**EASY)
    for i in range(60):
        data = f"frame {i}".encode()
        item = Item(content_id(data), f"{i}.jpg", "one clip")
        loop.record("detection", item, data, prediction(0.1), "v1", None, "poster")
        correct(loop, item, "car")
    trust = loop.recalibrate("v1", "tester")
    assert isinstance(trust.promise, NoPromise)
    assert "random checks in 1 group are weighed" in trust.promise.reason
    loop.adopt(replace(loop.policies.default, groups=False), None, "boss")
    assert not loop.trust("v1").holds  # it has yet to be weighed so
    assert loop.recalibrate("v1", "tester").holds


def test_a_new_version_is_asked_about_audit_items_that_it_was_not_trained_on(build: Build, tmp_path: Path) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 60) for i in range(60)]
    work_off(loop, items, wrong=lambda i: False)
    audits = [item for item in items if decision(loop, item) in DRAWN]
    seen_by_v2, seen_by_v3 = audits[:3], audits[3:6]
    add(loop, tmp_path, "v2", "v1", tuple(item.id for item in seen_by_v2))
    add(loop, tmp_path, "v3", "v2", tuple(item.id for item in seen_by_v3))
    asked = []

    def predict(item: Item) -> tuple[Prediction, None]:
        asked.append(item.id)
        assert content_id(Path(item.uri)) == item.id
        return prediction(0.2), None

    trust = loop.recalibrate("v3", "tester", predict)
    assert asked == sorted(item.id for item in audits[6:])  # a version has seen what its ancestors were trained on
    assert isinstance(trust.promise, Threshold)
    assert trust.promise.n == len(audits) - 6
    loop.recalibrate("v3", "tester", predict)
    assert len(asked) == len(audits) - 6
    assert decision(loop, post(loop, "new", 0.1, "v2"), "v2") != "accept"  # what v3 learnt is no promise of v2


def test_a_medium_that_cannot_be_read_teaches_nothing(build: Build, tmp_path: Path) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 60) for i in range(60)]
    work_off(loop, items, wrong=lambda i: False)
    audits = [item for item in items if decision(loop, item) in DRAWN]
    loop.path(audits[0]).unlink()
    loop.path(audits[1]).write_bytes(b"changed")
    add(loop, tmp_path, "v2", "v1")

    def predict(item: Item) -> tuple[Prediction, None]:
        if item.id == audits[2].id:
            raise UnreadableMedia("not an image")
        return prediction(0.2), None

    trust = loop.recalibrate("v2", "tester", predict)
    assert isinstance(trust.promise, Threshold)
    assert trust.promise.n == len(audits) - 3


def test_a_version_of_unknown_descent_promises_nothing(build: Build, tmp_path: Path) -> None:
    loop = build(**EASY)
    add(loop, tmp_path, "v2", "a stranger")
    items = [post(loop, i, score=i / 60) for i in range(60)]
    work_off(loop, items, wrong=lambda i: False)
    trust = loop.recalibrate("v2", "tester", lambda item: (prediction(0.2), None))
    assert isinstance(trust.promise, NoPromise)
    assert "a stranger" in trust.promise.reason


def test_calibration_falls_due_as_audits_come_in(build: Build) -> None:
    loop = build(**EASY)
    assert loop.due_for_calibration() == []
    items = [post(loop, i, score=i / 90) for i in range(90)]
    work_off(loop, items, wrong=lambda i: False)
    assert [version.name for version in loop.due_for_calibration()] == ["v1"]
    loop.recalibrate("v1", "tester")
    assert loop.due_for_calibration() == []


def test_checks_are_weighed_as_soon_as_none_is_missing_and_the_report_says_how_many_are(build: Build) -> None:
    loop = build(**EASY | {"calibration_share": 1.0})

    def told() -> tuple[str, int]:
        promise = loop.report()["tasks"]["detection"]["promise"]
        return promise["reason"], promise["missing"]

    assert told() == ("no random checks of this version are weighed yet, which takes at least 30", 30)
    work_off(loop, [post(loop, i, score=0.5) for i in range(6)], wrong=lambda i: False)
    assert told()[1] == 24
    loop.recalibrate("v1", "tester")
    reason, missing = told()
    assert reason == f"6 random checks are weighed, at least {6 + missing} are needed"
    for left in range(missing, 0, -1):
        assert (told(), loop.due_for_calibration()) == ((reason, left), [])
        work_off(loop, [post(loop, f"later {left}", score=0.5)], wrong=lambda i: False)
    assert [version.name for version in loop.due_for_calibration()] == ["v1"]
    assert loop.recalibrate("v1", "tester").holds
    assert loop.due_for_calibration() == []


def qualities(**known: float) -> Callable[[StoredVersion, Pairs], float]:
    return lambda version, pairs: known[version.name]


def fill_gold(loop: Loop) -> None:
    for i in range(8):
        correct(loop, post(loop, i, 0.5), "car")


def test_a_worse_candidate_is_refused_with_the_figures_unless_forced(build: Build, tmp_path: Path) -> None:
    loop = build(gold_share=0.99)
    fill_gold(loop)
    add(loop, tmp_path, "v2")
    worse = qualities(v1=0.8, v2=0.75)
    with pytest.raises(Refused, match=r"got quality 0\.7500 against 0\.8000 of v1 on 8 gold items"):
        loop.versions.promote("v2", "boss", compare=worse)
    with pytest.raises(Refused, match="expected a comparison with v1"):
        loop.versions.promote("v2", "boss")
    with pytest.raises(Refused, match="nan against"):
        loop.versions.promote("v2", "boss", compare=qualities(v1=0.8, v2=float("nan")))
    assert loop.versions.serving("detection") == loop.versions.get("v1")
    before = loop.versions.changes()
    forced = loop.versions.promote("v2", "boss", force=True, compare=worse)
    assert (forced.previous, forced.forced, forced.actor) == ("v1", True, "boss")
    assert forced.comparison.gold_items == 8
    assert loop.versions.changes() > before
    assert [(version.name, version.state) for version in loop.versions.all()] == [("v1", "retired"), ("v2", "serving")]
    assert loop.versions.promote("v2", "boss") == forced  # it serves already


def test_a_candidate_as_good_is_promoted_and_only_unseen_gold_decides(build: Build, tmp_path: Path) -> None:
    loop = build(gold_share=0.99)
    fill_gold(loop)
    gold = [item.id for item, _ in loop.labelled.gold_data("detection")]
    add(loop, tmp_path, "v2", "v1", (gold[0],))

    def compare(version: StoredVersion, pairs: Pairs) -> float:
        assert [item.id for item, _ in pairs] == gold[1:]
        return 0.5

    assert loop.versions.promote("v2", "boss", compare=compare).comparison.gold_items == 7


def test_without_gold_the_promotion_says_so(build: Build, tmp_path: Path) -> None:
    loop = build()
    add(loop, tmp_path, "v2")
    promotion = loop.versions.promote("v2", "boss", compare=qualities())
    assert promotion.comparison.note == "no gold items that neither was trained on: promoted without a comparison"


def test_a_switch_during_the_comparison_is_noticed(build: Build, tmp_path: Path) -> None:
    loop = build(gold_share=0.99)
    fill_gold(loop)
    add(loop, tmp_path, "v2")
    add(loop, tmp_path, "v3")

    def compare(version: StoredVersion, pairs: Pairs) -> float:
        if version.name == "v2":
            loop.versions.promote("v3", "somebody else", force=True)
        return 0.5

    with pytest.raises(Stale, match="compared with v1, but v3 serves by now"):
        loop.versions.promote("v2", "boss", compare=compare)


def test_rollback_undoes_promotions_one_by_one(build: Build, tmp_path: Path) -> None:
    loop = build()
    for name in ("v2", "v3"):
        add(loop, tmp_path, name)
        loop.versions.promote(name, "boss", force=True)
    served = [loop.versions.rollback("detection", "boss").version for _ in range(2)]
    assert served == ["v2", "v1"]
    with pytest.raises(Refused, match="expected a version that served before"):
        loop.versions.rollback("detection", "boss")
    loop.versions.promote("v3", "boss", force=True)
    assert loop.versions.rollback("detection", "boss").version == "v1"
    switches = loop.report()["tasks"]["detection"]["switches"]
    assert [(one["version"], one["kind"]) for one in switches][-2:] == [("v3", "promote"), ("v1", "rollback")]


def test_rollback_passes_over_a_version_that_failed_even_if_it_serves_later(build: Build, tmp_path: Path) -> None:
    loop = build()
    for name in ("v2", "v3"):
        add(loop, tmp_path, name)
        loop.versions.promote(name, "boss", force=True)
    loop.versions.fail("v2", "gone from the disk")
    assert loop.versions.rollback("detection", "boss").version == "v1"
    loop.versions.promote("v2", "boss", force=True)  # it is back
    assert loop.versions.rollback("detection", "boss").version == "v1"


def test_a_broken_version_gives_way_to_the_one_before(build: Build, tmp_path: Path) -> None:
    loop = build()
    for name in ("v2", "v3"):
        add(loop, tmp_path, name)
        loop.versions.promote(name, "boss", force=True)
    loop.versions.fail("v2", "retired, and broken too")
    loop.versions.fail("v3", "not an ONNX file")
    changes = loop.versions.changes()
    loop.versions.fail("v3", "said by another worker")
    assert loop.versions.changes() == changes
    assert loop.versions.get("v3").failure == "not an ONNX file"
    serving = loop.versions.serving("detection")
    assert serving is not None
    assert serving.name == "v1"
    with pytest.raises(Refused, match="not an ONNX file"):
        loop.versions.promote("v3", "boss", compare=qualities(v1=0.1, v3=0.9))
    assert loop.versions.promote("v3", "boss", force=True).version == "v3"
    assert loop.versions.get("v3").state == "serving"
    with pytest.raises(NotFound, match="'v9'"):
        loop.versions.fail("v9", "nobody knows it")


@pytest.mark.parametrize("force", [False, True])
def test_a_version_that_breaks_down_in_the_comparison_is_marked_failed(
    build: Build, tmp_path: Path, force: bool
) -> None:
    """The model of v2 is none; nor is that of v1, but who serves is not judged here."""
    loop = build(gold_share=0.99)
    fill_gold(loop)
    add(loop, tmp_path, "v2")
    with pytest.raises(Refused, match="expected v2 to load and to answer"):
        loop.versions.promote("v2", "boss", force, quality_of)
    assert loop.versions.get("v2").state == "failed"
    assert "description" in str(loop.versions.get("v2").failure)
    add(loop, tmp_path, "v3")
    (loop.versions.get("v3").folder / "model.onnx").unlink()
    with pytest.raises(NotFound, match=r"expected the model's file, got nothing of that name"):
        loop.versions.promote("v3", "boss", force, quality_of)
    add(loop, tmp_path, "v4")

    def compare(one: StoredVersion, pairs: Pairs) -> float:
        return 0.5 if one.name == "v4" else quality_of(one, pairs)

    with pytest.raises(Refused, match="expected v1 to load and to answer"):
        loop.versions.promote("v4", "boss", force, compare)
    assert [one.state for one in loop.versions.all()] == ["serving", "failed", "candidate", "candidate"]


def test_a_version_whose_folder_is_gone_is_not_promoted(build: Build, tmp_path: Path) -> None:
    loop = build()
    add(loop, tmp_path, "v2")
    folder = loop.versions.get("v2").folder
    folder.rename(tmp_path / "away")
    with pytest.raises(NotFound, match="v2: expected a model version"):
        loop.versions.promote("v2", "boss", force=True)
    (tmp_path / "away").rename(folder)
    assert loop.versions.promote("v2", "boss", force=True).version == "v2"


def test_a_correction_counts_where_the_folder_of_the_version_is_gone(build: Build) -> None:
    item = post(build(), "a", score=0.5)
    loop = build()  # another process, that has not read it yet
    shutil.rmtree(loop.versions.get("v1").folder)
    correct(loop, item, "car")
    assert loop.history(item.id)["tasks"][0]["state"] == "corrected"


def test_a_damaged_version_is_not_added(build: Build, tmp_path: Path) -> None:
    loop = build()
    folder = version_folder(tmp_path / "versions", "v2")
    (folder / "model.onnx").write_text("changed")
    with pytest.raises(InvalidInput, match="expected SHA-256"):
        loop.versions.add(folder, "tester")


def test_versions_in_the_data_folder_move_with_it(build: Build, tmp_path: Path) -> None:
    loop = build()
    add(loop, tmp_path / "data", "v2")
    assert loop.versions.get("v2").folder == tmp_path / "data" / "versions" / "v2"
    assert loop.versions.get("v1").folder == tmp_path / "versions" / "v1"
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = Loop(loop.store, MediaFiles(tmp_path), settings(tmp_path / "moved"), Clock())
    assert moved.versions.get("v2").folder == tmp_path / "moved" / "versions" / "v2"


def test_a_fresh_store_serves_the_starters_and_an_old_one_keeps_its_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_files, "STARTERS", tmp_path / "starters")
    version_folder(tmp_path / "starters", "s1")
    version_folder(tmp_path / "starters", "lane-s1", task="lane")
    chosen = settings(tmp_path / "data", database_url=f"sqlite:///{tmp_path}/store.db")
    loop = Loop.open(chosen)
    assert [(one.name, one.state) for one in loop.versions.all()] == [("s1", "serving"), ("lane-s1", "serving")]
    add(loop, tmp_path, "v2")
    loop.versions.promote("v2", "boss", force=True)
    version_folder(tmp_path / "starters", "s2")
    again = Loop.open(chosen)
    assert {one.name: one.state for one in again.versions.all() if one.task == "detection"} == {
        "s1": "retired", "s2": "candidate", "v2": "serving",
    }  # fmt: skip
    assert [one.actor for one in again.store.versions.promotions("detection")] == ["starter", "boss"]


def test_a_starter_stays_what_it_was_when_an_upgrade_brings_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_files, "STARTERS", tmp_path / "starters")
    version_folder(tmp_path / "starters", "s1").rename(tmp_path / "starters" / "detection")
    chosen = settings(tmp_path / "data", database_url=f"sqlite:///{tmp_path}/store.db")
    before = read_version(Loop.open(chosen).versions.get("s1").folder, "s1")
    shutil.rmtree(tmp_path / "starters" / "detection")
    version_folder(tmp_path / "starters", "s2").rename(tmp_path / "starters" / "detection")
    again = Loop.open(chosen)
    assert [(one.name, one.state) for one in again.versions.all()] == [("s1", "serving"), ("s2", "candidate")]
    assert read_version(again.versions.get("s1").folder, "s1") == before
    with pytest.raises(InvalidInput, match="expected version s1, got s2, which took its place"):
        read_version(tmp_path / "starters" / "detection", "s1")


def two_boxes(loop: Loop, number: int) -> Item:
    """A picture of a sure car and a doubtful one."""
    data = str(number).encode()
    item = Item(content_id(data), f"{number}.jpg")
    label = Boxes(640, 480, (Box((0, 5, 10, 15), "car", 0.95), Box((20, 5, 30, 15), "car", 0.4)))
    said = Prediction(label, 0.62, {"expected_missed": 0.0}, (0.1, 0.2))
    loop.record("detection", item, data, said, "v1", None, "poster")
    return item


def test_a_person_is_shown_the_doubtful_parts_alone(build: Build) -> None:
    loop = build(**EASY, promise_of="parts")
    items = [two_boxes(loop, i) for i in range(120)]
    whole_s = {answer.preannotation.uncertainty.seconds for answer in answers(loop, items)}
    assert {decision(loop, item) for item in items} == {"calibrate", "review"}
    for item in items:
        if decision(loop, item) in DRAWN:
            correct(loop, item, "car", "bus")
    loop.recalibrate("v1", "tester")
    assert loop.report()["tasks"]["detection"]["promise"]["of"] == "parts"
    waiting = [answer for answer in answers(loop, items) if answer.decision.decision == "review"]
    partial = [answer for answer in waiting if answer.decision.parts is not None]
    assert {answer.decision.parts for answer in partial} == {Plan(accepted=(0,), shown=(1,), asked=False)}
    assert max(answer.preannotation.uncertainty.seconds for answer in partial) < min(whole_s)
    gold = {item.id for item in items if loop._deciding.is_gold(item.id)}
    whole = {answer.preannotation.item_id for answer in waiting if answer.decision.parts is None}
    assert whole <= gold
    assert not gold & {answer.preannotation.item_id for answer in partial}
    held = [one.answer.decision for one in loop.lease("detection", 100, "ann", "tester")]
    assert any(one.parts == Plan((0,), (1,), False) for one in held)
    assert all(one.parts is None for one in held if one.decision == "audit")


def test_a_promise_of_items_is_none_of_parts(build: Build) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 300) for i in range(300)]
    work_off(loop, items, wrong=lambda i: i >= 200)
    assert loop.recalibrate("v1", "tester").holds
    other = build(**EASY, promise_of="parts")
    assert not other.trust("v1").holds
    assert [version.name for version in other.due_for_calibration()] == ["v1"]


def answers(loop: Loop, items: list[Item]) -> list[Answer]:
    found = [loop.answered(item.id, "detection", "v1") for item in items]
    return [answer for answer in found if answer is not None]


def test_another_rule_of_what_matters_needs_another_promise(build: Build) -> None:
    loop = build(**EASY)
    items = [post(loop, i, score=i / 300) for i in range(300)]
    work_off(loop, items, wrong=lambda i: i >= 200)
    assert loop.recalibrate("v1", "tester").calibrator.errors > 0
    other = build(**EASY, matters_category=False)  # all that was wrong are names
    assert not other.trust("v1").holds
    assert [version.name for version in other.due_for_calibration()] == ["v1"]
    assert other.recalibrate("v1", "tester").calibrator.errors == 0
    assert "wrongly named" not in other.report()["tasks"]["detection"]["promise"]["matters"]
    assert "wrongly named" in loop.report()["tasks"]["detection"]["promise"]["matters"]


def test_what_corrections_cost_is_learnt_from_the_seconds_that_people_told(build: Build) -> None:
    loop = build(**EASY | {"alpha": 0.001})  # nothing is accepted
    items = [post(loop, i, score=i / 300) for i in range(100)]
    before = loop.answered(items[0].id, "detection", "v1")
    work_off(loop, items, wrong=lambda i: False)  # each takes 4 s
    learnt = loop.recalibrate("v1", "tester")
    assert learnt.costs is not None
    costs = learnt.costs.costs
    assert costs.image_s + costs.box_verify_s == pytest.approx(4.0, rel=0.05)  # all were shown one box, and left it
    assert build(**EASY | {"alpha": 0.001}).trust("v1") == learnt
    told = loop.report()["tasks"]["detection"]["promise"]["costs"]
    assert told["n"] == learnt.costs.n > 30
    waiting = [item for item in items if decision(loop, item) == "review"]
    after_it = loop.answered(waiting[0].id, "detection", "v1")
    assert before is not None
    assert after_it is not None
    assert after_it.preannotation.uncertainty.seconds < before.preannotation.uncertainty.seconds
