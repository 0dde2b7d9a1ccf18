"""Shapes of several annotators that mean the same thing."""

from collections.abc import Sequence

import numpy as np

from models.arrays import Floats


def alike(similarity: Floats, owners: Sequence[str], least: float) -> list[list[int]]:
    """Groups of shapes (n,), each of at most one shape an owner, in the order of their first shapes.

    Pairs join greedily, the most similar first, down to a similarity (n, n) of ``least``.
    """
    pairs = np.triu(similarity, k=1)
    group_of, groups = list(range(len(owners))), {i: [i] for i in range(len(owners))}
    close = np.flatnonzero(pairs >= least)
    for pair in close[np.argsort(-pairs.ravel()[close], kind="stable")].tolist():
        i, j = divmod(pair, len(owners))
        one, other = sorted((group_of[i], group_of[j]))
        theirs = [owners[k] for k in groups[one] + groups[other]]
        if one != other and len(set(theirs)) == len(theirs):
            for k in groups[other]:
                group_of[k] = one
            groups[one] = sorted(groups[one] + groups.pop(other))
    return list(groups.values())
