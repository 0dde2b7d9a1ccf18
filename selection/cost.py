"""What a label costs in human seconds: to check and correct a pre-annotation, or to make the label from scratch.

Every constant can be set; those without a source are assumptions to be replaced by fits to recorded seconds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import erfc

from models.errors import InvalidInput
from models.records import Boxes, Label, Lanes, Seconds, Transcript

OFF = 8 / 512  # share of the width: a point of a line farther off than this is moved


@dataclass(frozen=True)
class Costs:
    """Seconds of one action; for speech, seconds a second of sound. Finite and not below 0."""

    open_image: Seconds = 2.0  # look at an image before touching anything; assumption
    verify_box: Seconds = 1.7  # answer yes or no to a box; quoted from memory, to be fitted first
    adjust_box: Seconds = 4.0  # move, resize, rename or delete a wrong box; assumption
    draw_box: Seconds = (
        7.0  # extreme clicking, Papadopoulos et al. 2017 (ImageNet's protocol: 34.5, of which 25.5 drawing)
    )
    verify_line: Seconds = 1.7  # as a box
    move_point: Seconds = 1.5  # assumption
    place_point: Seconds = 1.5  # a click; assumption
    points_a_line: float = 8.0  # that a person places; assumption
    transcribe: float = 5.0  # times real time from scratch, Gaur et al. 2016
    check_transcript: float = 1.8  # times real time to check a right one; the literature says 1.7 to 2
    crossover_wer: float = 0.30  # above this word error rate editing saves nothing, Gaur et al. 2016

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise InvalidInput(f"Costs.{field.name}: expected a finite number >= 0, got {value}")
        if not self.crossover_wer > 0:
            raise InvalidInput(f"Costs.crossover_wer: expected a rate above 0, got {self.crossover_wer}")


def expected_seconds(
    label: Label, p_error: float, features: Mapping[str, float], duration_s: Seconds | None, costs: Costs
) -> Seconds:
    """Human seconds to check a pre-annotation and correct what is wrong.

    Boxes: open + sum over boxes of [verify + (1 - p) adjust] + missed draw, where p is a box's confidence and missed
    the expected number of missed objects. Lines: likewise, where adjusting is moving the points that are off. Speech:
    duration min(r0, r1 + WER (r0 - r1) / crossover), with r0 to transcribe and r1 to check.

    What is expected to be wrong is never less than ``p_error``: if anything is, it is at least one word, box or line.

    Args:
        label: the pre-annotation.
        p_error: calibrated probability that anything is wrong, in [0, 1].
        features: the model's, with ``expected_missed`` for boxes and lines, ``expected_wer`` for speech.
        duration_s: of speech.
        costs: the constants.

    Raises:
        InvalidInput: a feature or the duration is missing or no finite number >= 0.
    """
    match label:
        case Transcript():
            wer = max(_feature(features, "expected_wer", label), p_error / max(1, len(label.text.split())))
            rise = (costs.transcribe - costs.check_transcript) / costs.crossover_wer
            return _duration(duration_s) * min(costs.transcribe, costs.check_transcript + wer * rise)
        case Boxes():
            wrong, missed = _wrong_and_missed(_wrong_boxes(label), p_error, features, label)
            checking = len(label.boxes) * costs.verify_box + wrong * costs.adjust_box
            return costs.open_image + checking + missed * costs.draw_box
        case Lanes():
            wrong, missed = _wrong_and_missed(_wrong_lines(label), p_error, features, label)
            checking = len(label.lanes) * costs.verify_line + wrong * costs.points_a_line * costs.move_point
            return costs.open_image + checking + missed * _draw_line(costs)


def from_scratch_seconds(
    label: Label, p_error: float, features: Mapping[str, float], duration_s: Seconds | None, costs: Costs
) -> Seconds:
    """Human seconds to make the label with nothing to start from; arguments and errors as for ``expected_seconds``.

    The pre-annotation says how much there is to be drawn: what is right in it and what it has missed.
    """
    match label:
        case Transcript():
            return _duration(duration_s) * costs.transcribe
        case Boxes():
            wrong, missed = _wrong_and_missed(_wrong_boxes(label), p_error, features, label)
            return costs.open_image + (len(label.boxes) - wrong + missed) * costs.draw_box
        case Lanes():
            wrong, missed = _wrong_and_missed(_wrong_lines(label), p_error, features, label)
            return costs.open_image + (len(label.lanes) - wrong + missed) * _draw_line(costs)


def _wrong_boxes(label: Boxes) -> float:
    return sum(1 - box.confidence for box in label.boxes)


def _wrong_lines(label: Lanes) -> float:
    """Expected wrong lines, where a line with a share of its points off counts as that share of a line."""
    off = OFF * label.width
    right = 0.0
    for lane in label.lanes:
        std = np.maximum(np.array(lane.std_px or (0.0,)), 1e-9)
        right += lane.confidence * float(1 - erfc(off / (std * math.sqrt(2))).mean())
    return len(label.lanes) - right


def _wrong_and_missed(
    wrong: float, p_error: float, features: Mapping[str, float], label: Boxes | Lanes
) -> tuple[float, float]:
    """Expected wrong and missed objects, both raised by one factor where together they are less than ``p_error``."""
    missed = _feature(features, "expected_missed", label)
    total = wrong + missed
    if total >= p_error:
        return wrong, missed
    return (wrong * p_error / total, missed * p_error / total) if total > 0 else (0.0, p_error)


def _draw_line(costs: Costs) -> Seconds:
    return costs.points_a_line * costs.place_point


def _feature(features: Mapping[str, float], name: str, label: Label) -> float:
    value = features.get(name)
    if value is None or not 0 <= value < math.inf:
        known = f"{value}" if name in features else f"only {sorted(features)}"
        raise InvalidInput(f"cost of {type(label).__name__}: expected feature {name!r} >= 0, got {known}")
    return value


def _duration(duration_s: Seconds | None) -> Seconds:
    if duration_s is None or not 0 <= duration_s < math.inf:
        raise InvalidInput(f"cost of Transcript: expected duration_s >= 0, got {duration_s}")
    return duration_s
