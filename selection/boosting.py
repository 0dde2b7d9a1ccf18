"""Boosted trees on an item's features, learnt with scikit-learn and kept as plain numbers.

What is kept is what is computed with: a few lines of numpy walk the trees, so an answer needs neither scikit-learn nor
a pickle, and a version from years ago still answers as it did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from models.arrays import Bools, Floats
from models.errors import InvalidInput

Table: TypeAlias = NDArray[np.float32]
Features: TypeAlias = Sequence[Mapping[str, float]]

TREES = 60
RATE = 0.1
DEPTH = 2  # features act alone or in pairs
LEAST_LEAF = 15  # items
LEAST_SHARE = 0.025  # of all items in a leaf


@dataclass(frozen=True)
class Trees:
    """Trees whose answers are added up to the log-odds of an error; their nodes stand one after the other.

    The first column is the score, the others are the features of ``names``. Node i sends an item to node ``left[i]`` if
    its value in ``column[i]`` is at most ``limit[i]``, else to ``right[i]``; a leaf sends it to itself and answers
    ``value[i]``. ``roots`` are where the trees begin, ``base`` is what no tree says.
    """

    names: tuple[str, ...]
    base: float
    roots: tuple[int, ...]
    column: tuple[int, ...]
    limit: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        n = len(self.value)
        lengths = {len(each) for each in (self.column, self.limit, self.left, self.right)}
        onwards = all(i <= to < n for each in (self.left, self.right) for i, to in enumerate(each))
        columns = all(0 <= column <= len(self.names) for column in self.column)
        roots = all(0 <= root < n for root in self.roots)
        finite = bool(np.isfinite([self.base, *self.limit, *self.value]).all())
        if lengths != {n} or not (onwards and columns and roots and finite):
            raise InvalidInput(f"calibrator.trees: expected whole trees of {n} nodes, got {str(asdict(self))[:200]}")

    def log_odds(self, table: Table) -> Floats:
        """Log-odds (n,) of an error, for the ``table`` of ``names``."""
        rows = np.arange(len(table))[:, None]
        column, left, right = (np.array(each, np.intp) for each in (self.column, self.left, self.right))
        at = np.tile(np.array(self.roots, np.intp), (len(table), 1))  # (items, trees)
        for _ in range(DEPTH):
            at = np.where(table[rows, column[at]] <= np.array(self.limit)[at], left[at], right[at])
        return np.asarray(self.base + np.array(self.value)[at].sum(axis=1))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Trees":
        """The trees that ``to_json`` wrote.

        Raises:
            InvalidInput: they are none.
        """
        try:
            kept = {
                name: tuple(values[name]) for name in ("names", "roots", "column", "limit", "left", "right", "value")
            }
            return cls(base=float(values["base"]), **kept)
        except (KeyError, TypeError) as error:
            raise InvalidInput(
                f"calibrator.trees: expected {list(cls.__annotations__)}, got {str(values)[:200]}"
            ) from error


def grow(names: Sequence[str], table: Table, wrong: Bools) -> Trees:
    """Learns trees from the ``table`` of ``names`` of items (n,), some of them wrong and some right.

    The same items give the same trees. Source: Friedman 2001, gradient boosting of the log loss, by scikit-learn.
    """
    from sklearn.ensemble import GradientBoostingClassifier  # a second to import, and only learning needs it

    least = max(LEAST_LEAF, int(LEAST_SHARE * len(table)))
    model = GradientBoostingClassifier(
        n_estimators=TREES, learning_rate=RATE, max_depth=DEPTH, min_samples_leaf=least, random_state=0
    )
    model.fit(table, wrong)
    nodes: dict[str, list[float]] = {name: [] for name in ("column", "limit", "left", "right", "value")}
    roots = []
    for stage in model.estimators_[:, 0]:
        tree, begin = stage.tree_, len(nodes["value"])
        roots.append(begin)
        leaf, here = tree.children_left < 0, begin + np.arange(tree.node_count)
        nodes["column"] += np.where(leaf, 0, tree.feature).tolist()
        nodes["limit"] += np.where(leaf, 0.0, tree.threshold).tolist()
        nodes["left"] += np.where(leaf, here, begin + tree.children_left).tolist()
        nodes["right"] += np.where(leaf, here, begin + tree.children_right).tolist()
        nodes["value"] += (RATE * tree.value[:, 0, 0]).tolist()
    base = float(logit(wrong.mean()))
    return Trees.from_json({"names": names, "base": base, "roots": roots, **nodes})


def shared_names(features: Features) -> tuple[str, ...]:
    """The features that every item has and that are not the same for all, by name."""
    shared = set.intersection(*(set(each) for each in features)) if len(features) else set()
    return tuple(sorted(name for name in shared if len({each[name] for each in features}) > 1))


def table_of(names: Sequence[str], scores: Floats, features: Features) -> Table:
    """Scores and features (n, 1 + names), as precise as scikit-learn compares them.

    Raises:
        InvalidInput: a feature is missing, or a number is not finite.
    """
    if len(features) != len(scores):
        raise InvalidInput(f"features: expected {len(scores)}, one for each score, got {len(features)}")
    for row, each in enumerate(features):
        if missing := [name for name in names if name not in each]:
            raise InvalidInput(f"features[{row}]: expected {missing[0]!r}, got {sorted(each)}")
    columns = [[each[name] for name in names] for each in features]
    table = np.column_stack([scores, np.array(columns, np.float64).reshape(len(scores), len(names))])
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0].tolist()
        raise InvalidInput(f"features[{row}]: expected finite numbers, got {table[row, column]}")
    return np.clip(table, -3e38, 3e38).astype(np.float32)
