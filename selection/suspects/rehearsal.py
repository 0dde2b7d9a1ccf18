"""What an error in these labels would look like to this model: learnt by making some.

Most labels are right. So in copies of them known errors are made - a box removed, added, moved, renamed - and what
then disagrees with the model is compared with what disagrees with it anyhow. A logistic regression of the difference
is asked about the labels as they are; each image by weights that were learnt on other images.

An error shows in what is drawn, in what is missing, or in both. How much what is missing says beside what is drawn, the
same errors tell: little, where labels leave out a lot anyhow.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.arrays import Bools, Floats
from models.detection.overlap import corners_of, pairwise_iou
from models.detection.seen import Seen
from models.records import Box, Boxes
from selection.suspects.boxes import LEAST_IOU, Parts, findings, parts
from selection.suspects.findings import Suspicion

Spoil = Callable[[Boxes, Sequence[Box], Sequence[str], np.random.Generator], Boxes | None]
_Stacked = tuple[Floats, NDArray[np.intp]]  # features (p, features) of parts, and the place (p,) of the image of each

FOLDS = 4
MOST_IMAGES = 400  # that a rehearsal looks at
MOST_CATEGORIES = 20  # with weights of their own
REPEATS = 4  # of each kind of error in each image
ERROR_RATE = 0.05  # of parts that is supposed to be wrong before anything is known
WEIGHTS = (1.0, 0.5, 2.0, 0.25, 4.0, 0.125, 8.0)  # of missing parts beside given ones; of equally good ones the first
WORST = (0.8, 0.85, 0.9, 0.95)  # shares of the labels as they are that an error ought to be ranked above
SUREST = 1 - 1e-12


@dataclass(frozen=True)
class _Judged:
    """Of each of some images, how likely each given (n,) and each missing part (m,) is wrong."""

    given: Sequence[Floats]
    missing: Sequence[Floats]

    def odds(self, weight: float) -> Floats:
        """Of each image (i,), the odds of its worst given part and, by their weight, of its worst missing one."""
        worst = [np.array([one.max(initial=0) for one in some]) for some in (self.given, self.missing)]
        return np.asarray(_odds(worst[0]) + weight * _odds(worst[1]))


def suspicions(labels: Sequence[Boxes], seen: Sequence[Seen], rng: np.random.Generator) -> list[Suspicion]:
    """One suspicion a label, by its worst given and its worst missing part."""
    categories = _commonest(labels)
    every = [parts(label, one, categories) for label, one in zip(labels, seen, strict=True)]
    folds = rng.permutation(len(labels)) % FOLDS
    chosen = np.sort(rng.permutation(len(labels))[:MOST_IMAGES]).tolist()
    places, spoilt = _spoilt(labels, seen, chosen, categories, rng)
    models = _models(every, chosen, places, spoilt, folds)
    judged = _judged(every, folds, *models)
    weight = _weight(judged, _judged(spoilt, folds[places], *models))
    of_missing = [_share(weight * _odds(one)) for one in judged.missing]
    told = [findings(*each) for each in zip(labels, every, judged.given, of_missing, strict=True)]
    worst_first = [tuple(sorted(some, key=lambda one: -one.score)) for some in told]
    return [Suspicion(*each) for each in zip(_share(judged.odds(weight)).tolist(), worst_first, strict=True)]


def _commonest(labels: Sequence[Boxes]) -> list[str]:
    """The categories that have weights of their own; the rest share theirs."""
    counts = Counter(box.category for label in labels for box in label.boxes)
    return sorted(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_CATEGORIES])


def _spoilt(
    labels: Sequence[Boxes], seen: Sequence[Seen], chosen: Sequence[int], categories: Sequence[str],
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], list[Parts]]:  # fmt: skip
    """The places (s,) of the images in copies of which an error was made, and the parts of those s copies."""
    drawn = [box for label in labels for box in label.boxes]
    names = sorted({box.category for box in drawn})
    found = list[tuple[int, Parts]]()
    for image in chosen:
        for spoil in SPOILERS * REPEATS:
            spoilt = spoil(labels[image], drawn, names, rng)
            if spoilt is not None:
                found.append((image, parts(spoilt, seen[image], categories)))
    return np.array([image for image, _ in found], np.intp), [of for _, of in found]


def _models(
    every: Sequence[Parts], chosen: Sequence[int], places: NDArray[np.intp], spoilt: Sequence[Parts],
    folds: NDArray[np.intp],
) -> tuple[list[LogisticRegression | None], list[LogisticRegression | None]]:  # fmt: skip
    """What given and missing parts look like if they are wrong: for each fold, learnt from the images of all others."""
    known = {image: _rows(every[image].given) | _rows(every[image].missing) for image in chosen}
    copies = list(zip(places.tolist(), spoilt, strict=True))
    given = (_stacked([(image, every[image].given) for image in chosen]),
             _stacked([(image, _new(of.given, known[image])) for image, of in copies]))  # fmt: skip
    missing = (_stacked([(image, every[image].missing) for image in chosen]),
               _stacked([(image, _new(of.missing, known[image])) for image, of in copies]))  # fmt: skip
    given_models, missing_models = ([_fit(*rows, folds != fold) for fold in range(FOLDS)] for rows in (given, missing))
    return given_models, missing_models


def _rows(features: Floats) -> set[bytes]:
    return {row.tobytes() for row in features}


def _new(features: Floats, known: set[bytes]) -> Floats:
    """The rows that were not there before the error."""
    return features[[row.tobytes() not in known for row in features]]


def _stacked(features: Sequence[tuple[int, Floats]]) -> _Stacked:
    if not features:
        return np.zeros((0, 0)), np.zeros(0, np.intp)
    images = np.repeat([image for image, _ in features], [len(some) for _, some in features]).astype(np.intp)
    return np.concatenate([some for _, some in features]), images


def _fit(usual: _Stacked, wrong: _Stacked, images: Bools) -> LogisticRegression | None:
    """The regression over parts of those images, as they are and wrong; None where there are none of either."""
    right, false = (features[images[of]] for features, of in (usual, wrong))
    if not len(right) or not len(false):
        return None
    weights = np.r_[np.ones(len(right)), np.full(len(false), ERROR_RATE * len(right) / len(false))]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    target = np.r_[np.zeros(len(right)), np.ones(len(false))]
    return model.fit(np.concatenate([right, false]), target, logisticregression__sample_weight=weights)


def _judged(
    every: Sequence[Parts], folds: NDArray[np.intp], given: Sequence[LogisticRegression | None],
    missing: Sequence[LogisticRegression | None],
) -> _Judged:  # fmt: skip
    """What the models of its fold say of each image; where there was nothing to learn from, what the detector says."""
    doubts = [1 - one.support for one in every]
    sure = [np.array([box.confidence for box in one.uncovered], np.float64) for one in every]
    return _Judged(
        _probabilities([one.given for one in every], folds, given, doubts),
        _probabilities([one.missing for one in every], folds, missing, sure),
    )


def _probabilities(
    asked: Sequence[Floats], folds: NDArray[np.intp], models: Sequence[LogisticRegression | None],
    otherwise: Sequence[Floats],
) -> list[Floats]:  # fmt: skip
    """Of each part of each image, how likely it is wrong."""
    found = list(otherwise)
    for fold, model in enumerate(models):
        images = np.flatnonzero(folds == fold).tolist()
        sizes = [len(asked[image]) for image in images]
        if model is not None and any(sizes):
            each = model.predict_proba(np.concatenate([asked[image] for image in images]))[:, 1]
            for image, some in zip(images, np.split(each, np.cumsum(sizes)[:-1]), strict=True):
                found[image] = some
    return found


def _weight(usual: _Judged, wrong: _Judged) -> float:
    """What missing parts count for beside given ones: so much that most errors are above most labels as they are."""

    def found(weight: float) -> float:
        return float(np.mean(wrong.odds(weight)[:, None] > np.quantile(usual.odds(weight), WORST)))

    best: float = max(WEIGHTS, key=found) if len(wrong.given) else WEIGHTS[0]
    return best


def _odds(share: Floats) -> Floats:
    return np.asarray(share / (1 - share.clip(max=SUREST)))


def _share(odds: Floats) -> Floats:
    return np.asarray(odds / (1 + odds))


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
    return bool(pairwise_iou(corners_of([box]), corners_of(others)).max() < LEAST_IOU)
