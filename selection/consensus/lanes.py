"""The lines that several annotators drew on one road image: which of them mean the same line, and where it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.lane.metrics import agreements, onto
from models.records import Lane, Lanes
from selection.consensus.dawid_skene import Verdict, Votes
from selection.consensus.matching import alike

SAME = 0.5  # of the length of two lines lies within 8 px of 512 of the other: they mean the same line
LINE, NOTHING = "line", ""


@dataclass(frozen=True)
class Cluster:
    """What was drawn for one line: at most one an annotator, what everybody says of it, and how alike the drawn lines
    (n, n) are, by the share of their length that lies close together."""

    drawn: Mapping[str, Lane]
    votes: Votes
    shared: Floats


def clusters(labels: Mapping[str, Lanes]) -> list[Cluster]:
    """Lines of different annotators that run close together for at least ``SAME`` of their length."""
    people = sorted(labels)
    drawn = [(person, lane) for person in people for lane in labels[person].lanes]
    first = labels[people[0]]
    image = Lanes(first.width, first.height, tuple(lane for _, lane in drawn))
    shared = agreements(image, image)
    groups = alike(shared, [person for person, _ in drawn], SAME)
    return [_cluster(people, dict(drawn[i] for i in group), shared[np.ix_(group, group)]) for group in groups]


def fused(cluster: Cluster, verdict: Verdict) -> Lane | None:
    """The line by the median of those that were drawn, along the one that is most like all; None where nothing won."""
    if verdict.answer == NOTHING:
        return None
    lanes = list(cluster.drawn.values())
    points = np.array(lanes[_middle(cluster)].points, np.float64)
    nearest = np.median([_nearest(points, lane) for lane in lanes], axis=0)
    return Lane(tuple((float(x), float(y)) for x, y in nearest))


def agreement(cluster: Cluster, verdict: Verdict, found: Lane | None) -> float:
    """How far annotators agree on a fused line: the mean over them of the share of length that their line has close to
    the one that is most like all."""
    if found is None:
        return verdict.agreement
    return float(cluster.shared[_middle(cluster)].sum() / len(cluster.votes))


def _middle(cluster: Cluster) -> int:
    return int(cluster.shared.sum(axis=1).argmax())


def _cluster(people: Sequence[str], drawn: Mapping[str, Lane], shared: Floats) -> Cluster:
    return Cluster(drawn, {person: LINE if person in drawn else NOTHING for person in people}, shared)


def _nearest(points: Floats, lane: Lane) -> Floats:
    """The place (n, 2) on a line that is nearest to each point (n, 2); beyond the ends of the line the point itself."""
    places, share = onto(points, lane)
    rows, best = np.arange(len(points)), np.linalg.norm(places - points[:, None], axis=2).argmin(axis=1)
    before, after = share[rows, best] < -1e-9, share[rows, best] > 1 + 1e-9
    beyond = ((best == 0) & before) | ((best == len(lane.points) - 2) & after)
    return np.asarray(np.where(beyond[:, None], points, places[rows, best]))
