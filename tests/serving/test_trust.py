"""What checks of randomly drawn items teach about a version."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.versions import read_version, write_manifest
from selection.calibration import fit
from selection.risk import NoPromise, Threshold
from serving.store.records import Audited
from serving.trust import Trust, first_calibration, learn, untried
from tests.serving.work import answer, boxes, item_id
from tests.tiny_versions import make_version

POOL: NDArray[np.float64] = np.full(9, 0.3)


def audited(name: int, group: str | None, draw: float, wrong: bool = False) -> Audited:
    said = answer(name, score=0.3, label=boxes("car")).preannotation
    return Audited(item_id(name), group, draw, said, boxes("bus" if wrong else "car"))


def test_a_group_speaks_once_through_its_lowest_draw() -> None:
    """Ten clips of three frames; the frame with the lowest draw is right, the others are wrong."""
    frames = [audited(3 * clip + i, f"clip{clip}", (2 - i) / 3, wrong=i < 2) for clip in range(10) for i in range(3)]
    promise = learn("detection", frames, POOL, alpha=0.2, delta=0.2).promise
    assert isinstance(promise, Threshold)
    assert (promise.n, promise.errors) == (10, 0)
    alone = [audited(number, None, one.draw, one.answer.label != one.truth) for number, one in enumerate(frames)]
    assert isinstance(learn("detection", alone, POOL, alpha=0.2, delta=0.2).promise, NoPromise)


def test_few_checks_leave_the_score_as_it_is_and_many_bend_it() -> None:
    few = learn("detection", [audited(i, None, 0.5) for i in range(29)], POOL, alpha=0.2, delta=0.2)
    assert few.p_error(0.3) == 0.3
    many = learn("detection", [audited(i, None, 0.5) for i in range(60)], POOL, alpha=0.2, delta=0.2)
    assert many.p_error(0.3) < 0.1
    assert many.told()["calibrated_on"] == 60


def test_what_was_learnt_survives_json(tmp_path: Path) -> None:
    learnt = learn("detection", [audited(i, None, 0.5) for i in range(60)], POOL, alpha=0.2, delta=0.2)
    fresh = untried(make_version(tmp_path, "detection"))
    for trust in (learnt, fresh):
        assert Trust.from_json(*trust.to_json()) == trust
    assert learnt.told()["holds"] is True
    assert fresh.told()["holds"] is False


def test_a_version_brings_its_first_calibration_along(tmp_path: Path) -> None:
    scores = np.linspace(0, 1, 40)
    came = first_calibration(scores, scores > 0.3)
    assert came == fit(scores, scores > 0.3).to_json()
    assert first_calibration(scores[:29], scores[:29] > 0.3) is None
    version = make_version(tmp_path, "detection")
    assert untried(version).p_error(0.5) == 0.5
    write_manifest(replace(version, calibration=came), [])
    trust = untried(read_version(version.folder))
    assert trust.p_error(0.5) == pytest.approx(float(fit(scores, scores > 0.3).p_error([0.5])[0]))
    few = learn("detection", [audited(1, None, 0.5)], POOL, alpha=0.2, delta=0.2, before=trust.calibrator)
    assert few.calibrator == trust.calibrator
