"""Lane networks as other projects export them: true names and shapes, on networks that can be followed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 160, 96


def segmenter(path: Path, channels: int = 2, activation: str = "softmax") -> Path:
    """A mask of whatever is white, the last of its channels: (1, channels, height, width), logits or probabilities.

    Activation "argmax": whole numbers (1, height, width), the most probable class of each pixel; "shares": a softmax
    within; "apart" and "raw": every channel for itself and none a background, probabilities or logits.
    """
    white = np.zeros((channels, 3, 1, 1), np.float32)
    white[-1] = 10.0
    bias = np.zeros(channels, np.float32)
    bias[0] = 5.0  # the background
    bias[-1] = -15.0
    if activation in ("apart", "raw"):
        white[0], bias[:] = -10.0, -15.0
    constants = {"white": white, "bias": bias}
    nodes = [helper.make_node("Conv", ["images", "white", "bias"], ["logits"])]
    if activation == "shares":
        nodes.append(helper.make_node("Softmax", ["logits"], ["mask"], axis=1))
    elif activation in ("none", "apart"):
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["mask"]))
    elif activation == "argmax":
        nodes.append(helper.make_node("ArgMax", ["logits"], ["mask"], axis=1, keepdims=0))
        return save(path, nodes, {"mask": (1, HEIGHT, WIDTH)}, constants, kind=TensorProto.INT64)
    else:
        nodes.append(helper.make_node("Identity", ["logits"], ["mask"]))
    return save(path, nodes, {"mask": (1, channels, HEIGHT, WIDTH)}, constants)


def ufld(path: Path, lanes: Sequence[Sequence[int | None]]) -> Path:
    """Ultra Fast Lane Detection: the cell of each lane in each row, None for no line; (1, cells + 1, rows, lanes)."""
    cells = 100
    logits = np.full((1, cells + 1, len(lanes[0]), len(lanes)), -10.0, np.float32)
    for lane, places in enumerate(lanes):
        for row, cell in enumerate(places):
            logits[0, cells if cell is None else cell, row, lane] = 10.0
    return constant(path, {"output": logits}, (800, 288))


def ufld_v2(path: Path, outputs: Mapping[str, NDArray[Any]], size: tuple[int, int]) -> Path:
    """Ultra Fast Lane Detection v2: ``loc_row``, ``loc_col``, ``exist_row``, ``exist_col``."""
    return constant(path, outputs, size)


def constant(path: Path, outputs: Mapping[str, NDArray[Any]], size: tuple[int, int]) -> Path:
    """A network that says the same of every picture of that (width, height)."""
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node("Mul", ["mean", "nothing"], ["zero"]))
    constants: dict[str, Any] = {"nothing": np.float32(0)}
    for name, value in outputs.items():
        constants[f"{name}_said"] = value.astype(np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_said", "zero"], [name]))
    return save(path, nodes, {name: value.shape for name, value in outputs.items()}, constants, size)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, Any],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    kind: int = TensorProto.FLOAT,
) -> Path:
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size[1], size[0]])
    told = [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()]
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "lanes", [picture], told, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
