"""Calibration: hand-worked ends, scikit-learn as the independent reference, then properties."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from selection.calibration import IDENTITY, Calibrator, fit

Sample = tuple[Floats, Bools]

scores_and_errors = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=30, max_size=80).map(
    lambda pairs: (np.array([score for score, _ in pairs]), np.array([wrong for _, wrong in pairs], bool))
)


def _step(n: int = 400, seed: int = 1) -> Sample:
    """Errors in 5 % of the items below score 0.5 and in 90 % of those above."""
    scores = (np.arange(n) + 0.5) / n
    return scores, np.random.default_rng(seed).random(n) < np.where(scores < 0.5, 0.05, 0.9)


def _line(n: int = 400) -> Sample:
    """Errors with log-odds 1 + 1.5 times those of the score."""
    rng = np.random.default_rng(2)
    scores = rng.random(n)
    return scores, rng.random(n) < expit(1 + 1.5 * logit(scores))


def _targets(wrong: Bools) -> Floats:
    errors, right = wrong.sum(), (~wrong).sum()
    return np.asarray(np.where(wrong, (errors + 1) / (errors + 2), 1 / (right + 2)))


def test_the_identity_answers_the_score() -> None:
    assert IDENTITY.n == 0
    assert IDENTITY.p_error([0.0, 0.25, 1.0]).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize(("wrong", "expected"), [(False, 1 / 42), (True, 41 / 42)])
def test_one_kind_of_answer_alone_is_laplace(wrong: bool, expected: float) -> None:
    calibrator = fit(np.linspace(0.1, 0.6, 40), [wrong] * 40)
    assert (calibrator.method, calibrator.n, calibrator.errors) == ("logistic", 40, 40 * wrong)
    assert calibrator.p_error([0.0, 0.1, 0.3, 0.6, 1.0]) == pytest.approx(np.full(5, expected), rel=2e-3)
    assert calibrator.p_error([0.1]) == pytest.approx(expected, rel=1e-6)  # at the surest one exactly


def test_no_sample_makes_certain() -> None:
    scores = np.linspace(0, 1, 60)
    p_error = fit(scores, scores > 0.5).p_error([0.0, 1.0])
    assert 1 / 100 < p_error[0] < 1 / 20
    assert 1 / 100 < 1 - p_error[1] < 1 / 20


def test_a_step_is_isotonic_and_a_line_is_logistic() -> None:
    assert fit(*_step()).method == "isotonic"
    assert fit(*_line()).method == "logistic"
    small = [_step(200, seed) for seed in range(6)]  # whatever is left out, 160 tell that it is a step; 40 would not
    assert {fit(*sample).method for sample in small} == {"isotonic"}


@pytest.mark.parametrize("places", [10_000, 20])
def test_isotonic_is_scikit_learns_at_the_centre_of_each_flat_stretch(places: int) -> None:
    scores, wrong = _step()
    scores = (np.floor(scores**3 * places) + 0.5) / places  # with few places, many items at some and few at others
    flat = IsotonicRegression().fit_transform(scores, _targets(wrong))
    calibrator = fit(scores, wrong)
    for level in np.unique(flat):
        centre = expit(logit(scores[flat == level]).mean())
        assert calibrator.p_error([centre])[0] == pytest.approx(level, rel=2e-3)


def test_logistic_is_scikit_learns_within_what_the_sample_can_tell() -> None:
    scores, wrong = _line()
    targets, x = _targets(wrong), np.tile(logit(scores), 2)[:, None]
    reference = LogisticRegression(C=math.inf, tol=1e-10)
    reference.fit(x, np.repeat([1, 0], len(scores)), sample_weight=np.concatenate([targets, 1 - targets]))
    expected = reference.predict_proba(x[: len(scores)])[:, 1].clip(targets.min(), targets.max())
    assert fit(scores, wrong).p_error(scores) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("scale", [1, 1e-3])
def test_overconfident_scores_become_honest(scale: float) -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(4000) * 0.6
    scores = scale * truth**3
    calibrator = fit(scores[:2000], rng.random(2000) < truth[:2000])
    assert np.abs(scores - truth)[2000:].mean() > 0.15
    assert np.abs(calibrator.p_error(scores[2000:]) - truth[2000:]).mean() < 0.03


def test_reversed_scores_are_answered_by_the_base_rate() -> None:
    scores = np.linspace(0, 1, 200)
    wrong = np.random.default_rng(4).random(200) < 0.6 * (1 - scores)
    assert fit(scores, wrong).p_error([0.0, 0.5, 1.0]) == pytest.approx(np.full(3, wrong.mean()), abs=0.03)


def test_too_few_corrections_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected at least 30 corrections, got 29"):
        fit([0.1] * 29, [False] * 29)
    assert fit([0.1] * 30, [False] * 30).n == 30


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1, math.inf])
def test_a_score_out_of_range_is_named(bad: float) -> None:
    with pytest.raises(InvalidInput, match=rf"scores\[2\]: expected a number in \[0, 1\], got {bad}"):
        fit([0.1, 0.2, bad, bad] + [0.5] * 30, [False] * 34)
    with pytest.raises(InvalidInput, match=r"scores\[1\]"):
        IDENTITY.p_error([0.5, bad])


@pytest.mark.parametrize(
    ("errors", "said"),
    [([0, 1] * 20, "expected bool, got int64"), ([True] * 39, r"got \(39,\)"), ([[True]] * 40, r"got \(40, 1\)")],
)
def test_errors_are_one_bool_each(errors: list[Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=f"errors: .*{said}"):
        fit([0.5] * 40, errors)


@settings(deadline=None, max_examples=40)
@given(scores_and_errors, st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_more_doubt_is_more_error(sample: Sample, asked: list[float]) -> None:
    ordered = np.sort(asked)
    p_error = fit(*sample).p_error(ordered)
    assert (np.diff(p_error) >= 0).all()
    assert ((p_error > 0) & (p_error < 1)).all()
    assert (np.diff(p_error)[np.diff(ordered) > 1e-8] > 0).all()


@settings(deadline=None, max_examples=40)
@given(scores_and_errors, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_json_loses_nothing(sample: Sample, shuffler: Any) -> None:
    scores, wrong = sample
    order = list(range(len(scores)))
    shuffler.shuffle(order)
    calibrator = fit(scores, wrong)
    assert fit(scores[order], wrong[order]) == calibrator
    assert Calibrator.from_json(json.loads(json.dumps(calibrator.to_json()))) == calibrator


def test_identity_survives_json() -> None:
    assert Calibrator.from_json(json.loads(json.dumps(IDENTITY.to_json()))) == IDENTITY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "magic"}, "calibrator.method"),
        ({"knots": [[0.0, 0.0]]}, "calibrator.knots"),
        ({"knots": [[0.0, 0.0], [1.0, 0.0]]}, "calibrator.knots"),
        ({"knots": [[0.0, 0.0], [1.0, math.nan]]}, "calibrator.knots"),
        ({"knots": [1, 2]}, "expected method, n, errors and knots"),
        ({"errors": 41}, "calibrator.errors"),
        ({"method": "identity"}, "calibrator.knots"),
        ({"method": "boosted"}, "calibrator.trees"),
    ],
)
def test_a_broken_calibrator_is_refused(change: dict[str, Any], said: str) -> None:
    values = fit([0.1, 0.2, 0.3, 0.4] * 10, [False, False, True, False] * 10).to_json()
    assert Calibrator.from_json(values).n == 40
    with pytest.raises(InvalidInput, match=said):
        Calibrator.from_json({**values, **change})
    with pytest.raises(InvalidInput, match="expected method, n, errors and knots"):
        Calibrator.from_json({})


# -- features


def _told(n: int = 600, groups: int | None = None) -> tuple[Sample, list[dict[str, float]], list[int]]:
    """Small objects are wrong, and the score does not know it. With groups, whole groups are: the size is theirs."""
    rng = np.random.default_rng(5)
    group = np.arange(n) if groups is None else rng.integers(0, groups, n)
    size = rng.random(n) if groups is None else rng.random(groups)[group]
    wrong = rng.random(n) < np.where(size < 0.3, 0.9, 0.05)
    if groups is not None:
        wrong = (rng.random(groups) < 0.3)[group]
    return (rng.random(n), wrong), [{"size": one} for one in size.tolist()], group.tolist()


def test_features_that_tell_more_than_the_score_are_used() -> None:
    (scores, wrong), features, _ = _told()
    calibrator = fit(scores, wrong, features=features)
    assert (calibrator.method, calibrator.n, calibrator.errors) == ("boosted", 600, wrong.sum())
    small, large = calibrator.p_error([0.5, 0.5], [{"size": 0.1, "other": 1.0}, {"size": 0.9}])
    assert small == pytest.approx(0.9, abs=0.1)
    assert large == pytest.approx(0.05, abs=0.05)
    assert calibrator.p_error([0.5])[0] == pytest.approx(wrong.mean(), abs=0.1)  # the curve knows the score alone
    assert Calibrator.from_json(json.loads(json.dumps(calibrator.to_json()))) == calibrator
    with pytest.raises(InvalidInput, match=r"features\[0\]: expected 'size', got \['other'\]"):
        calibrator.p_error([0.5], [{"other": 1.0}])


def test_features_that_tell_nothing_are_left_aside() -> None:
    scores, wrong = _line()
    noise = [{"noise": one} for one in np.random.default_rng(6).random(400).tolist()]
    assert fit(scores, wrong, features=noise) == fit(scores, wrong)
    step = scores > 0.5  # trees would be the best of all methods here, but what is the same for all is no feature
    assert fit(scores, step, features=[{"same": 1.0}] * 400) == fit(scores, step)
    assert fit(scores, step, features=noise).method == "boosted"


def test_what_only_the_neighbours_tell_is_not_believed() -> None:
    """Each of 30 speakers is right or wrong throughout; a feature that gives the speaker away seems to tell it all."""
    (scores, wrong), features, groups = _told(groups=30)
    assert fit(scores, wrong, features=features).method == "boosted"
    assert fit(scores, wrong, features=features, groups=groups).method != "boosted"


def test_few_corrections_or_few_errors_grow_no_trees() -> None:
    (scores, wrong), features, _ = _told()
    for enough in (99, 100):
        some = wrong & (np.cumsum(wrong) <= enough)
        assert (fit(scores, some, features=features).method == "boosted") == (enough == 100)
        few_right = wrong | (np.cumsum(~wrong) > enough)
        inverse = [{"size": 0.1 if is_wrong else 0.9} for is_wrong in few_right]
        assert (fit(scores, few_right, features=inverse).method == "boosted") == (enough == 100)
    one_group = [int(is_wrong) for is_wrong in wrong]  # whatever is wrong is of one speaker
    assert fit(scores, wrong, features=features, groups=one_group).method == "logistic"
    assert fit(scores, wrong, features=features, groups=[0] * 600).method == "logistic"
    ordered, speakers = np.sort(scores), np.arange(600) // 120
    for right in range(5):  # whatever is right is of one speaker, who is wrong once as all others are
        nearly_all = (speakers != right) | (np.arange(600) % 120 == 0)
        assert fit(ordered, nearly_all, features=features, groups=speakers.tolist()).method != "boosted"


@pytest.mark.parametrize("seed", range(20))
def test_order_does_not_matter_where_equal_items_are_of_different_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, groups, order = rng.integers(1, 4, 60) / 5, rng.integers(0, 12, 60), rng.permutation(60)
    wrong = rng.random(60) < scores
    assert fit(scores, wrong, groups=groups.tolist()) == fit(scores[order], wrong[order], groups=groups[order].tolist())


@settings(deadline=None, max_examples=5)
@given(st.randoms(use_true_random=False))
def test_order_does_not_matter_to_trees(shuffler: Any) -> None:
    (scores, wrong), features, _ = _told(400)
    order = list(range(400))
    shuffler.shuffle(order)
    again = fit(scores[order], wrong[order], features=[features[row] for row in order])
    assert again == fit(scores, wrong, features=features)
    assert again.method == "boosted"


def test_trees_stay_within_what_the_corrections_can_tell() -> None:
    """A feature tells it all, but a hundred wrong ones and twice as many right ones cannot tell that it always will."""
    wrong = np.arange(300) % 3 == 0
    features = [{"size": 0.1 if is_wrong else 0.9} for is_wrong in wrong]
    calibrator = fit(np.full(300, 0.5), wrong, features=features)
    assert calibrator.p_error([0.5, 0.5], features[:2]) == pytest.approx([101 / 102, 1 / 202])


def test_features_and_groups_have_the_length_of_the_scores() -> None:
    with pytest.raises(InvalidInput, match="features: expected 40, one for each score, got 1"):
        fit([0.5] * 40, [True] * 40, features=[{"a": 1.0}])
    with pytest.raises(InvalidInput, match="groups: expected 40, one for each score, got 1"):
        fit([0.5] * 40, [True] * 40, groups=["a"])
