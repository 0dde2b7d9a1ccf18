"""COCO's average precision of any sample of images, from the matches of each: a bootstrap asks for it a thousand times.

It is what ``coco_ap`` gives for the images of the sample, written out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats
from models.detection.coco_ap import IOUS, Matches

RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Ranked:
    """The boxes of one category in n images, the surest first, as COCO matches them.

    ``image`` (d,) is the row of each box's image. Only the h boxes that match a true box at some IoU shape a curve:
    ``hit`` (h,) are their places, ``right`` (ious, h) says at which IoU each matches. The o boxes at the places
    ``out`` (o,) are neither right nor false at the IoUs that ``left_out`` (ious, o) says. ``truths`` (n,) counts the
    true boxes of each image.
    """

    image: NDArray[np.intp]
    hit: NDArray[np.intp]
    right: Bools
    out: NDArray[np.intp]
    left_out: Bools
    truths: NDArray[np.int64]

    def curves(self, weights: Floats) -> tuple[Floats, Floats]:
        """Recall at each hit, and the best precision there or beyond, (ious, h) each; image i counts
        ``weights[i]`` times. There must be something to find."""
        weight = weights[self.image]
        hits = np.cumsum(self.right * weight[self.hit], axis=1)
        ignored = np.cumsum(self.left_out * weight[self.out], axis=1)
        ignored = np.pad(ignored, ((0, 0), (1, 0)))[:, np.searchsorted(self.out, self.hit)]
        precision = hits / np.maximum(np.cumsum(weight)[self.hit] - ignored, 1)
        return hits / (weights @ self.truths), np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]

    def average_precision(self, weights: Floats) -> Floats:
        """Mean over 101 recalls of the best precision there, 0 where none is reached (ious,); NaN if all is empty."""
        if not weights @ self.truths:
            return np.full(len(IOUS), np.nan)
        recall, precision = self.curves(weights)
        reached = np.searchsorted(RECALLS, recall, side="right")  # recalls reached at each hit
        return np.asarray((precision * np.diff(reached, prepend=0, axis=1)).sum(axis=1) / len(RECALLS))


def rank(images: Sequence[Mapping[str, Matches]]) -> Iterator[tuple[str, Ranked]]:
    """The boxes of each category in n images."""
    for name in sorted({name for image in images for name in image}):
        found, image, truths = of_category(images, name)
        order = np.argsort(-np.concatenate([matches.confidence for matches in found]), kind="stable")
        matched, ignored = (
            np.concatenate([getattr(matches, kind)[1:] for matches in found], axis=1)[:, order]
            for kind in ("matched", "ignored")
        )
        right = matched & ~ignored
        hit, out = np.flatnonzero(right.any(axis=0)), np.flatnonzero(ignored.any(axis=0))
        yield name, Ranked(image[order], hit, right[:, hit], out, ignored[:, out], truths)


def of_category(
    images: Sequence[Mapping[str, Matches]], name: str
) -> tuple[list[Matches], NDArray[np.intp], NDArray[np.int64]]:
    """What is found of one category in n images: where there is any, the matches; the row (d,) of each box's image; and
    how much is to be found in each image (n,)."""
    found = [(row, image[name]) for row, image in enumerate(images) if name in image]
    rows, matches = [row for row, _ in found], [one for _, one in found]
    truths = np.zeros(len(images), np.int64)
    truths[rows] = [one.to_find.sum() for one in matches]
    return matches, np.repeat(rows, [len(one.confidence) for one in matches]).astype(np.intp), truths
