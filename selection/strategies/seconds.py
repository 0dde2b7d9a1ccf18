"""A batch of work under a budget in seconds of a person's time."""

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from models.errors import InvalidInput
from models.records import Seconds
from selection.strategies.doubt import checked_seconds, per_second
from selection.strategies.pool import Embeddings, Indices, Scores, Strategy, checked
from selection.strategies.wrappers import narrowed


def within_seconds(
    strategy: Strategy,
    scores: Scores,
    embeddings: Embeddings,
    seconds: ArrayLike,
    budget_s: Seconds,
    rng: np.random.Generator,
) -> Indices:
    """The strategy's picks that together cost at most ``budget_s``, by what each second is expected to change.

    The strategy sees ``per_second`` in place of scores (n,); class probabilities (n, K) it sees as they are. Of its
    ranking each item is taken that the seconds left pay for, and then again of the items that they still do, where
    wrappers count what is taken as what people have. With ``uncertainty`` this is the greedy algorithm for the knapsack
    problem (Dantzig 1957).

    Raises:
        InvalidInput: as the strategy; ``seconds`` (n,) not finite and above 0, naming the item's index; a budget that
            is negative or no number.
    """
    doubts, points = checked(scores, embeddings, 0)
    costs = checked_seconds(seconds, len(doubts))
    if not 0 <= budget_s < np.inf:
        raise InvalidInput(f"budget_s: expected a finite number of seconds >= 0, got {budget_s}")
    values = per_second(doubts, costs) if np.ndim(scores) == 1 else np.asarray(scores)
    picks, left, rest = list[int](), Fraction(budget_s), np.arange(len(costs))  # exact: sums of many seconds are
    while len(rest := rest[costs[rest] <= float(left)]):
        most = int(np.searchsorted(np.cumsum(np.sort(costs[rest])), float(left), side="right"))
        ranked = rest[narrowed(strategy, rest, picks)(values[rest], points[rest], max(1, most), rng)]
        for item in ranked.tolist():
            if Fraction(costs[item]) <= left:
                picks.append(item)
                left -= Fraction(costs[item])
        if not len(ranked):
            break
        rest = np.setdiff1d(rest, ranked)
    return np.array(picks, np.intp)
