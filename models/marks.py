"""What a data set says of an item beside its label; only the official rules of its benchmark ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from models.records import Box, Pixels

Corners: TypeAlias = tuple[Pixels, Pixels, Pixels, Pixels]


@dataclass(frozen=True)
class Ignored:
    """Of one image: a predicted box that matches one of these is neither right nor false, and none is missed.

    ``objects`` are single ones, such as those that Pascal VOC marks ``difficult``. ``crowds`` are regions with many
    objects of a category (COCO's ``iscrowd``), which any number of boxes may match by lying in them; ``regions`` are
    corners of the same for every category (KITTI's ``DontCare``).
    """

    objects: tuple[Box, ...] = ()
    crowds: tuple[Box, ...] = ()
    regions: tuple[Corners, ...] = ()

    def of(self, category: str) -> tuple[list[Box], list[Box]]:
        """The objects and the crowds of one category, regions among them."""
        objects, crowds = ([box for box in boxes if box.category == category] for boxes in (self.objects, self.crowds))
        return objects, crowds + [Box(corners, category) for corners in self.regions]


@dataclass(frozen=True)
class KittiObject:
    """A labelled object: corners in pixels, the share of it beyond the image, and 0 visible, 1 partly, 2 largely
    occluded, 3 unknown. Regions that do not count are of the category ``DontCare``; there both are -1."""

    category: str
    xyxy: Corners
    truncation: float
    occlusion: int


@dataclass(frozen=True)
class KittiFrame:
    """All objects of a KITTI label file, regions that do not count included."""

    objects: tuple[KittiObject, ...]


@dataclass(frozen=True)
class CulaneImage:
    """What an image of CULane shows, such as "night", where the test lists say so.

    ``dots`` counts its lines of a single point: no lanes, but the official script asks for them, and nothing matches.
    """

    category: str | None = None
    dots: int = 0


@dataclass(frozen=True)
class TusimpleFrame:
    """A TuSimple label as it stands: r rows in pixels from the top, and of each line a column a row, below 0 where it
    is not there."""

    rows: tuple[int, ...]
    lines: tuple[tuple[int, ...], ...]


Mark: TypeAlias = Ignored | KittiFrame | CulaneImage | TusimpleFrame
Marks: TypeAlias = Mapping[str, Mark]  # by the URI of the item

NOTHING = Ignored()
NO_MARKS: Marks = {}
