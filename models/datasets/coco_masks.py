"""The box around a mask of COCO's, as it comes run by run. Source: pycocotools, ``common/maskApi.c``: ``rleFrString``
and ``rleToBbox``."""

from typing import Any

from models.datasets.layout import broken

_EXPECTED = "runs of pixels under 'counts', as many as 'size' says, height and width"


def box_around(where: str, mask: dict[str, Any]) -> list[float]:
    """x, y, width and height of the box around ``{"counts": .., "size": [height, width]}``; of nothing it is all 0.

    The counts are those of pixels outside and inside in turn, down the columns, from the left: whole numbers, or packed
    as text.

    Raises:
        InvalidDataset: other than that.
    """
    counts, told = mask.get("counts"), mask.get("size")
    runs, size = _whole(_unpacked(counts) if isinstance(counts, str) else counts), _whole(told)
    if len(size) != 2 or not runs or sum(runs) != size[0] * size[1]:
        broken(where, _EXPECTED, mask)
    return _box(runs, size[0])


def _whole(numbers: object) -> list[int]:
    """The same list, or an empty one in place of all that is no list of whole numbers from 0."""
    if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
        return []
    return numbers


def _unpacked(text: str) -> list[int] | None:
    """Six bits a character, of which five are of a number, the lowest first, and one says that more follow; from the
    fourth number on they are what is added to the last but one before."""
    numbers, number, shift = list[int](), 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        numbers.append(number + (numbers[-2] if len(numbers) > 2 else 0))
        number, shift = 0, 0
    return numbers if not shift else None


def _box(runs: list[int], height: int) -> list[float]:
    columns, rows, at = list[int](), list[int](), 0
    for index, run in enumerate(runs):
        if index % 2 and run:
            (first, top), (last, bottom) = divmod(at, height), divmod(at + run - 1, height)
            columns += first, last
            rows += (top, bottom) if first == last else (0, height - 1)
        at += run
    if not columns:
        return [0, 0, 0, 0]
    return [min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1]
