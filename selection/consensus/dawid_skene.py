"""What several annotators say together, and how often each of them is right: Dawid and Skene's EM.

A question is whatever each of them answered once: which word stands in a slot, what an object is, whether there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats

Votes: TypeAlias = Mapping[str, str]  # annotator -> answer
Indices: TypeAlias = NDArray[np.intp]

ROUNDS = 100
TOLERANCE = 1e-6
RIGHT, WRONG = 8.0, 2.0  # answers of a person of whom nothing is known yet: people are mostly right
STRENGTH = 4.0  # answers that it takes until a person's own confusions count as much as their accuracy


@dataclass(frozen=True)
class Verdict:
    """The likeliest answer, its ``probability``, and the share of the votes that it got (``agreement``), in [0, 1]."""

    answer: str
    probability: float
    agreement: float


@dataclass(frozen=True)
class Verdicts:
    """One verdict a question, and the estimated share of right answers of each annotator."""

    verdicts: tuple[Verdict, ...]
    accuracy: Mapping[str, float]


@dataclass(frozen=True)
class _Table:
    """All votes as arrays: a row for each vote, for each candidate (an answer somebody gave to a question), and for
    each pair of a vote and a candidate of the same question."""

    people: list[str]
    answers: list[str]
    vote_person: Indices
    vote_candidate: Indices
    candidate_question: Indices
    candidate_answer: Indices
    pair_vote: Indices
    pair_candidate: Indices
    pair_row: Indices  # pairs of the same person and candidate answer
    pair_cell: Indices  # and those where the person said the same, too


def judge(questions: Sequence[Votes]) -> Verdicts:
    """The likeliest answer to each question, by people whose accuracy is estimated from the same votes.

    Each annotator has a confusion matrix, drawn towards equal mistakes of a single accuracy as long as few answers are
    known (``STRENGTH``); an answer that nobody gave is never the verdict. Ties go to the answer that sorts first.
    Source: Dawid and Skene 1979, equations 2.3 to 2.5, with priors.
    """
    assert all(questions), "a question without votes"
    table = _table(questions)
    if not questions:
        return Verdicts((), {})
    agreement = _share_of_votes(table)
    posterior = agreement
    for _ in range(ROUNDS):
        before, posterior = posterior, _expected(table, posterior)
        if np.abs(posterior - before).max() < TOLERANCE:
            break
    accuracy = _accuracy(table, posterior)
    return Verdicts(
        tuple(_verdicts(table, posterior, agreement, len(questions))),
        dict(zip(table.people, accuracy.tolist(), strict=True)),
    )


def _table(questions: Sequence[Votes]) -> _Table:
    given = [(person, answer) for votes in questions for person, answer in sorted(votes.items())]
    people, answers = (sorted(set(names)) for names in zip(*given, strict=True)) if given else ([], [])
    person_of, answer_of = ({name: i for i, name in enumerate(names)} for names in (people, answers))
    vote_question = np.repeat(np.arange(len(questions)), [len(votes) for votes in questions])
    vote_person = np.array([person_of[person] for person, _ in given], np.intp)
    answer = np.array([answer_of[answer] for _, answer in given], np.intp)
    candidates, vote_candidate = np.unique(vote_question * len(answers) + answer, return_inverse=True)
    candidate_question, candidate_answer = np.divmod(candidates, max(1, len(answers)))
    first = np.searchsorted(candidate_question, vote_question)
    count = np.searchsorted(candidate_question, vote_question, side="right") - first
    pair_vote = np.repeat(np.arange(len(given)), count)
    within = np.arange(len(pair_vote)) - np.repeat(np.cumsum(count) - count, count)
    pair_candidate = first[pair_vote] + within
    row = vote_person[pair_vote] * len(answers) + candidate_answer[pair_candidate]
    cell = row * len(answers) + answer[pair_vote]
    return _Table(
        people,
        answers,
        vote_person,
        vote_candidate,
        candidate_question,
        candidate_answer,
        pair_vote,
        pair_candidate,
        pair_row=np.unique(row, return_inverse=True)[1],
        pair_cell=np.unique(cell, return_inverse=True)[1],
    )


def _share_of_votes(table: _Table) -> Floats:
    votes = np.bincount(table.vote_candidate, minlength=len(table.candidate_answer)).astype(np.float64)
    return _normalised(table, votes)


def _normalised(table: _Table, weights: Floats) -> Floats:
    """Weights of candidates as shares among those of the same question."""
    total = np.bincount(table.candidate_question, weights)
    return np.asarray(weights / total[table.candidate_question])


def _accuracy(table: _Table, posterior: Floats) -> Floats:
    """The share of right answers of each person, drawn towards ``RIGHT`` of ``RIGHT + WRONG``."""
    right = np.bincount(table.vote_person, posterior[table.vote_candidate])
    return np.asarray((right + RIGHT) / (np.bincount(table.vote_person) + RIGHT + WRONG))


def _expected(table: _Table, posterior: Floats) -> Floats:
    """One round: people's confusions and the answers' frequencies from the posterior, then the posterior from them."""
    said, true = (
        table.candidate_answer[table.vote_candidate][table.pair_vote],
        table.candidate_answer[table.pair_candidate],
    )  # (pairs,)
    person = table.vote_person[table.pair_vote]
    others = max(1, len(table.answers) - 1)
    accuracy = _accuracy(table, posterior)[person]
    expected = np.where(said == true, accuracy, (1 - accuracy) / others)  # of one accuracy and equal mistakes
    weight = posterior[table.pair_candidate]
    seen, row = _summed(table.pair_cell, weight), _summed(table.pair_row, weight)
    log_said = np.log((seen + STRENGTH * expected) / (row + STRENGTH))
    frequency = np.bincount(table.candidate_answer, posterior) + 1
    score = np.log(frequency / frequency.sum())[table.candidate_answer]
    score = score + np.bincount(table.pair_candidate, log_said, minlength=len(score))
    highest = np.full(table.candidate_question[-1] + 1, -np.inf)
    np.maximum.at(highest, table.candidate_question, score)
    return _normalised(table, np.exp(score - highest[table.candidate_question]))


def _summed(key: Indices, weight: Floats) -> Floats:
    """For each row the total weight of all rows with its key."""
    return np.asarray(np.bincount(key, weight)[key])


def _verdicts(table: _Table, posterior: Floats, agreement: Floats, questions: int) -> list[Verdict]:
    order = np.lexsort((table.candidate_answer, -posterior.round(9), table.candidate_question))
    best = order[np.searchsorted(table.candidate_question[order], np.arange(questions))]
    return [
        Verdict(table.answers[table.candidate_answer[i]], float(posterior[i]), float(agreement[i]))
        for i in best.tolist()
    ]
