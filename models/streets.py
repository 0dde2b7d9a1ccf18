"""The ground plan of a rendered scene: a camera, a road and its lines, in metres.

The world is flat ground, (x to the right, z ahead), seen by a level pinhole camera; every line is a path on that
ground, so width and dash length follow perspective by themselves. A hall floor uses the camera's height as its metre.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.arrays import Bools, Floats
from models.polylines import resampled
from models.records import Lane, Lanes

WHITE = (0.93, 0.93, 0.9)
YELLOW = (0.9, 0.68, 0.16)


@dataclass(frozen=True)
class Camera:
    """A level pinhole ``above`` metres over flat ground.

    ``focal``, ``horizon`` (a row) and ``centre`` (a column) are in pixels.
    """

    width: int
    height: int
    focal: float
    above: float
    horizon: float
    centre: float

    @property
    def near(self) -> float:
        """Distance in metres just below the lower edge of the picture."""
        return 0.9 * self.focal * self.above / (self.height - self.horizon)

    def project(self, ground: Floats) -> Floats:
        """Ground (n, 2) in metres to pixels (n, 2); z must be positive."""
        x, z = ground[:, 0], ground[:, 1]
        return np.stack([self.centre + self.focal * x / z, self.horizon + self.focal * self.above / z], axis=1)

    def unproject(self, pixels: Floats) -> Floats:
        """Pixels (n, 2) below the horizon to ground (n, 2) in metres."""
        z = self.focal * self.above / (pixels[:, 1] - self.horizon)
        return np.stack([(pixels[:, 0] - self.centre) * z / self.focal, z], axis=1)


@dataclass(frozen=True)
class Line:
    """A line on the ground: its path (n, 2) in metres and how it is painted; ``painted`` is False for a bare kerb."""

    path: Floats
    width_m: float
    colour: tuple[float, float, float]
    dash_m: tuple[float, float] | None = None
    double: bool = False
    painted: bool = True


@dataclass(frozen=True)
class Street:
    """What a scene shows: camera, lines, and the two edges of the road surface as ground paths."""

    camera: Camera
    lines: tuple[Line, ...]
    left: Floats
    right: Floats
    indoor: bool


def own_road(rng: np.random.Generator, width: int, height: int, count: int) -> Street:
    camera = Camera(
        width,
        height,
        focal=width * rng.uniform(0.7, 1.2),
        above=rng.uniform(1.2, 1.9),
        horizon=height * rng.uniform(0.3, 0.48),
        centre=width * rng.uniform(0.42, 0.58),
    )
    bend = 0.0 if rng.random() < 0.4 else rng.normal(0, 0.004)
    lane = rng.uniform(3.2, 3.8)
    ego = rng.integers(0, max(1, count - 1)) + 0.5 + rng.normal(0, 0.12)
    middle = _bend(-ego * lane, rng.normal(0, 0.03), bend, rng.uniform(5, 50), length=rng.uniform(60, 140), step=0.5)
    two_way = rng.integers(1, count) if count > 2 and rng.random() < 0.5 else None
    lines = []
    for index in range(count):
        path = beside(middle, index * lane)
        if rng.random() < 0.08:  # a line that begins late or ends early
            cut = int(len(path) * rng.uniform(0.15, 0.5))
            path = path[cut:] if rng.random() < 0.5 else path[: cut + 20]
        outer = index in (0, count - 1)
        lines.append(_road_line(rng, path, outer, index == two_way))
    shoulder = rng.uniform(0.4, 3.0, 2)
    right = max(count - 1, 1) * lane
    return Street(camera, tuple(lines), beside(middle, -shoulder[0]), beside(middle, right + shoulder[1]), indoor=False)


def _road_line(rng: np.random.Generator, path: Floats, outer: bool, between_ways: bool) -> Line:
    dash = (rng.uniform(2.5, 6.5), rng.uniform(4, 10))
    if between_ways:
        solid = rng.random() < 0.6
        colour = YELLOW if rng.random() < 0.7 else WHITE
        return Line(path, rng.uniform(0.1, 0.15), colour, None if solid else dash, double=solid and rng.random() < 0.7)
    solid = rng.random() < (0.85 if outer else 0.12)
    colour = YELLOW if outer and rng.random() < 0.2 else WHITE
    return Line(path, rng.uniform(0.1, 0.22), colour, None if solid else dash)


def own_floor(rng: np.random.Generator, width: int, height: int) -> Street:
    camera = Camera(
        width,
        height,
        focal=width * rng.uniform(0.42, 0.75),
        above=1.0,
        horizon=height * rng.uniform(-0.05, 0.28),
        centre=width * rng.uniform(0.4, 0.6),
    )
    count = int(rng.integers(0, 7))
    lane = rng.uniform(1.5, 3.4)
    turn = 0.0 if rng.random() < 0.45 else rng.normal(0, 0.09)
    yaw = rng.normal(0, 0.25) if turn == 0 else rng.normal(0, 0.5)
    middle = _bend(-rng.uniform(-0.3, 0.3) * lane, yaw, turn, rng.uniform(0, 4), length=rng.uniform(10, 26), step=0.1)
    middle = beside(middle, -lane * rng.uniform(0, max(count - 1, 0.5)))
    kerbs = rng.random(2) < 0.6
    lines = []
    for index in range(count):
        path = beside(middle, index * lane)
        kerb = bool(index == 0 and kerbs[0]) or bool(index == count - 1 and kerbs[1])
        lines.append(_floor_line(rng, path, kerb))
    right = max(count - 1, 1) * lane
    left_edge = beside(middle, 0.0 if kerbs[0] else -lane)
    return Street(camera, tuple(lines), left_edge, beside(middle, right if kerbs[1] else right + lane), indoor=True)


def _floor_line(rng: np.random.Generator, path: Floats, kerb: bool) -> Line:
    if kerb:
        return Line(path, 0.03, WHITE, painted=False)
    kind = rng.random()
    if kind < 0.4:
        return Line(path, rng.uniform(0.05, 0.11), YELLOW, double=True)
    dash = (rng.uniform(0.5, 1.4), rng.uniform(1, 4)) if kind < 0.75 else None
    return Line(path, rng.uniform(0.05, 0.14), WHITE if rng.random() < 0.8 else YELLOW, dash)


def street_of(rng: np.random.Generator, lanes: Lanes, indoor: bool) -> Street:
    """A street whose lines lie where ``lanes`` says: horizon just above them, camera height from their spacing."""
    width, height = lanes.width, lanes.height
    lines = [np.array(lane.points) for lane in lanes.lanes]
    top = min(float(line[:, 1].min()) for line in lines)
    camera = Camera(
        width,
        height,
        focal=width * 0.85,
        above=1.5,
        horizon=top - height * rng.uniform(0.012, 0.05),
        centre=width * 0.5,
    )
    paths = sorted(
        (camera.unproject(resampled(line, 200)) for line in lines), key=lambda path: float(path[:, 0].mean())
    )
    outer = {0, len(paths) - 1}
    painted = tuple(_road_line(rng, path[np.argsort(path[:, 1])], k in outer, False) for k, path in enumerate(paths))
    left, right = (_extended(painted[index].path, camera) for index in (0, -1))
    shoulder = rng.uniform(0.5, 3.2, 2)
    return Street(camera, painted, left - np.array([shoulder[0], 0]), right + np.array([shoulder[1], 0]), indoor)


def _extended(path: Floats, camera: Camera) -> Floats:
    """The path carried on straight to the camera and to the horizon."""
    ends = [(path[0], path[min(5, len(path) - 1)], 1.01 * camera.near), (path[-1], path[max(-6, -len(path))], 150.0)]
    carried = []
    for end, inner, z in ends:
        slope = (end[0] - inner[0]) / (end[1] - inner[1] + 1e-9)
        carried.append((end[0] + np.clip(slope, -1, 1) * (z - end[1]), z))
    return np.concatenate([[carried[0]], path, [carried[1]]])


def _bend(x: float, yaw: float, curvature: float, starts: float, length: float, step: float) -> Floats:
    """A path (n, 2) through (x, 0), coming from behind the camera: straight for ``starts`` metres, then bending."""
    s = np.arange(0, length, step)
    heading = np.clip(yaw + curvature * np.maximum(s - starts, 0), -2.4, 2.4)
    ahead = np.stack([x + np.cumsum(np.sin(heading)) * step, np.cumsum(np.cos(heading)) * step], axis=1)
    back = np.arange(length / 4, 0, -step)[:, None] * (-np.sin(yaw), -np.cos(yaw)) + (x, 0.0)
    return np.concatenate([back, ahead])


def beside(path: Floats, offset_m: float) -> Floats:
    """The parallel of ``path``, ``offset_m`` to its right."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    return path + offset_m * np.stack([along[:, 1], -along[:, 0]], axis=1)


def labels(street: Street) -> Iterable[Lane]:
    """Each line as 24 points, where it lies inside the picture; pieces under 6 % of its height are left out."""
    camera = street.camera
    for line in street.lines:
        for run in runs(line.path[:, 1] > camera.near):
            pixels = camera.project(line.path[run])
            x, y = pixels[:, 0], pixels[:, 1]
            inside = (
                (x >= 0)
                & (x < camera.width)
                & (y >= camera.horizon + 0.02 * camera.height)
                & (y >= 0)
                & (y < camera.height)
            )
            for piece in runs(inside):
                points = pixels[piece]
                if len(points) > 2 and np.ptp(points, axis=0).max() > 0.06 * camera.height:
                    yield Lane(tuple((float(a), float(b)) for a, b in resampled(points, 24)))


def runs(keep: Bools) -> list[slice]:
    """The stretches in which ``keep`` (n,) holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], keep.astype(int), [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def by_depth(path: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(path[:, 1])
    return path[order, 1], path[order, 0]
