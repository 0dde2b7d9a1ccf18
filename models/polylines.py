"""Polylines, points (n, 2) in any unit: how far along the line each is, and points at other places along it."""

import math

import numpy as np

from models.arrays import Floats


def way_to(points: Floats) -> Floats:
    """How far along the line each point is (n,), from 0 to its length."""
    return np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))


def points_at(points: Floats, way: Floats, at: Floats) -> Floats:
    """The points (m, 2) at the places ``at`` (m,) along the line; ``way`` is ``way_to`` of its points."""
    return np.stack([np.interp(at, way, points[:, 0]), np.interp(at, way, points[:, 1])], axis=1)


def resampled(points: Floats, count: int) -> Floats:
    """``count`` points evenly spread along the line, its ends included."""
    way = way_to(points)
    return points_at(points, way, np.linspace(0, way[-1], count))


def spaced(points: Floats, most: float) -> Floats:
    """The fewest evenly spread points, the ends included and two at least, with neighbours at most ``most`` apart."""
    way = way_to(points)
    return points_at(points, way, np.linspace(0, way[-1], max(2, math.ceil(way[-1] / most) + 1)))
