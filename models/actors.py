"""Drawn road users for rendered scenes: cars and vans from behind or ahead, pedestrians, cyclists.

Each function draws one figure on a transparent tile that it fills from edge to edge, so the tile's rectangle is the
figure's box. Tiles are drawn large and scaled down, which smooths their edges.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

_TALL = 320  # rows of a tile
_SKIN: tuple[Colour, ...] = ((236, 188, 150), (198, 134, 96), (141, 85, 54), (92, 58, 40))
_CAR: tuple[Colour, ...] = (
    (196, 200, 204), (36, 38, 42), (120, 124, 130), (226, 226, 222),
    (142, 28, 30), (28, 56, 110), (44, 84, 66), (166, 138, 98),
)  # fmt: skip


def car(rng: np.random.Generator) -> Image.Image:
    """A car or van seen from behind (red lamps) or ahead (white lamps), 0.75 to 1.3 times as wide as tall."""
    van, ahead = rng.random() < 0.25, rng.random() < 0.35
    wide = int(_TALL * (rng.uniform(0.75, 0.9) if van else rng.uniform(1.1, 1.3)))
    body = _CAR[rng.integers(len(_CAR))]
    tile, draw = _tile(wide)
    x, y = _scaled(wide)
    waist = 0.38 if van else 0.44
    for left in (0.05, 0.78):  # tyres
        draw.rounded_rectangle((x(left), y(0.72), x(left + 0.17), y(1.0)), x(0.03), (18, 18, 20))
    draw.polygon(
        _points(x, y, [(0.17, 0.0), (0.83, 0.0), (0.97, waist + 0.02), (0.03, waist + 0.02)]), _shade(body, 0.82)
    )
    draw.polygon(_points(x, y, [(0.21, 0.06), (0.79, 0.06), (0.89, waist), (0.11, waist)]), (34, 42, 50))
    sky = _points(x, y, [(0.23, 0.07), (0.45, 0.07), (0.30, waist), (0.13, waist)])  # in the glass
    draw.polygon(sky, (74, 88, 100))
    draw.rounded_rectangle((x(0.0), y(waist), x(1.0), y(0.88)), x(0.07), body)
    draw.rectangle((x(0.03), y(waist), x(0.97), y(waist + 0.03)), _shade(body, 1.18))
    draw.rounded_rectangle((x(0.02), y(0.73), x(0.98), y(0.9)), x(0.04), _shade(body, 0.62))
    lamp = (250, 246, 226) if ahead else (186, 20, 22)
    for left in (0.03, 0.79):
        draw.rounded_rectangle((x(left), y(0.52), x(left + 0.18), y(0.64)), x(0.03), lamp)
        draw.ellipse((x(left + 0.05), y(0.55), x(left + 0.12), y(0.61)), _shade(lamp, 1.25))
    if ahead:
        draw.rounded_rectangle((x(0.27), y(0.56), x(0.73), y(0.70)), x(0.03), (28, 30, 32))
    draw.rectangle((x(0.37), y(0.75), x(0.63), y(0.83)), (228, 228, 220))
    return _trimmed(tile)


def pedestrian(rng: np.random.Generator) -> Image.Image:
    """A walking or standing person, about 0.4 times as wide as tall."""
    wide = int(_TALL * rng.uniform(0.36, 0.46))
    tile, draw = _tile(wide)
    x, y = _scaled(wide)
    skin, coat, legs = _SKIN[rng.integers(len(_SKIN))], _cloth(rng), _shade(_cloth(rng), 0.6)
    stride = rng.uniform(0.05, 0.34)
    limb = max(2, int(wide * 0.17))
    for side, tone in ((-1, 0.85), (1, 1.0)):
        foot = 0.5 + side * stride
        draw.line(
            _points(x, y, [(0.5 + side * 0.06, 0.5), (0.5 + side * stride * 0.6, 0.75), (foot, 0.97)]),
            _shade(legs, tone),
            limb,
        )
        draw.rounded_rectangle((x(foot - 0.1), y(0.95), x(foot + 0.14), y(1.0)), x(0.04), (24, 22, 22))
    swing = rng.uniform(0.1, 0.36)
    draw.line(
        _points(x, y, [(0.4, 0.24), (0.5 - swing, 0.4), (0.56 - swing, 0.53)]), _shade(coat, 0.8), int(limb * 0.7)
    )
    draw.line(
        _points(x, y, [(0.6, 0.24), (0.5 + swing, 0.4), (0.54 + swing, 0.52)]), _shade(coat, 0.9), int(limb * 0.7)
    )
    draw.rounded_rectangle((x(0.29), y(0.17), x(0.71), y(0.55)), x(0.12), coat)
    draw.ellipse((x(0.33), y(0.0), x(0.67), y(0.165)), skin)
    draw.pieslice((x(0.32), y(0.0), x(0.68), y(0.15)), 170, 370, (46, 34, 26))
    return _trimmed(tile)


def bicyclist(rng: np.random.Generator) -> Image.Image:
    """A cyclist seen from behind, about 0.45 times as wide as tall."""
    wide = int(_TALL * rng.uniform(0.4, 0.5))
    tile, draw = _tile(wide)
    x, y = _scaled(wide)
    coat, legs = _cloth(rng), _shade(_cloth(rng), 0.6)
    draw.line(_points(x, y, [(0.06, 0.5), (0.94, 0.5)]), (40, 40, 42), int(wide * 0.06))
    draw.rounded_rectangle((x(0.43), y(0.56), x(0.57), y(1.0)), x(0.06), (22, 22, 24))
    for side in (-1, 1):
        draw.line(
            _points(x, y, [(0.5 + side * 0.18, 0.26), (0.5 + side * 0.4, 0.49)]), _shade(coat, 0.85), int(wide * 0.12)
        )
        drop = 0.86 if side > 0 else 0.78
        draw.line(
            _points(x, y, [(0.5 + side * 0.1, 0.52), (0.5 + side * 0.2, 0.66), (0.5 + side * 0.15, drop)]),
            legs,
            int(wide * 0.17),
        )
    draw.rounded_rectangle((x(0.25), y(0.19), x(0.75), y(0.56)), x(0.16), coat)
    draw.ellipse((x(0.35), y(0.02), x(0.65), y(0.18)), _SKIN[rng.integers(len(_SKIN))])
    draw.pieslice((x(0.32), y(0.0), x(0.68), y(0.17)), 170, 370, _cloth(rng))
    return _trimmed(tile)


FIGURES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "car": car,
    "pedestrian": pedestrian,
    "bicyclist": bicyclist,
}


def _tile(wide: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    tile = Image.new("RGBA", (wide, _TALL))
    return tile, ImageDraw.Draw(tile)


def _trimmed(tile: Image.Image) -> Image.Image:
    return tile.crop(tile.getbbox())


def _scaled(wide: int) -> tuple[Callable[[float], float], Callable[[float], float]]:
    return (lambda share: share * (wide - 1)), (lambda share: share * (_TALL - 1))


def _points(
    x: Callable[[float], float], y: Callable[[float], float], shares: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    return [(x(a), y(b)) for a, b in shares]


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def _cloth(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(20, 225, 3))
    return red, green, blue
