"""How good and how fast people are, and what they agree on, kept by item: only what they changed is read again.

Of an item is kept who gave a label in how many seconds, how several people's labels answer the questions that are made
of them, and which labels were right; not the labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

from models.matters import Matters
from models.records import TASKS, Label, Task
from selection import consensus
from selection.annotators import Standing, Work, standings
from selection.consensus import Verdict, Votes
from serving.gold import IsGold
from serving.opinions import MAJORITY, SEVERAL, Agreed, alone, comparable, right
from serving.policies import Policies
from serving.store import Store
from serving.store.records import Opinions, SaidChanges, SaidState

Terms: TypeAlias = tuple[SaidState, Matters, bool, tuple[str, ...] | None]  # is it gold, what do the others say


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is kept of an item as long as it is in that state: the labels that people gave; whether others than the one
    that counts, and planted ones; how many can be compared, and if several, what each answers to which questions."""

    state: SaidState
    work: tuple[Work, ...]
    others: bool
    planted: bool
    people: int
    votes: tuple[Votes, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The labels that people gave of an item, with which are right on those ``terms``."""

    terms: Terms
    work: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What people answer together to the questions of the items that are in these states, as it was after ``changes``;
    others may have been made since by which none of these is another one."""

    changes: SaidChanges
    states: Sequence[tuple[str, SaidState]]
    verdicts: Mapping[str, Sequence[Verdict]]


class People:
    """Everybody's labels of each task; ``gold_of`` it tells by its id whether an item's answer is known.

    On gold items the known answer is the label that counts, where somebody else gave it: whoever gives the answer is
    not measured by it. Otherwise the answer is the consensus of ``MAJORITY`` people or more.
    """

    def __init__(self, store: Store, gold_of: Callable[[Task], IsGold], policies: Policies) -> None:
        self._store = store
        self._gold_of = gold_of
        self._policies = policies
        self._turns = {task: Lock() for task in TASKS}
        self._changes: dict[Task, SaidChanges] = {}  # by which it was learnt
        self._learnt: dict[Task, dict[str, Learnt]] = {task: {} for task in TASKS}
        self._judged: dict[Task, dict[str, Judged]] = {task: {} for task in TASKS}
        self._answered: dict[tuple[Task, int], Answered] = {}
        self._standings: dict[Task, tuple[object, list[Standing]]] = {}

    def standings(self, task: Task) -> list[Standing]:
        """How good and how fast each person is at a task, by name."""
        with self._turns[task]:
            changes = self._store.said.changes(task), self._policies.of(task).matters
            if task not in self._standings or self._standings[task][0] != changes:
                found = None
                while found is None:  # or else somebody said more meanwhile
                    found = self._work(task)
                self._standings[task] = changes, standings(found)
            return self._standings[task][1]

    def consensus(self, task: Task, item_id: str) -> tuple[Opinions, Agreed] | None:
        """What each person said of an item and what they agree on, if it is corrected.

        Who is right more often counts for more, and everybody's labels of the task tell who that is.
        """
        with self._turns[task]:
            while (one := self._store.said.about(task, item_id)) is not None:
                labels = comparable(one)
                if len(labels) < SEVERAL:
                    return one, alone(one)
                learnt = self._learn(task)
                if item_id in learnt and learnt[item_id].state == one.state:
                    found = consensus.agreed(task, labels, self._verdicts(task, SEVERAL)[item_id])
                    return one, Agreed(one.item, found.label, len(labels), found.agreement)
        return None

    def _learn(self, task: Task) -> dict[str, Learnt]:
        """What is to be kept of every corrected item, by its id: those are read on which something was said since the
        last time or, where something else was done, those whose state is another one."""
        said, known, before = self._store.said, self._learnt[task], self._changes.get(task)
        now = said.changes(task)
        touched = said.since(task, *before[:2]) if before and before.done == now.done else None
        if touched is None:
            states = said.states(task)
            gone = {item_id for item_id, one in known.items() if states.get(item_id) != one.state}
            touched = gone | (states.keys() - known.keys())
        fresh = {one.item.id: _learnt(task, one) for one in said.among(task, touched)}
        for item_id in touched - fresh.keys():
            known.pop(item_id, None)
        known.update(fresh)
        self._changes[task] = now
        return known

    def _verdicts(self, task: Task, least: int) -> Mapping[str, Sequence[Verdict]]:
        """What ``least`` people or more answer together to the questions of each item that so many labelled."""
        known, now = self._answered.get((task, least)), self._changes[task]
        if known is not None and known.changes == now:
            return known.verdicts
        several = sorted((item_id, one) for item_id, one in self._learnt[task].items() if one.people >= least)
        states = [(item_id, one.state) for item_id, one in several]
        if known is not None and known.states == states:
            verdicts = known.verdicts
        else:
            found, _ = consensus.answered([one.votes for _, one in several])
            verdicts = {item_id: said for (item_id, _), said in zip(several, found, strict=True)}
        self._answered[task, least] = Answered(now, states, verdicts)
        return verdicts

    def _work(self, task: Task) -> list[Work] | None:
        """Every label that somebody gave, and whether it is right; None where one came while others were looked at."""
        learnt, kept = self._learn(task), self._judged[task]
        terms = dict(self._terms(task, learnt))
        new = [item_id for item_id, its in terms.items() if item_id not in kept or kept[item_id].terms != its]
        for one in self._store.said.among(task, new):
            its = terms[one.item.id]
            if one.state == learnt[one.item.id].state:
                kept[one.item.id] = _judged(task, one, its)
        self._judged[task] = {item_id: one for item_id, one in kept.items() if terms.get(item_id) == one.terms}
        if len(self._judged[task]) < len(terms):
            return None
        judged = self._judged[task]
        return [
            work
            for item_id, one in learnt.items()
            for work in (judged[item_id].work if item_id in judged else one.work)
        ]

    def _terms(self, task: Task, learnt: Mapping[str, Learnt]) -> Iterator[tuple[str, Terms]]:
        """On what it depends which labels of an item are right, of each where that can be told of any."""
        is_gold, matters = self._gold_of(task), self._policies.of(task).matters
        verdicts = self._verdicts(task, MAJORITY)
        for item_id, one in learnt.items():
            said = verdicts.get(item_id)
            gold = one.others and is_gold(item_id)
            if gold or one.planted or said is not None:
                answers = None if said is None else tuple(verdict.answer for verdict in said)
                yield item_id, (one.state, matters, gold, answers)


def _learnt(task: Task, one: Opinions) -> Learnt:
    labels = comparable(one)
    votes = tuple(consensus.votes(task, labels)) if len(labels) >= SEVERAL else ()
    work = tuple(Work(given.annotator, given.seconds) for given in one.given if not given.known)
    others, planted = not all(given.counts for given in one.given), any(given.planted for given in one.given)
    return Learnt(one.state, work, others, planted, len(labels), votes)


def _judged(task: Task, one: Opinions, terms: Terms) -> Judged:
    """Which labels of an item are right, on terms that are of the state that it is in."""
    _, matters, gold, answers = terms
    label: Label | None = None
    if answers is not None:
        verdicts = [Verdict(answer, 1.0, 1.0) for answer in answers]  # a label is made of the answers alone
        label = consensus.agreed(task, comparable(one), verdicts).label
    return Judged(
        terms,
        tuple(
            Work(
                given.annotator,
                given.seconds,
                right_on_gold=right(task, given.label, one.counting.label, matters)
                if (given.planted or gold) and not given.counts
                else None,
                right_with_others=right(task, given.label, label, matters)
                if label is not None and not given.planted
                else None,
            )
            for given in one.given
            if not given.known
        ),
    )
