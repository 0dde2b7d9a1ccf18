"""What an error in these labels would look like to this model: learnt by making some.

Most labels are right. So in copies of them known errors are made - a box removed, added, moved, renamed - and what
then disagrees with the model is compared with what disagrees with it anyhow. A logistic regression of the difference
is asked about the labels as they are; each image by weights that were learnt on other images.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.detection.suppression import pairwise_iou
from models.records import Box, Boxes, Prediction
from selection.suspects.boxes import LEAST_IOU, Parts, findings, parts
from selection.suspects.findings import Suspicion

Floats = NDArray[np.float64]
Spoil = Callable[[Boxes, Sequence[Box], Sequence[str], np.random.Generator], Boxes | None]

FOLDS = 4
MOST_IMAGES = 400  # that a rehearsal looks at
MOST_CATEGORIES = 20  # with weights of their own
REPEATS = 4  # of each kind of error in each image
ERROR_RATE = 0.05  # of parts that is supposed to be wrong before anything is known; no order depends on it


@dataclass(frozen=True)
class _Rehearsed:
    """Features of parts as they are (``usual``) and of those that an error made, and the images they are of."""

    usual: Floats
    usual_image: NDArray[np.intp]
    wrong: Floats
    wrong_image: NDArray[np.intp]


def suspicions(labels: Sequence[Boxes], said: Sequence[Prediction], rng: np.random.Generator) -> list[Suspicion]:
    """One suspicion a label, that of its worst part."""
    categories = _commonest(labels)
    every = [parts(label, one, categories) for label, one in zip(labels, said, strict=True)]
    folds = rng.permutation(len(labels)) % FOLDS
    given, missing = _rehearse(labels, said, every, categories, rng)
    of_given = _probabilities([one.given for one in every], given, folds, [1 - one.support for one in every])
    sure = [np.array([box.confidence for box in one.uncovered]) for one in every]
    of_missing = _probabilities([one.missing for one in every], missing, folds, sure)
    told = [findings(*each) for each in zip(labels, every, of_given, of_missing, strict=True)]
    worst_first = [tuple(sorted(some, key=lambda one: -one.score)) for some in told]
    return [Suspicion(some[0].score if some else 0.0, some) for some in worst_first]


def _commonest(labels: Sequence[Boxes]) -> list[str]:
    """The categories that have weights of their own; the rest share theirs."""
    counts = Counter(box.category for label in labels for box in label.boxes)
    return sorted(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_CATEGORIES])


def _rehearse(
    labels: Sequence[Boxes], said: Sequence[Prediction], every: Sequence[Parts], categories: Sequence[str],
    rng: np.random.Generator,
) -> tuple[_Rehearsed, _Rehearsed]:  # fmt: skip
    """Given boxes and missing ones, as they are and with errors."""
    chosen = np.sort(rng.permutation(len(labels))[:MOST_IMAGES]).tolist()
    drawn = [box for label in labels for box in label.boxes]
    names = sorted({box.category for box in drawn})
    wrong = list[tuple[int, Floats, Floats]]()
    for image in chosen:
        known = _rows(every[image].given) | _rows(every[image].missing)
        for spoil in SPOILERS * REPEATS:
            spoilt = spoil(labels[image], drawn, names, rng)
            if spoilt is not None:
                of = parts(spoilt, said[image], categories)
                wrong.append((image, _new(of.given, known), _new(of.missing, known)))
    given = _Rehearsed(
        *_stacked([(image, every[image].given) for image in chosen]),
        *_stacked([(image, given) for image, given, _ in wrong]),
    )
    missing = _Rehearsed(
        *_stacked([(image, every[image].missing) for image in chosen]),
        *_stacked([(image, missing) for image, _, missing in wrong]),
    )
    return given, missing


def _rows(features: Floats) -> set[bytes]:
    return {row.tobytes() for row in features}


def _new(features: Floats, known: set[bytes]) -> Floats:
    """The rows that were not there before the error."""
    return features[[row.tobytes() not in known for row in features]]


def _stacked(features: Sequence[tuple[int, Floats]]) -> tuple[Floats, NDArray[np.intp]]:
    if not features:
        return np.zeros((0, 0)), np.zeros(0, np.intp)
    images = np.repeat([image for image, _ in features], [len(some) for _, some in features]).astype(np.intp)
    return np.concatenate([some for _, some in features]), images


def _probabilities(
    asked: Sequence[Floats], learnt: _Rehearsed, folds: NDArray[np.intp], otherwise: Sequence[Floats]
) -> list[Floats]:
    """Of each part of each image, how likely it is wrong; ``otherwise`` where there was nothing to learn from."""
    models = [_fit(learnt, folds != fold) for fold in range(FOLDS)]
    return [
        np.asarray(model.predict_proba(some)[:, 1]) if len(some) and (model := models[fold]) is not None else usual
        for some, fold, usual in zip(asked, folds.tolist(), otherwise, strict=True)
    ]


def _fit(learnt: _Rehearsed, images: NDArray[np.bool_]) -> LogisticRegression | None:
    """The regression over parts of those images; None where there are none of either kind."""
    usual, wrong = learnt.usual[images[learnt.usual_image]], learnt.wrong[images[learnt.wrong_image]]
    if not len(usual) or not len(wrong):
        return None
    weights = np.r_[np.ones(len(usual)), np.full(len(wrong), ERROR_RATE * len(usual) / len(wrong))]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    target = np.r_[np.zeros(len(usual)), np.ones(len(wrong))]
    return model.fit(np.concatenate([usual, wrong]), target, logisticregression__sample_weight=weights)


def _removed(label: Boxes, drawn: Sequence[Box], names: Sequence[str], rng: np.random.Generator) -> Boxes | None:
    if not label.boxes:
        return None
    row = int(rng.integers(len(label.boxes)))
    return replace(label, boxes=label.boxes[:row] + label.boxes[row + 1 :])


def _added(label: Boxes, drawn: Sequence[Box], names: Sequence[str], rng: np.random.Generator) -> Boxes | None:
    """A box of some label at a random place where none is."""
    if not drawn:
        return None
    box = drawn[int(rng.integers(len(drawn)))]
    size = np.minimum(np.subtract(box.xyxy[2:], box.xyxy[:2]), (label.width, label.height))
    corner = rng.uniform(0, 1, 2) * (np.array([label.width, label.height]) - size)
    new = _inside(label, box, np.r_[corner, corner + size])
    return replace(label, boxes=(*label.boxes, new)) if new and _apart(new, label.boxes) else None


def _moved(label: Boxes, drawn: Sequence[Box], names: Sequence[str], rng: np.random.Generator) -> Boxes | None:
    """A box as far aside as it is not the same object any more."""
    if not label.boxes:
        return None
    row = int(rng.integers(len(label.boxes)))
    corners = np.array(label.boxes[row].xyxy)
    size = np.tile(corners[2:] - corners[:2], 2)
    moved = _inside(label, label.boxes[row], corners + np.tile(rng.uniform(-0.8, 0.8, 2), 2) * size)
    if moved is None or not _apart(moved, [label.boxes[row]]):
        return None
    return replace(label, boxes=(*label.boxes[:row], moved, *label.boxes[row + 1 :]))


def _renamed(label: Boxes, drawn: Sequence[Box], names: Sequence[str], rng: np.random.Generator) -> Boxes | None:
    if not label.boxes or len(names) < 2:
        return None
    row = int(rng.integers(len(label.boxes)))
    others = [name for name in names if name != label.boxes[row].category]
    renamed = replace(label.boxes[row], category=others[int(rng.integers(len(others)))])
    return replace(label, boxes=(*label.boxes[:row], renamed, *label.boxes[row + 1 :]))


SPOILERS: tuple[Spoil, ...] = (_removed, _added, _moved, _renamed)


def _inside(image: Boxes, box: Box, corners: Floats) -> Box | None:
    """The box at those corners, cut off at the border of the image."""
    x1, y1, x2, y2 = corners.clip(0, [image.width, image.height] * 2).tolist()
    return replace(box, xyxy=(x1, y1, x2, y2)) if x2 - x1 >= 1 and y2 - y1 >= 1 else None


def _apart(box: Box, others: Sequence[Box]) -> bool:
    if not others:
        return True
    return bool(pairwise_iou(np.array([box.xyxy]), np.array([one.xyxy for one in others])).max() < LEAST_IOU)
