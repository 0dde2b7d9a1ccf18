"""Eight bits: the narrow graph says nearly the same and still says what it is, and takes over only where it wins."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models import quantise
from models.onnx_files import description
from models.quantise import LEAST_ITEMS, Choice, Trial, choose
from tests.roads import road_pairs

ABOUT = {"task": "lane", "settings": {"width": 64, "height": 32, "ridge": 0.75}}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A lane model of two convolutions with random weights and a residual sum."""
    rng = np.random.default_rng(0)
    weights = {
        "wide": rng.normal(0, 0.2, (8, 3, 4, 4)),
        "inner": rng.normal(0, 0.2, (8, 8, 3, 3)),
        "last": rng.normal(0, 0.5, (3, 8, 1, 1)),
    }
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    constants += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in
                  {"axes": [2, 3], "parts": [1, 2], "one": [1]}.items()]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["images", "wide"], ["first"], "first_conv", strides=[4, 4]),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "inner"], ["second"], "inner_conv", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["positive", "second"], ["sum"]),
        helper.make_node("Conv", ["sum", "last"], ["maps"], "last_conv"),
        helper.make_node("Split", ["maps", "parts"], ["logits", "directions"], axis=1),
        helper.make_node("Squeeze", ["logits", "one"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["heat"]),
        helper.make_node("ReduceMean", ["sum", "axes"], ["embedding"], keepdims=0),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 64])
    told = [
        helper.make_tensor_value_info("heat", TensorProto.FLOAT, ["batch", 8, 16]),
        helper.make_tensor_value_info("directions", TensorProto.FLOAT, ["batch", 2, 8, 16]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 8]),
    ]
    graph = helper.make_graph(nodes, "lanes", [images], told, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"prelabel": json.dumps(ABOUT)})
    path = tmp_path / "exported" / "model.onnx"
    path.parent.mkdir()
    onnx.save(model, path)
    return path


def pictures(count: int) -> list[dict[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(1)
    return [{"images": rng.random((1, 3, 32, 64), np.float32)} for _ in range(count)]


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_the_narrow_graph_says_nearly_the_same(exported: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.onnx"
    quantise.quantise(exported, narrow, pictures(8))
    wide, thin = onnxruntime.InferenceSession(exported), onnxruntime.InferenceSession(narrow)
    for feeds in pictures(12)[8:]:
        for expected, got in zip(wide.run(None, feeds), thin.run(None, feeds), strict=True):
            reach = float(np.ptp(expected))
            assert 0 < np.abs(got - expected).mean() < 0.02 * reach


def test_inner_convolutions_alone_become_narrow(exported: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.onnx"
    quantise.quantise(exported, narrow, pictures(4))
    model = onnx.load(narrow)
    made = {output: node.op_type for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3
    sources = {node.name: [made.get(name) for name in node.input[:2]] for node in convolutions}
    assert sources["inner_conv"] == ["DequantizeLinear", "DequantizeLinear"]
    assert sources["first_conv"] == [None, None]  # the picture and the weights, as they were
    assert sources["last_conv"] == ["Add", None]
    assert (made["heat"], made["embedding"]) == ("Sigmoid", "ReduceMean")  # what is said comes out at full width


def test_every_way_in_and_out_has_its_outermost_convolutions() -> None:
    """Two heads, one of them deep, and a second picture that joins late."""
    ways = ["image>a", "a>relu", "relu>b", "relu>c", "c>d", "other>e", "d+e>f"]
    nodes = []
    for way in ways:
        (sources, target) = way.split(">")
        kind = "Relu" if target == "relu" else "Conv"
        nodes.append(helper.make_node(kind, sources.split("+"), [target], f"to {target}"))
    graph = helper.make_graph(nodes, "ways", [], [])
    assert quantise.outermost(graph) == ["to a", "to e", "to f", "to b"]


def test_weights_leave_a_bit_for_processors_that_add_in_pairs(exported: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.onnx"
    quantise.quantise(exported, narrow, pictures(4))
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(narrow).graph.initializer]
    weights = [value for value in tensors if value.dtype == np.int8 and value.ndim == 4]
    assert len(weights) == 1
    assert max(int(np.abs(value.astype(int)).max()) for value in weights) == 64


def test_what_the_graph_says_of_itself_goes_along(exported: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.onnx"
    quantise.quantise(exported, narrow, pictures(4))
    assert description(narrow, "lane") == ABOUT
    assert [entry.key for entry in onnx.load(narrow).metadata_props] == ["prelabel"]


@pytest.mark.parametrize(
    ("quality", "ms", "graph"),
    [
        (0.80, 40.0, "int8"),
        (0.81, 40.0, "int8"),
        (0.7951, 40.0, "int8"),
        (0.795, 40.0, "fp32"),  # half a point is too much
        (0.70, 10.0, "fp32"),
        (0.80, 80.0, "fp32"),  # not clearly faster
        (0.80, 79.9, "int8"),
    ],
)
def test_the_narrow_graph_must_be_as_good_and_clearly_faster(quality: float, ms: float, graph: str) -> None:
    choice = Choice.between(Trial(0.80, 100.0), Trial(quality, ms), 30)
    assert choice.graph == graph
    assert str(choice).startswith(f"{graph}; on 30 items")


@pytest.mark.parametrize("int8", [Trial(0.9, 1.0), Trial(0.1, 1.0)])
def test_the_winner_lies_where_the_exported_graph_lay(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, int8: Trial
) -> None:
    before = exported.read_bytes()
    trials = iter([Trial(0.9, 2.0), int8])
    monkeypatch.setattr(quantise, "_tried", lambda *_: next(trials))
    pairs = road_pairs(tmp_path / "media", LEAST_ITEMS)
    choice = choose("lane", exported, pairs[:3], pairs)
    assert choice is not None
    assert ("QuantizeLinear" in operators(exported)) == (choice.graph == "int8") == (int8.quality == 0.9)
    assert (exported.read_bytes() == before) == (choice.graph == "fp32")
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]


def test_both_graphs_are_tried_on_the_items_kept_out(exported: Path, tmp_path: Path) -> None:
    pairs = road_pairs(tmp_path / "media", LEAST_ITEMS)
    choice = choose("lane", exported, pairs[:3], pairs)
    assert choice is not None
    assert choice.items == LEAST_ITEMS
    assert choice.fp32.ms > 0
    assert choice.int8.ms > 0


def test_nothing_is_tried_where_too_few_items_would_tell(exported: Path, tmp_path: Path) -> None:
    before, pairs = exported.read_bytes(), road_pairs(tmp_path / "media", LEAST_ITEMS)
    assert choose("lane", exported, pairs, pairs[1:]) is None
    assert choose("asr", exported, pairs, pairs) is None
    assert exported.read_bytes() == before
