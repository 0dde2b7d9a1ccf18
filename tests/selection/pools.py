"""Pools of items for the tests of strategies: with many ties, copies and sizes that rounding could trip over."""

from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st

from models.arrays import AnyFloats, Floats

Pool: TypeAlias = tuple[Floats, AnyFloats]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@st.composite
def pools(draw: st.DrawFn, least: int = 0) -> Pool:
    """Scores with many ties, and embeddings on a coarse grid (ties, copies), of any finite size, or far from zero."""
    n, d = draw(st.integers(least, 25)), draw(st.integers(0, 4))
    scores = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n))
    grid, wide, far = st.integers(-2, 2), st.floats(-1e4, 1e4, width=32), st.integers(100_000, 100_003)
    value = draw(st.sampled_from([grid, wide, far]))
    rows = draw(st.lists(st.lists(value, min_size=d, max_size=d), min_size=n, max_size=n))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    return np.array(scores, np.float64), np.array(rows, kind).reshape(n, d)
