"""What an imported lane network is: how it wants its picture, and what its outputs mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.arrays import Floats
from models.declaring import build, merged, require_heeded, require_outputs
from models.errors import InvalidInput
from models.lane.heads import are_probabilities, sum_to_one, usual_rows
from models.media import Image
from models.onnx_files import Graph, Port, graph_of, open_session, run
from models.picture_input import IMAGENET, NOISE, PictureInput, told_by
from models.records import STRICT

Head: TypeAlias = Literal["segmentation", "row-anchor", "hybrid-anchor"]
Activation: TypeAlias = Literal["none", "sigmoid", "softmax"]

ROLES: dict[Head, tuple[str, ...]] = {
    "segmentation": ("mask",),
    "row-anchor": ("output",),
    "hybrid-anchor": ("loc_row", "loc_col", "exist_row", "exist_col"),
}
_HABITS: dict[Head, dict[str, Any]] = {
    "segmentation": {"input": {"resize": "stretch"}},
    "row-anchor": {"input": {"resize": "stretch", **IMAGENET}},
    "hybrid-anchor": {"input": {"resize": "stretch", **IMAGENET}},
}
_HEADS_OF = {  # other heads do not heed these
    **dict.fromkeys(("activation", "lanes"), ("segmentation",)),
    "rows": ("row-anchor", "hybrid-anchor"),
    **dict.fromkeys(("columns", "row_lanes", "column_lanes"), ("hybrid-anchor",)),
}
_LANES = 4  # of UFLDv2's networks for TuSimple and CULane; that for CurveLanes has 10, and other rows
_NO_HEAD = "curves and lists of points, as of LSTR, CLRNet or LaneATT, are not read"


@dataclass(frozen=True)
class Declaration:
    """An imported lane network.

    ``outputs`` names the output of each role of the head, and "embedding" where there is one. Of a mask, ``lanes``
    are the channels that are lines, and ``activation`` makes probabilities of its values. Of anchors, ``rows`` are
    heights as shares of the image's and ``columns`` widths likewise, from the upper left; ``row_lanes`` and
    ``column_lanes`` are the lanes that a hybrid head's rows and columns are asked for.
    """

    head: Head
    input: PictureInput
    input_name: str
    outputs: Mapping[str, str]
    activation: Activation = "softmax"
    lanes: tuple[int, ...] = (1,)
    rows: tuple[float, ...] = ()
    columns: tuple[float, ...] = ()
    row_lanes: tuple[int, ...] = (1, 2)
    column_lanes: tuple[int, ...] = (0, 3)

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        require_outputs(self.outputs, ROLES[self.head], self.head)
        if self.head != "segmentation" and self.input.resize != "stretch":
            raise InvalidInput(f"input.resize: expected 'stretch' for head {self.head}, got {self.input.resize!r}")
        for name in ("rows", "columns"):
            shares = getattr(self, name)
            if any(not 0 <= share <= 1 for share in shares) or len(set(shares)) < len(shares):
                raise InvalidInput(f"{name}: expected different shares of the image, in [0, 1], got {shares}")
        for name in ("lanes", "row_lanes", "column_lanes"):
            lanes = getattr(self, name)
            if len(set(lanes)) < len(lanes):
                raise InvalidInput(f"{name}: expected different ones, got {lanes}")


def declare(onnx: Path, given: Mapping[str, Any]) -> Declaration:
    """The declaration of a lane network, from its file and from what its user says of it.

    Raises:
        InvalidInput: something is missing, or contradicts the file: what was expected, what was found.
    """
    session = open_session(onnx)
    graph = graph_of(session)
    told = merged(_told_by(graph), given)
    if str(told.get("head")) not in ROLES:
        ports = ", ".join(map(str, graph.outputs))
        got = repr(told["head"]) if "head" in told else f"none that the file tells; {_NO_HEAD}"
        raise InvalidInput(f"head: expected one of {', '.join(ROLES)} to be declared for outputs {ports}, got {got}")
    require_heeded(given, _HEADS_OF, told["head"])
    if told["head"] == "hybrid-anchor" and "crop_top" not in told["input"]:
        raise InvalidInput("input.crop_top: expected the share that this model wants cut off above (0 for none) "
                           "for head hybrid-anchor, got none")  # fmt: skip
    whole = merged(_HABITS[told["head"]], {"outputs": _outputs(graph, told["head"])}, told)
    declaration = build(Declaration, whole)
    if graph.inputs[0].name != declaration.input_name or len(graph.inputs) > 1:
        ports = ", ".join(map(str, graph.inputs))
        raise InvalidInput(f"input_name: expected one picture for {ports}, got {declaration.input_name!r}")
    declaration.input.check(graph.inputs[0])
    if declaration.head == "segmentation":
        return build(Declaration, merged(whole, _of_mask(session, declaration, whole)))
    anchors = _of_anchors(graph, declaration)
    if declaration.head == "hybrid-anchor":
        _require_usual_lanes(graph.output(declaration.outputs["loc_row"]), told)
    return build(Declaration, merged(anchors, whole))


def _told_by(graph: Graph) -> dict[str, Any]:
    """What the file itself says: the picture's layout and size, and the head where the outputs leave no doubt."""
    picture = graph.inputs[0]
    told: dict[str, Any] = {"input_name": picture.name, "input": told_by(picture.shape)}
    names = {port.name for port in graph.outputs}
    outputs = [port.shape for port in graph.outputs]
    if set(ROLES["hybrid-anchor"]) <= names:
        told["head"] = "hybrid-anchor"
    elif len(outputs) == 1 and len(outputs[0]) == 4 and outputs[0][1] in (101, 201):
        told["head"] = "row-anchor"  # UFLD's cells for TuSimple and CULane, and "no line"
    elif len(outputs) == 1 and len(outputs[0]) in (3, 4):
        told["head"] = "segmentation"
    return told


def _outputs(graph: Graph, head: Head) -> dict[str, str]:
    """The outputs of a head that go without saying."""
    names = [port.name for port in graph.outputs]
    known = {"embedding": "embedding"} if "embedding" in names else {}
    if len(ROLES[head]) == 1:
        rest = [name for name in names if name not in known]
        return {**known, **({ROLES[head][0]: rest[0]} if len(rest) == 1 else {})}
    return {**known, **{role: role for role in ROLES[head] if role in names}}


def _of_mask(
    session: onnxruntime.InferenceSession, declaration: Declaration, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Which channels of a mask are lines and what makes probabilities of them, as a look at one picture shows."""
    graph_of(session).output(declaration.outputs["mask"])
    given = feeds(declaration, NOISE, graph_of(session))
    values = mask_of(declaration, run(session, given))
    channels = len(values)
    width, height = declaration.input.size_of(given[declaration.input_name].shape)
    if not 0.5 <= values.shape[1] / values.shape[2] * width / height <= 2:
        raise InvalidInput(f"outputs.mask: expected the proportions of the picture, {width}x{height}, got a mask of "
                           f"{values.shape[2]}x{values.shape[1]}; {_NO_HEAD}")  # fmt: skip
    lanes = told.get("lanes", list(range(1, channels)) if channels > 1 else [0])
    if not lanes or not all(0 <= lane < channels for lane in lanes):
        port = graph_of(session).output(declaration.outputs["mask"])
        raise InvalidInput(f"lanes: expected channels from 0 to {channels - 1}, as {port} says, got {list(lanes)}")
    shared = sum_to_one(values)
    probable = are_probabilities(values) if shared else bool(values.min() >= 0 and values.max() <= 1)
    if told.get("activation") != "softmax" and not shared:
        _require_background(values, probable, told, graph_of(session).output(declaration.outputs["mask"]))
    usual = "none" if probable else "sigmoid" if channels == 1 else "softmax"
    return {"lanes": lanes, "activation": told.get("activation", usual)}


def _require_background(values: Floats, probable: bool, told: Mapping[str, Any], port: Port) -> None:
    """The first of several channels goes for the background, which is what most of a picture of noise is.

    Raises:
        InvalidInput: it does not look so, and something is not declared.
    """
    needed = ("lanes",) if probable else ("lanes", "activation")
    missing = [name for name in needed if name not in told]
    if len(values) > 1 and missing and np.median(values[0]) < (0.5 if probable else np.log(0.5)):
        raise InvalidInput(f"{', '.join(missing)}: expected to be declared for {port}, whose first channel does not "
                           'look like the background, got none; activation = "softmax" where the channels share one '
                           'probability, "sigmoid" where each is for itself')  # fmt: skip


def mask_of(declaration: Declaration, outputs: Mapping[str, NDArray[Any]]) -> Floats:
    """The mask (channels, height, width) of one picture. Whole numbers are classes, of which only 0 is no line.

    Raises:
        InvalidInput: the output is none.
    """
    output = outputs[declaration.outputs["mask"]]
    if np.issubdtype(output.dtype, np.integer):
        output = output > 0
    if output.ndim == 3:
        output = output[:, None]
    elif output.ndim == 4 and declaration.input.layout == "NHWC":
        output = output.transpose(0, 3, 1, 2)
    if output.ndim != 4 or output.shape[0] != 1 or min(output.shape[2:]) < 2:
        raise InvalidInput(f"outputs.mask: expected 1 x channels x height x width, got shape {output.shape}")
    return np.asarray(output[0], np.float64)


def feeds(declaration: Declaration, media: Image, graph: Graph) -> dict[str, NDArray[Any]]:
    """The network's input for one image."""
    pixels, _ = declaration.input.read(media)
    return {declaration.input_name: pixels.astype(graph.inputs[0].dtype)}


def _of_anchors(graph: Graph, declaration: Declaration) -> dict[str, Any]:
    """Where the anchors usually lie, after a look whether what is declared fits their number."""
    if declaration.head == "row-anchor":
        wanted = {"rows": ("output", declaration.rows)}
        lanes: dict[str, tuple[int, ...]] = {}
    else:
        wanted = {"rows": ("loc_row", declaration.rows), "columns": ("loc_col", declaration.columns)}
        lanes = {"loc_row": declaration.row_lanes, "loc_col": declaration.column_lanes}
    usual: dict[str, Any] = {}
    for name, (role, declared) in wanted.items():
        port = graph.output(declaration.outputs[role])
        if len(port.shape) != 4 or port.shape[2] is None:
            raise InvalidInput(f"outputs.{role}: expected 1 x cells x anchors x lanes, got {port}")
        count = port.shape[2]
        if declared and len(declared) != count:
            raise InvalidInput(f"{name}: expected {count} anchors, as {port} says, got {len(declared)}")
        if port.shape[3] is not None and not all(0 <= lane < port.shape[3] for lane in lanes.get(role, ())):
            last = port.shape[3] - 1
            raise InvalidInput(f"row_lanes, column_lanes: expected lanes from 0 to {last}, as {port} says, "
                               f"got {list(lanes[role])}")  # fmt: skip
        if not declared:
            usual[name] = _usual(declaration.head, name, count)
    return usual


def _require_usual_lanes(port: Port, told: Mapping[str, Any]) -> None:
    """Which lanes are read from rows, and where these lie, goes without saying for four lanes alone.

    Raises:
        InvalidInput: there are others, and something is not declared.
    """
    missing = [name for name in ("rows", "row_lanes", "column_lanes") if name not in told]
    if port.shape[3] not in (None, _LANES) and missing:
        raise InvalidInput(
            f"{', '.join(missing)}: expected to be declared where lanes are not {_LANES}, got none for {port}"
        )


def _usual(head: Head, name: str, count: int) -> tuple[float, ...]:
    """UFLD's rows; UFLDv2's for TuSimple (56 rows from 160 to 710 of 720) and CULane (72 rows from 0.42 down)."""
    if head == "row-anchor":
        return usual_rows(count)
    if name == "columns":
        return tuple(np.linspace(0, 1, count).tolist())
    spans = {56: (160 / 720, 710 / 720), 72: (0.42, 1.0)}
    if count not in spans:
        raise InvalidInput(f"rows: expected the heights of {count} row anchors to be declared, got none")
    return tuple(np.linspace(*spans[count], count).tolist())
