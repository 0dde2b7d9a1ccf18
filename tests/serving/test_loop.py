"""The loop goes round: media in, answers and decisions, people's work, and what training may use of it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.errors import InvalidInput, NotFound, Stale
from models.records import Correction, Item
from selection.routing import draw
from serving.loop import Loop, Registration
from serving.media_files import content_id
from serving.store.records import Unfit
from tests.serving.work import Clock, after, boxes, new_loop, prediction, serve

Build = Callable[..., Loop]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(tmp_path: Path, clock: Clock) -> Build:
    """Makes a loop on one store with the given settings; version v1 serves."""

    def make(**values: Any) -> Loop:
        loop = new_loop(tmp_path, clock, **values)
        if not loop.versions.all():
            serve(loop, tmp_path)
        return loop

    return make


def post(loop: Loop, name: object, score: float = 0.5, version: str = "v1") -> Item:
    """A posted medium with its answer."""
    data = str(name).encode()
    item = Item(content_id(data), f"photo-{name}.jpg")
    loop.record("detection", item, data, prediction(score), version, None, "poster")
    return item


def corrected(item: Item, *categories: str, annotator: str = "ann") -> Correction:
    return Correction(item.id, "detection", boxes(*categories), annotator, 4.0, "test", after(0), "v1")


def test_media_are_registered_once_by_content(build: Build, tmp_path: Path) -> None:
    loop = build()
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"photo")
    entries = [
        Registration("http://somewhere/photo", "detection", b"photo"),
        Registration(str(file), "detection", file),
        Registration(str(tmp_path / "gone.jpg"), "detection", tmp_path / "gone.jpg"),
        Registration(str(file), "lane", file, group="clip"),
    ]
    registered = loop.register(entries, "tester")
    assert (registered.new, registered.known) == (2, 1)
    assert [uri for uri, why in registered.failed if "No such file" in why] == [str(tmp_path / "gone.jpg")]
    assert loop.register(iter(entries[:2]), "tester").new == 0
    (item,) = loop.pending("detection", 9)
    assert (item.uri, item.group) == ("http://somewhere/photo", "clip")
    assert loop.path(item).read_bytes() == b"photo"


def test_an_answer_is_kept_with_its_medium_and_comes_back_for_the_same_bytes(build: Build) -> None:
    loop = build(calibration_share=0.0001)
    item = post(loop, "photo", score=0.3)
    answer = loop.answered(item.id, "detection", "v1")
    assert answer is not None
    assert answer.preannotation.uncertainty.p_error == pytest.approx(0.3)
    assert answer.preannotation.uncertainty.seconds > 0
    assert answer.decision.decision == "review"
    assert "nothing is accepted unseen yet" in answer.decision.reason
    assert loop.answered(item.id, "detection", "v2") is None
    assert loop.path(item).read_bytes() == b"photo"
    assert loop.pending("detection", 9) == []


def test_a_file_whose_name_no_database_keeps_fails_alone(build: Build, tmp_path: Path) -> None:
    loop, broken = build(), os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")
    Path(broken).write_bytes(b"one")
    (tmp_path / "photo.jpg").write_bytes(b"other")
    files = [Path(broken), tmp_path / "photo.jpg", tmp_path / "a\0b"]
    registered = loop.register([Registration(str(file), "detection", file) for file in files], "tester")
    assert (registered.new, [uri for uri, _ in registered.failed]) == (1, [broken, str(files[2])])
    assert all("expected a name in UTF-8 without NUL" in why for _, why in registered.failed)


def test_bytes_that_are_not_the_items_are_refused(build: Build) -> None:
    loop = build()
    with pytest.raises(InvalidInput, match="expected the SHA-256 of its bytes"):
        loop.record("detection", Item("0" * 64, "x"), b"photo", prediction(), "v1", None, "poster")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_keeps_is_refused(build: Build, text: str) -> None:
    loop = build()
    item = post(loop, "photo")
    for broken in (
        lambda: loop.register([Registration(text, "detection", b"x")], "tester"),
        lambda: loop.lease("detection", 1, text, "tester"),
        lambda: loop.correct(corrected(item, annotator=text), None, "tester"),
    ):
        with pytest.raises(InvalidInput, match="expected text without NUL"):
            broken()


def test_audits_follow_the_draw_and_nothing_else(build: Build) -> None:
    loop = build(calibration_share=0.3, seed=7)
    for i in range(40):
        item = post(loop, i, score=i / 40)
        answer = loop.answered(item.id, "detection", "v1")
        assert answer is not None
        assert (answer.decision.decision == "calibrate") == (draw(item.id, 7) < 0.3)


def test_a_share_of_the_leases_goes_to_audits_and_the_rest_to_the_most_doubtful(build: Build) -> None:
    loop = build(calibration_share=0.25)
    items = [post(loop, i, score=i / 80) for i in range(80)]
    audits = sorted((item for item in items if draw(item.id, 0) < 0.25), key=lambda item: draw(item.id, 0))
    others = [item for item in reversed(items) if item not in audits]
    leased = [one.item for one in loop.lease("detection", 20, "ann", "tester")]
    drawn = [item for item in leased if item in audits]
    assert len(drawn) in (5, 6)
    assert drawn == audits[: len(drawn)]
    assert [item for item in leased if item not in audits] == others[: 20 - len(drawn)]


def test_the_random_strategy_ignores_the_score(build: Build) -> None:
    loop = build(strategy="random", calibration_share=0.0001)
    items = [post(loop, i, score=i / 10) for i in range(10)]
    leased = [one.item for one in loop.lease("detection", 10, "ann", "tester")]
    assert leased == sorted(items, key=lambda item: draw(item.id, 0))


def test_k_center_spreads_over_the_embeddings(build: Build) -> None:
    loop = build(strategy="k-center", calibration_share=0.0001)
    items = {score: post(loop, score, score=score) for score in (0.9, 0.89, 0.1)}
    leased = [one.item for one in loop.lease("detection", 2, "ann", "tester")]
    assert leased == [items[0.9], items[0.1]]  # the most doubtful, then the one least like it


def test_k_center_keeps_away_from_what_people_hold(build: Build) -> None:
    loop = build(strategy="k-center", calibration_share=0.0001)
    items = {score: post(loop, score, score=score) for score in (0.9, 0.89, 0.5, 0.1)}
    one_by_one = [loop.lease("detection", 1, "ann", "tester")[0].item for _ in range(3)]
    assert one_by_one == [items[0.9], items[0.1], items[0.5]]


def test_who_asks_may_name_another_strategy(build: Build) -> None:
    loop = build(calibration_share=0.0001)
    items = {score: post(loop, score, score=score) for score in (0.9, 0.89, 0.1)}
    leased = [one.item for one in loop.lease("detection", 2, "ann", "tester", "k-center")]
    assert leased == [items[0.9], items[0.1]]


def test_a_near_frame_comes_last(build: Build) -> None:
    loop = build(calibration_share=0.0001, frames_apart=10)
    for frame, score in ((3, 0.9), (4, 0.8), (40, 0.1)):
        item = Item(content_id(bytes([frame])), f"clip/{frame}.jpg", "clip")
        loop.record("detection", item, bytes([frame]), prediction(score), "v1", None, "poster")
    one_by_one = [loop.lease("detection", 1, "ann", "tester")[0].item.uri for _ in range(3)]
    assert one_by_one == ["clip/3.jpg", "clip/40.jpg", "clip/4.jpg"]


def test_a_lease_lasts_as_the_settings_say(build: Build, clock: Clock) -> None:
    loop = build(lease_s=10)
    item = post(loop, "photo")
    (held,) = loop.lease("detection", 1, "ann", "tester")
    clock.forward(9)
    assert loop.lease("detection", 1, "bob", "tester") == []
    clock.forward(1)
    assert len(loop.lease("detection", 1, "bob", "tester")) == 1
    with pytest.raises(Stale):
        loop.correct(corrected(item, "car"), held.lease_id, "tester")
    for limit, annotator in ((0, "ann"), (1, "")):
        with pytest.raises(InvalidInput, match="expected limit >= 1 and an annotator"):
            loop.lease("detection", limit, annotator, "tester")


def test_gold_and_training_share_nothing_and_never_change_sides(build: Build) -> None:
    loop = build(gold_share=0.3)
    items = [post(loop, i) for i in range(60)]
    for item in items:
        loop.correct(corrected(item, "bus"), None, "tester")
    gold, training = list(loop.labelled.gold_data("detection")), list(loop.labelled.training_data("detection"))
    gold_ids, training_ids = {item.id for item, _ in gold}, {item.id for item, _ in training}
    assert gold_ids | training_ids == {item.id for item in items}
    assert not gold_ids & training_ids
    assert 8 <= len(gold_ids) <= 28
    assert {label for _, label in gold + training} == {boxes("bus")}
    assert all(content_id(Path(item.uri)) == item.id for item, _ in gold + training)
    post(loop, "one more")
    assert {item.id for item, _ in build(gold_share=0.3).labelled.gold_data("detection")} == gold_ids
    wider = {item.id for item, _ in build(gold_share=0.6).labelled.gold_data("detection")}
    assert gold_ids < wider  # a larger share only adds


def test_training_names_a_file_that_is_gone_or_was_changed(build: Build, tmp_path: Path) -> None:
    loop = build(gold_share=0)
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"photo")
    loop.register([Registration(str(file), "detection", file)], "tester")
    loop.correct(corrected(Item(content_id(file), str(file)), "car"), None, "tester")
    assert [item.uri for item, _ in loop.labelled.training_data("detection")] == [str(file)]
    file.write_bytes(b"another photo")
    with pytest.raises(InvalidInput, match=r"photo\.jpg: expected the bytes with SHA-256 .*; the file was changed"):
        list(loop.labelled.training_data("detection"))
    file.unlink()
    with pytest.raises(NotFound, match=r"expected its medium at .*photo\.jpg"):
        list(loop.labelled.training_data("detection"))


def test_an_unreadable_medium_leaves_the_work(build: Build) -> None:
    loop = build()
    loop.register([Registration("x", "detection", b"no image")], "tester")
    (item,) = loop.pending("detection", 9)
    loop.fail(item.id, "detection", "not an image", "tester")
    assert loop.pending("detection", 9) == []
    assert loop.report()["tasks"]["detection"]["items"] == {"failed": 1}


def test_the_report_counts_items_seconds_and_labels(build: Build) -> None:
    loop = build(calibration_share=0.0001)
    items = [post(loop, i) for i in range(4)]
    loop.correct(corrected(items[0], "bus"), None, "tester")
    loop.correct(corrected(items[0], "car", annotator="bob"), None, "tester")
    loop.lease("detection", 1, "ann", "tester")
    told = loop.report()["tasks"]
    assert told["detection"]["items"] == {"corrected": 1, "leased": 1, "preannotated": 2}
    assert told["detection"]["labels"] == 1
    assert told["detection"]["human_seconds"] == told["detection"]["seconds_per_label"] == 8.0
    assert told["detection"]["by_model_version"] == [
        {
            "model_version": "v1", "corrections": 2, "human_seconds": 8.0, "seconds_per_correction": 4.0,
            "accepted": 0, "seconds_per_label": 8.0,
        }
    ]  # fmt: skip
    assert told["detection"]["promise"]["holds"] is False
    assert told["lane"]["serving"] is None
    assert told["lane"]["seconds_per_label"] is None


def test_an_item_that_turned_out_unfit_is_no_label_and_sums_of_seconds_have_no_noise(build: Build) -> None:
    loop = build(calibration_share=0.0001)
    items = [post(loop, i) for i in range(3)]
    for item in items[:2]:
        loop.correct(replace(corrected(item, "bus"), seconds=0.1), None, "tester")

    def line() -> tuple[float, float | None]:
        (told,) = loop.report()["tasks"]["detection"]["by_model_version"]
        return told["human_seconds"], told["seconds_per_label"]

    assert line() == (0.2, 0.1)
    loop.find_unfit(Unfit(items[1].id, "detection", "damaged", "ann", 0.1, "test", after(1)), None, "tester")
    assert line() == (0.2, 0.2)
    assert loop.report()["tasks"]["detection"]["human_seconds"] == 0.3  # 0.1 + 0.1 + 0.1 is more by 4e-17
    loop.find_unfit(Unfit(items[0].id, "detection", "damaged", "ann", 0.0, "test", after(2)), None, "tester")
    assert line() == (0.2, None)


def test_nothing_is_pending_while_nothing_serves(build: Build) -> None:
    loop = build()
    loop.register([Registration("x", "lane", b"road")], "tester")
    assert loop.pending("lane", 9) == []
    assert loop.history(content_id(b"road"))["tasks"][0]["state"] == "registered"
    assert loop.item(content_id(b"road")).uri == "x"
