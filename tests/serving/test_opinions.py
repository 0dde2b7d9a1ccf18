"""Several people's labels of the same items: what the store knows, the consensus in an export, and who is right."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.datasets import read
from models.records import Boxes
from serving.labels import export
from serving.loop import Loop, Registration
from serving.media_files import MediaFiles, content_id
from serving.policies import parse_policy
from serving.store import Store
from tests.serving.test_labels import photo
from tests.serving.work import START, add_version, after, correction, fill, settings


def test_the_newest_label_of_each_person_that_was_not_taken_back(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    before = store.said.changes("detection")
    for name, categories, annotator, at in (
        (0, ("car",), "ada", 1), (0, ("bus",), "bob", 3), (0, ("van",), "ada", 2), (1, (), "ada", 4),
    ):  # fmt: skip
        store.queue.correct(correction(name, *categories, annotator=annotator, at=at), None, "tester", after(9))
    taken_back = store.queue.correct(correction(1, "tram", annotator="bob", at=5), None, "tester", after(9))
    given = store.said.changes("detection")
    store.queue.withdraw(taken_back.correction_id, "tester", START)
    assert len({before, given, store.said.changes("detection")}) == 3
    found = {
        tuple(sorted((one.annotator, len(one.label.boxes), one.counts) for one in item.given))  # type: ignore[union-attr]
        for item in store.said.of("detection")
    }
    assert found == {(("ada", 1, False), ("bob", 1, True)), (("ada", 0, True),)}


def test_a_changed_label_brings_the_seconds_of_the_change_alone(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    for at in (1, 2):
        store.queue.correct(correction(0, *["car"] * at, annotator="ada", at=at), None, "tester", after(9))
    (said,) = store.said.of("detection")
    assert [one.seconds for one in said.given] == [8.0]


def test_every_item_is_told_however_many_there_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.store.database.PAGE", 2)
    add_version(store)
    for one in (items := fill(store, 5)):
        store.queue.correct(replace(correction("x", "car"), item_id=one.id), None, "tester", START)
    assert [one.item.id for one in store.said.of("detection")] == sorted(item.id for item in items)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """Photos that ada, bob and cyd labelled, cyd last and wrong in the first two of four; dan labelled a fifth alone,
    and in the second bob's image has another size, as in stores of before that was refused."""
    loop = Loop(
        Store.open(f"sqlite:///{tmp_path}/store.db"), MediaFiles(tmp_path / "media"),
        settings(tmp_path, gold_share=0.999999), lambda: after(9),
    )  # fmt: skip
    for number in range(5):
        path = photo(tmp_path / "photos" / f"{number}.png", number)
        loop.register([Registration(str(path), "detection", path)], "tester")
        people = ("ada", "bob", "cyd") if number < 4 else ("dan",)
        for at, annotator in enumerate(people):
            said = correction(
                "x", *("bus",) if annotator == "cyd" and number < 2 else ("car",), annotator=annotator, at=at
            )
            if annotator == "bob" and number == 1:
                said = replace(said, label=Boxes(64, 48))
            said = replace(said, item_id=content_id(path), model_version=None)
            loop.store.queue.correct(said, None, "tester", after(9))
    yield loop
    loop.store.close()


def categories(folder: Path) -> dict[str, list[str]]:
    return {
        Path(item.id).name[0]: [box.category for box in label.boxes]  # type: ignore[union-attr]
        for item, label in read(f"coco:{folder}")
    }


def test_an_export_has_the_newest_label_or_the_consensus(loop: Loop, tmp_path: Path) -> None:
    assert export(loop, "detection", "coco", tmp_path / "newest") == 5
    assert categories(tmp_path / "newest") == {name: ["bus" if name in "01" else "car"] for name in "01234"}
    assert export(loop, "detection", "coco", tmp_path / "agreed", consensus=True) == 5
    assert categories(tmp_path / "agreed") == {name: ["car"] for name in "01234"}


def test_who_is_right_on_gold_and_by_the_others(loop: Loop) -> None:
    """Cyd's labels are the known answers, so cyd is not measured by them; the others are, rightly or not."""
    told = {one.annotator: one for one in loop.labelled.annotators("detection")}
    assert list(told) == ["ada", "bob", "cyd", "dan"]
    assert (told["ada"].gold.right, told["ada"].gold.of) == (2, 4)
    assert (told["bob"].gold.right, told["bob"].gold.of) == (2, 4)
    assert told["cyd"].gold.of == told["dan"].gold.of == 0
    of_three = {name: (one.consensus.right, one.consensus.of) for name, one in told.items()}
    assert of_three == {"ada": (3, 3), "bob": (3, 3), "cyd": (2, 3), "dan": (0, 0)}
    assert told["ada"].speed is not None
    assert (told["ada"].speed.n, told["ada"].speed.median) == (4, 4.0)


def test_what_is_right_the_policys_rule_says(loop: Loop) -> None:
    """Ada and bob saw a car where cyd, who counts, saw a bus: no error where names do not matter, but for the size."""
    loop.adopt(parse_policy({"matters_category": False}, "p", loop.policies.default), "detection", "boss")
    told = {one.annotator: one for one in loop.labelled.annotators("detection")}
    assert [(told[name].gold.right, told[name].gold.of) for name in ("ada", "bob")] == [(4, 4), (3, 4)]
    assert (told["cyd"].consensus.right, told["cyd"].consensus.of) == (3, 3)
