"""Small pictures with one white line each: the least that a lane model can be trained on."""

from pathlib import Path

import numpy as np
from PIL import Image

from models.records import Item, Label, Lane, Lanes


def road_pairs(folder: Path, count: int = 6) -> list[tuple[Item, Label]]:
    """Small grey pictures with one white line each, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs: list[tuple[Item, Label]] = []
    for index in range(count):
        x = 30 + 20 * index % 130
        pixels = np.full((96, 192, 3), 90, dtype=np.uint8)
        pixels[20:, x - 2 : x + 3] = 250
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        line = Lane(points=((float(x), 95.0), (float(x), 20.0)))
        pairs.append((Item(id=path.name, uri=str(path)), Lanes(width=192, height=96, lanes=(line,))))
    return pairs
