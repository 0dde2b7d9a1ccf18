"""Boxes that are probably wrong: overlooked, badly located, swapped or spurious, in the manner of ObjectLab.

ObjectLab (Tkachenko, Thyagarajan and Mueller 2023) scores an image by fixed similarities and confidences. How much a
disagreement means, though, depends on the model, the category and the size: a small car that a detector misses is
nothing new. So here the weights come from a rehearsal (``rehearsal.py``) on the very labels in question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from models.arrays import Bools, Floats
from models.detection.overlap import corners_of, pairwise_iou, shared
from models.detection.seen import Seen
from models.records import Box, Boxes
from selection.suspects.findings import Finding

LEAST_IOU = 0.5  # a predicted box that overlaps a given one less, leaves it uncovered
FAINTEST = 0.2  # less confident boxes are no overlooked objects
TOUCHES = 0.1  # IoU from which a predicted box may be where a given one ought to be
SAME_FROM, SAME_AT = 0.4, 0.7  # IoU at which two boxes begin to be one object, and are one
BORDER = 2.0  # pixels


@dataclass(frozen=True)
class Parts:
    """What of an image may be wrong: its given boxes (n) and the predicted ones (m) that no given one covers.

    ``given`` (n, features) and ``missing`` (m, features) are what a rehearsal learns from. Of each given box
    ``support`` (n,) is the confidence that something of its name is there, ``free`` (n,) that of the same name nearby
    where nothing is drawn, ``other`` (n,) that of another name; ``rival`` (n,) is the place of that one among the
    predicted boxes, ``rivals``, or -1.
    """

    given: Floats
    missing: Floats
    support: Floats
    free: Floats
    other: Floats
    rival: NDArray[np.intp]
    uncovered: tuple[Box, ...]
    rivals: tuple[Box, ...]


def parts(label: Boxes, seen: Seen, categories: Sequence[str]) -> Parts:
    """The parts of one image; ``categories`` are those that have features of their own.

    Given boxes have the support of every box that was considered: of two cells, one behind the other, only one may be
    left in the answer. Everything else is seen in what is answered.
    """
    assert isinstance(seen.said.label, Boxes)
    guesses = (*seen.said.label.boxes, *seen.said.faint)
    ours, theirs = corners_of(label.boxes), corners_of(guesses)
    names, guessed = _names(label.boxes), _names(guesses)
    sure, same, iou = _confidences(guesses), names[:, None] == guessed[None], pairwise_iou(ours, theirs)
    alike = _alike(iou)
    unclaimed = sure[None] * (1 - _by_others(alike * same))  # as far as no other given box accounts for it
    support = np.maximum(_most(sure * alike * same), _support(label.boxes, seen.boxes))
    displaced = unclaimed * same * (iou > TOUCHES) * (iou < LEAST_IOU)
    renamed = unclaimed * alike * ~same
    free, other = _most(displaced), _most(renamed)
    doubt = 1 - support
    kinds = _one_hot(names, categories)
    given = _columns(
        _logit(support), _logit(_most(sure * alike * ~same)), free, doubt * free, doubt * other, doubt,
        _size(ours, label), _at_border(ours, label), _most(pairwise_iou(ours, ours) - np.eye(len(ours))),
        _most(iou * (sure > 0.05)), kinds, doubt[:, None] * kinds,
    )  # fmt: skip
    rows = np.flatnonzero((sure >= FAINTEST) & ((iou * same).max(axis=0, initial=0) < LEAST_IOU))
    return Parts(
        given=given,
        missing=_missing(label, ours, theirs, sure, iou, same, rows, _one_hot(guessed, categories)),
        support=support,
        free=free,
        other=other,
        rival=np.where(other > 0, renamed.argmax(axis=1) if len(theirs) else -1, -1).astype(np.intp),
        uncovered=tuple(guesses[row] for row in rows),
        rivals=guesses,
    )


def findings(label: Boxes, of: Parts, given: Floats, missing: Floats) -> list[Finding]:
    """What is wrong with probability ``given`` (n,) and ``missing`` (m,), in the order of the boxes."""
    found = [_about(label.boxes[i], of, i, float(given[i])) for i in range(len(label.boxes))]
    for box, score in zip(of.uncovered, missing.tolist(), strict=True):
        reason = f"the model sees a {box.category} (confidence {box.confidence:.2f}) where none is drawn"
        found.append(Finding("overlooked", score, reason, box.xyxy))
    return found


def _about(box: Box, of: Parts, row: int, score: float) -> Finding:
    """What speaks against a given box: the strongest of three explanations."""
    if of.other[row] > max(of.support[row], of.free[row]):
        name = of.rivals[of.rival[row]].category
        reason = f"the model calls it {name} (confidence {of.other[row]:.2f}), the label {box.category}"
        return Finding("swapped", score, reason, box.xyxy)
    if of.free[row] > of.support[row]:
        reason = f"the model sees the {box.category} beside this box (confidence {of.free[row]:.2f})"
        return Finding("badly located", score, reason, box.xyxy)
    sure = f"only {100 * of.support[row]:.0f}" if of.support[row] >= 0.01 else "less than 1"
    reason = f"the model is {sure} % sure of a {box.category} here"
    return Finding("spurious", score, reason, box.xyxy)


def _support(given: Sequence[Box], considered: Sequence[Box]) -> Floats:
    """The confidence (n,) of the boxes considered that something of its name is where each given one is."""
    same = _names(given)[:, None] == _names(considered)[None]
    return _most(_confidences(considered) * _alike(pairwise_iou(corners_of(given), corners_of(considered))) * same)


def _alike(iou: Floats) -> Floats:
    """How far two boxes are one object, in [0, 1]."""
    return np.asarray(np.clip((iou - SAME_FROM) / (SAME_AT - SAME_FROM), 0, 1))


def _missing(
    label: Boxes, ours: Floats, theirs: Floats, sure: Floats, iou: Floats, same: Bools,
    rows: NDArray[np.intp], kinds: Floats,
) -> Floats:  # fmt: skip
    """Features (m, features) of the predicted boxes ``rows``."""
    stronger = pairwise_iou(theirs, theirs) * (sure[None] > sure[:, None])
    touching = _most(iou.T)
    every = _columns(
        _logit(sure), _most((iou * same).T), touching, sure, sure * (1 - touching), _size(theirs, label),
        _at_border(theirs, label), _most(stronger), _most(_inside(theirs, ours)), kinds, _logit(sure)[:, None] * kinds,
    )  # fmt: skip
    return every[rows]


def _columns(*features: Floats) -> Floats:
    return np.column_stack(features)


def _by_others(values: Floats) -> Floats:
    """For each row, the most (n, m) that any other row has in each column."""
    if len(values) < 2:
        return np.zeros_like(values)
    order = np.sort(values, axis=0)
    return np.asarray(np.where(values == order[-1], order[-2], order[-1]))


def _inside(boxes: Floats, others: Floats) -> Floats:
    """The share (n, m) of the smaller of two boxes that lies in the other."""
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (boxes, others)]
    return np.asarray(shared(boxes, others) / np.minimum(areas[0][:, None], areas[1][None]))


def _most(values: Floats) -> Floats:
    return np.asarray(values.max(axis=1, initial=0))


def _logit(share: Floats) -> Floats:
    return np.asarray(logit(share.clip(0.001, 0.999)))


def _size(boxes: Floats, image: Boxes) -> Floats:
    """The logarithm of the area as a share of the square of the image's diagonal."""
    return np.asarray(np.log((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / (image.width**2 + image.height**2)))


def _at_border(boxes: Floats, image: Boxes) -> Floats:
    far = np.array([image.width, image.height]) - BORDER
    return np.asarray(((boxes[:, :2] < BORDER) | (boxes[:, 2:] > far)).any(axis=1).astype(np.float64))


def _one_hot(names: NDArray[np.str_], categories: Sequence[str]) -> Floats:
    alike = [[float(name == one) for one in categories] for name in names.tolist()]
    return np.array(alike, np.float64).reshape(len(names), len(categories))


def _names(boxes: Sequence[Box]) -> NDArray[np.str_]:
    return np.array([box.category for box in boxes], np.str_)


def _confidences(boxes: Sequence[Box]) -> Floats:
    return np.array([box.confidence for box in boxes], np.float64)
