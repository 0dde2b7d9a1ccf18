"""Pictures as imported networks want them, and the way back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.declaring import build
from models.errors import InvalidInput
from models.onnx_files import Port
from models.picture_input import PictureInput, colour_grid, told_by

SIZES = st.integers(1, 400)


def test_a_letterbox_by_hand() -> None:
    image = np.full((50, 100, 3), (255, 0, 51), np.uint8)
    pixels, placement = PictureInput(64, 64, "letterbox").read(image)
    assert pixels.shape == (1, 3, 64, 64)
    assert placement.scale == (0.64, 0.64)
    assert placement.offset == (0, 16)
    assert pixels[0, :, 16:48].mean(axis=(1, 2)).tolist() == pytest.approx([1, 0, 0.2])
    assert pixels[0, :, :16] == pytest.approx(114 / 255)
    assert placement.back(np.array([[0, 16, 64, 48]])).tolist() == [[0, 0, 100, 50]]
    upright, placement = PictureInput(64, 64, "letterbox").read(image.transpose(1, 0, 2))
    assert placement.offset == (16, 0)
    assert upright[0, 0, :, 15].max() < 1 == upright[0, 0, :, 16].min()
    cornered, placement = PictureInput(64, 64, "corner").read(image.transpose(1, 0, 2))
    assert placement.offset == (0, 0)
    assert cornered[0, 0, :, 31].min() == 1 > cornered[0, 0, :, 32].max()


def test_colours_and_numbers_by_hand() -> None:
    image = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    wants = PictureInput(2, 2, "stretch", "NHWC", "BGR", scale=1.0, mean=(30.0, 10.0, 0.0), std=(1.0, 2.0, 5.0))
    pixels, _ = wants.read(image)
    assert pixels.shape == (1, 2, 2, 3)
    assert pixels[0, 0, 0].tolist() == [0, 5, 2]


@pytest.mark.parametrize(("shrink", "row"), [("plain", [255, 90]), ("smooth", [96, 34])])
def test_a_smaller_picture_by_hand(shrink: Any, row: list[int]) -> None:
    """OpenCV looks where the middle of each pixel falls, here on the second and the fifth; Pillow at all within three
    of it, whose weights fall to none there."""
    image = np.repeat(np.array([[0, 255, 0, 0, 90, 0]], np.uint8)[..., None], 3, axis=2)
    pixels, _ = PictureInput(2, 1, scale=1.0, shrink=shrink).read(image)
    assert pixels[0, 0, 0] == pytest.approx(row, abs=1)


@pytest.mark.parametrize("shrink", ["plain", "smooth"])
def test_larger_pictures_are_the_same_either_way(shrink: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    assert (PictureInput(10, 21, shrink=shrink).read(image)[0] == PictureInput(10, 21).read(image)[0]).all()


def test_the_top_that_is_cut_off_is_there_again_on_the_way_back() -> None:
    image = np.zeros((100, 50, 3), np.uint8)
    image[40:] = 255
    pixels, placement = PictureInput(25, 30, crop_top=0.4).read(image)
    assert pixels.min() == 1
    assert placement.back(np.array([[0.0, 0.0], [25.0, 30.0]])).tolist() == [[0, 40], [50, 100]]


@pytest.mark.parametrize(("width", "height", "expected"), [(100, 50, (96, 192)), (400, 50, (64, 320))])
def test_a_free_size_fits_both_sides_and_fills_up_to_multiples(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    wants = PictureInput(resize="fit", shortest=90, longest=320)
    pixels, placement = wants.read(np.zeros((height, width, 3), np.uint8))
    assert pixels.shape[2:] == expected
    assert placement.offset == (0, 0)


@given(SIZES, SIZES, st.sampled_from(["letterbox", "corner", "stretch", "fit"]), st.floats(0, 0.9))
def test_the_whole_image_lies_in_the_picture(width: int, height: int, resize: Any, crop: float) -> None:
    """What is not cut off lies inside, and every point comes back to where it was."""
    wants = PictureInput(96, 64, resize, crop_top=crop, shortest=64, longest=128)
    pixels, placement = wants.read(np.zeros((height, width, 3), np.uint8))
    top = min(int(height * crop), height - 1)
    corners = np.array([[0, top], [width, height]], np.float64)
    seen = corners * placement.scale + placement.offset
    assert seen.min() >= -1e-9
    assert (seen[1] <= np.array(pixels.shape[:1:-1]) + 1e-9).all()
    assert placement.back(seen) == pytest.approx(corners)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 3, 32, 64), {"layout": "NCHW", "width": 64, "height": 32}),
        ((None, 32, 64, 3), {"layout": "NHWC", "width": 64, "height": 32}),
        ((1, 3, None, 64), {"layout": "NCHW", "width": 64}),
        ((1, 32, None, 3), {"layout": "NHWC", "height": 32}),
        ((None, 3, None, None), {"layout": "NCHW"}),
        ((1, 1024), {}),
    ],
)
def test_a_shape_tells_the_layout_and_each_side_that_is_fixed(
    shape: tuple[int | None, ...], told: dict[str, Any]
) -> None:
    """So whoever declares such a model has only the other side to say."""
    assert told_by(shape) == told


@pytest.mark.parametrize(
    ("values", "shape", "dtype", "message"),
    [
        ({"width": 32, "height": 32}, (1, 3, 64, 32), np.float32, "input.height: expected 64, as .* says, got 32"),
        ({"width": 32, "height": 32}, (1, 32, 32, 3), np.float32, "input.layout: expected 3 channels"),
        ({"width": 32, "height": 32}, (8, 3, 32, 32), np.float32, "input.layout: expected one picture at a time"),
        ({"width": 32, "height": 32}, (1, 1024), np.float32, "input.layout: expected a picture"),
        ({"width": 32, "height": 32}, (1, 3, 32, 32), np.uint8, "input.scale, mean, std: expected 1, 0 and 1"),
        ({"resize": "fit"}, (1, 3, 32, None), np.float32, "input.height: expected 32, as .*, got a free size"),
    ],
)
def test_what_the_model_cannot_take_is_refused(
    values: dict[str, Any], shape: tuple[int | None, ...], dtype: type[np.generic], message: str
) -> None:
    wants = build(PictureInput, values)
    with pytest.raises(InvalidInput, match=message):
        wants.check(Port("images", shape, dtype))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, """input.width and height: expected whole numbers, or resize = "fit" for pictures of any size, got"""),
        ({"width": 1, "height": 1, "std": [1, 0, 1]}, "input.scale and std: expected numbers > 0"),
        ({"width": 1, "height": 1, "fill": [300, 0, 0]}, "input.fill: expected levels from 0 to 255, got"),
        ({"width": 1, "height": 1, "crop_top": 1}, r"input.crop_top: expected a share in \[0, 1\)"),
        ({"width": 1, "height": 1, "resize": "zoom"}, "resize: Input should be 'letterbox'"),
    ],
)
def test_what_makes_no_picture_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build(PictureInput, values)


def test_the_colours_of_a_grid_are_means() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:2, 2:4] = (255, 51, 0)
    assert np.array(colour_grid(image)).reshape(4, 4, 3)[0, 1].tolist() == [1, 0.2, 0]
    assert sum(colour_grid(image)) == pytest.approx(1.2)
