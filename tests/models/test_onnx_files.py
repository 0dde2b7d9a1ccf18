"""What an ONNX file says of itself, read without its weights."""

from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models.errors import InvalidInput, NotFound
from models.onnx_files import description, graph_of, metadata, open_session, run


def identity(entries: dict[str, str]) -> onnx.ModelProto:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "n"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", told[:1], told[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, entries)
    return model


@settings(max_examples=20)
@given(st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=4))
def test_metadata_is_what_onnx_reads(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("onnx") / "it.onnx"
    onnx.save(identity(entries), path)
    assert metadata(path) == entries


@settings(max_examples=20)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("onnx") / "it.onnx"
    path.write_bytes(data)
    assert isinstance(metadata(path), dict)
    with pytest.raises(InvalidInput):
        open_session(path)


def test_a_graph_is_told_by_its_ports(tmp_path: Path) -> None:
    path = tmp_path / "it.onnx"
    onnx.save(identity({"author": "Ada"}), path)
    session = open_session(path)
    told = graph_of(session)
    assert str(told.inputs[0]) == "x (1x?)"
    assert told.metadata == {"author": "Ada"}
    with pytest.raises(InvalidInput, match=r"outputs: expected one of y \(1x\?\), got 'z'"):
        told.output("z")
    with pytest.raises(InvalidInput, match="model: expected to run on"):
        run(session, {})


def test_a_graph_that_takes_nothing_is_refused(tmp_path: Path) -> None:
    one = helper.make_node("Constant", [], ["y"], value_float=1.0)
    graph = helper.make_graph([one], "it", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])])
    path = tmp_path / "it.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(InvalidInput, match="expected inputs and outputs, got a graph without them"):
        graph_of(open_session(path))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "expected a model exported by prelabel"),
        ({"prelabel": "{"}, "expected a model exported by prelabel"),
        ({"prelabel": '{"task": "asr"}'}, "expected a model for lane, got one for 'asr'"),
    ],
)
def test_files_that_are_no_version_of_the_task_are_refused(tmp_path: Path, entry: dict[str, str], message: str) -> None:
    onnx.save(identity(entry), tmp_path / "it.onnx")
    with pytest.raises(InvalidInput, match=message):
        description(tmp_path / "it.onnx", "lane")
    with pytest.raises(NotFound):
        description(tmp_path / "none.onnx", "lane")
