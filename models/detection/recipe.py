"""How a detector is trained: what an example is, how a batch is drawn from it, and what a run starts with."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageEnhance, ImageFilter
from torch import Tensor

from models.detection.network import IGNORED, PADDING, STRIDES, Batch, Network, Settings
from models.detection.runtime import GREY, LONG_SIDE, fit
from models.errors import InvalidInput
from models.media import Image, read_image
from models.picture_recipe import batches as batches
from models.picture_recipe import parity_media as parity_media
from models.recordings import medium
from models.records import Boxes, Item, Label, require_kind, require_size

EPOCHS = 130
BATCH_SIZE = 8
LEARNING_RATE = 1.5e-3

INPUT_NAMES = ("images",)
OUTPUT_NAMES = ("probabilities", "boxes", "side_std", "embedding")

CROP = (256, 320)  # height and width of a training picture
MOSAIC = 0.25  # share of the pictures that four examples make together (Bochkovskiy et al. 2020, arXiv 2004.10934)
LATE = 0.3  # share of a training, at its end, in which pictures are shown nearly as in use
_MIDDLE = (0.3, 0.7)  # where in such a picture the four meet, as shares of its sides
_LATE_ZOOM = (0.75, 1.33)
_STRETCH = 1.15  # the most by which one side grows over the other
_ON_A_BOX = 0.75  # share of the pictures laid over a box, all categories alike, however rare
_LEAST_SIDE = 3.0  # pixels: a box narrower or lower than this teaches nothing
_LEAST_SHARE = 0.4  # of a box that must be in the picture; less is neither object nor background


Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Variation:
    """How much examples are changed: ``zoom`` is how much larger or smaller than in use they are shown; light is an
    exponent in exp(±``gamma``), a ``contrast``, a factor in exp(±``brightness``), another one for each colour in 1 ±
    ``cast``, and a ``saturation``; a share ``blurred`` is out of focus by up to ``blur`` pixels."""

    zoom: Range = (0.45, 1.5)
    gamma: float = 0.4
    contrast: Range = (0.7, 1.3)
    brightness: float = 0.25
    cast: float = 0.1
    saturation: Range = (0.4, 1.4)
    blurred: float = 0.0
    blur: Range = (0.5, 2.0)


USUAL = Variation()
STRONG = Variation((0.4, 2.0), 0.6, (0.5, 1.3), 0.3, 0.15, (0.2, 1.5), 0.2)


@dataclass(frozen=True)
class Example:
    """One labelled image at the size the network reads it: pixels (height, width, 3), boxes (n, 4), n categories."""

    id: str
    image: Image
    boxes: NDArray[np.float32]
    categories: tuple[str, ...]

    @property
    def size(self) -> int:
        return self.image.size

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + self.boxes.nbytes


@dataclass(frozen=True)
class Picture:
    """What one example becomes in one batch: pixels (height, width, 3), boxes (n, 4) and their indices (n,)."""

    image: Image
    boxes: NDArray[np.float32]
    categories: NDArray[np.int64]


def settings_for(labels: Iterable[Label], start: Settings | None) -> Settings:
    """Settings with every category that occurs, after those of the version that training starts from.

    Raises:
        InvalidInput: no box in the data, and no start.
    """
    seen = {box.category for label in labels for box in require_kind(label, Boxes).boxes}
    known = start.categories if start else ()
    categories = (*known, *sorted(seen - set(known)))
    if not categories:
        raise InvalidInput("detection training: expected at least 1 box in the data, got none")
    if start is None:
        return Settings(categories, long_side=LONG_SIDE)
    return replace(start, categories=categories, long_side=LONG_SIDE)  # the size at which ``prepare`` reads


def prepare(item: Item, label: Label) -> Example:
    """Decodes the image and brings it, with its boxes, to the size at which the network will read it."""
    truth = require_kind(label, Boxes)
    full = read_image(medium(item.uri), item.uri)
    require_size(item.uri, truth, *full.shape[1::-1])
    image = fit(full, LONG_SIDE)
    boxes = np.array([box.xyxy for box in truth.boxes], np.float32).reshape(-1, 4)
    boxes *= np.tile((image.shape[1] / truth.width, image.shape[0] / truth.height), 2).astype(np.float32)
    return Example(item.id, image, boxes, tuple(box.category for box in truth.boxes))


class Names(Protocol):
    """The settings of any detector that names what it finds."""

    @property
    def categories(self) -> Sequence[str]:
        """The names, in the order of the classes."""


def collate(
    examples: Sequence[Example], settings: Names, rng: np.random.Generator, variation: Variation = USUAL
) -> Batch:
    """One random picture of each example, some with three others of the batch beside it, as tensors."""
    return _batch([_picture(example, examples, settings.categories, rng, variation) for example in examples])


def collate_late(
    examples: Sequence[Example], settings: Names, rng: np.random.Generator, variation: Variation = USUAL
) -> Batch:
    """Each example nearly whole and at nearly its own size, as the network will see it: trained on small windows alone,
    it mistakes how large things are and what lies around them (Touvron et al. 2019, arXiv 1906.06423)."""
    sides = np.max([example.image.shape[:2] for example in examples], axis=0)
    height, width = (-(-sides // STRIDES[-1]) * STRIDES[-1]).tolist()
    nearly = replace(variation, zoom=_LATE_ZOOM)
    return _batch([augment(example, settings.categories, rng, (height, width), nearly) for example in examples])


def _batch(pictures: Sequence[Picture]) -> Batch:
    most = max(1, *(len(picture.boxes) for picture in pictures))
    boxes = np.zeros((len(pictures), most, 4), np.float32)
    categories = np.full((len(pictures), most), PADDING, np.int64)
    for row, picture in enumerate(pictures):
        boxes[row, : len(picture.boxes)] = picture.boxes
        categories[row, : len(picture.boxes)] = picture.categories
    pixels = np.stack([picture.image for picture in pictures]).transpose(0, 3, 1, 2)
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255
    return Batch(images, torch.from_numpy(boxes), torch.from_numpy(categories))


def _picture(
    example: Example,
    batch: Sequence[Example],
    categories: Sequence[str],
    rng: np.random.Generator,
    variation: Variation,
) -> Picture:
    if rng.random() >= MOSAIC:
        return augment(example, categories, rng, variation=variation)
    return mosaic([example, *(batch[i] for i in rng.integers(len(batch), size=3))], categories, rng, variation)


def mosaic(
    examples: Sequence[Example], categories: Sequence[str], rng: np.random.Generator, variation: Variation = USUAL
) -> Picture:
    """Four examples, each a picture of its own, two above and two below around a random middle."""
    top, left = (round(rng.uniform(*_MIDDLE) * side) for side in CROP)
    sizes = [(height, width) for height in (top, CROP[0] - top) for width in (left, CROP[1] - left)]
    shown = zip(examples, sizes, strict=True)
    parts = [augment(example, categories, rng, size, variation) for example, size in shown]
    rows = [np.hstack([part.image for part in parts[i : i + 2]]) for i in (0, 2)]
    corners = np.array([(0, 0), (left, 0), (0, top), (left, top)], np.float32)
    boxes = [part.boxes + np.tile(corner, 2) for part, corner in zip(parts, corners, strict=True)]
    return Picture(np.vstack(rows), np.concatenate(boxes), np.concatenate([part.categories for part in parts]))


def augment(
    example: Example,
    categories: Sequence[str],
    rng: np.random.Generator,
    size: tuple[int, int] = CROP,
    variation: Variation = USUAL,
) -> Picture:
    """A random window of the example at a random zoom, perhaps mirrored, its light and colours changed.

    ``size`` is the picture's height and width.
    """
    zoom = math.exp(rng.uniform(*np.log(variation.zoom)))
    stretch = math.exp(rng.uniform(-1, 1) * math.log(_STRETCH) / 2)
    scale = (zoom * stretch, zoom / stretch)  # output pixels per input pixel, across and down
    corner = _corner(example, scale, size, rng)
    image, boxes = _window(example, corner, scale, size)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        boxes[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
    indices = np.array([categories.index(name) for name in example.categories], np.int64)
    return _clip(Picture(_relight(image, rng, variation), boxes, indices))


def _corner(
    example: Example, scale: tuple[float, float], size: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    """Where in the example the window's upper left corner lies: over a box, or anywhere in the image."""
    corner = []
    box = None
    if len(example.boxes) and rng.random() < _ON_A_BOX:
        names = sorted(set(example.categories))
        name = names[rng.integers(len(names))]
        rows = [i for i, other in enumerate(example.categories) if other == name]
        box = example.boxes[rows[rng.integers(len(rows))]]
    for axis, (length, window) in enumerate(
        zip(example.image.shape[1::-1], (size[1] / scale[0], size[0] / scale[1]), strict=True)
    ):
        slack = length - window
        if box is not None and slack > 0:
            middle = rng.uniform(box[axis], box[axis + 2])
            corner.append(float(np.clip(middle - rng.uniform(0.15, 0.85) * window, 0, slack)))
        else:
            corner.append(float(rng.uniform(min(slack, 0), max(slack, 0))))
    return corner[0], corner[1]


def _window(
    example: Example, corner: tuple[float, float], scale: tuple[float, float], size: tuple[int, int]
) -> tuple[Image, NDArray[np.float32]]:
    """The example as seen through the window, grey where it ends, and its boxes there, still unclipped."""
    height, width = example.image.shape[:2]
    low = (max(corner[0], 0.0), max(corner[1], 0.0))
    high = (min(corner[0] + size[1] / scale[0], width), min(corner[1] + size[0] / scale[1], height))
    left, top, right, bottom = (round((value - corner[i % 2]) * scale[i % 2]) for i, value in enumerate((*low, *high)))
    canvas = np.full((*size, 3), GREY, np.uint8)
    if right > left and bottom > top:
        picture = Pictures.fromarray(example.image)
        filter_ = Pictures.Resampling.BILINEAR
        part = picture.resize((right - left, bottom - top), filter_, box=(*low, *high))
        canvas[top:bottom, left:right] = np.asarray(part)
    boxes = (example.boxes - np.tile(corner, 2)) * np.tile(scale, 2)
    return canvas, boxes.astype(np.float32)


def _relight(image: Image, rng: np.random.Generator, variation: Variation) -> Image:
    """Gamma, contrast, brightness and colour cast, then saturation; sometimes out of focus, sometimes noise."""
    level = np.linspace(0, 1, 256) ** math.exp(rng.uniform(-variation.gamma, variation.gamma))
    middle = image.mean() / 255
    level = (level - middle) * rng.uniform(*variation.contrast) + middle
    level = level * math.exp(rng.uniform(-variation.brightness, variation.brightness))
    casts = rng.uniform(1 - variation.cast, 1 + variation.cast, (3, 1))
    curves = np.clip(level * casts, 0, 1) * 255  # (channel, old level) -> new level
    picture = Pictures.fromarray(image).point(curves.astype(np.uint8).ravel().tolist())
    picture = ImageEnhance.Color(picture).enhance(rng.uniform(*variation.saturation))
    if variation.blurred and rng.random() < variation.blurred:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*variation.blur)))
    values = np.asarray(picture)
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(0, 15), values.shape)
        values = np.asarray(np.clip(values + noise, 0, 255), np.uint8)
    return values


def _clip(picture: Picture) -> Picture:
    """Boxes cut off at the border; those hardly in sight or too small are ignored, those out of sight dropped."""
    boxes, categories = picture.boxes, picture.categories.copy()
    inside = boxes.clip(0, np.tile(picture.image.shape[1::-1], 2).astype(np.float32))
    size = inside[:, 2:] - inside[:, :2]
    visible = (size.min(axis=1, initial=np.inf) > 0) if len(boxes) else np.zeros(0, bool)
    share = size.prod(axis=1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    categories[(share < _LEAST_SHARE) | (size.min(axis=1, initial=np.inf) < _LEAST_SIDE)] = IGNORED
    return Picture(picture.image, inside[visible], categories[visible])


def warm_start(network: Network, state: dict[str, Tensor], previous: Settings) -> None:
    """Loads the weights of a version with other categories: a known one keeps its row, a new one its fresh start."""
    own = network.state_dict()
    ours, theirs = network.settings.categories, previous.categories
    for name, value in state.items():
        if name.startswith("head.logits."):
            for row, category in enumerate(ours):
                if category in theirs:
                    own[name][row] = value[theirs.index(category)]
        else:
            own[name].copy_(value)


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """What the export traces: two images, with batch, height and width free (multiples of the largest stride)."""
    step = STRIDES[-1]
    height = step * torch.export.Dim("height", min=1, max=512)
    width = step * torch.export.Dim("width", min=1, max=512)
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=4096), 2: height, 3: width}}
    return (torch.zeros(2, 3, 5 * step, 7 * step),), shapes
