"""A lane network that others made, in use: its own picture and head, then the same lines and doubt as ours.

Where the model gives no embedding, the mean colours of the image on a 4 x 4 grid stand in for one.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.declaring import build
from models.lane import heads
from models.lane.declaration import Declaration, feeds, mask_of
from models.lane.runtime import LINE_LENGTH, prediction_of, worth_giving
from models.lane.tracing import trace, untraced
from models.media import Image
from models.onnx_files import description, graph_of, open_session, run
from models.picture_input import colour_grid
from models.records import Prediction

Outputs = dict[str, NDArray[Any]]


class Runtime:
    """An ONNX session that carries its declaration in its metadata."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        self.declaration = build(Declaration, description(onnx, "lane")["declaration"])
        self._session = open_session(onnx, threads)
        self._graph = graph_of(self._session)

    def feeds(self, media: Image) -> dict[str, NDArray[Any]]:
        """The picture as the model wants it."""
        return feeds(self.declaration, media, self._graph)

    def predict(self, media: Image) -> Prediction:
        """Lines, the doubt about the whole image, features for calibration and an embedding for diversity."""
        outputs = run(self._session, self.feeds(media))
        embedding = self._embedding(outputs, media)
        if self.declaration.head == "segmentation":
            heat, directions = heads.ridges(self._mask(outputs, media))
            given = worth_giving(trace(heat, directions, heads.RIDGE), heat.shape[1])
            missed = untraced(heat, given, heads.RIDGE) / LINE_LENGTH
            return prediction_of(given, missed, heat.shape, media.shape[:2], embedding)
        size = (media.shape[1], media.shape[0])
        lines = self._anchored(outputs, size)
        given = worth_giving(lines.traces, heads.COLUMNS)
        grid = (heads.grid_rows(size), heads.COLUMNS)
        return prediction_of(given, lines.missed, grid, media.shape[:2], embedding)

    def _mask(self, outputs: Outputs, media: Image) -> Floats:
        """The probability of a line at each place of the whole image."""
        declaration = self.declaration
        mask = heads.probability(mask_of(declaration, outputs), declaration.activation, declaration.lanes)
        pixels, placement = declaration.input.read(media)
        return heads.over_image(
            mask, placement, declaration.input.size_of(pixels.shape), (media.shape[1], media.shape[0])
        )

    def _anchored(self, outputs: Outputs, image: tuple[int, int]) -> heads.Lines:
        declaration = self.declaration
        of = {role: outputs[name][0] for role, name in declaration.outputs.items() if role != "embedding"}
        if declaration.head == "row-anchor":
            return heads.row_anchors(of["output"], declaration.rows, image)
        return heads.hybrid_anchors(
            (of["loc_row"], of["exist_row"]),
            (of["loc_col"], of["exist_col"]),
            declaration.rows,
            declaration.columns,
            (declaration.row_lanes, declaration.column_lanes),
            image,
        )

    def _embedding(self, outputs: Outputs, media: Image) -> tuple[float, ...]:
        name = self.declaration.outputs.get("embedding")
        return tuple(outputs[name].astype(np.float64).ravel().tolist()) if name else colour_grid(media)
