"""How good and how fast people are, and what they agree on, kept by item: only what they changed is read again.

Of an item is kept who gave a label in how many seconds, how several people's labels answer the questions that are made
of them, and which labels were right; not the labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import TypeAlias

from models.matters import Matters
from models.records import Label, Task
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
    """What people answer together to the questions of the items that are in these states, as of a ``revision`` of what
    is kept; by later ones none of these may be another one."""

    revision: int
    states: Sequence[tuple[str, SaidState]]
    verdicts: Mapping[str, Sequence[Verdict]]


class People:
    """Everybody's labels of a task; ``gold_of`` it tells by its id whether an item's answer is known.

    On gold items the known answer is the label that counts, where somebody else gave it: whoever gives the answer is
    not measured by it. Otherwise the answer is the consensus of ``MAJORITY`` people or more.
    """

    def __init__(self, task: Task, store: Store, gold_of: Callable[[Task], IsGold], policies: Policies) -> None:
        self._task = task
        self._said = store.said
        self._gold_of = gold_of
        self._policies = policies
        self._turn = Lock()
        self._changes: SaidChanges | None = None  # by which it was learnt
        self._learnt: dict[str, Learnt] = {}
        self._revision = 0  # of what was learnt
        self._answered: dict[int, Answered] = {}
        self._judged: dict[str, Judged] = {}
        self._standings: tuple[tuple[SaidChanges, Matters], list[Standing]] | None = None

    def standings(self) -> list[Standing]:
        """How good and how fast each person is, by name; on what is said anew meanwhile nobody is judged yet."""
        with self._turn:
            now = self._said.changes(self._task), self._policies.of(self._task).matters
            if self._standings is None or self._standings[0] != now:
                self._standings = now, standings(self._work(now[1]))
            return self._standings[1]

    def consensus(self, item_id: str) -> tuple[Opinions, Agreed] | None:
        """What each person said of an item and what they agree on, if it is corrected.

        Who is right more often counts for more, and everybody's labels of the task tell who that is.
        """
        one = self._said.about(self._task, item_id)
        if one is not None and len(comparable(one)) >= SEVERAL:
            with self._turn:
                one = self._learn(item_id)
                if one is not None and len(labels := comparable(one)) >= SEVERAL:
                    found = consensus.agreed(self._task, labels, self._verdicts(SEVERAL)[item_id])
                    return one, Agreed(one.item, found.label, len(labels), found.agreement)
        return None if one is None else (one, alone(one))

    def _learn(self, asked: str | None = None) -> Opinions | None:
        """Learns what is to be kept of every corrected item: those are read on which something was said since the last
        time or, where something else was done, those whose state is another one. Returns what was said of the item that
        is ``asked`` for, which is always read."""
        now, fresh, of_asked = self._said.changes(self._task), dict[str, Learnt](), None
        touched = self._touched(now) | ({asked} if asked else set())
        for one in self._said.among(self._task, touched):
            fresh[one.item.id] = _learnt(self._task, one)
            of_asked = one if one.item.id == asked else of_asked
        before = {item_id: self._learnt.pop(item_id, None) for item_id in touched}
        self._learnt.update(fresh)
        self._revision += any(fresh.get(item_id) != known for item_id, known in before.items())
        self._changes = now
        return of_asked

    def _touched(self, now: SaidChanges) -> set[str]:
        """The items of which others may be known by now than what was learnt."""
        before = self._changes
        if before and before.done == now.done:
            since = self._said.since(self._task, before.newest, before.corrections)
            if since is not None:
                return since
        states = self._said.states(self._task)
        gone = {item_id for item_id, one in self._learnt.items() if states.get(item_id) != one.state}
        return gone | (states.keys() - self._learnt.keys())

    def _verdicts(self, least: int) -> Mapping[str, Sequence[Verdict]]:
        """What ``least`` people or more answer together to the questions of each item that so many labelled."""
        known = self._answered.get(least)
        if known is not None and known.revision == self._revision:
            return known.verdicts
        several = sorted((item_id, one) for item_id, one in self._learnt.items() if one.people >= least)
        states = [(item_id, one.state) for item_id, one in several]
        if known is not None and known.states == states:
            verdicts = known.verdicts
        else:
            found, _ = consensus.answered([one.votes for _, one in several])
            verdicts = {item_id: said for (item_id, _), said in zip(several, found, strict=True)}
        self._answered[least] = Answered(self._revision, states, verdicts)
        return verdicts

    def _work(self, matters: Matters) -> list[Work]:
        """Every label that somebody gave, and whether it is right."""
        self._learn()
        terms = dict(self._terms(matters))
        judged = {item_id: one for item_id, one in self._judged.items() if terms.get(item_id) == one.terms}
        new = terms.keys() - judged.keys()
        for one in self._said.among(self._task, new):
            if one.state == terms[one.item.id][0]:
                judged[one.item.id] = _judged(self._task, one, terms[one.item.id])
        self._judged = judged
        each = ((judged.get(item_id) or one).work for item_id, one in self._learnt.items())
        return list(chain.from_iterable(each))

    def _terms(self, matters: Matters) -> Iterator[tuple[str, Terms]]:
        """On what it depends which labels of an item are right, of each where that can be told of any."""
        is_gold, verdicts = self._gold_of(self._task), self._verdicts(MAJORITY)
        for item_id, one in self._learnt.items():
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
        label = consensus.label(task, comparable(one), verdicts)
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
