"""torchvision's one-stage detectors behind the verbs of this task: FCOS, RetinaNet and SSDLite, from their checkpoints.

Their raw head is exported (BatchNorm folded, boxes decoded, nothing suppressed); suppression and doubt are ours. They
are trained with torchvision's own losses. BatchNorm of the backbone stays as it was learnt, as torchvision does when it
fine-tunes: batches here are small. Which boxes count as an object's background is torchvision's matter too: boxes that
our own detector would ignore are background here.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import detection  # type: ignore[import-untyped]
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]

from models.checkpoints import download, read_state
from models.declaring import build as validated
from models.declaring import plain
from models.detection.declaration import Declaration, categories_among
from models.detection.network import Batch
from models.detection.recipe import BATCH_SIZE, STRONG, batches, collate, parity_media, prepare
from models.detection.runtime import LONG_SIDE
from models.detection.torchvision_names import as_now, of_classes
from models.errors import InvalidInput
from models.picture_input import PictureInput, Shrink
from models.records import Boxes, Label

__all__ = [
    "BATCH_SIZE", "DECLARABLE", "EPOCHS", "INPUT_NAMES", "LEARNING_RATE", "OUTPUT_NAMES", "STRONG", "Batch",
    "Network", "Settings", "batches", "collate", "declared", "example_inputs", "loss", "parity_media", "prepare",
    "pretrained", "settings_for", "warm_start",
]  # fmt: skip


ONE_STAGE = (
    "fcos_resnet50_fpn", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssdlite320_mobilenet_v3_large",
)  # fmt: skip
TWO_STAGES = (
    "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)  # fmt: skip
MODELS = (*ONE_STAGE, *TWO_STAGES)
EPOCHS = 20
LEARNING_RATE = 2e-4

INPUT_NAMES = ("images",)
OUTPUT_NAMES = ("probabilities", "boxes", "side_std", "embedding")

DECLARABLE = ("classes", "shortest", "longest", "norm_eps")

_STEP = 128  # height and width are multiples of the coarsest stride: torchvision rounds strides otherwise
_STRIDES = (8, 16, 32, 64, 128)
_MOST_OVERLAP = {"fcos_resnet50_fpn": 0.6, "ssdlite320_mobilenet_v3_large": 0.55}  # IoU of suppression; of others 0.5
_LOG_LIMIT = math.log(1000 / 16)  # torchvision's bound of a box's growth
GREY = (124.0, 116.0, 104.0)  # the mean colour, which torchvision's zeros after normalisation are
_WITHOUT_EPS = ("retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn")  # torchvision's own weights of these


@dataclass(frozen=True)
class Settings:
    """Which of torchvision's detectors it is, and its classes in the order of its outputs.

    The first class is usually the background; "N/A" and the like are no category. ``shortest`` and ``longest`` are the
    sides of the picture, in pixels, unless the model has a size of its own. ``norm_eps`` is that of BatchNorm.
    ``shrink`` is how larger images get to that size: plainly by torchvision, smoothly where examples are made here.
    """

    model: str
    classes: tuple[str, ...]
    shortest: int = 800
    longest: int = 1333
    norm_eps: float = 1e-5
    architecture: str = "torchvision_detector"
    shrink: Shrink = "smooth"

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.model not in MODELS:
            raise InvalidInput(f"model: expected one of {', '.join(MODELS)}, got {self.model!r}")
        if min(self.shortest, self.longest) < 1 or not 0 <= self.norm_eps < 1:
            raise InvalidInput(f"shortest, longest, norm_eps: expected sides >= 1 and a number in [0, 1), got "
                               f"{self.shortest}, {self.longest}, {self.norm_eps}")  # fmt: skip
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise InvalidInput(f"classes: expected different names, at least one, got {list(self.classes)}")

    @property
    def named(self) -> tuple[int, ...]:
        """The classes that are categories."""
        return categories_among(self.classes)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories."""
        return tuple(self.classes[i] for i in self.named)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the picture, where the model has a fixed one."""
        if self.model in TWO_STAGES:
            return -(-self.shortest // 32) * 32, -(-self.longest // 32) * 32
        return (320, 320) if self.model.startswith("ssdlite320") else None


def build(settings: Settings) -> nn.Module:
    """torchvision's detector with random weights."""
    made: nn.Module = getattr(detection, settings.model)(
        weights=None, weights_backbone=None, num_classes=len(settings.classes)
    )
    return made


def _norms(detector: Any) -> list[nn.BatchNorm2d]:
    return [layer for layer in detector.backbone.modules() if isinstance(layer, nn.BatchNorm2d)]


class Network(nn.Module):
    """A detector of torchvision that answers like ours."""

    named: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.detector: Any = build(settings)
        for layer in [] if settings.model.startswith("ssdlite320") else _norms(self.detector):
            layer.eps = settings.norm_eps
        self.register_buffer("named", torch.tensor(settings.named), persistent=False)

    def train(self, mode: bool = True) -> "Network":
        """Training mode, in which BatchNorm of the backbone keeps what it has learnt."""
        super().train(mode)
        for layer in _norms(self.detector):
            layer.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images (batch, 3, height, width) in [0, 1].

        Returns:
            probabilities (batch, points, categories), boxes (batch, points, 4) as xyxy in input pixels, zeros for the
            deviation of their sides, which torchvision's detectors do not tell, and an embedding (batch, channels).
        """
        features, outputs = self.raw(images)
        anchors = self.anchors(images, features)
        logits, deltas = outputs["cls_logits"], outputs["bbox_regression"]
        if "bbox_ctrness" in outputs:
            probabilities = (logits.sigmoid() * outputs["bbox_ctrness"].sigmoid()).sqrt()
            boxes = _from_distances(deltas, anchors)
        else:
            probabilities = logits.softmax(dim=2) if self.settings.size else logits.sigmoid()
            boxes = from_deltas(deltas, anchors, self.detector.box_coder.weights)
        embedding = features[-1].mean(dim=(2, 3))
        return probabilities[:, :, self.named], boxes, torch.zeros_like(boxes), embedding

    def raw(self, images: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The pyramid's maps, and what the head says of every anchor."""
        features = list(self.pyramid(images).values())
        return features, self.detector.head(features)

    def pyramid(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """The maps that the heads look at, by torchvision's names."""
        transform = self.detector.transform
        mean = torch.tensor(transform.image_mean, device=images.device)[:, None, None]
        std = torch.tensor(transform.image_std, device=images.device)[:, None, None]
        maps: OrderedDict[str, Tensor] = self.detector.backbone((images - mean) / std)
        return maps

    def anchors(self, images: Tensor, features: Sequence[Tensor]) -> Tensor:
        """The anchors (points, 4) of one image, xyxy in pixels, as exact as the image whatever the features are."""
        if self.settings.size:
            height, width = self.settings.size
            shapes = ImageList(images.new_zeros(1, 3, height, width), [(height, width)])
            boxes: Tensor = self.detector.anchor_generator(shapes, [grid.to(images) for grid in features])[0]
            return boxes
        generator = self.detector.anchor_generator
        return torch.cat([
            shifted(cell.to(images), grid, (stride, stride))
            for cell, grid, stride in zip(generator.cell_anchors, features, _STRIDES, strict=True)
        ])  # fmt: skip


def shifted(cell: Tensor, grid: Tensor, stride: tuple[int, int]) -> Tensor:
    """The anchors of one cell (anchors, 4) moved to every cell of a map, ``stride`` pixels down and across."""
    height, width = grid.shape[2:]
    y = torch.arange(height, device=grid.device) * stride[0]
    x = torch.arange(width, device=grid.device) * stride[1]
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack((columns, rows, columns, rows), dim=-1).reshape(-1, 1, 4)
    return (shifts + cell).reshape(-1, 4)


def _from_distances(distances: Tensor, anchors: Tensor) -> Tensor:
    """FCOS: distances to the left, above, right and below of an anchor's middle, in its sizes."""
    middle, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    return torch.cat((middle - distances[..., :2] * size, middle + distances[..., 2:] * size), dim=-1)


def from_deltas(deltas: Tensor, anchors: Tensor, weights: Sequence[float]) -> Tensor:
    """Faster R-CNN's code (Ren et al. 2015, section 3.1.2): shifts in sizes and logarithms of growth, weighted."""
    middle, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    scaled = deltas / torch.tensor(weights, device=deltas.device)
    centre = middle + scaled[..., :2] * size
    half = scaled[..., 2:].clamp(max=_LOG_LIMIT).exp() * size / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def loss(network: Network, batch: Batch) -> Tensor:
    """The sum of torchvision's own losses for this detector."""
    images, boxes = batch.images, batch.boxes
    if network.settings.size:
        height, width = network.settings.size
        scale = [width / images.shape[3], height / images.shape[2]] * 2
        images = functional.interpolate(images, (height, width), mode="bilinear", align_corners=False)
        boxes = boxes * torch.tensor(scale, device=boxes.device)
    targets = targets_of(network, boxes, batch.categories)
    features, outputs = network.raw(images)
    anchors = [network.anchors(images, features)] * len(images)
    detector = network.detector
    outputs = {name: value.float() for name, value in outputs.items()}
    if "bbox_ctrness" in outputs:
        losses = detector.compute_loss(targets, outputs, anchors, [grid.shape[2] * grid.shape[3] for grid in features])
    elif network.settings.size:
        matched = [_matched(detector, own["boxes"], anchors[0]) for own in targets]
        losses = detector.compute_loss(targets, outputs, anchors, matched)
    else:
        losses = detector.compute_loss(targets, outputs, anchors)
    total: Tensor = sum(losses.values(), torch.zeros((), device=images.device))
    return total


def targets_of(network: Network, boxes: Tensor, categories: Tensor) -> list[dict[str, Tensor]]:
    """The true boxes of each image and their classes, as torchvision's losses want them."""
    return [
        {"boxes": own[known >= 0], "labels": network.named[known[known >= 0]]}
        for own, known in zip(boxes, categories, strict=True)
    ]


def _matched(detector: Any, boxes: Tensor, anchors: Tensor) -> Tensor:
    """The row of its box for each anchor, negative for none."""
    if not len(boxes):
        return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
    rows: Tensor = detector.proposal_matcher(torchvision.ops.box_iou(boxes, anchors))
    return rows


def settings_for(labels: Iterable[Label], start: Settings | None) -> Settings:
    """The settings of the start, with every category that occurs, read at the size at which examples are prepared.

    Raises:
        InvalidInput: there is no start.
    """
    if start is None:
        raise InvalidInput("detection training: expected a checkpoint of torchvision to start from, got none")
    seen = {box.category for label in labels if isinstance(label, Boxes) for box in label.boxes}
    classes = (*start.classes, *sorted(seen - set(start.categories)))
    return replace(start, classes=classes, shortest=LONG_SIDE, longest=LONG_SIDE, shrink="smooth")


def warm_start(network: Network, state: Mapping[str, Tensor], previous: Settings) -> None:
    """Loads a checkpoint with other classes: a known one keeps its rows, a new one its fresh start.

    Raises:
        InvalidInput: the weights are of another model.
    """
    own = network.state_dict()
    theirs, ours = len(previous.classes), len(network.settings.classes)
    for name, value in state.items():
        if name not in own:
            raise InvalidInput(f"checkpoint: expected the weights of {network.settings.model}, got {name}")
        if of_classes(name) and value.shape != own[name].shape:
            inner = 4 if ".bbox_pred." in name else 1
            # (anchors, classes, sides, ..); new classes follow the known ones
            rows = own[name].view(-1, ours, inner, *value.shape[1:])
            rows[:, :theirs] = value.view(-1, theirs, inner, *value.shape[1:])
        else:
            own[name].copy_(value)


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """What the export traces: two images; height and width are free multiples unless the model has its size."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    if settings.size:
        return (torch.zeros(2, 3, *settings.size),), {"images": {0: batch}}
    height, width = (_STEP * torch.export.Dim(name, min=1, max=64) for name in ("height", "width"))
    return (torch.zeros(2, 3, 2 * _STEP, 3 * _STEP),), {"images": {0: batch, 2: height, 3: width}}


def declared(settings: Settings) -> dict[str, Any]:
    """How its ONNX file is read."""
    if settings.size:
        picture = PictureInput(settings.size[1], settings.size[0], "stretch", shrink=settings.shrink)
    else:
        picture = PictureInput(
            resize="fit", shortest=settings.shortest, longest=settings.longest, multiple=_STEP, fill=GREY,
            shrink=settings.shrink,
        )  # fmt: skip
    outputs = {name: name for name in OUTPUT_NAMES}
    most_overlap = _MOST_OVERLAP.get(settings.model, 0.5)
    return plain(Declaration("boxes", settings.categories, picture, "images", outputs, most_overlap=most_overlap))


def pretrained(name: str, file: Path | None, given: Mapping[str, Any]) -> tuple[Settings, dict[str, Tensor]]:
    """Settings and weights of a checkpoint, or of torchvision's own download where there is no ``file``.

    ``name`` may be empty for a file: its weights tell which model they belong to. ``given`` may hold ``classes``,
    ``shortest``, ``longest`` and ``norm_eps``.

    Raises:
        NotFound: no such file, or no way to download it.
        InvalidInput: not a checkpoint of one of ``MODELS``.
    """
    if name and name not in MODELS:
        raise InvalidInput(f"torchvision: expected one of {', '.join(MODELS)}, got {name!r}")
    if not (name or file):
        raise InvalidInput(
            f"torchvision: expected the name of a model or a file, got neither; one of {', '.join(MODELS)}"
        )
    known = torchvision.models.get_model_weights(name).DEFAULT if name else None
    state = as_now(read_state(file) if file else download(f"torchvision:{name}", _fetching(known)))
    classes = given.get("classes", () if known is None else known.meta["categories"])
    if not isinstance(classes, (list, tuple)):
        raise InvalidInput(f"classes: expected a list of names, got {classes!r}")
    count, model = _recognised(state, name, file)
    if len(classes) == count - 1:
        classes = ["__background__", *classes]
    if len(classes) != count:
        raise InvalidInput(f"classes: expected the names of {count} classes, the background perhaps left out, declared "
                           f"when it is imported (models import --declare), got {len(classes)}")  # fmt: skip
    usual: dict[str, Any] = {"norm_eps": 0.0} if model in _WITHOUT_EPS and len(classes) == 91 else {}
    if model in TWO_STAGES:
        usual["architecture"] = "torchvision_two_stage"
    if model.endswith("_320_fpn"):
        usual |= {"shortest": 320, "longest": 640}
    sizes = {key: given[key] for key in ("shortest", "longest", "norm_eps") if key in given}
    settings = validated(Settings, {"model": model, "classes": classes, "shrink": "plain", **usual, **sizes})
    return settings, {f"detector.{key}": value for key, value in state.items()}


def _fetching(weights: Any) -> Callable[[], Mapping[str, Tensor]]:
    return lambda: weights.get_state_dict(progress=True, check_hash=True)


def _recognised(state: Mapping[str, Tensor], name: str, file: Path | None) -> tuple[int, str]:
    """How many classes a checkpoint has, and which model it is of.

    Raises:
        InvalidInput: none, another than ``name``, or any of several.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    others: dict[str, list[str]] = {}  # the weights that each model lacks, or has otherwise
    counts: dict[str, int] = {}
    for model in (name,) if name else MODELS:
        with torch.device("meta"):
            expected = {key: tuple(value.shape) for key, value in _empty(model).items()}
        others[model] = [
            key for key in {**expected, **shapes}
            if expected.get(key) != shapes.get(key) and not (of_classes(key) and key in expected and key in shapes)
        ]  # fmt: skip
        if not others[model]:
            layer = next(key for key in expected if of_classes(key) and key.endswith("weight"))
            counts[model] = shapes[layer][0] * 2 // expected[layer][0]
    if not counts:
        nearest = min(others, key=lambda model: len(others[model]))
        told = f"{len(others[nearest])} are not as in {nearest}, {others[nearest][0]} first"
        wanted = name or "one of " + ", ".join(MODELS)
        raise InvalidInput(f"{file or name}: expected the weights of {wanted}, got others: {told}")
    if len(counts) > 1:
        raise InvalidInput(f"model: expected {' or '.join(counts)} to be declared, got weights that fit each: {file}")
    (model,) = counts
    return counts[model], model


def _empty(model: str) -> Mapping[str, Tensor]:
    """The weights of a model of two classes, without their values."""
    return as_now(build(Settings(model, ("__background__", "object"))).state_dict())
