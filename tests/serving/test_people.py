"""How good people are and what they agree on, kept by item: the same as from all labels read at once, always."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from models.records import Label, Task
from selection.annotators import Standing, Work, standings
from selection.consensus import agree
from serving.opinions import agreed as agreed_of
from serving.opinions import comparable, right
from serving.people import People
from serving.policies import Policies, parse_policy
from serving.store import Store
from serving.store.records import Opinions, SaidState, Unfit
from tests.serving.work import START, add_version, after, correction, fill, item_id, settings

TASK: Task = "detection"
ITEMS = 8


@pytest.fixture
def store(store: Store) -> Store:
    """One with items that a version looked at."""
    add_version(store)
    fill(store, ITEMS)
    return store


def is_gold(store: Store, one: str) -> bool:
    return one in store.gold.chosen(TASK) or one < "4"


def people(store: Store, folder: Path) -> People:
    """Those of one of several services."""
    return People(TASK, store, lambda task: lambda one: is_gold(store, one), Policies(store, settings(folder)))


def told(store: Store, folder: Path) -> list[Standing]:
    """The same by reading every label, as slowly as can be."""
    matters = Policies(store, settings(folder)).of(TASK).matters
    every = list(store.said.of(TASK))
    several = [one for one in every if len(comparable(one)) >= 3]
    of_several = agree(TASK, [comparable(one) for one in several]).items
    by_others: dict[str, Label] = {one.item.id: said.label for one, said in zip(several, of_several, strict=True)}
    return standings(
        Work(
            given.annotator,
            given.seconds,
            right(TASK, given.label, one.counting.label, matters)
            if (given.planted or is_gold(store, one.item.id)) and not given.counts
            else None,
            right(TASK, given.label, by_others[one.item.id], matters)
            if one.item.id in by_others and not given.planted
            else None,
        )
        for one in every
        for given in one.given
        if not given.known
    )


def changes(store: Store, folder: Path, rng: np.random.Generator) -> list[Callable[[int], object]]:
    """What people and operators do to the item of a number."""
    given: list[int] = []
    policies = Policies(store, settings(folder))

    def say(number: int, of_gold: bool = False) -> None:
        said = correction(
            number, *rng.choice(["car", "bus"], 2), annotator=str(rng.choice(["ada", "bob", "cyd", "dan"])),
            at=float(rng.integers(100)),
        )  # fmt: skip
        given.append(store.queue.correct(said, None, "x", after(200), of_gold).correction_id)

    def adopt(_: int) -> None:
        policies.adopt(
            parse_policy({"matters_category": bool(rng.random() < 0.5)}, "p", policies.default), None, "x", after(200)
        )

    return [
        *[say] * 8,
        lambda number: say(number, of_gold=True),
        lambda _: store.queue.withdraw(int(rng.choice(given)), "x", after(201)) if given else None,
        lambda number: store.unfit.say(
            Unfit(item_id(number), TASK, "damaged", "eve", 1.0, "t", after(202)), None, "x", after(202)
        ),
        lambda number: store.unfit.take_back(item_id(number), TASK, "x", after(203)),
        lambda number: store.gold.choose(TASK, [item_id(number)], "x", after(204)),
        lambda number: store.gold.take_back(TASK, [item_id(number)], "x", after(204)),
        lambda number: store.gold.know(
            TASK, [(item_id(number), correction(0, "car", "bus").label)], "k", "x", after(9)
        ),
        adopt,
    ]


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_is_what_reading_everything_tells(store: Store, tmp_path: Path, seed: int) -> None:
    """Whatever was done in between, by whichever service: one of two looks less often than the other."""
    rng, often, seldom = np.random.default_rng(seed), people(store, tmp_path), people(store, tmp_path)
    steps, judged = changes(store, tmp_path, rng), [0, 0]
    for step in range(60):
        steps[rng.integers(len(steps))](int(rng.integers(ITEMS)))
        expected = told(store, tmp_path)
        judged = [max([judged[0], *(one.gold.of for one in expected)]),
                  max([judged[1], *(one.consensus.of for one in expected)])]  # fmt: skip
        assert often.standings() == expected
        if step % 7 == 0:
            assert seldom.standings() == expected
            every = {one.item.id: one for one in store.said.of(TASK)}
            assert {one: seldom.consensus(one) for one in every} == {
                agreed.item.id: (every[agreed.item.id], agreed) for agreed in agreed_of(TASK, every.values)
            }
    assert min(judged) > 1  # or else nothing of it was seen


def test_only_what_was_said_anew_is_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(ITEMS):
        store.queue.correct(correction(number, "car", annotator="ada", at=number), None, "x", after(20))
    kept = people(store, tmp_path)
    kept.standings()
    read, among = list[str](), store.said.among

    def noted(task: Task, ids: Iterable[str]) -> Iterator[Opinions]:
        read.extend(ids := list(ids))
        return among(task, ids)

    monkeypatch.setattr(store.said, "among", noted)
    kept.standings()
    assert read == []
    other = store.queue.correct(correction(5, "car", annotator="bob", at=21), None, "x", after(30))
    assert {one.annotator for one in kept.standings()} == {"ada", "bob"}
    assert set(read) == {item_id(5)}
    read.clear()
    store.queue.withdraw(other.correction_id, "x", after(31))
    assert [one.annotator for one in kept.standings()] == ["ada"]
    assert set(read) == {item_id(5)}


def test_a_correction_that_comes_later_than_one_begun_after_it_is_noticed(store: Store) -> None:
    """As from two transactions of PostgreSQL: which corrections are new, their ids do not tell then."""
    for number in range(3):
        store.queue.correct(correction(number, "car", at=number), None, "x", after(9))
    newest, n, _ = store.said.changes(TASK)
    assert store.said.since(TASK, newest - 1, n - 1) == {item_id(2)}
    assert store.said.since(TASK, newest, n - 1) is None


def test_whatever_lets_other_labels_count_changes_the_numbers(store: Store) -> None:
    seen = {store.said.changes(TASK)}
    for do in (
        lambda: store.queue.correct(correction(0, "car"), None, "x", after(1)),
        lambda: store.unfit.say(Unfit(item_id(0), TASK, "damaged", "eve", 1.0, "t", START), None, "x", after(2)),
        lambda: store.unfit.take_back(item_id(0), TASK, "x", after(3)),
        lambda: store.gold.choose(TASK, [item_id(0)], "x", after(4)),
        lambda: store.gold.take_back(TASK, [item_id(0)], "x", after(5)),
    ):
        do()
        assert store.said.changes(TASK) not in seen
        seen.add(store.said.changes(TASK))


def test_a_label_counts_again_whose_person_answered_the_item_planted_since(store: Store) -> None:
    """Bob's label came after ada's, ada was measured by it, and bob took it back."""
    store.queue.correct(correction(0, "car", annotator="ada", at=1), None, "x", after(9))
    of_bob = store.queue.correct(correction(0, "bus", annotator="bob", at=2), None, "x", after(9))
    store.gold.choose(TASK, [item_id(0)], "x", after(9))
    store.queue.correct(correction(0, "van", annotator="ada", at=3), None, "x", after(9), of_gold=True)
    store.queue.withdraw(of_bob.correction_id, "x", after(9))
    said = store.said.about(TASK, item_id(0))
    assert said is not None
    assert (said.counting.annotator, said.counting.planted) == ("ada", False)
    assert said.counting.label == correction(0, "car").label


def test_who_asks_is_answered_however_fast_people_correct(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second, annotator in enumerate(["ada", "bob", "cyd"]):
        store.queue.correct(correction(0, "car", annotator=annotator, at=second), None, "x", after(1000))
    kept, times, among = people(store, tmp_path), iter(range(10, 30)), store.said.among

    def ever_more(task: Task, ids: Iterable[str]) -> Iterator[Opinions]:
        store.queue.correct(correction(0, "bus", annotator="ada", at=next(times)), None, "x", after(1000))
        return among(task, ids)

    monkeypatch.setattr(store.said, "among", ever_more)
    assert {one.annotator for one in kept.standings()} == {"ada", "bob", "cyd"}
    both = kept.consensus(item_id(0))
    assert both is not None
    assert both[1].people == 3
    monkeypatch.undo()
    assert kept.standings() == told(store, tmp_path)


def test_who_asks_for_the_label_of_one_person_waits_for_nobody(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.queue.correct(correction(0, "car"), None, "x", after(1))
    kept, reading, released, states = people(store, tmp_path), Event(), Event(), store.said.states

    def slowly(task: Task) -> dict[str, SaidState]:
        reading.set()
        assert released.wait(20)
        return states(task)

    monkeypatch.setattr(store.said, "states", slowly)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(kept.standings)
        assert reading.wait(20)
        try:
            assert pool.submit(kept.consensus, item_id(0)).result(20)
        finally:
            released.set()
    assert first.result() == told(store, tmp_path)


def test_terms_that_changed_for_a_moment_leave_nothing_behind(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second, (annotator, category) in enumerate([("ada", "car"), ("bob", "car"), ("cyd", "bus")]):
        store.queue.correct(correction(0, category, annotator=annotator, at=second), None, "x", after(9))
    policies, kept, among = Policies(store, settings(tmp_path)), people(store, tmp_path), store.said.among

    def adopt(any_category: bool) -> None:
        policies.adopt(parse_policy({"matters_category": not any_category}, "p", policies.default), None, "x", START)

    def meanwhile(task: Task, ids: Iterable[str]) -> Iterator[Opinions]:
        adopt(any_category=True)
        return among(task, ids)

    monkeypatch.setattr(store.said, "among", meanwhile)
    kept.standings()
    monkeypatch.undo()
    adopt(any_category=False)
    assert kept.standings() == told(store, tmp_path)
