"""Lines as the maps of the lane network have them: a ridge of heat around each, and its direction. No torch.

Everything here is in cells of the maps.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.arrays import Floats

_REACH = 3.5  # cells: farther from a line its ridge is nothing


def drawn(
    points: Floats, heights: Floats | float, doubled: Floats, ridge: float, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heat (rows, columns) and directions (2, rows, columns) around the points (n, 2) of lines, at least one.

    ``heights`` (n,), or one for all, are those of the ridge, whose deviation is ``ridge``; ``doubled`` (n, 2) are the
    cosine and sine of twice the line's angle at each point. A cell is of the nearest point.
    """
    heat, directions = np.zeros(shape, np.float32), np.zeros((2, *shape), np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    found = cKDTree(points).query(np.stack([x.ravel(), y.ravel()], axis=1), distance_upper_bound=_REACH)
    distance, nearest = np.asarray(found[0]), np.asarray(found[1])
    close = np.isfinite(distance)
    of = nearest[close]
    heat.reshape(-1)[close] = np.broadcast_to(heights, len(points))[of] * np.exp(-0.5 * (distance[close] / ridge) ** 2)
    directions.reshape(2, -1)[:, close] = doubled[of].T
    return heat, directions
