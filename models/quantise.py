"""Convolutions in eight bits, where they cost next to no quality and save much time: decided by trying both graphs.

Only convolutions become narrow, nearly all of the work, and of them neither the first, which read the picture, nor the
last, which say the answer. Of the detector's AP50 that costs 0.2 points; narrowing those too 0.6, narrowing all that
lies between convolutions 3.6, and neither is faster by more than a tenth. Weights take 7 of the 8 bits, so that
processors which add products in pairs of 16 bits (x86 without VNNI) cannot overflow, and every machine gives the same
answers. Speech stays as it is: 8-bit matrix products saved 4 % of a transcript's time, most of which is beam search.
"""

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from models import tasks
from models.evaluate import quality, read_item
from models.marks import NO_MARKS, Marks
from models.records import Item, Label, Task

MOST_LOST = 0.005  # of the task's quality
MOST_TIME = 0.8  # of what fp32 takes
RANGE_ITEMS = 64  # media of training that show how far the values of each layer reach
LEAST_ITEMS = 20  # kept out of training: on fewer, a difference of MOST_LOST says nothing
TIMED_ITEMS = 32

Pairs: TypeAlias = Sequence[tuple[Item, Label]]
Feeds: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Trial:
    """What a graph reached: its quality in [0, 1], and milliseconds of one core an item, from the file to the label."""

    quality: float
    ms: float


@dataclass(frozen=True)
class Choice:
    """Which graph was chosen, and how both did on ``items`` media kept out of training."""

    graph: Literal["fp32", "int8"]
    items: int
    fp32: Trial
    int8: Trial

    @staticmethod
    def between(fp32: Trial, int8: Trial, items: int) -> "Choice":
        """Int8 where it is as good and clearly faster."""
        pays = int8.quality > fp32.quality - MOST_LOST and int8.ms < MOST_TIME * fp32.ms
        return Choice("int8" if pays else "fp32", items, fp32, int8)

    def __str__(self) -> str:
        return (
            f"{self.graph}; on {self.items} items kept out of training int8 reached a quality of "
            f"{self.int8.quality:.4f} and took {self.int8.ms:.1f} ms of one core an item, "
            f"fp32 {self.fp32.quality:.4f} and {self.fp32.ms:.1f} ms"
        )


def choose(task: Task, path: Path, trained_on: Pairs, unseen: Pairs, marks: Marks = NO_MARKS) -> Choice | None:
    """Tries an exported graph against its int8 form, and puts that in its place if it wins.

    Returns:
        None where there is nothing to choose: speech, nothing trained on, or too few ``unseen`` items to tell.
    """
    if task == "asr" or not trained_on or len(unseen) < LEAST_ITEMS:
        return None
    runtime = tasks.load_runtime(task, path)
    shown = trained_on[:: -(-len(trained_on) // RANGE_ITEMS)]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        narrow = Path(folder) / path.name
        quantise(path, narrow, (runtime.feeds(read_item(task, item)) for item, _ in shown))
        fp32, int8 = (_tried(task, one, unseen, marks) for one in (path, narrow))
        choice = Choice.between(fp32, int8, len(unseen))
        if choice.graph == "int8":
            narrow.replace(path)
    return choice


def quantise(path: Path, narrow: Path, shown: Iterable[Feeds]) -> None:
    """Writes the graph with 8-bit convolutions between its first and its last: a scale for each channel of weights.

    Args:
        path: an exported graph; what it says of itself goes along.
        narrow: where the new one goes.
        shown: inputs whose values set the range of each layer.
    """
    with tempfile.TemporaryDirectory(dir=narrow.parent) as folder:
        folded = Path(folder) / path.name  # BatchNorm folded into the convolutions, shapes known
        quant_pre_process(path, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            narrow,
            _Shown(shown),
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=outermost(onnx.load(folded).graph),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    model = onnx.load(narrow)
    del model.metadata_props[:]  # the quantiser's own marks
    model.metadata_props.extend(onnx.load(path, load_external_data=False).metadata_props)
    onnx.save(model, narrow)


def outermost(graph: onnx.GraphProto) -> list[str]:
    """The names of the convolutions that no other one precedes, and of those that none follows."""
    onwards = [(node, node.input, node.output) for node in graph.node]
    back = [(node, node.output, node.input) for node in reversed(graph.node)]
    return [*_first(onwards), *_first(back)]


def _first(steps: Iterable[tuple[onnx.NodeProto, Iterable[str], Iterable[str]]]) -> Iterator[str]:
    """Convolutions that no other lies before, in steps (node, where one enters it, where one leaves it)."""
    behind: set[str] = set()  # values beyond some convolution
    for node, enters, leaves in steps:
        beyond = not behind.isdisjoint(enters)
        if node.op_type == "Conv" and not beyond:
            yield node.name
        if node.op_type == "Conv" or beyond:
            behind.update(leaves)


class _Shown(CalibrationDataReader):  # type: ignore[misc]
    """Inputs as the quantiser asks for them."""

    def __init__(self, shown: Iterable[Feeds]) -> None:
        self._left = iter(shown)

    def get_next(self) -> Feeds | None:
        return next(self._left, None)


def _tried(task: Task, path: Path, unseen: Pairs, marks: Marks) -> Trial:
    return Trial(quality(task, path, unseen, marks), _ms(task, path, unseen[:: -(-len(unseen) // TIMED_ITEMS)]))


def _ms(task: Task, path: Path, pairs: Pairs) -> float:
    """The median time of an item on one core. Processor time, because other work must not sway the choice."""
    runtime, spent = tasks.load_runtime(task, path, threads=1), []
    for item, _ in pairs:
        begun = time.process_time()
        runtime.predict(read_item(task, item))
        spent.append(time.process_time() - begun)
    return 1000 * statistics.median(spent)
