"""ONNX files: what one says of itself, and a session that runs it."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.errors import InvalidInput, NotFound
from models.records import Task

DESCRIPTION = "prelabel"  # the metadata entry that says what a version is
WORD_CERTAINTY = "word_certainty"  # in it: the line that makes confidences of words true
BOX_CERTAINTY = "box_certainty"  # in it: by category such a line for boxes
TUNED = (WORD_CERTAINTY, BOX_CERTAINTY)  # what is learnt of a version on items kept out of its training
_METADATA = 14  # the number of ModelProto.metadata_props
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Port:
    """An input or output: its name, its shape with None for a free axis, and the type of its numbers."""

    name: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic]

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join('?' if size is None else str(size) for size in self.shape)})"


@dataclass(frozen=True)
class Graph:
    """What a model takes and gives, and its metadata."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]

    def output(self, name: str) -> Port:
        """The output of that name.

        Raises:
            InvalidInput: naming those there are.
        """
        for port in self.outputs:
            if port.name == name:
                return port
        raise InvalidInput(f"outputs: expected one of {', '.join(map(str, self.outputs))}, got {name!r}")


def open_session(onnx: Path, threads: int = 2) -> onnxruntime.InferenceSession:
    """A session on the CPU that does not spin while it waits.

    Raises:
        NotFound: no such file.
        InvalidInput: not an ONNX model, or one that this ONNX Runtime cannot run.
    """
    if not onnx.is_file():
        raise NotFound(f"{onnx}: expected an ONNX file, got nothing of that name")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors are raised; warnings are about the graph's making
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own that share no base
        told = " ".join(str(error).split())[:300]
        raise InvalidInput(f"{onnx}: expected an ONNX model that ONNX Runtime can run, got {told}") from error


def graph_of(session: onnxruntime.InferenceSession) -> Graph:
    """What the session's model takes, gives and says of itself.

    Raises:
        InvalidInput: it takes or gives nothing.
    """
    inputs, outputs = (tuple(map(_port, ports)) for ports in (session.get_inputs(), session.get_outputs()))
    if not inputs or not outputs:
        raise InvalidInput("model: expected inputs and outputs, got a graph without them")
    return Graph(inputs, outputs, metadata=dict(session.get_modelmeta().custom_metadata_map))


def run(session: onnxruntime.InferenceSession, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Every output by name.

    Raises:
        InvalidInput: the model refuses these inputs.
    """
    names = [output.name for output in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as error:  # as above
        shapes = ", ".join(f"{name} {value.shape}" for name, value in feeds.items())
        raise InvalidInput(f"model: expected to run on {shapes}, got {' '.join(str(error).split())[:300]}") from error


def description(onnx: Path, task: Task) -> dict[str, Any]:
    """What a version's file says of itself: its task, its settings and, if it was imported, its declaration.

    Raises:
        InvalidInput: it is not a version's file, or one of another task.
    """
    try:
        about: dict[str, Any] = json.loads(metadata(onnx)[DESCRIPTION])
    except (KeyError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{onnx}: expected a model exported by prelabel, got no readable description") from error
    if not isinstance(about, dict):
        raise InvalidInput(f"{onnx}: expected a description that is an object, got {about!r:.200}")
    if about.get("task") != task:
        raise InvalidInput(f"{onnx}: expected a model for {task}, got one for {about.get('task')!r}")
    return about


def metadata(onnx: Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file, read without its weights: a ModelProto in the protobuf wire format.

    Bytes that are no ONNX file give nothing, or nonsense that nobody asks for.

    Raises:
        NotFound: no such file.
    """
    if not onnx.is_file():
        raise NotFound(f"{onnx}: expected an ONNX file, got nothing of that name")
    found: dict[str, str] = {}
    with onnx.open("rb") as file:
        try:
            while (entry := _next_metadata(file)) is not None:
                fields = dict(_fields(entry))
                found[fields.get(1, b"").decode()] = fields.get(2, b"").decode()
        except (EOFError, UnicodeDecodeError):
            return found
    return found


def _next_metadata(file: IO[bytes]) -> bytes | None:
    """The bytes of the next metadata entry; None at the end of the file."""
    while (tag := _varint(file)) is not None:
        field, kind = tag >> 3, tag & 7
        if kind == 0:
            _varint(file)
        elif kind == 2:
            size = _varint(file) or 0
            if field == _METADATA:
                return file.read(size)
            file.seek(size, 1)
        else:
            raise EOFError  # ModelProto has no fields of other kinds
    return None


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The (number, value) pairs of a message that holds nothing but strings."""
    file = io.BytesIO(message)
    while (tag := _varint(file)) is not None:
        yield tag >> 3, file.read(_varint(file) or 0)


def _varint(file: IO[bytes]) -> int | None:
    """A base-128 number, least significant group first; None at the end of the file."""
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value
    return None


def _port(told: Any) -> Port:
    if told.type not in _TYPES:
        raise InvalidInput(f"{told.name}: expected a tensor of {', '.join(_TYPES)}, got {told.type}")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in told.shape)
    return Port(told.name, shape, _TYPES[told.type])
