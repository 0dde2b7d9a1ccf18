"""Which items to show people first: functions from scores and embeddings to ranked indices.

A strategy takes scores (n,) in [0, 1], higher meaning less sure, embeddings (n, d), a budget in items and a generator,
and returns at most ``budget`` distinct indices, most useful first. Class probabilities (n, K) may stand in for scores:
they count by their least confidence, and ``badge`` sees more in them. Ties go to the lower index, so callers sort
their items by id. What is not finite, or out of range, raises ``InvalidInput`` with the item's index.
"""

from selection.strategies.clusters import cluster_margin, typiclust
from selection.strategies.covering import k_center
from selection.strategies.doubt import entropy, least_confidence, margin, per_second
from selection.strategies.gradients import badge
from selection.strategies.pool import Embeddings, Indices, Scores, Strategy, random, uncertainty
from selection.strategies.seconds import within_seconds
from selection.strategies.streaming import Covering, MostDoubtful
from selection.strategies.wrappers import balanced, distinct, spaced

__all__ = [
    "Covering", "Embeddings", "Indices", "MostDoubtful", "Scores", "Strategy", "badge", "balanced", "cluster_margin",
    "distinct", "entropy", "k_center", "least_confidence", "margin", "per_second", "random", "spaced", "typiclust",
    "uncertainty", "within_seconds",
]  # fmt: skip
