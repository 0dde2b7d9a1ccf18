"""The boxes that several annotators drew on one image: which of them mean the same object, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.detection.overlap import corners_of, pairwise_iou
from models.records import Box, Boxes
from selection.consensus.dawid_skene import Verdict, Votes
from selection.consensus.matching import alike

LEAST_IOU = 0.5
NOTHING = ""  # no category is called so


@dataclass(frozen=True)
class Cluster:
    """What was drawn for one object: at most one box an annotator, and what everybody who saw the image says of it."""

    drawn: Mapping[str, Box]
    votes: Votes


def clusters(labels: Mapping[str, Boxes]) -> list[Cluster]:
    """Boxes of different annotators that overlap by an IoU of at least ``LEAST_IOU``, whatever they are called."""
    people = sorted(labels)
    drawn = [(person, box) for person in people for box in labels[person].boxes]
    if not drawn:
        return []
    places = corners_of(box for _, box in drawn)
    groups = alike(pairwise_iou(places, places), [person for person, _ in drawn], LEAST_IOU)
    found = [dict(drawn[i] for i in group) for group in groups]
    return [Cluster(one, {who: one[who].category if who in one else NOTHING for who in people}) for one in found]


def fused(cluster: Cluster, verdict: Verdict) -> tuple[Box | None, float]:
    """The object where those who call it what won put it, by the median of each side; None where nothing won.

    The figure is the agreement: the mean over annotators of the IoU of their box with the fused one.
    """
    if verdict.answer == NOTHING:
        return None, verdict.agreement
    voters = [box for person, box in sorted(cluster.drawn.items()) if cluster.votes[person] == verdict.answer]
    places = corners_of(voters)
    middle = np.median(places, axis=0)
    x1, y1, x2, y2 = middle.tolist()
    shared = float(pairwise_iou(middle[None], places).sum())
    return Box((x1, y1, x2, y2), verdict.answer), shared / len(cluster.votes)
