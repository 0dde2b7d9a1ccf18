"""Strategies made of strategies: fair shares for groups, and no near-duplicates.

Each function takes a strategy, and what else is known of the items of one pool, and returns a strategy for that pool.
They nest in any order, the inner ones narrowed to what an outer one lets through: ``distinct(balanced(..))`` picks a
key once, ``balanced(distinct(..))`` once in each group.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import Floats
from models.errors import InvalidInput
from selection.strategies.pool import Embeddings, Indices, Scores, Strategy, checked, in_turn

Keys: TypeAlias = Sequence[Hashable] | NDArray[Any]  # one an item
Columns: TypeAlias = tuple[NDArray[Any], ...]
Pick: TypeAlias = Callable[[Indices, int], Indices]  # (items, budget) -> those that the inner strategy picks of them
Choose: TypeAlias = Callable[[Pick, Floats, Columns, Columns, int], Indices]  # (.., doubts, columns, had, budget)


def balanced(strategy: Strategy, groups: Keys, labelled: Mapping[Any, int] | None = None) -> Strategy:
    """Picks within each group by the strategy, and lets groups take turns: the one with the fewest labels goes first.

    Groups (n,) are predicted classes or domains, say; ``labelled`` counts the items of each that people already have.
    Of groups with equally many, the one with the most doubtful next pick goes first.

    Raises:
        InvalidInput: a group that is NaN, naming its item's index.
    """
    numbers, names = _numbered("groups", groups, lonely=False)
    already = np.array([(labelled or {}).get(name, 0) for name in names], np.intp)
    return _Wrapped(strategy, (numbers,), (numbers[:0],), partial(_balanced, already))


def distinct(strategy: Strategy, keys: Keys) -> Strategy:
    """Picks among the most doubtful item of each key, so that no prompt is heard twice, say.

    Keys (n,); an item whose key is None is like no other.

    Raises:
        InvalidInput: a key that is NaN, naming its item's index.
    """
    numbers, _ = _numbered("keys", keys)
    return _Wrapped(strategy, (numbers,), (numbers[:0],), _distinct)


def spaced(
    strategy: Strategy, sequences: Keys, places: ArrayLike, apart: float, known: Iterable[tuple[Hashable, float]] = ()
) -> Strategy:
    """Picks no two items of a sequence that are less than ``apart`` from each other: frames of a video, say.

    Sequences (n,), None for an item that belongs to none; places (n,) in frames or seconds; ``known`` are the sequence
    and the place of each item that people already have. From the most doubtful item on, each hides its neighbours from
    the strategy.

    Raises:
        InvalidInput: a sequence or a place that is NaN, naming its item's index; another shape; ``apart`` not above 0.
    """
    numbers, names = _numbered("sequences", sequences)
    where = _finite("places", places)
    if where.shape != numbers.shape:
        raise InvalidInput(f"places: expected shape {numbers.shape} as sequences, got {where.shape}")
    if not apart > 0:
        raise InvalidInput(f"apart: expected a number > 0, got {apart}")
    number_of = {name: number for number, name in enumerate(names)}
    near = [(number_of[sequence], place) for sequence, place in known if sequence in number_of]
    had = np.array([number for number, _ in near], np.intp), _finite("known", [place for _, place in near])
    return _Wrapped(strategy, (numbers, where), had, partial(_spaced, apart))


def narrowed(strategy: Strategy, items: Indices, taken: Sequence[int] = ()) -> Strategy:
    """The same strategy for these items of its pool alone, where people also have those that are taken."""
    if not isinstance(strategy, _Wrapped):
        return strategy
    columns = tuple(column[items] for column in strategy.columns)
    more = np.array(taken, np.intp)
    had = tuple(np.append(had, column[more]) for had, column in zip(strategy.had, strategy.columns, strict=True))
    return _Wrapped(narrowed(strategy.inner, items, taken), columns, had, strategy.choose)


@dataclass(frozen=True)
class _Wrapped:
    """A strategy that knows more of the items of a pool, columns (n,), and of those that people have, ``had`` (m,)."""

    inner: Strategy
    columns: Columns
    had: Columns
    choose: Choose

    def __call__(self, scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
        doubts, points = checked(scores, embeddings, budget)
        n = len(self.columns[0])
        if len(doubts) != n:
            raise InvalidInput(f"scores: expected the {n} items that the strategy was made for, got {len(doubts)}")
        if not n:
            return np.empty(0, np.intp)
        values = np.asarray(scores)

        def pick(items: Indices, budget: int) -> Indices:
            return items[narrowed(self.inner, items)(values[items], points[items], budget, rng)]

        return self.choose(pick, doubts, self.columns, self.had, budget)


def _balanced(already: Indices, pick: Pick, doubts: Floats, columns: Columns, had: Columns, budget: int) -> Indices:
    (groups,) = columns
    already = already + np.bincount(had[0], minlength=len(already))
    sizes = np.bincount(groups, minlength=len(already))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    shares = _shares(sizes, already, budget)
    ranked = np.concatenate([pick(items, int(share)) for items, share in zip(members, shares, strict=True)])
    place = np.argsort(np.lexsort((ranked, -doubts[ranked])))  # among all picks, by doubt
    return ranked[in_turn(groups[ranked], place, already)][:budget]


def _shares(sizes: Indices, already: Indices, budget: int) -> Indices:
    """How many items of each group (G,) may be among the first ``budget`` ones, where the emptiest group goes next."""
    if budget >= sizes.sum():
        return sizes
    levels = np.concatenate([had + np.arange(min(size, budget + 1)) for size, had in zip(sizes, already, strict=True)])
    shares: Indices = np.partition(levels, budget)[budget] + 1 - already
    return np.minimum(np.maximum(shares, 0), np.minimum(sizes, budget))


def _distinct(pick: Pick, doubts: Floats, columns: Columns, had: Columns, budget: int) -> Indices:
    (keys,) = columns
    ranked = np.argsort(-doubts, kind="stable")
    ranked = ranked[~np.isin(keys[ranked], had[0])]
    _, firsts = np.unique(keys[ranked], return_index=True)
    return pick(np.sort(ranked[firsts]), budget)


def _spaced(apart: float, pick: Pick, doubts: Floats, columns: Columns, had: Columns, budget: int) -> Indices:
    sequences, places = columns
    kept, taken = list[int](), dict[int, list[float]]()
    for at in np.argsort(had[1]).tolist():
        taken.setdefault(int(had[0][at]), []).append(float(had[1][at]))
    for item in np.argsort(-doubts, kind="stable").tolist():
        near, place = taken.setdefault(int(sequences[item]), []), float(places[item])
        after = bisect_left(near, place)
        if all(abs(other - place) >= apart for other in near[max(0, after - 1) : after + 1]):
            near.insert(after, place)
            kept.append(item)
    return pick(np.sort(np.array(kept, np.intp)), budget)


def _finite(name: str, values: ArrayLike) -> Floats:
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        broken = int(np.argmin(np.isfinite(numbers)))
        raise InvalidInput(f"{name}[{broken}]: expected a finite number, got {numbers[broken]}")
    return numbers


def _numbered(name: str, keys: Keys, lonely: bool = True) -> tuple[Indices, list[Hashable]]:
    """Keys (n,) as numbers, and the key of each number from 0 on; each ``lonely`` None has one below 0 to itself.

    Raises:
        InvalidInput: a key is NaN, naming its index.
    """
    numbers, known = np.empty(len(keys), np.intp), dict[Hashable, int]()
    for row, key in enumerate(keys):
        if key != key:
            raise InvalidInput(f"{name}[{row}]: expected a key, got {key}")
        numbers[row] = ~row if key is None and lonely else known.setdefault(key, len(known))
    return numbers, list(known)
