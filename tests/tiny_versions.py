"""Versions whose answer is built in: real ONNX files of a few kilobytes, made in milliseconds and without torch.

The detector finds one car, the lane model one upright line, the recogniser hears one word; ``size`` or ``word`` tells
two versions of a task apart by what they say.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.asr.frames import CONTEXT, FRAME
from models.records import Task
from models.versions import ONNX, Version, file_sha256, ids_sha256, version_name, write_manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPSET = 20


def make_version(
    folder: Path, task: Task, *, size: float = 32, word: str = "yes", broken: bool = False, parent: str | None = None
) -> Version:
    """A version below ``folder``, in a folder of its own name; a broken one has a good hash and no model in it."""
    model, settings = {"detection": _detector, "lane": _lane_model, "asr": _recogniser}[task](size, word)
    helper.set_model_props(model, {"prelabel": json.dumps({"task": task, "settings": settings})})
    data = b"no model " + str(size).encode() if broken else model.SerializeToString()
    work = folder / "unfinished"
    work.mkdir(parents=True)
    (work / ONNX).write_bytes(data)
    digest = file_sha256(work / ONNX)
    name = version_name(task, digest)
    version = Version(
        name=name,
        task=task,
        folder=work,
        parent=parent,
        created_at=NOW,
        onnx_sha256=digest,
        data=("made by hand",),
        training_ids_sha256=ids_sha256([]),
        settings=settings,
        training={},
        metrics={"quality": 0.5},
    )
    write_manifest(version, [])
    work.rename(folder / name)
    return Version(**{**vars(version), "folder": folder / name})


def _detector(size: float, _word: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """One car of ``size`` pixels at (8, 8), and the mean of the picture as embedding."""
    constants = {
        "probabilities": np.array([[[0.9], [0.01]]]),
        "boxes": np.array([[[8, 8, 8 + size, 8 + size], [0, 0, 4, 4]]]),
        "side_std": np.ones((1, 2, 4)),
    }
    outputs = {"probabilities": (1, 2, 1), "boxes": (1, 2, 4), "side_std": (1, 2, 4), "embedding": (1, 1)}
    return _of_pictures(constants, outputs), {"categories": ["car"], "long_side": 96}


def _lane_model(size: float, _word: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """One upright line, ``size`` cells from the left of 32 x 64."""
    columns = np.arange(64) - size
    heat = np.repeat(0.95 * np.exp(-0.5 * (columns / 0.75) ** 2)[None], 32, axis=0)[None]
    upright = np.stack([-np.ones((32, 64)), np.zeros((32, 64))])[None]  # the cosine and sine of twice 90 degrees
    constants = {"heat": heat, "directions": upright}
    outputs = {"heat": (1, 32, 64), "directions": (1, 2, 32, 64), "embedding": (1, 1)}
    return _of_pictures(constants, outputs), {"width": 256, "height": 128, "ridge": 0.75}


def _of_pictures(constants: dict[str, NDArray[Any]], outputs: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    pictures = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value.astype(np.float32)))
        for name, value in constants.items()
    ]
    nodes.append(helper.make_node("ReduceMean", ["images", "axes"], ["embedding"], keepdims=0, noop_with_empty_axes=0))
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    outputs = {**outputs, "embedding": (1, 3)}
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    return _model(helper.make_graph(nodes, "pictures", [pictures], told, [axes]))


def _recogniser(_size: float, word: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Says the letters of ``word`` in its first frames, whatever it hears, and is silent after them."""
    alphabet = [" ", *sorted(set(word))]
    spoken = np.full((1, CONTEXT + len(word) * 2 + 1, 1 + len(alphabet)), -9.0)
    spoken[:, :, 0] = -0.001
    for place, letter in enumerate(word):
        spoken[0, CONTEXT + 2 * place, 0] = -9.0
        spoken[0, CONTEXT + 2 * place, 1 + alphabet.index(letter)] = -0.05
    silence = np.where(np.arange(1 + len(alphabet)) == 0, -0.001, -9.0)[None, None]
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])
    lengths = helper.make_tensor_value_info("lengths", TensorProto.INT64, [1])
    floats = {"spoken": spoken, "silence": silence}
    whole = {"frame": np.array([FRAME]), "around": np.array([2 * CONTEXT + 1]), "one": np.array([1])}
    whole |= {"classes": np.array([1 + len(alphabet)]), "start": np.array([0]), "axis": np.array([1])}
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in floats.items()]
    constants += [numpy_helper.from_array(value.astype(np.int64), name) for name, value in whole.items()]
    nodes = [
        helper.make_node("Div", ["lengths", "frame"], ["inner"]),
        helper.make_node("Add", ["inner", "around"], ["frames"]),
        helper.make_node("Concat", ["one", "frames", "classes"], ["shape"], axis=0),
        helper.make_node("Expand", ["silence", "shape"], ["quiet"]),
        helper.make_node("Concat", ["spoken", "quiet"], ["both"], axis=1),
        helper.make_node("Slice", ["both", "start", "frames", "axis"], ["log_probs"]),
        helper.make_node("Abs", ["waveform"], ["loudness"]),
        helper.make_node("ReduceMean", ["loudness", "axis"], ["embedding"], keepdims=1),
    ]
    told = [
        helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, [1, "n", 1 + len(alphabet)]),
        helper.make_tensor_value_info("frames", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 1]),
    ]
    return _model(helper.make_graph(nodes, "speech", [waveform, lengths], told, constants)), {"alphabet": alphabet}


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
