"""What the recipes of all tasks on pictures share: how batches are drawn, and which images an export is tried with."""

from collections.abc import Sequence

import numpy as np

from models.media import Image


def batches(sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """Every example once, in random order. BatchNorm needs two: a last batch of one joins the one before it, and where
    each is alone it is taken twice."""
    order = rng.permutation(len(sizes)).tolist()
    parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2].extend(parts.pop())
    return [part if len(part) > 1 else 2 * part for part in parts]


def parity_media(media: Sequence[Image]) -> list[Image]:
    """Real images as they are, upright, as a wide strip and as a small cutting."""
    variants = list(media)
    for image in media[:1]:
        height, width = image.shape[:2]
        variants.append(np.ascontiguousarray(image.transpose(1, 0, 2)))
        variants.append(np.ascontiguousarray(image[height // 3 : height // 3 + max(1, height // 6)]))
        variants.append(np.ascontiguousarray(image[: max(1, height // 9), : max(1, width // 9)]))
    return variants
