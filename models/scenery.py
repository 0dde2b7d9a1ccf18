"""The paint of a rendered scene: sky and houses, ground and its markings, light, and what the camera makes of it.

Colours are (red, green, blue) in [0, 1]; a canvas is float64 (height, width, 3).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from models.arrays import Floats
from models.polylines import points_at, way_to
from models.streets import Camera, Line, Street, beside, by_depth, runs

_FINE = 3  # paint is drawn this much larger, then averaged
_ABOVE_ROADS = 0.45  # share of a photograph's height that shows no road, from a camera in a car


def _noise(rng: np.random.Generator, size: int, power: float) -> Floats:
    """A periodic texture (size, size), mean 0, deviation 1; the higher ``power``, the smoother."""
    spectrum = np.fft.rfft2(rng.normal(size=(size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    texture = np.fft.irfft2(spectrum / np.maximum(frequency, 1) ** power, s=(size, size))
    return np.asarray((texture - texture.mean()) / (texture.std() + 1e-9))


def _sample(texture: Floats, u: Floats, v: Floats) -> Floats:
    """Bilinear look-up in a periodic texture."""
    size = len(texture)
    column, row = np.floor(u), np.floor(v)
    du, dv = u - column, v - row
    c, r = column.astype(int) % size, row.astype(int) % size
    c1, r1 = (c + 1) % size, (r + 1) % size
    upper = texture[r, c] * (1 - du) + texture[r, c1] * du
    lower = texture[r1, c] * (1 - du) + texture[r1, c1] * du
    return np.asarray(upper * (1 - dv) + lower * dv)


def _mask(camera: Camera, polygons: Iterable[Floats]) -> Floats:
    """Coverage in [0, 1] (height, width) of polygons in pixels."""
    big = Image.new("L", (camera.width * _FINE, camera.height * _FINE))
    draw = ImageDraw.Draw(big)
    for polygon in polygons:
        if len(polygon) > 2:
            draw.polygon([(float(x), float(y)) for x, y in polygon * _FINE], fill=255)
    return np.asarray(big.reduce(_FINE), dtype=np.float64) / 255


def _stripe(camera: Camera, path: Floats, left_m: float, right_m: float) -> Iterable[Floats]:
    """The strip between two parallels of a path, as pixel polygons."""
    a, b = beside(path, left_m), beside(path, right_m)
    for run in runs((a[:, 1] > camera.near) & (b[:, 1] > camera.near)):
        yield np.concatenate([camera.project(a[run]), camera.project(b[run])[::-1]])


def _between(camera: Camera, left: Floats, right: Floats) -> Iterable[Floats]:
    sides = [side[side[:, 1] > camera.near] for side in (left, right)]
    if min(map(len, sides)) > 1:
        yield np.concatenate([camera.project(sides[0]), camera.project(sides[1])[::-1]])


def _strokes(camera: Camera, line: Line, phase: float) -> Iterable[Floats]:
    centres = (-line.width_m, line.width_m) if line.double else (0.0,)
    along = way_to(line.path)
    pieces = [line.path]
    if line.dash_m is not None:
        on, off = line.dash_m
        starts = np.arange(-phase * (on + off), along[-1], on + off)
        pieces = [_piece(line.path, along, start, start + on) for start in starts if start + on > 0]
    for piece in pieces:
        for centre in centres:
            yield from _stripe(camera, piece, centre - line.width_m / 2, centre + line.width_m / 2)


def _piece(path: Floats, along: Floats, start: float, end: float) -> Floats:
    return points_at(path, along, np.linspace(max(start, 0), min(end, along[-1]), 12))


def backdrop(rng: np.random.Generator, street: Street) -> Floats:
    """Everything above the horizon, (height, width, 3) in [0, 1]."""
    camera = street.camera
    rows = np.linspace(0, 1, camera.height)[:, None, None]
    if street.indoor:
        wall = rng.uniform(0.25, 0.7) + rng.normal(0, 0.04, 3)
        canvas = np.broadcast_to(wall * (0.8 + 0.3 * rows), (camera.height, camera.width, 3)).copy()
        return _silhouettes(rng, camera, canvas, "wall")
    top, low = [
        ((0.25, 0.48, 0.8), (0.75, 0.85, 0.93)),
        ((0.62, 0.66, 0.7), (0.82, 0.84, 0.85)),
        ((0.3, 0.3, 0.5), (0.95, 0.7, 0.5)),
    ][rng.choice(3, p=[0.5, 0.35, 0.15])]
    share = np.clip(rows * camera.height / max(camera.horizon, 1), 0, 1)
    canvas = (1 - share) * np.array(top) + share * np.array(low) + np.zeros((1, camera.width, 1))
    v, u = np.mgrid[: camera.height, : camera.width] * (96 / camera.width)
    cloud = np.clip(_sample(_noise(rng, 128, 1.5), u, 3 * v) * 0.6 + rng.uniform(-0.5, 0.3), 0, 1)[..., None]
    canvas = canvas * (1 - 0.7 * cloud) + 0.7 * cloud * 0.97
    return _silhouettes(rng, camera, canvas, "open")


def photographed(rng: np.random.Generator, street: Street, photograph: NDArray[np.uint8]) -> Floats:
    """A backdrop (height, width, 3) in [0, 1] that shows a part of what a photograph has above any road."""
    camera = street.camera
    tall, wide = photograph.shape[0] * _ABOVE_ROADS, photograph.shape[1]
    zoom = rng.uniform(0.5, 1)
    left, upper = rng.uniform(0, 1 - zoom) * wide, rng.uniform(0, 1 - zoom) * tall
    part = Image.fromarray(photograph).crop(
        (int(left), int(upper), int(left + zoom * wide), max(int(upper) + 1, int(upper + zoom * tall)))
    )
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    seen = part.resize((camera.width, max(1, int(np.ceil(camera.horizon)) + 2)), Image.Resampling.BILINEAR)
    canvas = np.asarray(seen, dtype=np.float64)[: camera.height] / 255
    below = np.repeat(canvas[-1:], camera.height - len(canvas), axis=0)
    return np.concatenate([canvas, below])


def _silhouettes(rng: np.random.Generator, camera: Camera, canvas: Floats, kind: str) -> Floats:
    """Hills, trees and houses, or the furniture along the wall of a hall."""
    width, horizon = camera.width, camera.horizon
    columns = np.arange(width, dtype=np.float64) * (256 / width)
    rows = np.arange(camera.height)[:, None]
    v, u = np.mgrid[: camera.height, :width] * (200.0 / width)
    grain = _sample(_noise(rng, 128, 0.7), u, v)
    layers = [("house", 0.0, 0.0)]
    if kind == "open":
        layers = [("hill", 0.16, 1.6), *layers, ("tree", 0.22, 0.9)]
    for name, tall, power in layers:
        if name == "house":
            _houses(rng, camera, canvas, indoor=kind == "wall")
            continue
        outline = _sample(_noise(rng, 256, power), columns, np.zeros(width))
        height = np.maximum(0, camera.height * tall * (rng.uniform(-0.1, 0.4) + 0.3 * outline))
        inside = np.clip(rows - (horizon - height), 0, 1)[..., None]
        tone = np.array([0.45, 0.55, 0.6] if name == "hill" else [0.16, 0.3, 0.12]) * rng.uniform(0.7, 1.3)
        colour = tone * (1 + (0.05 if name == "hill" else 0.3) * grain[..., None])
        canvas[:] = canvas * (1 - inside) + colour * inside
    return canvas


def _houses(rng: np.random.Generator, camera: Camera, canvas: Floats, indoor: bool) -> None:
    picture = Image.new("RGBA", (camera.width, camera.height))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(4, 16)) if indoor else int(rng.integers(0, 7))):
        x, wide = rng.uniform(-0.1, 1) * camera.width, rng.uniform(0.03, 0.22) * camera.width
        tall = rng.uniform(0.05, 0.3) * camera.height
        low = max(camera.horizon, 0.02 * camera.height) + 2
        tone = rng.uniform(20, 200) + rng.normal(0, 12, 3)
        draw.rectangle((x, low - tall, x + wide, low), _rgba(tone))
        pane, gap = wide / rng.integers(3, 7), tall / rng.integers(2, 6)
        dark = _rgba(tone * rng.uniform(0.4, 0.8))
        for left in np.arange(x + pane * 0.3, x + wide - pane * 0.5, pane):
            for upper in np.arange(low - tall + gap * 0.3, low - gap * 0.5, gap):
                draw.rectangle((left, upper, left + pane * 0.5, upper + gap * 0.5), dark)
    layer = np.asarray(picture, dtype=np.float64) / 255
    canvas[:] = canvas * (1 - layer[..., 3:]) + layer[..., :3] * layer[..., 3:]


def _rgba(tone: Floats) -> tuple[int, int, int, int]:
    red, green, blue = (int(value) for value in np.clip(tone, 0, 255))
    return red, green, blue, 255


def paint_ground(rng: np.random.Generator, street: Street, canvas: Floats) -> None:
    """Verge or floor, road surface, markings, kerbs, shadows and haze below the horizon, blended into ``canvas``."""
    camera = street.camera
    first = max(0, int(np.ceil(camera.horizon + 1)))
    rows, columns = np.mgrid[first : camera.height, : camera.width] + 0.5
    ground = camera.unproject(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(*rows.shape, 2)
    x, z = ground[..., 0], ground[..., 1]
    unit = camera.above / 1.5
    patches = _sample(_noise(rng, 256, 1.2), x / unit * 4, z / unit * 4)
    grain = _sample(_noise(rng, 256, 0.3), x / unit * 60, z / unit * 60) * np.clip(camera.near * 3 / z, 0, 1)
    road = _mask(camera, _between(camera, street.left, street.right))[first:]
    surface = _surface(rng, street, road, patches, grain)
    wear = np.clip(1.15 - rng.uniform(0, 0.5) * np.abs(patches) - rng.uniform(0, 0.25) * np.abs(grain), 0.12, 1)
    for mask, colour, rubbed in _markings(rng, street):
        share = (mask[first:] * (wear if rubbed else 1.0))[..., None]
        surface = surface * (1 - share) + np.array(colour) * share * (1 + 0.04 * grain[..., None])
    shade = _sample(_noise(rng, 128, 1.6), x / unit * 2.2, z / unit * 5)
    edge = np.clip((shade - rng.uniform(0.3, 2.5)) * 6, 0, 1)
    surface *= (1 - rng.uniform(0.15, 0.5) * edge)[..., None]
    if street.indoor:
        surface += _glare(rng, camera)[first:, :, None]
    haze = (1 - np.exp(-z / unit / rng.uniform(120, 600)))[..., None] * 0.8
    far = canvas[max(first - 2, 0)].mean(axis=0)
    canvas[first:] = surface * (1 - haze) + far * haze


def _surface(rng: np.random.Generator, street: Street, road: Floats, patches: Floats, grain: Floats) -> Floats:
    texture = (0.05 * rng.uniform(0.3, 1.5) * patches + 0.05 * rng.uniform(0.3, 1.3) * grain)[..., None]
    if street.indoor:
        floor = rng.uniform(0.15, 0.6) + rng.normal(0, 0.012, 3)
        beside = floor + rng.choice([-0.15, 0.12, 0.2, 0.28]) + rng.normal(0, 0.01, 3)
    else:
        floor = rng.uniform(0.22, 0.52) + rng.normal(0, 0.012, 3)
        verges = np.array([(0.3, 0.42, 0.18), (0.55, 0.5, 0.35), (0.6, 0.6, 0.58)])
        beside = verges[rng.integers(3)] * rng.uniform(0.7, 1.2)
    coarse = 1.0 if street.indoor else 2.5
    inside = road[..., None]
    return np.asarray(beside * (1 + coarse * texture) * (1 - inside) + floor * (1 + texture) * inside)


def _markings(rng: np.random.Generator, street: Street) -> Iterable[tuple[Floats, tuple[float, float, float], bool]]:
    """Coverage, colour and whether wear shows: other paint first, kerbs, then the lines."""
    camera = street.camera
    bright = rng.uniform(0.7, 1.05)
    if rng.random() < (0.6 if street.indoor else 0.3):
        yield _mask(camera, _other_paint(rng, street)), (0.9 * bright,) * 3, True
    if rng.random() < 0.5:  # a dark seam or tyre track
        offset, wide = rng.uniform(0.3, 2.5), rng.uniform(0.02, 0.5)
        yield 0.3 * _mask(camera, _stripe(camera, street.left, offset, offset + wide)), (0.08, 0.08, 0.08), False
    for line in street.lines:
        if not line.painted:
            yield _mask(camera, _stripe(camera, line.path, -0.05, 0.05)), (0.12, 0.12, 0.12), False
            continue
        mask = _mask(camera, _strokes(camera, line, rng.random()))
        red, green, blue = line.colour
        yield mask, (red * bright, green * bright, blue * bright), True


def _other_paint(rng: np.random.Generator, street: Street) -> Iterable[Floats]:
    """Zebra crossings, stop lines and arrows: paint that is no lane line."""
    camera = street.camera
    unit = camera.above / 1.5
    at = camera.near + rng.uniform(0.5, 12) * unit
    x0, x1 = sorted(float(np.interp(at, *by_depth(side))) for side in (street.left, street.right))
    kind = rng.integers(3)
    if kind == 0:
        pitch, deep = 0.9 * unit, 2.6 * unit
        for left in np.arange(x0, x1, pitch):
            yield camera.project(_rectangle(left, at, left + pitch / 2, at + deep))
    if kind <= 1:
        yield camera.project(_rectangle(x0, at + 4 * unit, x1, at + 4.4 * unit))
    if kind == 2 or street.indoor:
        middle = rng.uniform(x0, x1)
        shape = np.array([(-0.1, 0), (0.1, 0), (0.1, 2), (0.35, 2), (0, 3.2), (-0.35, 2), (-0.1, 2)]) * unit
        yield camera.project(shape * (rng.choice([-1, 1]), 1) + (middle, at + 1.5 * unit))


def _rectangle(x0: float, z0: float, x1: float, z1: float) -> Floats:
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)])


def _glare(rng: np.random.Generator, camera: Camera) -> Floats:
    """A lamp mirrored in a polished floor."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    u = (columns - camera.width * rng.uniform(0, 1)) / (camera.width * rng.uniform(0.04, 0.2))
    v = (rows - camera.height * rng.uniform(0.05, 0.4)) / (camera.height * rng.uniform(0.1, 0.4))
    return np.asarray(rng.choice([0.0, 0.3, 0.8]) * np.exp(-(u**2) - v**2))


def developed(rng: np.random.Generator, canvas: Floats) -> NDArray[np.uint8]:
    """What the camera makes of it: exposure, tint, vignette, a little blur and sensor noise."""
    height, width = canvas.shape[:2]
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    vignette = 1 - rng.uniform(0, 0.25) * (rows**2 + columns**2) / 2
    toned = np.clip(canvas * vignette[..., None] * rng.uniform(0.8, 1.15) * (1 + rng.normal(0, 0.02, 3)), 0, 1)
    toned = toned ** rng.uniform(0.85, 1.2)
    picture = Image.fromarray((toned * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0, width / 1000))
    )
    noisy = np.asarray(picture) + rng.normal(0, rng.uniform(0.5, 3), canvas.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
