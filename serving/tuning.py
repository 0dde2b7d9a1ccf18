"""What items kept out of a training teach about its version: a first calibration, how certain words and boxes are."""

from dataclasses import asdict
from typing import Any

import numpy as np

from models.arrays import Bools, Floats
from models.certainty import Certainty, learn
from models.detection.results import Results as Detected
from models.evaluate import Evaluation
from models.onnx_files import BOX_CERTAINTY, WORD_CERTAINTY
from models.records import Transcript
from models.tasks import part_errors
from selection.calibration import MINIMUM, fit


def first_calibration(unseen: Evaluation) -> dict[str, Any] | None:
    """The calibration that a version comes with, from items kept out of its training; None from too few."""
    if len(unseen.items) < MINIMUM:
        return None
    features, groups = [said.features for said in unseen.predictions], [item.group for item in unseen.items]
    return fit(unseen.scores, unseen.errors, features=features, groups=groups).to_json()


def tuned(unseen: Evaluation) -> dict[str, Any]:
    """What items kept out of training teach a version's runtime, where they are enough: how certain words are, and
    boxes of each category."""
    if isinstance(unseen.results, Detected):
        found = {name: _certainty(*boxes) for name, boxes in unseen.results.rights().items()}
        lines = {name: asdict(line) for name, line in found.items() if line}
        return {BOX_CERTAINTY: lines} if lines else {}
    if unseen.task == "asr":
        line = _certainty(*_words(unseen))
        return {WORD_CERTAINTY: asdict(line)} if line else {}
    return {}


def _certainty(confidences: Floats, right: Bools) -> Certainty | None:
    """How certain parts (n,) of these confidences are, where enough of them are right, and some are not."""
    enough = right.sum() >= MINIMUM and not right.all()
    return learn(confidences, right) if enough else None


def _words(unseen: Evaluation) -> tuple[Floats, Bools]:
    """Of all words that a version wrote: the confidence of each, and whether it is right."""
    confidences, right = list[float](), list[bool]()
    for said, truth in zip(unseen.predictions, unseen.truths, strict=True):
        assert isinstance(said.label, Transcript)
        confidences += [word.confidence for word in said.label.words]
        right += (~part_errors("asr", said.label, truth).wrong).tolist()
    return np.array(confidences, np.float64), np.array(right, np.bool_)
