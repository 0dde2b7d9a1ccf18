"""What items kept out of a training teach about its version."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.certainty import Certainty
from models.evaluate import Evaluation
from models.records import Lane, Lanes, Prediction, Transcript, Word
from models.versions import read_version, write_manifest
from selection.calibration import fit
from serving.trust import untried
from serving.tuning import first_calibration, tuned
from tests.serving.work import boxes, item
from tests.tiny_versions import make_version


def evaluation(n: int) -> Evaluation:
    """Items whose boxes are wrong where the model doubts, all of them of one clip each."""
    wrong = np.arange(n) > 0.7 * n
    said = tuple(Prediction(boxes("car"), i / n, {"boxes": 1.0}, ()) for i in range(n))
    truths = tuple(boxes("bus" if one else "car") for one in wrong)
    return Evaluation("detection", tuple(item(i, f"clip {i}") for i in range(n)), truths, said)


def test_a_version_brings_its_first_calibration_along(tmp_path: Path) -> None:
    seen = evaluation(40)
    learnt = fit(seen.scores, seen.errors)
    came = first_calibration(seen)
    assert came == learnt.to_json()
    assert first_calibration(evaluation(29)) is None
    version = make_version(tmp_path, "detection")
    assert untried(version).p_error(0.5, {}) == 0.5
    write_manifest(replace(version, calibration=came), [])
    trust = untried(read_version(version.folder))
    assert trust.p_error(0.5, {}) == pytest.approx(float(learnt.p_error([0.5])[0]))


@pytest.mark.parametrize(("clip", "boosted"), [(None, True), ("one", False)])
def test_a_first_calibration_knows_features_and_groups(clip: str | None, boosted: bool) -> None:
    """A feature tells all 100 that are wrong; were they all of one clip, nothing would be known of another."""
    wrong = [i % 3 == 0 for i in range(300)]
    said = tuple(Prediction(boxes("car"), 0.5, {"boxes": 9.0 if one else 1.0}, ()) for one in wrong)
    truths = tuple(boxes("bus" if one else "car") for one in wrong)
    items = tuple(item(i, clip if one else None) for i, one in enumerate(wrong))
    came = first_calibration(Evaluation("detection", items, truths, said))
    assert came is not None
    assert (came["method"] == "boosted") == boosted


def test_a_version_is_tuned_on_boxes_of_which_enough_are_right() -> None:
    seen = evaluation(80)  # 57 of 80 boxes are right, all as sure as boxes are in a test: 1.0; buses are never shown
    assert list(tuned(seen)["box_certainty"]) == ["car"]
    assert Certainty(**tuned(seen)["box_certainty"]["car"]).of(1.0) == pytest.approx(57 / 80, abs=0.02)
    assert tuned(evaluation(40)) == {}


def test_a_version_is_tuned_on_words_that_are_right_and_wrong() -> None:
    def heard(n: int, wrong: int) -> Evaluation:
        said = [Word("one", 0.0, 1.0, 0.01 if row < wrong else 0.1) for row in range(n)]
        spoken = [Transcript("two" if row < wrong else "one") for row in range(n)]
        predictions = [Prediction(Transcript("one", (word,)), 0.5, {}, ()) for word in said]
        return Evaluation("asr", tuple(map(item, range(n))), tuple(spoken), tuple(predictions))

    line = Certainty(**tuned(heard(40, 10))["word_certainty"])
    assert line.of(0.01) == pytest.approx(1 / 12, abs=0.01)
    assert line.of(0.1) == pytest.approx(31 / 32, abs=0.01)
    assert tuned(heard(40, 0)) == tuned(heard(29, 10)) == {}


def test_lines_are_taken_as_they_are() -> None:
    road = Lanes(64, 48, (Lane(((1.0, 2.0), (3.0, 4.0))),))
    assert tuned(Evaluation("lane", (item(1),), (road,), (Prediction(road, 0.5, {}, ()),))) == {}
