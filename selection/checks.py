"""What people found on items drawn at random: the only evidence that calibration and the promise may rest on.

Items that active learning chose are corrected as well, but they are chosen for being doubtful: what is wrong among them
says nothing of the rest. They cannot be slipped in here. Who is drawn is told by an item's own number, which neither
score nor strategy can move, and every number is looked at.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from models.reliability import checked_errors, checked_scores

SURE = 0.1  # below this probability of an error, a slip of the person who contradicts is a good guess


@dataclass(frozen=True, eq=False)
class RandomChecks:
    """The checked items (n,) out of those whose draw lies below ``share``.

    ``scores`` in [0, 1] are the model's doubt, ``errors`` bool whether a person changed something that matters,
    ``draws`` in [0, 1) each item's own number (``routing.draw``), ``groups`` what it shares with others, if anything.
    """

    item_ids: Sequence[str]
    scores: Floats
    errors: Bools
    draws: Floats
    share: float
    groups: Sequence[Hashable]

    @staticmethod
    def of(
        item_ids: Sequence[str],
        scores: ArrayLike,
        errors: ArrayLike,
        draws: ArrayLike,
        share: float,
        groups: Sequence[Hashable] | None = None,
    ) -> "RandomChecks":
        """The checks, whose arrays nobody changes afterwards.

        Raises:
            InvalidInput: an item that was not drawn at random, or is there twice, by its id; shapes, ranges or a NaN.
        """
        values, wrong = checked_scores("scores", scores).copy(), checked_errors(errors, scores).copy()
        numbers = checked_scores("draws", draws).copy()
        for array in (values, wrong, numbers):
            array.flags.writeable = False
        groups = (None,) * len(values) if groups is None else tuple(groups)
        return RandomChecks(tuple(item_ids), values, wrong, numbers, share, groups)

    def __post_init__(self) -> None:
        n = len(self.scores)
        lengths = [len(each) for each in (self.item_ids, self.errors, self.draws, self.groups)]
        if set(lengths) != {n}:
            raise InvalidInput(f"random checks: expected ids, errors, draws and groups of {n} items, got {lengths}")
        if not 0 < self.share <= 1:
            raise InvalidInput(f"random checks: expected a share in (0, 1], got {self.share}")
        chosen = np.flatnonzero(~(self.draws < self.share))
        if len(chosen):
            item_id, number = self.item_ids[chosen[0]], self.draws[chosen[0]]
            raise InvalidInput(f"random checks: expected draws below {self.share}, got {number} of item {item_id!r}")
        if len(set(self.item_ids)) != n:
            twice = next(one for one in sorted(self.item_ids) if self.item_ids.count(one) > 1)
            raise InvalidInput(f"random checks: expected each item once, got {twice!r} twice")


def wants_second_look(p_error: float, wrong: bool) -> bool:
    """Whether a check shall be looked at by a second person, who is not told of the first.

    A slip of a person counts as an error of the model. At alpha 2 % and one slip in a hundred, slips alone take half of
    what is allowed. Only what the first person found wrong is looked at again: an error that a person overlooked stays
    overlooked, as it does without second looks, and a real one is lost where the second person overlooks it, too.
    """
    return wrong and p_error < SURE


def group_rows(groups: Sequence[Hashable] | None, n: int) -> NDArray[np.int64]:
    """The group (n,) of each item, counted from 0 on; None is a group of its own, and so is each item without groups.

    Raises:
        InvalidInput: another number of groups than n.
    """
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise InvalidInput(f"groups: expected {n}, one for each score, got {len(groups)}")
    keys = [("alone", row) if group is None else ("group", group) for row, group in enumerate(groups)]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return np.array([places[key] for key in keys], np.int64)
