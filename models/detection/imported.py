"""A detector that others made, in use: its own picture and head, then the same suppression and doubt as ours.

Where the model gives no embedding, the most probable candidate of each category and the image's mean colours on a
4 x 4 grid stand in for one.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.certainty import Certainty
from models.declaring import build
from models.detection import heads, runtime
from models.detection.declaration import Declaration
from models.detection.heads import Candidates
from models.detection.runtime import OPERATING_POINT as TRUE_POINT
from models.detection.runtime import certainties
from models.media import Image
from models.onnx_files import description, graph_of, open_session, run
from models.picture_input import Placement, colour_grid

OPERATING_POINT = 0.3  # while nothing makes confidences true; others hand out from 0.25 (Ultralytics), 0.35 (NanoDet)

Outputs = dict[str, NDArray[Any]]


class Runtime(runtime.Runtime):
    """An ONNX session that carries its declaration in its metadata."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        about = description(onnx, "detection")
        self.declaration = build(Declaration, about["declaration"])
        self.categories = self.declaration.categories
        self.certainties = certainties(about, self.categories)
        self.least = np.array([OPERATING_POINT if line == Certainty() else TRUE_POINT for line in self.certainties])
        self.most_overlap = self.declaration.most_overlap
        self._session = open_session(onnx, threads)
        self._dtypes = {port.name: port.dtype for port in graph_of(self._session).inputs}

    def feeds(self, media: Image) -> dict[str, NDArray[Any]]:
        """The picture as the model wants it, and its size where the model asks for it."""
        return self._placed(media)[0]

    def _asked(self, media: Image) -> tuple[Candidates, Floats]:
        feeds, placement = self._placed(media)
        outputs = run(self._session, feeds)
        found = read(self.declaration, outputs, self._size(feeds))
        side_std = found.side_std / np.tile(placement.scale, 2)
        candidates = Candidates(found.probabilities, placement.back(found.boxes), side_std)
        return candidates, self._embedding(outputs, candidates, media)

    def _placed(self, media: Image) -> tuple[dict[str, NDArray[Any]], Placement]:
        declaration = self.declaration
        pixels, placement = declaration.input.read(media)
        feeds: dict[str, NDArray[Any]] = {declaration.input_name: pixels.astype(self._dtypes[declaration.input_name])}
        if declaration.size_input:
            size = np.array([self._size(feeds)])
            feeds[declaration.size_input] = size.astype(self._dtypes[declaration.size_input])
        return feeds, placement

    def _size(self, feeds: dict[str, NDArray[Any]]) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.declaration.input.size_of(feeds[self.declaration.input_name].shape)

    def _embedding(self, outputs: Outputs, candidates: Candidates, media: Image) -> Floats:
        name = self.declaration.outputs.get("embedding")
        if name:
            return np.asarray(outputs[name].ravel(), np.float64)
        return np.append(candidates.probabilities.max(axis=0, initial=0.0), colour_grid(media))


def read(declaration: Declaration, outputs: Outputs, size: tuple[int, int]) -> Candidates:
    """What the outputs say of a picture of ``size`` (width, height), for the categories that have names.

    Raises:
        InvalidInput: they are not what the declared head gives.
    """
    of = {role: outputs[name] for role, name in declaration.outputs.items()}
    count = len(declaration.classes)
    match declaration.head:
        case "boxes":
            found = heads.plain(of["probabilities"], of["boxes"], of.get("side_std"), count)
        case "yolo":
            found = heads.yolo(of["output"], count)
        case "yolo-end2end":
            found = heads.yolo_end2end(of["output"], count)
        case "rtdetr":
            found = heads.rtdetr(of["output"], count, size)
        case "yolox":
            found = heads.yolox(of["output"], count, size, declaration.decoded)
        case "nanodet":
            found = heads.nanodet(of["output"], count, size, declaration.strides)
        case "detr":
            found = heads.detr(of["logits"], of["boxes"], count, size, declaration.activation == "softmax")
        case "labelled":
            found = heads.labelled(of["labels"], of["boxes"], of["scores"], count)
        case "mmdet":
            found = heads.mmdet(of["labels"], of["dets"], count)
    probabilities = found.probabilities[:, list(declaration.named)].clip(0, 1)
    return Candidates(probabilities, found.boxes, found.side_std)
