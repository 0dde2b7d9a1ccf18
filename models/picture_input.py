"""How an imported network wants its pictures: size, colours, numbers, and the way back to pixels of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from models.arrays import AnyFloats, Floats
from models.errors import InvalidInput
from models.media import Image
from models.onnx_files import Port
from models.records import STRICT

Resize: TypeAlias = Literal["letterbox", "corner", "stretch", "fit"]
Shrink: TypeAlias = Literal["smooth", "plain"]
Colour: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where the image lies in what the network sees: network pixel = image pixel * scale + offset, each (x, y)."""

    scale: tuple[float, float]
    offset: tuple[float, float]

    def back(self, points: AnyFloats) -> Floats:
        """Points (..., 2) or boxes (..., 4) from pixels of the network to pixels of the image."""
        repeat = points.shape[-1] // 2
        placed: Floats = (points - np.tile(self.offset, repeat)) / np.tile(self.scale, repeat)
        return placed


NOISE: Image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)  # what networks are tried with
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # of RGB in [0, 1]: what most are trained on


@dataclass(frozen=True)
class PictureInput:
    """A network's picture.

    ``resize``: "letterbox" keeps the shape of the image and centres it between bars, "corner" puts it in the upper left
    corner, "stretch" does not keep the shape; all three end at ``width`` x ``height``. "fit" has no fixed size: the
    shorter side becomes ``shortest`` unless the longer one would exceed ``longest``, and bars right and below fill up
    to multiples of ``multiple``. ``fill`` is the colour of bars, in 0 to 255. ``crop_top`` is the share of the
    image's height that is cut off above before anything else.

    ``shrink``: "smooth" lets every pixel of a larger image count, as Pillow does; "plain" looks at the four around each
    point, as OpenCV's ``INTER_LINEAR`` does.

    A value v of 0 to 255 becomes (v * scale - mean) / std; ``mean``, ``std`` and ``fill`` are in the order of
    ``colours``.
    """

    width: int | None = None
    height: int | None = None
    resize: Resize = "stretch"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    colours: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1 / 255
    mean: Colour = (0.0, 0.0, 0.0)
    std: Colour = (1.0, 1.0, 1.0)
    fill: Colour = (114.0, 114.0, 114.0)
    crop_top: float = 0.0
    shortest: int = 800
    longest: int = 1333
    multiple: int = 32
    shrink: Shrink = "smooth"

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.resize != "fit":
            whole = 'whole numbers, or resize = "fit" for pictures of any size'
            _require(bool(self.width and self.height), "width and height", whole, (self.width, self.height))
        _require(min(self.shortest, self.longest, self.multiple) >= 1, "shortest, longest, multiple", ">= 1", self)
        _require(self.scale > 0 and min(self.std) > 0, "scale and std", "numbers > 0", (self.scale, self.std))
        _require(all(0 <= level <= 255 for level in self.fill), "fill", "levels from 0 to 255", self.fill)
        _require(0 <= self.crop_top < 1, "crop_top", "a share in [0, 1)", self.crop_top)

    def check(self, port: Port) -> None:
        """Whether the model's input can take such a picture.

        Raises:
            InvalidInput: naming the field, what the model takes and what was declared.
        """
        _require(len(port.shape) == 4, "layout", "a picture, 1x3xHEIGHTxWIDTH or 1xHEIGHTxWIDTHx3", str(port))
        batch, *rest = port.shape
        _require(batch in (None, 1), "layout", "one picture at a time", str(port))
        channels, height, width = rest if self.layout == "NCHW" else (rest[2], rest[0], rest[1])
        _require(channels in (None, 3), "layout", f"3 channels where {self.layout} has them", str(port))
        wanted = (None, None) if self.resize == "fit" else (self.height, self.width)
        for name, fixed, declared in zip(("height", "width"), (height, width), wanted, strict=True):
            _require(fixed in (None, declared), name, f"{fixed}, as {port} says", declared or "a free size")
        if port.dtype is np.uint8:
            plain = self.scale == 1 and self.mean == (0, 0, 0) and self.std == (1, 1, 1)
            _require(plain, "scale, mean, std", f"1, 0 and 1, as {port} takes bytes", (self.scale, self.mean, self.std))

    def size_of(self, shape: Sequence[int]) -> tuple[int, int]:
        """Width and height of a picture that has this shape as the network's input."""
        height, width = shape[2:] if self.layout == "NCHW" else shape[1:3]
        return width, height

    def read(self, image: Image) -> tuple[NDArray[np.float32], Placement]:
        """The network's input, (1, 3, height, width) or (1, height, width, 3), and where the image lies in it."""
        top = min(int(image.shape[0] * self.crop_top), image.shape[0] - 1)
        canvas, placement = self._placed(image[top:])
        values = (canvas.astype(np.float32) * np.float32(self.scale) - np.array(self.mean, np.float32)) / np.array(
            self.std, np.float32
        )
        pixels = values.transpose(2, 0, 1) if self.layout == "NCHW" else values
        offset = (placement.offset[0], placement.offset[1] - top * placement.scale[1])
        return np.ascontiguousarray(pixels[None]), Placement(placement.scale, offset)

    def _placed(self, image: Image) -> tuple[Image, Placement]:
        """The image at its size, in the network's order of colours, between its bars."""
        height, width = image.shape[:2]
        inner_width, inner_height, whole_width, whole_height = self._sizes(width, height)
        small = resized(Pictures.fromarray(image), inner_width, inner_height, self.shrink)
        pixels = np.asarray(small)[..., :: 1 if self.colours == "RGB" else -1]
        centred = self.resize == "letterbox"
        left = (whole_width - inner_width) // 2 if centred else 0
        top = (whole_height - inner_height) // 2 if centred else 0
        canvas = np.empty((whole_height, whole_width, 3), np.uint8)
        canvas[:] = np.round(self.fill).astype(np.uint8)
        canvas[top : top + inner_height, left : left + inner_width] = pixels
        return canvas, Placement((inner_width / width, inner_height / height), (left, top))

    def _sizes(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Width and height of the image in the picture, then those of the picture."""
        if self.resize == "fit":
            factor = min(self.shortest / min(width, height), self.longest / max(width, height))
            inner = max(1, int(width * factor)), max(1, int(height * factor))
            whole_width, whole_height = (-(-side // self.multiple) * self.multiple for side in inner)
            return *inner, whole_width, whole_height
        assert self.width
        assert self.height
        if self.resize == "stretch":
            return self.width, self.height, self.width, self.height
        factor = min(self.width / width, self.height / height)
        inner = max(1, round(width * factor)), max(1, round(height * factor))
        return *inner, self.width, self.height


def resized(picture: Pictures.Image, width: int, height: int, shrink: Shrink) -> Pictures.Image:
    """The picture at another size, interpolated between its pixels."""
    if shrink == "plain" and (width < picture.width or height < picture.height):
        step_x, step_y = picture.width / width, picture.height / height
        return picture.transform(
            (width, height), Pictures.Transform.AFFINE, (step_x, 0, 0, 0, step_y, 0), Pictures.Resampling.BILINEAR
        )
    return picture.resize((width, height), Pictures.Resampling.BILINEAR)


def told_by(shape: Sequence[int | None]) -> dict[str, Any]:
    """What the shape of an input says of its pictures: their layout, and each side that is fixed; of anything but
    pictures nothing."""
    if len(shape) != 4:
        return {}
    layout = "NHWC" if shape[3] == 3 and shape[1] != 3 else "NCHW"
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    return {"layout": layout, **{name: side for name, side in (("width", width), ("height", height)) if side}}


def colour_grid(image: Image) -> tuple[float, ...]:
    """The mean colours (48,) of 4 x 4 parts of an image, row by row, each (r, g, b) in [0, 1].

    An embedding of pictures for models that give none: it tells scenes and light apart, not what is in them.
    """
    small = Pictures.fromarray(image).resize((4, 4), Pictures.Resampling.BOX)
    return tuple((np.asarray(small, np.float64) / 255).ravel().tolist())


def _require(holds: bool, field: str, expected: str, got: object) -> None:
    if not holds:
        raise InvalidInput(f"input.{field}: expected {expected}, got {got}")
