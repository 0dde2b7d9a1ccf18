"""How a lane network is trained: what an example is, how a batch is drawn from it, and what a run starts with.

A picture is warped by a random homography (shift, zoom, turn, shear, perspective), mirrored, and its light and colours
are changed; its lines go the same way. Rendered scenes and real frames are treated alike and mixed by listing both.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageEnhance, ImageFilter, ImageStat
from torch import Tensor

from models.arrays import Floats
from models.errors import InvalidInput
from models.lane.network import Batch, Network, Settings
from models.lane.ridges import drawn
from models.lane.runtime import STRIDE
from models.media import Image, read_image
from models.picture_recipe import batches as batches
from models.picture_recipe import parity_media as parity_media
from models.polylines import points_at, way_to
from models.recordings import medium
from models.records import Item, Label, Lanes

Pixels: TypeAlias = NDArray[np.float32]  # (height, width, 3) in [0, 1]

EPOCHS = 120
BATCH_SIZE = 16
LEARNING_RATE = 2e-3

INPUT_NAMES = ("images",)
OUTPUT_NAMES = ("heat", "directions", "embedding")

_KEPT = (640, 320)  # width and height at which an example waits in memory
_SPACING = 0.25  # cells between the points of a line that cells are measured to
_SHIFT, _ZOOM, _SHEAR, _CORNER = 0.12, (0.9, 1.35), 0.15, 0.06  # shares of the picture's sides
_TURN = math.radians(7)


@dataclass(frozen=True)
class Example:
    """One labelled image, shrunk to one size; its lines (n, 2) are in shares of width and height."""

    id: str
    image: Image
    lines: tuple[NDArray[np.float32], ...]

    @property
    def size(self) -> int:
        return self.image.size

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + sum(line.nbytes for line in self.lines)


def settings_for(labels: Iterable[Label], start: Settings | None) -> Settings:
    """The usual sizes, or those of the version that training starts from, read at today's resolution."""
    usual = Settings()
    return replace(start, width=usual.width, height=usual.height) if start else usual


def prepare(item: Item, label: Label) -> Example:
    """Decodes the image and shrinks it to the size that waits in memory.

    Raises:
        InvalidInput: the label is not of lanes.
        UnreadableMedia, TooLarge: the image.
    """
    if not isinstance(label, Lanes):
        raise InvalidInput(f"{item.uri}: expected lanes, got {type(label).__name__}")
    full = read_image(medium(item.uri), item.uri)
    image = np.asarray(Pictures.fromarray(full).resize(_KEPT, Pictures.Resampling.BILINEAR))
    size = np.array([label.width, label.height])
    return Example(item.id, image, tuple((np.array(lane.points) / size).astype(np.float32) for lane in label.lanes))


def collate(examples: Sequence[Example], settings: Settings, rng: np.random.Generator) -> Batch:
    """One random view of each example, with the heat and directions it should give."""
    images, heats, directions = [], [], []
    for example in examples:
        image, lines = augment(example, settings, rng)
        heat, direction = targets(lines, settings)
        images.append(image.transpose(2, 0, 1))
        heats.append(heat)
        directions.append(direction)
    return Batch(*(torch.from_numpy(np.stack(each)) for each in (images, heats, directions)))


def augment(example: Example, settings: Settings, rng: np.random.Generator) -> tuple[Pixels, list[Floats]]:
    """A random view: image (height, width, 3) in [0, 1] and its lines (n, 2) in pixels of it."""
    size = np.array([settings.width, settings.height])
    warp = _homography(rng)
    kept = np.array([example.image.shape[1], example.image.shape[0]])
    back = np.diag([*kept, 1.0]) @ np.linalg.inv(warp) @ np.diag([*(1 / size), 1.0])
    back /= back[2, 2]
    view = Pictures.fromarray(example.image).transform(
        (settings.width, settings.height),
        Pictures.Transform.PERSPECTIVE,
        back.ravel()[:8].tolist(),
        Pictures.Resampling.BILINEAR,
        fillcolor=_colour(rng),
    )
    lines = [_warped(line.astype(np.float64), warp) * size for line in example.lines]
    return _relit(view, rng), lines


def targets(lines: Sequence[Floats], settings: Settings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heat (rows, columns) and directions (2, rows, columns) of lines in input pixels; see ``network``."""
    shape = settings.height // STRIDE, settings.width // STRIDE
    if not lines:
        return np.zeros(shape, np.float32), np.zeros((2, *shape), np.float32)
    dense = [_dense(line / STRIDE - 0.5) for line in lines]  # cell centres lie on whole numbers
    doubled = 2 * np.concatenate([_angles(points) for points in dense])
    return drawn(
        np.concatenate(dense), 1.0, np.stack([np.cos(doubled), np.sin(doubled)], axis=1), settings.ridge, shape
    )


def warm_start(network: Network, state: dict[str, Tensor], previous: Settings) -> None:
    """Loads the weights of an earlier version; its settings became this one's, so every tensor fits."""
    network.load_state_dict(state)


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """What the export traces: two images; only the batch is free, because every image is brought to one size."""
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=4096)}}
    return (torch.zeros(2, 3, settings.height, settings.width),), shapes


def _homography(rng: np.random.Generator) -> Floats:
    """A random map (3, 3) of the unit square, near the identity, mirrored half of the time."""
    zoom = math.exp(rng.uniform(*np.log(_ZOOM)))
    stretch = math.exp(rng.uniform(-0.1, 0.1))
    turn = rng.normal(0, _TURN / 2)
    cosine, sine = math.cos(turn), math.sin(turn)
    aspect = 2.0  # the network's own; keeps the turn a turn
    linear = np.array([[zoom * stretch * cosine, -sine / aspect], [sine * aspect, zoom / stretch * cosine]])
    linear = linear @ np.array([[1, rng.uniform(-_SHEAR, _SHEAR)], [0, 1]])
    if rng.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0])
    centre = 0.5 + rng.uniform(-_SHIFT, _SHIFT, 2)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ (0.5, 0.5)
    tilt = np.eye(3)
    tilt[2, :2] = rng.uniform(-_CORNER, _CORNER, 2)
    return np.asarray(tilt @ matrix)


def _warped(points: Floats, matrix: Floats) -> Floats:
    whole = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return np.asarray(whole[:, :2] / whole[:, 2:])


def _dense(line: Floats) -> Floats:
    """Points every ``_SPACING`` along a line."""
    way = way_to(line)
    return points_at(line, way, np.linspace(0, way[-1], max(2, math.ceil(way[-1] / _SPACING))))


def _angles(points: Floats) -> Floats:
    """The line's angle at each of its points (n,)."""
    tangent = np.gradient(points, axis=0)
    return np.asarray(np.arctan2(tangent[:, 1], tangent[:, 0]))


def _relit(view: Pictures.Image, rng: np.random.Generator) -> Pixels:
    """Other light, colours, sharpness and noise, and now and then something in the way."""
    if rng.random() < 0.3:
        _block(view, rng)
    view = ImageEnhance.Color(view).enhance(rng.uniform(0, 1.6))
    middle = ImageStat.Stat(view.convert("L")).mean[0] / 255
    contrast, gamma, shift = rng.uniform(0.6, 1.4), math.exp(rng.normal(0, 0.25)), rng.normal(0, 0.06)
    level = middle + (np.linspace(0, 1, 256) - middle) * contrast
    gains = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.06, 3))
    curves = np.clip(level * gains[:, None] + shift, 0, 1) ** gamma  # (channel, 256)
    view = view.point((curves * 255).round().astype(int).ravel().tolist())
    if rng.random() < 0.25:
        view = view.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 1.5)))
    image = np.asarray(view).astype(np.float32) / np.float32(255)
    if rng.random() < 0.25:
        image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0.005, 0.05))
    return image


def _block(view: Pictures.Image, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(view)
    for _ in range(int(rng.integers(1, 4))):
        wide, tall = view.width * rng.uniform(0.03, 0.2), view.height * rng.uniform(0.05, 0.35)
        x, y = rng.uniform(0, view.width - wide), rng.uniform(0, view.height - tall)
        draw.rectangle((x, y, x + wide, y + tall), fill=_colour(rng))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue
