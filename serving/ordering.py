"""What a strategy of the queue means: in which order its items are handed out."""

from collections.abc import Sequence

import numpy as np

from selection.strategies import Indices, badge, cluster_margin, k_center, per_second, random, typiclust, uncertainty
from serving.settings import QueueStrategy
from serving.store.queue import Order, Waiting

WINDOW = 512  # items among which a strategy chooses: the most doubtful ones, or for a cold start any
LEAST_S = 1.0  # nothing takes a person less


def order_of(strategy: QueueStrategy, limit: int, audits: int, seed: int) -> Order:
    """The order for ``limit`` places, ``audits`` of which go to audit items.

    At random and by doubt items are ranked in the store already; the other strategies choose from a window of them.
    """
    if strategy in ("random", "uncertainty"):
        return Order("draw" if strategy == "random" else "priority", audits)

    def choose(waiting: Waiting, budget: int) -> Sequence[int]:
        picks: list[int] = picked(strategy, waiting, budget, np.random.default_rng(seed)).tolist()
        return picks

    return Order("draw" if strategy == "typiclust" else "priority", audits, max(WINDOW, limit), choose)


def picked(strategy: QueueStrategy, waiting: Waiting, budget: int, rng: np.random.Generator) -> Indices:
    """What a strategy picks of the items that wait, knowing what people already have where it can use that."""
    doubt, points = waiting.p_error, waiting.embeddings
    match strategy:
        case "random":
            return random(doubt, points, budget, rng)
        case "uncertainty":
            return uncertainty(doubt, points, budget, rng)
        case "per-second":
            return uncertainty(per_second(doubt, np.maximum(waiting.seconds, LEAST_S)), points, budget, rng)
        case "k-center":
            return k_center(doubt, points, budget, rng, known=waiting.known)
        case "badge":
            return badge(doubt, points, budget, rng)
        case "typiclust":
            return typiclust(doubt, points, budget, rng, known=waiting.known)
        case "cluster-margin":
            return cluster_margin(doubt, points, budget, rng)
