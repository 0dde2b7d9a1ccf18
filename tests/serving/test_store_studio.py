"""What is known of Label Studio is kept on SQLite and on PostgreSQL alike, and corrections can be taken back."""

import pytest

from models.errors import NotFound
from serving.store import Store
from serving.store.studio import Annotation, Project
from tests.serving.work import START, add_version, after, correction, fill, item, item_id


def test_projects_tasks_and_annotations_are_remembered(store: Store) -> None:
    for _ in range(2):
        store.studio.attach("asr", 4, "tester", START)
    store.studio.in_step(Project("asr", 4, None), "v1")
    assert store.studio.projects() == [Project("asr", 4, "v1")]
    add_version(store)
    fill(store, 2)
    assert store.studio.item_of("detection", 9) is None
    for number in range(2):
        store.studio.remember("detection", 9, f"/data/{number}.png", item_id(number))
    assert store.studio.item_of("detection", 9) == item_id(1)
    assert store.studio.item_of("detection", 9, "/data/1.png") == item_id(1)
    assert store.studio.item_of("detection", 9, "/data/other.png") is None
    assert store.studio.annotation("asr", 1) == Annotation("asr", 1)
    known = Annotation("asr", 1, 4, 9, START, 2.5, (3, 4))
    for one in (Annotation("asr", 1, 4), known):
        store.studio.keep(one)
    assert store.studio.annotation("asr", 1) == known
    store.studio.keep(Annotation("asr", 2, 4, gone=True))
    assert store.studio.annotations("asr", 4) == [known]


def test_a_correction_that_is_taken_back_gives_way_to_the_one_before(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    first, second = (store.queue.correct(correction(0, name, at=at), None, "tester", after(9)).correction_id
                     for at, name in enumerate(("car", "dog")))  # fmt: skip
    for _ in range(2):
        store.queue.withdraw(second, "tester", after(10))
    ((found, label),) = store.queue.corrected("detection")
    assert (found, [box.category for box in label.boxes]) == (item(0), ["car"])  # type: ignore[union-attr]
    store.queue.withdraw(first, "tester", after(11))
    assert list(store.queue.corrected("detection")) == []
    history = store.items.history(item_id(0))
    assert history["tasks"][0]["state"] == "preannotated"
    assert [one["withdrawn_at"] is not None for one in history["corrections"]] == [True, True]
    with pytest.raises(NotFound, match="expected the id of one, got 99"):
        store.queue.withdraw(99, "tester", after(12))
