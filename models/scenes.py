"""Road scenes that the product renders itself: a picture, the lines on its road and the boxes of its road users.

Everything random comes from one generator: the same seed gives the same picture. ``models.streets`` lays out the
ground, ``models.scenery`` paints it, ``models.actors`` draws the road users. As a command it writes a data set::

    python -m models.scenes OUT --count 600 --geometry tusimple:FOLDER:0313 --backdrop coco:FOLDER:train
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from models.actors import FIGURES
from models.arrays import Floats
from models.media import read_image
from models.records import Box, Boxes, Lane, Lanes
from models.scenery import backdrop, developed, paint_ground, photographed
from models.streets import Street, by_depth, labels, own_floor, own_road, street_of

_SIZES = {"car": (1.4, 1.75), "pedestrian": (1.55, 1.85), "bicyclist": (1.6, 1.8)}  # metres tall
_BACKDROP_SHARE = 0.75


@dataclass(frozen=True)
class Scene:
    """A rendered picture, uint8 (height, width, 3), with its labels."""

    image: NDArray[np.uint8]
    lanes: Lanes
    boxes: Boxes


def render(
    rng: np.random.Generator,
    width: int,
    height: int,
    lanes: Lanes | None = None,
    indoor: bool | None = None,
    photograph: NDArray[np.uint8] | None = None,
) -> Scene:
    """Draw one scene of ``width`` x ``height`` pixels.

    ``lanes`` gives the lines to draw, in pixels of their own image size; they come back scaled to this one. Without
    them the geometry is random: 0 to 6 lines, straight or curved. ``indoor`` picks a hall floor (True), a road
    (False) or either. ``photograph``, uint8 (height, width, 3) of any size, is seen above the horizon.
    """
    if indoor is None:
        indoor = lanes is None and rng.random() < 0.35
    given = None if lanes is None else _scaled(lanes, width, height)
    if given is not None and given.lanes:
        street = street_of(rng, given, indoor)
    elif indoor:
        street = own_floor(rng, width, height)
    else:
        street = own_road(rng, width, height, 0 if given else int(rng.integers(0, 7)))
    canvas = backdrop(rng, street) if photograph is None else photographed(rng, street, photograph)
    paint_ground(rng, street, canvas)
    boxes = place_actors(rng, street, canvas)
    lines = given or Lanes(width, height, tuple(labels(street)))
    return Scene(developed(rng, canvas), lines, Boxes(width, height, tuple(boxes)))


def assorted(count: int, seed: int, geometry: Sequence[Lanes] = (), backdrops: Sequence[Path] = ()) -> Iterator[Scene]:
    """``count`` scenes 512 px wide, in turn on given geometry (if any), on a hall floor and on a road of their own.

    Three quarters of them are seen before one of the ``backdrops``, if any, which are files of pictures.
    """
    order = np.random.default_rng(seed).permutation(len(geometry))
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        behind = _behind(np.random.default_rng([seed, number, 1]), backdrops)
        if number % 3 == 1:
            yield render(rng, 512, 256, indoor=True, photograph=behind)
        else:
            given = geometry[order[number % len(geometry)]] if number % 3 == 0 and geometry else None
            yield render(rng, 512, 288, given, indoor=False, photograph=behind)


def _behind(rng: np.random.Generator, backdrops: Sequence[Path]) -> NDArray[np.uint8] | None:
    if not backdrops or rng.random() > _BACKDROP_SHARE:
        return None
    file = backdrops[int(rng.integers(len(backdrops)))]
    return read_image(file.read_bytes(), str(file))


def write(out: Path, scenes: Iterable[Scene], split: str = "train") -> None:
    """Write scenes so that ``culane:OUT:SPLIT`` and ``coco:OUT:SPLIT`` both read them."""
    for folder in ("images", "list", "annotations"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    categories = list(FIGURES)
    names: list[str] = []
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, scene in enumerate(scenes):
        name = f"{split}{number:05d}"
        Image.fromarray(scene.image).save(out / "images" / f"{name}.jpg", quality=92)
        lines = (" ".join(f"{value:.2f}" for point in lane.points for value in point) for lane in scene.lanes.lanes)
        (out / "images" / f"{name}.lines.txt").write_text("".join(f"{line}\n" for line in lines))
        names.append(f"/images/{name}.jpg\n")
        size = {"width": scene.boxes.width, "height": scene.boxes.height}
        images.append({"id": number, "file_name": f"{name}.jpg", **size})
        for box in scene.boxes.boxes:
            x1, y1, x2, y2 = box.xyxy
            where = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            category = {"image_id": number, "category_id": categories.index(box.category) + 1}
            annotations.append({"id": len(annotations) + 1, **category, **where})
    (out / "list" / f"{split}.txt").write_text("".join(names))
    table = [{"id": index + 1, "name": name} for index, name in enumerate(categories)]
    instances = {"images": images, "annotations": annotations, "categories": table}
    (out / "annotations" / f"instances_{split}.json").write_text(json.dumps(instances))


def _scaled(lanes: Lanes, width: int, height: int) -> Lanes:
    factor = (width / lanes.width, height / lanes.height)
    scaled = tuple(Lane(tuple((x * factor[0], y * factor[1]) for x, y in lane.points)) for lane in lanes.lanes)
    return Lanes(width, height, scaled)


def place_actors(rng: np.random.Generator, street: Street, canvas: Floats) -> list[Box]:
    """Draw road users from far to near; boxes that nearer ones cover by more than 70 % are left out."""
    camera = street.camera
    unit = camera.above / 1.5
    picture = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    placed: list[Box] = []
    depths = camera.near + unit * np.sort(rng.gamma(1.6, 14.0, int(rng.integers(0, 7))))[::-1]
    for z in depths:
        category = str(rng.choice(list(FIGURES), p=[0.1, 0.7, 0.2] if street.indoor else [0.62, 0.22, 0.16]))
        x = _standing(rng, street, category, float(z))
        foot = camera.project(np.array([[x, z]]))[0]
        tile = FIGURES[category](rng)
        tall = rng.uniform(*_SIZES[category]) * unit * camera.focal / z
        wide = tall * tile.width / tile.height
        box = (foot[0] - wide / 2, foot[1] - tall, foot[0] + wide / 2, foot[1])
        if min(wide, tall) < 5 or max(wide, tall) > 2 * camera.width:
            continue
        _stand(picture, tile, box, light=rng.uniform(0.75, 1.1))
        placed = [known for known in placed if _covered(known.xyxy, box) < 0.7]
        cut = tuple(float(np.clip(v, 0, s)) for v, s in zip(box, (camera.width, camera.height) * 2, strict=True))
        if cut[2] - cut[0] > 0.25 * wide and cut[3] - cut[1] > 0.5 * tall:
            placed.append(Box((cut[0], cut[1], cut[2], cut[3]), category))
    canvas[:] = np.asarray(picture) / 255
    return placed


def _standing(rng: np.random.Generator, street: Street, category: str, z: float) -> float:
    """The lateral place: vehicles between lines, cyclists at the right edge, people anywhere but mostly beside."""
    left, right = (float(np.interp(z, *by_depth(side))) for side in (street.left, street.right))
    if category == "bicyclist":
        return right - rng.uniform(-0.5, 1.0)
    if category == "pedestrian":
        beside = left - rng.uniform(0.3, 4) if rng.random() < 0.5 else right + rng.uniform(0.3, 4)
        return beside if rng.random() < 0.75 else rng.uniform(min(left, right), max(left, right))
    at = sorted(float(np.interp(z, *by_depth(line.path))) for line in street.lines) or [left, right]
    gap = int(rng.integers(0, max(1, len(at) - 1)))
    middle = (at[gap] + at[gap + 1]) / 2 if len(at) > 1 else at[0] + 1.8
    return middle + rng.normal(0, 0.15)


def _stand(picture: Image.Image, tile: Image.Image, box: tuple[float, float, float, float], light: float) -> None:
    """Paste a figure into its box, with a soft shadow at its feet."""
    x1, y1, x2, y2 = (round(value) for value in box)
    size = (max(1, x2 - x1), max(1, y2 - y1))
    deep = max(2, size[1] // 12)
    shadow = Image.new("L", (size[0] + 2 * deep, 4 * deep))
    ImageDraw.Draw(shadow).ellipse((deep // 2, deep, size[0] + deep, 3 * deep), fill=150)
    shadow = shadow.filter(ImageFilter.GaussianBlur(deep / 2))
    picture.paste((10, 10, 12), (x1 - deep, y2 - 2 * deep), shadow)
    small = tile.resize(size, Image.Resampling.BOX if size[1] < tile.height else Image.Resampling.BICUBIC)
    colour = small.convert("RGB").point(lambda value: min(255, int(value * light)))
    picture.paste(colour, (x1, y1), small.getchannel("A"))


def _covered(lower: tuple[float, float, float, float], upper: tuple[float, float, float, float]) -> float:
    wide = min(lower[2], upper[2]) - max(lower[0], upper[0])
    tall = min(lower[3], upper[3]) - max(lower[1], upper[1])
    return max(wide, 0) * max(tall, 0) / ((lower[2] - lower[0]) * (lower[3] - lower[1]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Renders a data set into a folder: ``culane:OUT:SPLIT`` and ``coco:OUT:SPLIT``."""
    from models import datasets

    parser = argparse.ArgumentParser(prog="python -m models.scenes", description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=600, help="scenes to render")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="train", help="name of the list that is written")
    parser.add_argument(
        "--geometry", action="append", default=[], help="lane data set whose lines are drawn, repeatable"
    )
    parser.add_argument(
        "--backdrop", action="append", default=[], help="data set whose pictures are seen above the horizon, repeatable"
    )
    given = parser.parse_args(arguments)
    labels = [label for spec in given.geometry for _, label in datasets.read(spec) if isinstance(label, Lanes)]
    pictures = [Path(item.uri) for spec in given.backdrop for item, _ in datasets.read(spec)]
    write(given.out, assorted(given.count, given.seed, labels, pictures), given.split)
    print(f"{given.count} scenes in {given.out}")


if __name__ == "__main__":
    main()
