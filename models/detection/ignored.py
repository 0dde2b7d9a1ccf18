"""What a detector need not find, and may: objects and regions that official evaluations leave out of the count."""

from dataclasses import dataclass

from models.records import Box


@dataclass(frozen=True)
class Ignored:
    """Of one image: a predicted box that matches one of these is neither right nor false, and none is missed.

    ``objects`` are single ones, such as those that Pascal VOC marks ``difficult``. ``crowds`` are regions with many
    objects of a category (COCO's ``iscrowd``), which any number of boxes may match by lying in them.
    """

    objects: tuple[Box, ...] = ()
    crowds: tuple[Box, ...] = ()


NOTHING = Ignored()
