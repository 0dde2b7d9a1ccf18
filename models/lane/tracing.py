"""From the maps of the lane network to lines: follow the ridges of the heat, and read each point's doubt across them.

Everything here is in cells of the maps, cell centres at whole numbers, x to the right and y down. No torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.polylines import spaced

SEED = 0.3  # a line starts only where the heat reaches this
FAINT = 0.12  # below it a step counts as a gap
_GAP = 5  # steps that a line may go on straight without heat
_JOIN = 16.0  # cells that may lie between two pieces of one line
_TOUCHING = 2.5  # cells between ends that meet; the direction from one to the other says nothing then
_MOST = 32  # pieces that are looked at; only noise has more
_STRAIGHT = math.cos(math.radians(16))  # how well two pieces must point at each other
_BEND = math.cos(math.radians(32))  # a sharper turn within one step is another line
_LEAST = 4.0  # cells: a shorter piece is no line
_DESCENT = 3.0  # cells that both legs of an arch come down at least
_TURN = math.cos(math.radians(30))  # a bend turns less within a dozen cells
_SMOOTHING = 4  # passes of (1, 2, 1) / 4 along a line, together a deviation of 1.4 cells
_ACROSS = np.arange(-3, 3.01, 0.25)  # where a slice across a line is read
_BETWEEN_CELLS = 1 / 6  # variance that reading between cells, linearly, adds to any ridge
_AROUND = np.mgrid[-2:3, -2:3].reshape(2, -1).T  # steps (25, xy) from a cell of a line to all that belong to the line


@dataclass(frozen=True)
class Trace:
    """One line: points (n, 2); the deviation of their place across the line (n,); how steeply it runs, the share of
    y in its direction (n,), in [0, 1]; and the probability that the line is there (n,).
    """

    points: Floats
    std: Floats
    steepness: Floats
    existence: Floats

    @property
    def length(self) -> float:
        """Cells from end to end along the line."""
        return _length(self.points)


def trace(heat: NDArray[np.float32], directions: NDArray[np.float32], ridge: float) -> list[Trace]:
    """The lines of one image, the surest start first.

    ``heat`` (rows, columns) in [0, 1] and ``directions`` (2, rows, columns) come from the network; ``ridge`` is the
    deviation in cells of the ridge that a line known for certain makes.
    """
    walker = _Walker(heat, directions)
    pieces = [leg for piece in walker.pieces() for leg in _legs(piece) if _length(leg) >= _LEAST / 2]
    lines = [line for line in _joined(pieces) if _length(line) >= _LEAST]
    return [_read(heat, spaced(line, 1.0), ridge) for line in lines]


def untraced(heat: NDArray[np.float32], traces: Sequence[Trace], ridge: float) -> float:
    """Cells of line that the heat holds away from the traces: the expected length of what may be missed."""
    rows, columns = heat.shape
    left = heat.astype(np.float64)
    points = np.concatenate([np.empty((0, 2)), *(line.points for line in traces)])
    x, y = np.moveaxis(np.rint(points).astype(int)[:, None] + _AROUND, 2, 0)  # (points, 25) each
    left[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)] = 0
    return float(left.sum() / (ridge * math.sqrt(2 * math.pi)))


def slices(heat: NDArray[np.float32], points: Floats, normals: Floats) -> Floats:
    """Heat (n, offsets) across a line, at ``_ACROSS`` cells along each normal.

    It only falls outwards: where it would rise again another line begins.
    """
    places = points[:, None] + _ACROSS[None, :, None] * normals[:, None]
    values = _bilinear(heat, places[..., 0], places[..., 1])
    middle = len(_ACROSS) // 2
    values[:, middle:] = np.minimum.accumulate(values[:, middle:], axis=1)
    values[:, middle::-1] = np.minimum.accumulate(values[:, middle::-1], axis=1)
    return values


def _read(heat: NDArray[np.float32], points: Floats, ridge: float) -> Trace:
    """Place, deviation and existence of each point from the slices across the line."""
    points = _centred(heat, points)
    tangents = _tangents(points)
    values = slices(heat, points, _normals(tangents))
    mass = values.sum(axis=1) + 1e-9
    mean = (values * _ACROSS).sum(axis=1) / mass
    spread = (values * (_ACROSS - mean[:, None]) ** 2).sum(axis=1) / mass
    existence = np.clip(mass * (_ACROSS[1] - _ACROSS[0]) / (ridge * math.sqrt(2 * math.pi)), 0, 1)
    std = np.sqrt(np.maximum(spread - ridge**2 - _BETWEEN_CELLS, 0.01))
    solid = np.flatnonzero(existence >= 0.6 * existence.max())  # a ridge runs on a little beyond the end of its line
    kept = slice(solid[0], max(solid[-1], solid[0] + 1) + 1) if len(points) > 2 else slice(None)
    return Trace(points[kept], std[kept], np.abs(tangents[kept, 1]), existence[kept])


def _centred(heat: NDArray[np.float32], points: Floats) -> Floats:
    """The points moved onto the middle of the heat, and smoothed a little."""
    normals = _normals(_tangents(points))
    values = slices(heat, points, normals)
    places = points[:, None] + _ACROSS[None, :, None] * normals[:, None]
    inside = np.all((places >= -0.5) & (places <= np.array(heat.shape[::-1]) - 0.5), axis=2)
    values = values * (inside & inside[:, ::-1])  # beside the border only what has its counterpart inside
    mass = values.sum(axis=1)
    shift = np.where(mass > 0.5, (values * _ACROSS).sum(axis=1) / (mass + 1e-9), 0.0)
    moved = points + np.clip(shift, -1, 1)[:, None] * normals
    for _ in range(_SMOOTHING if len(points) > 2 else 0):
        moved[1:-1] = (moved[:-2] + 2 * moved[1:-1] + moved[2:]) / 4
    return moved


class _Walker:
    """Follows ridges and remembers which cells are taken."""

    def __init__(self, heat: NDArray[np.float32], directions: NDArray[np.float32]) -> None:
        self.rows, self.columns = int(heat.shape[0]), int(heat.shape[1])
        # plain floats: a step reads few, and numpy is slow at few; beyond the border it is as on the border
        self.heat: list[list[float]] = np.pad(heat, 1, mode="edge").tolist()
        angle = np.arctan2(directions[1], directions[0]) / 2
        self.cosine: list[list[float]] = np.cos(angle).tolist()
        self.sine: list[list[float]] = np.sin(angle).tolist()
        self.taken, self.near = ([[False] * self.columns for _ in range(self.rows)] for _ in range(2))
        hot = np.flatnonzero(heat >= SEED)
        hot = hot[np.argsort(-heat.ravel()[hot], kind="stable")]
        self.seeds = [divmod(index, self.columns) for index in hot.tolist()]

    def pieces(self) -> list[Floats]:
        """Every ridge, from its strongest cell both ways."""
        found = []
        for y, x in self.seeds:
            if self.near[y][x]:
                continue
            dx, dy = self.cosine[y][x], self.sine[y][x]
            start = self._recentred(x, y, dx, dy, self._at(x, y))
            ahead = self._walk(*start, dx, dy)
            behind = self._walk(*start, -dx, -dy)
            piece = [*behind[::-1], start, *ahead]
            self._take(piece)
            if len(piece) > 1:
                found.append(np.array(piece))
        return found

    def _walk(self, x: float, y: float, dx: float, dy: float) -> list[tuple[float, float]]:
        """Points one cell apart from (x, y) on, not included, until the heat, the picture or free room ends."""
        points: list[tuple[float, float]] = []
        sound = 0  # points up to the last one with heat
        for _ in range(2 * (self.rows + self.columns)):
            x, y = x + dx, y + dy
            if not (-0.5 <= x <= self.columns - 0.5 and -0.5 <= y <= self.rows - 0.5):
                return self._to_border(points, sound, dx, dy)
            value = self._at(x, y)
            row, column = self._cell(x, y)
            cosine, sine = self.cosine[row][column], self.sine[row][column]
            along = cosine * dx + sine * dy
            # the heat here belongs to a line of this heading, not to one that crosses or meets it
            follows = value >= FAINT and abs(along) >= _BEND
            if follows:
                weight = math.copysign(min(1.0, 2 * value), along)  # drawn towards the direction of the map
                dx, dy = dx + weight * cosine, dy + weight * sine
                norm = math.hypot(dx, dy)
                dx, dy = dx / norm, dy / norm
                x, y = self._recentred(x, y, dx, dy, value)
                row, column = self._cell(x, y)
            if self.taken[row][column]:
                break
            points.append((x, y))
            if follows:
                sound = len(points)
            elif len(points) - sound > _GAP:
                break
        return points[:sound]

    def _to_border(
        self, points: list[tuple[float, float]], sound: int, dx: float, dy: float
    ) -> list[tuple[float, float]]:
        """A line with heat to the last step ends on the border of the picture, not one step before it."""
        if not points or sound < len(points):
            return points[:sound]
        x, y = points[-1]
        room = [(self.columns - 0.5 - x) / dx if dx > 0 else (-0.5 - x) / dx] if dx else []
        room += [(self.rows - 0.5 - y) / dy if dy > 0 else (-0.5 - y) / dy] if dy else []
        step = max(0.0, min(room))
        return [*points, (x + step * dx, y + step * dy)]

    def _recentred(self, x: float, y: float, dx: float, dy: float, value: float) -> tuple[float, float]:
        """The place moved across its heading to the middle of the heat, of which ``value`` is here."""
        if not (1 <= x <= self.columns - 2 and 1 <= y <= self.rows - 2):
            return x, y  # half of the slice would lie outside
        before, here, beyond = self._at(x + dy, y - dx) ** 2, value**2, self._at(x - dy, y + dx) ** 2
        shift = max(-0.7, min(0.7, (beyond - before) / (before + here + beyond + 1e-9)))
        return x - shift * dy, y + shift * dx

    def _at(self, x: float, y: float) -> float:
        """The heat between four cells."""
        column, row = int(x + 1), int(y + 1)
        u, v = x + 1 - column, y + 1 - row
        upper, lower = self.heat[row], self.heat[row + 1]
        top = upper[column] * (1 - u) + upper[column + 1] * u
        bottom = lower[column] * (1 - u) + lower[column + 1] * u
        return top * (1 - v) + bottom * v

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        row, column = round(y), round(x)
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        return (row, column) if inside else (min(max(row, 0), self.rows - 1), min(max(column, 0), self.columns - 1))

    def _take(self, piece: Sequence[tuple[float, float]]) -> None:
        """No line passes within a cell of this one, and none starts within two."""
        for row, column in dict.fromkeys(self._cell(x, y) for x, y in piece):
            for cells, reach in ((self.taken, 1), (self.near, 2)):
                left, right = max(0, column - reach), min(self.columns, column + reach + 1)
                marks = [True] * (right - left)
                for y in range(max(0, row - reach), min(self.rows, row + reach + 1)):
                    cells[y][left:right] = marks


def _legs(piece: Floats) -> list[Floats]:
    """A ridge that climbs to the horizon, turns there and comes down again is two lines that meet."""
    y = piece[:, 1]
    summit = np.flatnonzero(y <= y.min() + 1)
    top = int(summit[0] + summit[-1]) // 2
    up, down = piece[max(0, top - 6) : top - 1], piece[top + 2 : top + 7]
    if min(y[0], y[-1]) - y.min() < _DESCENT or float(_heading(up) @ _heading(down)) > _TURN:
        return [piece]
    return [piece[: top + 1], piece[top:]]


def _joined(pieces: list[Floats]) -> list[Floats]:
    """Pieces that point at each other over a short gap, made one; the shortest gap first."""
    pieces = sorted(pieces, key=_length, reverse=True)[:_MOST]
    while len(pieces) > 1:
        gaps = _gaps(pieces)
        i, j = divmod(int(gaps.argmin()), len(gaps))
        if not np.isfinite(gaps[i, j]):
            break
        first, second = pieces[i // 2], pieces[j // 2]
        whole = np.concatenate([first if i % 2 else first[::-1], second[::-1] if j % 2 else second])
        pieces = [piece for k, piece in enumerate(pieces) if k not in (i // 2, j // 2)] + [whole]
    return pieces


def _gaps(pieces: Sequence[Floats]) -> Floats:
    """Cells (2n, 2n) from end to end where one piece carries on another, else infinity; ends 2k and 2k + 1 are of k."""
    ends = np.concatenate([(piece[0], piece[-1]) for piece in pieces])
    # the very ends bend towards what they meet, so headings come from a little further in
    out = np.concatenate([(-_heading(piece[2:10]), _heading(piece[-10:-2])) for piece in pieces])
    length = np.repeat([_length(piece) for piece in pieces], 2)
    between = ends[None] - ends[:, None]  # (from, to, xy)
    gap = np.hypot(between[..., 0], between[..., 1])
    ahead = (between * out[:, None]).sum(axis=2)  # how far each end looks at the other
    level = -(out @ out.T) >= _STRAIGHT
    facing = (np.minimum(ahead, ahead.T) >= _STRAIGHT * gap) | (gap <= _TOUCHING)
    own = np.arange(len(ends)) // 2
    near = gap <= np.minimum(_JOIN, length[:, None] + length[None])
    return np.where(level & facing & near & (own[:, None] != own[None]), gap, np.inf)


def _heading(points: Floats) -> Floats:
    along = points[-1] - points[0] if len(points) > 1 else np.zeros(2)
    return np.asarray(along / (np.hypot(*along) + 1e-9))


def _length(points: Floats) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _tangents(points: Floats) -> Floats:
    """Unit directions (n, 2), over two steps either way."""
    padded = np.concatenate([points[:1], points[:1], points, points[-1:], points[-1:]])
    along = padded[4:] - padded[:-4]
    return np.asarray(along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9))


def _normals(tangents: Floats) -> Floats:
    return tangents[:, ::-1] * (-1, 1)


def _bilinear(field: NDArray[np.float32], x: Floats, y: Floats) -> Floats:
    rows, columns = field.shape
    x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
    column, row = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
    u, v = x - column, y - row
    top = field[row, column] * (1 - u) + field[row, column + 1] * u
    return np.asarray(top * (1 - v) + (field[row + 1, column] * (1 - u) + field[row + 1, column + 1] * u) * v)
