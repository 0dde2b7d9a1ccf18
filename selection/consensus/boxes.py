"""The boxes that several annotators drew on one image: which of them mean the same object, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
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


def fused(cluster: Cluster, verdict: Verdict) -> Box | None:
    """The object where those who call it what won put it, by the median of each side; None where nothing won."""
    if verdict.answer == NOTHING:
        return None
    ordered = np.sort(_voters(cluster, verdict), axis=0)
    x1, y1, x2, y2 = ((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2).tolist()
    return Box((x1, y1, x2, y2), verdict.answer)


def agreement(cluster: Cluster, verdict: Verdict, found: Box | None) -> float:
    """How far annotators agree on a fused object: the mean over them of the IoU of their box with it."""
    if found is None:
        return verdict.agreement
    shared = pairwise_iou(corners_of([found]), _voters(cluster, verdict)).sum()
    return float(shared) / len(cluster.votes)


def _voters(cluster: Cluster, verdict: Verdict) -> Floats:
    """The boxes (n, 4) of those who call the object what won."""
    drawn = sorted(cluster.drawn.items())
    return corners_of(box for person, box in drawn if cluster.votes[person] == verdict.answer)
