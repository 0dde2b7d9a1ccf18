"""Boosted trees: scikit-learn itself as the reference, and everything a kept tree must not be."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from selection.boosting import DEPTH, RATE, TREES, Trees, grow, table_of

Case = tuple[Floats, list[dict[str, float]], Bools]


def _case(n: int = 400) -> Case:
    rng = np.random.default_rng(0)
    scores, noise, size = rng.random(n), rng.random(n), rng.integers(0, 40, n).astype(float)
    wrong = rng.random(n) < np.where((size < 10) & (scores > 0.3), 0.8, 0.1)
    return scores, [{"size_px": a, "noise": b} for a, b in zip(size.tolist(), noise.tolist(), strict=True)], wrong


def _grown(n: int = 400) -> tuple[Trees, NDArray[np.float32], Bools]:
    scores, features, wrong = _case(n)
    table = table_of(("noise", "size_px"), scores, features)
    return grow(("noise", "size_px"), table, wrong), table, wrong


@pytest.mark.parametrize(("n", "least_leaf"), [(400, 15), (2000, 50)])
def test_the_kept_trees_answer_as_scikit_learn_does(n: int, least_leaf: int) -> None:
    trees, table, wrong = _grown(n)
    model = GradientBoostingClassifier(
        n_estimators=TREES, learning_rate=RATE, max_depth=DEPTH, min_samples_leaf=least_leaf, random_state=0
    )
    model.fit(table, wrong)
    rng = np.random.default_rng(1)
    asked = np.vstack([table, rng.normal(0, 30, (200, 3)).astype(np.float32)])
    assert trees.log_odds(asked) == pytest.approx(model.decision_function(asked), abs=1e-9)


def test_the_same_items_give_the_same_trees_and_json_loses_nothing() -> None:
    trees, table, _ = _grown()
    assert _grown()[0] == trees
    back = Trees.from_json(json.loads(json.dumps(trees.to_json())))
    assert back == trees
    assert (back.log_odds(table) == trees.log_odds(table)).all()


def test_a_missing_or_broken_feature_is_named() -> None:
    scores, features, _ = _case(3)
    with pytest.raises(InvalidInput, match=r"features\[1\]: expected 'noise', got \['size_px'\]"):
        table_of(("noise",), scores, [features[0], {"size_px": 1.0}, features[2]])
    with pytest.raises(InvalidInput, match=r"features\[2\]: expected finite numbers, got nan"):
        table_of(("noise",), scores, [*features[:2], {"noise": float("nan")}])
    with pytest.raises(InvalidInput, match="features: expected 3, one for each score, got 2"):
        table_of(("noise",), scores, features[:2])
    assert table_of(("noise",), scores, [{"noise": 1e300}] * 3).max() == pytest.approx(3e38)


SPLIT = {  # one tree: up to a size of 0.5 it answers -1, else 2
    "names": ["size"],
    "base": 0.25,
    "roots": [0],
    "column": [1, 0, 0],
    "limit": [0.5, 0.0, 0.0],
    "left": [1, 1, 2],
    "right": [2, 1, 2],
    "value": [0.0, -1.0, 2.0],
}


def test_a_tree_is_walked() -> None:
    table = np.array([[0.9, 0.4], [0.1, 0.5], [0.1, 0.6]], np.float32)
    assert Trees.from_json(SPLIT).log_odds(table).tolist() == [0.25 - 1, 0.25 - 1, 0.25 + 2]


@pytest.mark.parametrize(
    "change",
    [
        {"left": [1, 0, 2]},  # a node that leads back
        {"right": [3, 1, 2]},  # and one that leads to none
        {"roots": [3]},
        {"roots": [-1]},
        {"column": [2, 0, 0]},
        {"column": [-1, 0, 0]},
        {"limit": [float("nan"), 0.0, 0.0]},
        {"base": float("inf")},
        {"value": [0.0, -1.0]},
        {"value": None},
    ],
)
def test_broken_trees_are_refused(change: dict[str, Any]) -> None:
    broken = {name: part for name, part in {**SPLIT, **change}.items() if part is not None}
    with pytest.raises(InvalidInput, match=r"calibrator\.trees: expected"):
        Trees.from_json(broken)
