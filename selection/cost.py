"""What a label costs: the seconds a person needs to verify, to correct or to make it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import erfc

from models.arrays import Floats
from models.errors import InvalidInput
from models.lane.metrics import TOLERANCE
from models.records import Boxes, Label, Lane, Lanes, Pixels, Seconds, Task, Transcript


@dataclass(frozen=True)
class Costs:
    """Seconds, and ratios of a sound's length, each assumed until ``fitting`` has learnt it from recorded ones.

    Boxes: 7 s to draw one by extreme clicking (Papadopoulos et al. 2017); verifying one takes about 1.7 s. Speech, in
    seconds per second of sound: 5 to transcribe from nothing, 1.8 to check a transcript; correcting one is cheaper than
    starting afresh below about 30 % word errors (Gaur et al. 2016). The others are assumptions: a look at an image
    takes as long as two verifications, an adjustment half a drawing, a line eight clicks of 1.2 s, and a doubtful word
    is heard with a second before and after it.
    """

    image_s: Seconds = 3.4
    box_verify_s: Seconds = 1.7
    box_adjust_s: Seconds = 3.5
    box_draw_s: Seconds = 7.0
    lane_verify_s: Seconds = 1.7
    lane_adjust_s: Seconds = 4.8
    lane_draw_s: Seconds = 9.6
    transcribe_ratio: float = 5.0
    check_ratio: float = 1.8
    break_even_wer: float = 0.30
    context_s: Seconds = 1.0

    def __post_init__(self) -> None:
        for constant in fields(self):
            value = getattr(self, constant.name)
            if not 0 < value < math.inf:
                raise InvalidInput(f"Costs.{constant.name}: expected a finite number > 0, got {value}")

    @property
    def edit_ratio(self) -> float:
        """Seconds per second of sound that correcting takes beyond checking, for one word error per word."""
        return (self.transcribe_ratio - self.check_ratio) / self.break_even_wer

    def of_a_part(self, task: Task) -> tuple[Seconds, Seconds, Seconds]:
        """To verify, to adjust and to draw one box or, where the task is lanes, one line."""
        if task == "lane":
            return self.lane_verify_s, self.lane_adjust_s, self.lane_draw_s
        return self.box_verify_s, self.box_adjust_s, self.box_draw_s


def expected_seconds(
    task: Task,
    label: Label,
    p_error: float,
    features: Mapping[str, float],
    duration_s: Seconds | None,
    costs: Costs,
) -> Seconds:
    """What a person is expected to need for checking a pre-annotation and putting it right.

    Image: a look, a verification of each part, an adjustment where a part is wrong, a drawing for each missed one.
    A line of which some points are off counts as that share of a wrong line.
    Utterance: duration * min(r0, r1 + WER (r0 - r1) / 0.30). Whatever the parts say, something is changed with
    probability ``p_error``, and that costs at least the smallest change.

    Raises:
        InvalidInput: a feature that the task's cost needs is not there.
    """
    if isinstance(label, Transcript):
        wer = max(_feature(features, "expected_wer", task), p_error / max(1, len(label.text.split())))
        corrected = costs.check_ratio + wer * costs.edit_ratio
        return _duration(duration_s, task) * min(costs.transcribe_ratio, corrected)
    verify_s, adjust_s, draw_s = costs.of_a_part(task)
    doubts = part_doubts(label)
    changes = float(doubts.sum()) * adjust_s + _feature(features, "expected_missed", task) * draw_s
    return costs.image_s + len(doubts) * verify_s + max(changes, p_error * adjust_s)


def from_scratch_seconds(
    task: Task, label: Label, features: Mapping[str, float], duration_s: Seconds | None, costs: Costs
) -> Seconds:
    """What a person is expected to need without a pre-annotation: everything there is has to be drawn or typed."""
    if isinstance(label, Transcript):
        return _duration(duration_s, task) * costs.transcribe_ratio
    *_, draw_s = costs.of_a_part(task)
    there = float((1 - part_doubts(label)).sum()) + _feature(features, "expected_missed", task)
    return costs.image_s + there * draw_s


def parts_seconds(
    task: Task,
    label: Label,
    shown: Sequence[int],
    asked: bool,
    features: Mapping[str, float],
    duration_s: Seconds | None,
    costs: Costs,
) -> Seconds:
    """What a person is expected to need for the doubtful parts alone, and for the question what is missing, if asked.

    Image: a look, a verification of each part shown, an adjustment where it is wrong, and, if asked, a drawing of each
    missed one. Utterance: each word shown is heard with its neighbourhood and typed anew where it is wrong; if asked,
    the person hears it all. Nothing shown and nothing asked costs nothing.

    Args:
        shown: rows of the parts that a person sees.

    Raises:
        InvalidInput: a feature that the task's cost needs is not there.
    """
    if not shown and not asked:
        return 0.0
    unsure = float(part_doubts(label)[list(shown)].sum())
    if isinstance(label, Transcript):
        whole = _duration(duration_s, task)
        spans = sum(label.words[row].end_s - label.words[row].start_s + 2 * costs.context_s for row in shown)
        heard = whole if asked else min(whole, spans)
        typed = unsure / max(1, len(label.words)) * costs.edit_ratio * whole
        return min(costs.transcribe_ratio * whole, costs.check_ratio * heard + typed)
    verify_s, adjust_s, draw_s = costs.of_a_part(task)
    missed = _feature(features, "expected_missed", task) if asked else 0.0
    return costs.image_s + len(shown) * verify_s + (unsure * adjust_s + missed * draw_s)


def part_doubts(label: Label) -> Floats:
    """The model's doubt (p,) about each word, box or line, in [0, 1]; the words of an unaligned transcript are unknown.

    A line of which some points are off counts as that share of a wrong line, by the deviation of its points.
    """
    match label:
        case Transcript():
            right = [word.confidence for word in label.words]
        case Boxes():
            right = [box.confidence for box in label.boxes]
        case Lanes():
            right = [lane.confidence * _in_place(lane, TOLERANCE * label.width) for lane in label.lanes]
    return 1 - np.array(right, np.float64)


def _in_place(lane: Lane, tolerance: Pixels) -> float:
    """The share of a line's points that are expected to lie within the tolerance."""
    std = np.maximum(np.array(lane.std_px or (0.0,)), 1e-9)
    return float(1 - erfc(tolerance / (std * math.sqrt(2))).mean())


def _feature(features: Mapping[str, float], name: str, task: Task) -> float:
    if name not in features:
        raise InvalidInput(f"cost of {task}: expected the feature {name!r}, got {sorted(features)}")
    return features[name]


def _duration(duration_s: Seconds | None, task: Task) -> Seconds:
    if duration_s is None:
        raise InvalidInput(f"cost of {task}: expected the duration in seconds, got none")
    return duration_s
