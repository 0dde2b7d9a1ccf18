"""The promise for parts: words, boxes and lines are accepted one by one, where whole items hardly ever could be.

A person then sees the doubtful parts of an item alone, and is asked one question: is anything missing? Where that
question has a promise of its own, it is not even asked of the surest items. The parts of one item may be wrong
together, so an item is one observation, and of one item no more than a fixed number of parts is ever accepted unseen:
otherwise a single crowded picture could break the promise for all others.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from models.records import Label, Transcript
from models.reliability import checked_errors, checked_scores
from selection.checks import RandomChecks
from selection.risk import NoPromise, Threshold, accept_threshold, promise

Rows: TypeAlias = NDArray[np.int64]

CROWDED = 0.9  # share of the checked items that have no more parts than may be accepted of one


@dataclass(frozen=True, eq=False)
class PartChecks:
    """Checked items (n,), drawn at random, with all their parts (p,).

    The ``scores`` of ``items`` are the doubt whether something is missing, their ``errors`` whether something was.
    ``scores`` (p,) and ``errors`` (p,) are those of the parts, ``item`` (p,) the row of each part's item.
    """

    items: RandomChecks
    scores: Floats
    errors: Bools
    item: Rows

    @staticmethod
    def of(items: RandomChecks, scores: ArrayLike, errors: ArrayLike, item: ArrayLike) -> "PartChecks":
        """The checks of items and parts.

        Raises:
            InvalidInput: shapes, ranges or a NaN, or a part of no checked item.
        """
        rows = np.asarray(item, np.int64)
        values, wrong = checked_scores("part scores", scores), checked_errors(errors, scores)
        if rows.shape != values.shape or ((rows < 0) | (rows >= len(items.scores))).any():
            raise InvalidInput(f"parts: expected the rows of {len(items.scores)} items, one for each of {len(values)}")
        return PartChecks(items, values, wrong, rows)


@dataclass(frozen=True)
class PartPromise:
    """What may be accepted of an item: ``parts`` within their threshold, the surest ``most`` of one item at most.

    Within the threshold of ``missing`` nobody is asked whether something is missing. Both promises hold together but
    for the delta that they share.
    """

    parts: Threshold | NoPromise
    missing: Threshold | NoPromise
    most: int

    @staticmethod
    def none(reason: str, missing: int = 0) -> "PartPromise":
        """Nothing is promised, and why."""
        return PartPromise(NoPromise(reason, missing), NoPromise(reason, missing), 1)


@dataclass(frozen=True)
class Plan:
    """What becomes of one item: rows of parts ``accepted`` unseen and ``shown`` to a person, and the one question."""

    accepted: tuple[int, ...]
    shown: tuple[int, ...]
    asked: bool

    @property
    def partial(self) -> bool:
        """Whether a person is spared anything."""
        return bool(self.accepted) or not self.asked

    @property
    def unseen(self) -> bool:
        """Whether nobody looks at the item at all."""
        return not self.shown and not self.asked


@dataclass(frozen=True)
class OfKind:
    """What becomes of the parts of one kind in an item, and by which promise."""

    plan: Plan
    promise: PartPromise


def promise_parts(
    checks: PartChecks, *, alpha: float, delta: float, pool_parts: ArrayLike, pool_missing: ArrayLike
) -> PartPromise:
    """The promises for parts and for what is missing, each with half of ``delta``.

    Of the parts accepted unseen at most a share alpha is wrong; of the items of which nobody asks, something is missing
    in at most a share alpha.

    Args:
        pool_parts: (q,) scores of unlabelled parts.
        pool_missing: (m,) of unlabelled items, the doubt whether something is missing.

    Raises:
        InvalidInput: as ``accept_threshold``.
    """
    parts = promise_part(checks, alpha=alpha, delta=delta / 2, pool_scores=pool_parts)
    missing = promise(checks.items, alpha=alpha, delta=delta / 2, pool_scores=pool_missing)
    return PartPromise(parts, missing, most_parts(checks))


def promise_part(checks: PartChecks, *, alpha: float, delta: float, pool_scores: ArrayLike) -> Threshold | NoPromise:
    """The promise for parts alone, all of them or those of a kind; ``pool_scores`` (q,) are of unlabelled ones.

    Raises:
        InvalidInput: as ``accept_threshold``.
    """
    kept = surest(checks.scores, checks.item, most_parts(checks))
    return accept_threshold(
        checks.scores[kept],
        checks.errors[kept],
        alpha=alpha,
        delta=delta,
        pool_scores=pool_scores,
        groups=part_groups(checks, kept),
        whole=True,
    )


def plan(scores: ArrayLike, missing: float, promise: PartPromise) -> Plan:
    """Which parts (p,) of an item are accepted and which are shown, and whether a person looks for missing ones.

    Args:
        scores: (p,) doubt about each part.
        missing: doubt whether something is missing.

    Raises:
        InvalidInput: a score that is not in [0, 1].
    """
    values, of_item = checked_scores("part scores", scores), checked_scores("missing", [missing])
    may = np.zeros(len(values), np.bool_)
    if isinstance(promise.parts, Threshold):
        may = (values <= promise.parts.threshold) & surest(values, np.zeros(len(values), np.int64), promise.most)
    asked = not (isinstance(promise.missing, Threshold) and bool(of_item[0] <= promise.missing.threshold))
    accepted, shown = (tuple(np.flatnonzero(which).tolist()) for which in (may, ~may))
    return Plan(accepted, shown, asked)


def plan_kinds(
    scores: ArrayLike, kinds: Sequence[str], missing: float, promise_of: Callable[[str], PartPromise]
) -> dict[str, OfKind]:
    """As ``plan``, of each kind of parts in an item on its own; ``kinds`` (p,) says of which each part is."""
    values, found = np.asarray(scores, np.float64), dict[str, OfKind]()
    for kind in dict.fromkeys(kinds):
        rows, promise = [row for row, of in enumerate(kinds) if of == kind], promise_of(kind)
        own = plan(values[rows], missing, promise)
        accepted, shown = (tuple(rows[place] for place in each) for each in (own.accepted, own.shown))
        found[kind] = OfKind(Plan(accepted, shown, own.asked), promise)
    return found


def plan_together(of: Mapping[str, OfKind], missing: float, promise: PartPromise) -> Plan:
    """What becomes of an item by the plans for each kind of its parts; ``promise`` says whether anybody is asked."""
    accepted, shown = (sorted(chain.from_iterable(each)) for each in (
        (one.plan.accepted for one in of.values()), (one.plan.shown for one in of.values())))  # fmt: skip
    return Plan(tuple(accepted), tuple(shown), plan([], missing, promise).asked)


def missing_doubt(label: Label, features: Mapping[str, float], score: float) -> float:
    """The doubt in [0, 1] whether something is missing: of an image the probability of any missed object, of a text the
    score of the whole, which knows no better.

    Raises:
        InvalidInput: the feature of an image is not there.
    """
    if isinstance(label, Transcript):
        return score
    if "expected_missed" not in features:
        raise InvalidInput(f"parts: expected the feature 'expected_missed', got {sorted(features)}")
    return 1 - math.exp(-features["expected_missed"])


def surest(scores: Floats, item: Rows, most: int) -> Bools:
    """Whether each part (p,) is one of the ``most`` surest of its item; of equal ones the first."""
    order = np.lexsort((scores, item))
    begins = np.diff(item[order], prepend=-1) > 0
    rows = np.arange(len(order))
    place = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    kept = np.empty(len(order), np.bool_)
    kept[order] = place < most
    return kept


def most_parts(checks: PartChecks) -> int:
    """How many parts of one item may be accepted: as many as all but the most crowded items have."""
    parts = np.bincount(checks.item, minlength=len(checks.items.scores))
    return max(1, int(np.quantile(parts, CROWDED, method="inverted_cdf"))) if len(parts) else 1


def part_groups(checks: PartChecks, kept: Bools) -> list[Hashable]:
    """What each of the ``kept`` (p,) parts shares with others: its item, or the group of that."""
    return [_group(checks.items, int(row)) for row in checks.item[kept]]


def _group(items: RandomChecks, row: int) -> Hashable:
    group = items.groups[row]
    return ("item", items.item_ids[row]) if group is None else ("group", group)
