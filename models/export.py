"""From a trained network to a published version: ONNX, a parity check against torch, fp32 or int8, the model card."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from models import tasks
from models.errors import Refused
from models.evaluate import Evaluation, evaluate, read_item
from models.importing import check_sane, sample_media
from models.marks import NO_MARKS, Marks
from models.onnx_files import DESCRIPTION, metadata
from models.quantise import LEAST_ITEMS, Choice, Pairs, choose
from models.recordings import medium_sha256
from models.records import Task
from models.versions import (
    CARD,
    CHECKPOINT,
    ONNX,
    Version,
    file_sha256,
    ids_sha256,
    settle,
    unfinished,
    version_name,
    write_manifest,
)

OPSET = 20
TOLERANCE = 1e-3
PARITY_ITEMS = 4
FP32 = "fp32"  # the arithmetic of a graph that was exported and left so


@dataclass(frozen=True)
class Origin:
    """Where a version came from, as its manifest and its card will say."""

    task: Task
    parent: str | None
    created_at: datetime
    data: tuple[str, ...]
    held_out: str  # which items the metrics are measured on
    training: Mapping[str, Any]
    notes: str = ""


Calibrate: TypeAlias = Callable[[Evaluation], Mapping[str, Any] | None]
Tune: TypeAlias = Callable[[Evaluation], Mapping[str, Any]]


def publish(
    origin: Origin,
    network: nn.Module,
    settings: Any,
    trained_on: Pairs,
    held_out: Pairs,
    versions_dir: Path,
    *,
    unseen: Pairs = (),
    marks: Marks = NO_MARKS,
    tune: Tune | None = None,
    before: Mapping[str, Any] = MappingProxyType({}),
    calibrate: Calibrate | None = None,
    kept: str = "nothing of it is left there",
) -> Version:
    """Exports, checks and measures a network, and puts the finished version below ``versions_dir``.

    The folder is named after the version; it appears whole or not at all.

    Args:
        held_out: items that give the figures of the model card.
        unseen: items like those of training, but kept out of it: on them int8 is tried against fp32, and from the
            winner's doubt about them ``calibrate`` learns how true it is.
        marks: what the data sets say of held out and unseen items beside their labels.
        tune: what the version says of ``unseen`` -> what else its file says of itself, for the runtime to go by.
        before: what the version that training started from was tuned to, which holds where ``tune`` learns nothing.
        calibrate: what it then says of ``unseen`` -> its calibration.
        kept: what is not lost where the disk is full.

    Raises:
        InvalidInput: the disk is full.
        Refused: torch and ONNX disagree on a real medium.
    """
    with unfinished(versions_dir, kept) as work:
        onnx_file = work / ONNX
        _export(origin.task, network, settings, onnx_file, [*held_out, *trained_on])
        choice = choose(origin.task, onnx_file, trained_on, unseen, marks)
        tuned = _tune(origin.task, onnx_file, unseen, marks, tune, before)
        stored = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
        (work / CHECKPOINT).write_bytes(save(stored))
        runtime = tasks.load_runtime(origin.task, onnx_file)
        metrics = _metrics(origin, runtime, held_out, marks)
        calibration = _calibration(origin.task, runtime, unseen, marks, calibrate)
        ids = {medium_sha256(item.uri) for item, _ in trained_on}
        learnt = {"items": len(ids), "arithmetic": asdict(choice) if choice else FP32, **tuned}
        version = _version(origin, work, settings, ids, learnt, metrics, calibration)
        write_manifest(version, ids)
        (work / CARD).write_text(model_card(version, origin, choice), encoding="utf-8")
        return settle(work, versions_dir / version.name)


def _export(task: Task, network: nn.Module, settings: Any, path: Path, pairs: Pairs) -> None:
    """Writes the network's ONNX file, and looks whether it answers as the trained one does, on some real media."""
    export_onnx(task, network, settings, path)
    runtime = tasks.load_runtime(task, path)
    media = [read_item(task, item) for item, _ in pairs[:PARITY_ITEMS]]
    if not media:
        check_sane(task, runtime, "the exported model")
        media = [medium for _, medium in sample_media(task)]
    check_parity(task, network, runtime, path, media)


def _stored(tensor: Tensor) -> Tensor:
    """A matrix or filter in 16 bits, which further training starts from as well as from 32, if they can hold it."""
    half = tensor.half() if tensor.ndim > 1 and tensor.dtype == torch.float32 else tensor
    return (half if half.isfinite().all() else tensor).contiguous()


def _tune(
    task: Task, path: Path, unseen: Pairs, marks: Marks, tune: Tune | None, before: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``tune`` learnt from enough unseen items, and else was known ``before``; the file says it from now on."""
    learnt: Mapping[str, Any] = {}
    if tune is not None and len(unseen) >= LEAST_ITEMS:
        learnt = tune(evaluate(task, tasks.load_runtime(task, path), unseen, marks=marks))
    tuned = {name: {**before.get(name, {}), **learnt.get(name, {})} for name in {**before, **learnt}}
    if tuned:
        _describe(path, tuned)
    return tuned


def _version(
    origin: Origin,
    folder: Path,
    settings: Any,
    training_ids: set[str],
    learnt: Mapping[str, Any],
    metrics: Mapping[str, Any],
    calibration: Mapping[str, Any] | None,
) -> Version:
    """The version in ``folder``, named after its ONNX file."""
    digest = file_sha256(folder / ONNX)
    return Version(
        name=version_name(origin.task, digest),
        task=origin.task,
        folder=folder,
        parent=origin.parent,
        created_at=origin.created_at,
        onnx_sha256=digest,
        data=origin.data,
        training_ids_sha256=ids_sha256(training_ids),
        settings=asdict(settings),
        training={**origin.training, **learnt},
        metrics=metrics,
        calibration=calibration,
    )


def export_onnx(task: Task, network: nn.Module, settings: Any, path: Path) -> None:
    """Writes the network as one ONNX file that carries its task and settings."""
    recipe = tasks.recipe(task, tasks.architecture(settings))
    inputs, dynamic_shapes = recipe.example_inputs(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter talks of axes that share a name, as ours are meant to
        program = torch.onnx.export(
            network.eval(),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(recipe.INPUT_NAMES),
            output_names=list(recipe.OUTPUT_NAMES),
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # the exporter's notes on where each node came from, larger than some networks
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("metadata_props")  # sets in the order of this process: the version's name would go with it
    model.graph.ClearField("value_info")
    about = {"task": task, "settings": asdict(settings)}
    if tasks.architecture(settings):
        about["declaration"] = recipe.declared(settings)
    onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(about)})
    onnx.save(model, path)


def _describe(path: Path, more: Mapping[str, Any]) -> None:
    """Lets a file say more of itself; the version's name, which follows from the file, is not yet given."""
    model = onnx.load(path)
    about = json.loads(metadata(path)[DESCRIPTION])
    onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps({**about, **more})})
    onnx.save(model, path)


def check_parity(
    task: Task, network: nn.Module, runtime: tasks.Runtime, path: Path, media: Sequence[NDArray[Any]]
) -> float:
    """The largest difference between torch and ONNX over real media and variants of them.

    Raises:
        Refused: an output differs by more than ``TOLERANCE``, absolutely and relatively; names the output.
    """
    recipe = tasks.recipe(task, tasks.architecture(network.settings))
    session = onnxruntime.InferenceSession(path)
    largest = 0.0
    for medium in recipe.parity_media(media):
        feeds = runtime.feeds(medium)
        with torch.no_grad():
            expected = network(**{name: torch.from_numpy(value) for name, value in feeds.items()})
        actual = session.run(list(recipe.OUTPUT_NAMES), feeds)
        if hasattr(recipe, "in_order_of"):
            actual = recipe.in_order_of([value.numpy() for value in expected], actual)
        for name, ours, theirs in zip(recipe.OUTPUT_NAMES, expected, actual, strict=True):
            shapes = {key: value.shape for key, value in feeds.items()}
            largest = max(largest, _difference(name, ours.numpy(), theirs, shapes))
    return largest


def _difference(name: str, torch_value: NDArray[Any], onnx_value: NDArray[Any], shapes: object) -> float:
    if torch_value.shape != onnx_value.shape:
        raise Refused(f"export: {name} of {shapes}: torch gave shape {torch_value.shape}, ONNX {onnx_value.shape}")
    difference = np.abs(torch_value.astype(np.float64) - onnx_value.astype(np.float64))
    largest = float(difference.max(initial=0.0))
    size = np.abs(torch_value.astype(np.float64))
    if name == "boxes":  # a side near 0 is as exact as the middle and the width that it comes from
        size = size.max(axis=-1, keepdims=True)
    allowed = TOLERANCE * (1 + size)
    if not (difference <= allowed).all():
        raise Refused(f"export: {name} of {shapes}: torch and ONNX differ by {largest:.2g}, allowed {TOLERANCE:g}")
    return largest


def _metrics(origin: Origin, runtime: tasks.Runtime, held_out: Pairs, marks: Marks) -> dict[str, Any]:
    if not held_out:
        return {"held_out": "nothing"}
    measured = evaluate(origin.task, runtime, held_out, marks=marks).measured
    told = {name: value for name, value in measured.values.items() if value not in (None, {})}
    return {"held_out": origin.held_out, "quality": measured.quality, **told}


def _calibration(
    task: Task, runtime: tasks.Runtime, unseen: Pairs, marks: Marks, calibrate: Calibrate | None
) -> Mapping[str, Any] | None:
    if calibrate is None or not unseen:
        return None
    return calibrate(evaluate(task, runtime, unseen, marks=marks))


def model_card(version: Version, origin: Origin, choice: Choice | None) -> str:
    """The version's README: what it is, what it was trained on, what it reached and how to make it again."""
    figures = "\n".join(f"| {name} | {_figure(value)} |" for name, value in version.metrics.items())
    sources = "\n".join(f"- `{source}`" for source in version.data)
    told = {**version.training, "arithmetic": choice or FP32}
    training = "\n".join(f"- {name}: {value}" for name, value in told.items())
    parent = f" from {version.parent}" if version.parent else ""
    return f"""# {version.name}

A model of prelabel for the task {version.task}, made on {version.created_at:%Y-%m-%d}{parent}.

{origin.notes}

## Data

{sources}

## Training

{training}

## Figures

Measured with the exported ONNX file on {origin.held_out}, which training never saw.

| metric | value |
|---|---|
{figures}
"""


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_figure(part)}" for key, part in value.items())
    return str(value)
