"""Constants from recorded seconds: known constants come back, whatever breaks people take."""

from dataclasses import astuple, replace
from math import exp

import numpy as np
import pytest

from models.changes import Changes
from models.errors import InvalidInput
from models.records import Task
from selection.actions import Actions, spent_seconds
from selection.cost import Costs
from selection.fitting import FittedCosts, fit_costs

TRUE = Costs(image_s=2.0, box_verify_s=0.8, box_adjust_s=5.0, box_draw_s=11.0, lane_verify_s=3.0, lane_adjust_s=9.0,
             lane_draw_s=20.0, transcribe_ratio=8.0, check_ratio=1.2, break_even_wer=0.5)  # fmt: skip
CONSTANTS: dict[Task, tuple[str, ...]] = {
    "asr": ("transcribe_ratio", "check_ratio", "break_even_wer"),
    "detection": ("image_s", "box_verify_s", "box_adjust_s", "box_draw_s"),
    "lane": ("lane_verify_s", "lane_adjust_s", "lane_draw_s"),
}


def work(task: Task, n: int, seed: int = 0) -> list[Actions]:
    rng = np.random.default_rng(seed)
    did = []
    for kept, altered, removed, added, fresh in rng.integers(0, [12, 3, 2, 3, 5], (n, 5)).tolist():
        changes = Changes(added=kept + added) if fresh == 0 else Changes(kept, altered, removed, added)
        did.append(Actions(changes, fresh > 0, float(rng.uniform(1, 9)) if task == "asr" else None))
    return did


def taken(task: Task, did: list[Actions], noise: float, breaks: float, seed: int = 1) -> list[float]:
    """Seconds by the true constants, times a log-normal pace; a share of them with a break of minutes."""
    rng = np.random.default_rng(seed)
    pace, pause = (
        np.exp(rng.normal(0, noise, len(did))),
        (rng.random(len(did)) < breaks) * rng.uniform(60, 900, len(did)),
    )
    return [
        spent_seconds(task, one, TRUE) * p + b for one, p, b in zip(did, pace.tolist(), pause.tolist(), strict=True)
    ]


def fitted(task: Task, n: int, noise: float, breaks: float) -> FittedCosts:
    did = work(task, n)
    found = fit_costs(task, did, taken(task, did, noise, breaks))
    assert found is not None
    assert found.n == n
    return found


@pytest.mark.parametrize("task", CONSTANTS)
@pytest.mark.parametrize(("noise", "breaks", "within"), [(0.0, 0.0, 0.1), (0.3, 0.1, 0.3)])
def test_the_true_constants_come_back(task: Task, noise: float, breaks: float, within: float) -> None:
    costs = fitted(task, 600, noise, breaks).costs
    for name in CONSTANTS[task]:
        assert getattr(costs, name) == pytest.approx(getattr(TRUE, name), rel=within), name


def test_least_squares_would_be_led_astray_by_breaks() -> None:
    """The plain fit, as a reference that is not robust."""
    did = work("detection", 600)
    counts = [one.changes for one in did]
    table = np.array([[1, c.shown, c.altered + c.removed, c.added] for c in counts], float)
    plain = np.linalg.lstsq(table, np.array(taken("detection", did, 0.3, 0.1)), rcond=None)[0]
    assert plain[0] > 5 * TRUE.image_s
    assert fitted("detection", 600, 0.3, 0.1).costs.image_s < 1.5 * TRUE.image_s


def test_what_nobody_did_stays_as_it_was() -> None:
    did = [Actions(Changes(kept=kept), True) for kept in range(1, 61)]
    found = fit_costs("detection", did, [spent_seconds("detection", one, TRUE) for one in did])
    assert found is not None
    assert found.costs.box_verify_s == pytest.approx(TRUE.box_verify_s, rel=0.1)
    assert found.costs.box_draw_s == pytest.approx(Costs().box_draw_s, rel=0.01)
    assert found.costs.lane_draw_s == Costs().lane_draw_s


@pytest.mark.parametrize("task", CONSTANTS)
def test_where_people_take_as_long_as_was_assumed_the_constants_stay(task: Task) -> None:
    before = replace(TRUE, break_even_wer=0.8)
    did = [*work(task, 60), *(Actions(changes, True, 4.0) for changes in (Changes(altered=1), Changes(removed=1)))]
    found = fit_costs(task, did, [spent_seconds(task, one, before) for one in did], before)
    assert found is not None
    assert astuple(found.costs) == pytest.approx(astuple(before), rel=1e-3)


LOOKS = [Actions(Changes(), True)] * 48  # at images with nothing in them, which tell of one constant alone
BEFORE = Costs(image_s=3.0)


def test_a_constant_of_before_weighs_as_much_as_two_corrections() -> None:
    found = fit_costs("detection", [*LOOKS, LOOKS[0]], [*[3 * exp(0.05)] * 48, 0.0], BEFORE)  # the last tells none
    assert found is not None
    assert found.n == 48
    assert found.costs.image_s == pytest.approx(3 * exp(0.05 * 48 / 50), rel=1e-4)


@pytest.mark.parametrize("break_s", [180, 3600])
def test_a_long_break_pulls_no_harder_than_a_third_more_time(break_s: float) -> None:
    """With the force of 0.35 in log seconds: five breaks among 48 looks and the two of before move 50 by 5 * 0.35."""
    found = fit_costs("detection", [*LOOKS, *LOOKS[:5]], [*[3.0] * 48, *[break_s] * 5], BEFORE)
    assert found is not None
    assert found.costs.image_s == pytest.approx(3 * exp(0.35 * 5 / 50), rel=1e-3)


def test_nobody_does_anything_in_less_than_a_fifth_of_a_second() -> None:
    found = fit_costs("detection", LOOKS, [0.01] * 48, Costs(image_s=0.2))
    assert found is not None
    assert found.costs.image_s == pytest.approx(0.2)


def test_few_corrections_fit_nothing_and_broken_ones_are_refused() -> None:
    did = work("detection", 30)
    assert fit_costs("detection", did[:29], [3.0] * 29) is None
    assert fit_costs("detection", did, [0.0] + [3.0] * 29) is None  # a tool that tells no seconds
    assert fit_costs("detection", did, [3.0] * 30) is not None
    with pytest.raises(InvalidInput, match="expected 30 finite numbers"):
        fit_costs("detection", did, [3.0] * 29)
    with pytest.raises(InvalidInput, match="expected 30 finite numbers"):
        fit_costs("detection", did, [float("nan")] * 30)
    with pytest.raises(InvalidInput, match="expected the duration"):
        fit_costs("asr", did, [3.0] * 30)
