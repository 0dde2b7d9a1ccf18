"""What the starter models cost on this machine, in one run: the network four ways, a medium from end to end, training.

``python -m benchmarks.models [--task lane ...] [--data asr=nemo:FILE.jsonl ...] [--seconds 4] [--rounds 3]
[--threads N] [--no-compile] [--no-training]``: minutes; a first look takes ``--seconds 1 --rounds 1 --no-compile``.

Networks read one medium at a time; contestants take turns, a figure is the median over rounds, a ratio is to torch
eager in the same round. Without ``--data`` the pictures are rendered 640 px wide, and speech is tones and noise, in
which the beam search finds more to weigh than in words. Shares of the peak are of a large matrix product, in
bfloat16 where that is fast, measured beside them. Wall-clock figures need an idle machine; processor time (CPU) tells
something on a busy one too.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import soundfile
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import nn

from benchmarks.timing import Figures, drive
from models import datasets, media, scenes, tasks
from models.arrays import Floats
from models.export import export_onnx
from models.media import SAMPLE_RATE
from models.onnx_files import open_session
from models.precision import in_training
from models.quantise import quantise
from models.recordings import medium
from models.records import TASKS, Item, Label, Task, Transcript
from models.tasks import parse_task
from models.utilisation import peak, with_operations
from models.versions import STARTERS, Version, read_version

EAGER = "torch eager"
MEDIA = 24
SIZE = (640, 480)
LEAST_STEPS = 3
GOALS = {"asr": "real-time factor 0.02", "detection": "60 images/s", "lane": "60 images/s"}  # on two cores

Pairs: TypeAlias = Sequence[tuple[Item, Label]]
Feeds: TypeAlias = dict[str, NDArray[Any]]
Call: TypeAlias = Callable[[], object]

console = Console(width=120)


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", default=TASKS, type=parse_task)
    parser.add_argument("--data", action="append", default=[], help="TASK=FORMAT:ROOT[:SPLIT], media to measure on")
    parser.add_argument("--seconds", type=float, default=4, help="of one contestant in one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-compile", action="store_true", help="it takes minutes to warm up")
    parser.add_argument("--no-training", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = dict(spec.split("=", 1) for spec in given.data)
    console.print(f"{given.threads} threads on {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    for task in given.task:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            version = read_version(STARTERS / task)
            pairs = list(itertools.islice(datasets.read(data[task]), MEDIA)) if task in data else made(task, folder)
            graphs = graphs_of(version, pairs, folder)
            report_networks(version, pairs, graphs, given)
            report_whole(version, pairs, graphs, given)
            if not given.no_training:
                report_training(version, pairs, given.seconds)


def made(task: Task, folder: Path) -> Pairs:
    """Labelled media of our own making."""
    rng = np.random.default_rng(0)
    if task != "asr":
        scenes.write(folder, (scenes.render(rng, *SIZE) for _ in range(MEDIA)))
        return list(datasets.read(f"{'coco' if task == 'detection' else 'culane'}:{folder}:train"))
    pairs = []
    for number in range(MEDIA):
        path = folder / f"{number}.wav"
        soundfile.write(path, murmur(rng, seconds=2 + number % 8), SAMPLE_RATE)
        pairs.append((Item(path.name, str(path)), Transcript("a")))
    return pairs


def murmur(rng: np.random.Generator, seconds: float) -> Floats:
    """Harmonic tones of changing pitch between pauses and noise, about as loud as speech."""
    parts: list[Floats] = []
    while sum(map(len, parts)) < seconds * SAMPLE_RATE:
        t = np.arange(int(rng.uniform(0.05, 0.2) * SAMPLE_RATE)) / SAMPLE_RATE
        phase = 2 * np.pi * t * rng.uniform(90, 250) * (1 + rng.uniform(-1, 1) * t)
        loudness = rng.uniform(0, 0.1) * (rng.random() < 0.8)
        parts.append(loudness * np.sum([np.sin(k * phase) * rng.random() / k for k in range(1, 16)], axis=0))
    clip = np.concatenate(parts)[: int(seconds * SAMPLE_RATE)]
    return np.asarray(clip + rng.normal(0, 0.003, len(clip)))


def graphs_of(version: Version, pairs: Pairs, folder: Path) -> dict[str, Path]:
    """The version's graph in fp32 and in int8: the one it ships, the other made from it or from its checkpoint."""
    if version.task == "asr":  # speech has no int8 form
        return {"ONNX fp32": version.onnx}
    if any(node.op_type == "QuantizeLinear" for node in onnx.load(version.onnx).graph.node):
        network, fp32 = network_of(version), folder / "fp32.onnx"
        export_onnx(version.task, network, network.settings, fp32)
        return {"ONNX fp32": fp32, "ONNX int8": version.onnx}
    runtime, int8 = tasks.load_runtime(version.task, version.onnx), folder / "int8.onnx"
    quantise(version.onnx, int8, map(runtime.feeds, read_all(version.task, pairs)))
    return {"ONNX fp32": version.onnx, "ONNX int8": int8}


def network_of(version: Version) -> nn.Module:
    """The version's network as training left it."""
    module = tasks.network(version.task)
    network: nn.Module = module.Network(module.Settings(**version.settings))
    network.load_state_dict(load_file(version.checkpoint))
    return network.eval()


def report_networks(version: Version, pairs: Pairs, graphs: Mapping[str, Path], given: argparse.Namespace) -> None:
    """The network alone, from its inputs to its outputs."""
    runtime = tasks.load_runtime(version.task, version.onnx)
    feeds = [runtime.feeds(medium) for medium in read_all(version.task, pairs)]
    network = network_of(version)
    contestants: dict[str, Callable[[Feeds], object]] = {EAGER: torch_call(network)}
    if not given.no_compile:
        compiled = torch_call(torch.compile(network, dynamic=version.task == "asr"))
        try:
            compiled(feeds[0])
            contestants["torch.compile"] = compiled
        except RuntimeError as error:  # what TorchDynamo and Inductor raise where they cannot
            console.print(f"{version.task}: torch.compile does not work here: {str(error).splitlines()[0]}")
    for name, path in graphs.items():
        session = open_session(path, given.threads)
        contestants[name] = lambda fed, session=session: session.run(None, fed)  # type: ignore[misc]
    figures = take_turns(contestants, feeds, 1, given)
    table = figure_table(f"{version.name}: the network alone, batch of 1", "p50 / torch eager")
    for name, rounds in figures.items():
        ratios = (a.percentile(0.5) / b.percentile(0.5) for a, b in zip(rounds, figures[EAGER], strict=True))
        table.add_row(*row(name, rounds), f"{statistics.median(ratios):.2f}")
    console.print(table)


def torch_call(network: Callable[..., object]) -> Callable[[Feeds], object]:
    """The network asked as ONNX Runtime is asked: with arrays."""

    def call(feeds: Feeds) -> object:
        with torch.inference_mode():
            return network(**{name: torch.from_numpy(value) for name, value in feeds.items()})

    return call


def report_whole(version: Version, pairs: Pairs, graphs: Mapping[str, Path], given: argparse.Namespace) -> None:
    """The whole runtime from a decoded medium, and from the file's bytes, to the label; as many callers as threads."""
    task, files = version.task, [medium(item.uri) for item, _ in pairs]
    decoded = read_all(task, pairs)
    mean_s = statistics.fmean(len(medium) for medium in decoded) / SAMPLE_RATE if task == "asr" else None
    title = f"{version.name}: medium to label, {given.threads} callers; goal {GOALS[task]}"
    table = figure_table(title, *(["real-time factor"] if mean_s else []))
    for name, path in graphs.items():
        runtime = tasks.load_runtime(task, path, given.threads)
        rounds = take_turns({"decoded": runtime.predict}, decoded, given.threads, given)["decoded"]
        whole = take_turns(
            {"file": lambda data, runtime=runtime: runtime.predict(media.read(task, data, "file"))},  # type: ignore[misc]
            files, given.threads, given,
        )["file"]  # fmt: skip
        for told, figures in ((name, rounds), (f"{name}, decoding included", whole)):
            rate = statistics.median(each.rate for each in figures)
            table.add_row(*row(told, figures), *([f"{1 / (rate * mean_s):.4f}"] if mean_s else []))
    console.print(table)


def take_turns(
    contestants: Mapping[str, Callable[[Any], object]], things: Sequence[Any], callers: int, given: argparse.Namespace
) -> dict[str, list[Figures]]:
    """One entry a round for each contestant; the first time of each is a warm-up that does not count."""
    figures: dict[str, list[Figures]] = {name: [] for name in contestants}
    for number in range(1 + given.rounds):
        for name, call in contestants.items():
            seconds = given.seconds if number else given.seconds / 4
            measured = drive(lambda call=call: call, itertools.cycle(things), callers, seconds)  # type: ignore[misc]
            figures[name] += [measured] if number else []
    return figures


def figure_table(title: str, *more: str) -> Table:
    """The columns of ``row``, and more."""
    table = Table(title=title, title_justify="left")
    for column in ("", "p50 ms", "p95 ms", "CPU ms", "a second", *more):
        table.add_column(column, justify="right")
    return table


def row(name: str, rounds: Sequence[Figures]) -> tuple[str, ...]:
    """Medians over the rounds."""
    milliseconds = [[r.percentile(0.5) for r in rounds], [r.percentile(0.95) for r in rounds]]
    milliseconds.append([1000 * r.processor_s for r in rounds])
    rate = statistics.median(r.rate for r in rounds)
    return name, *(f"{statistics.median(values):.1f}" for values in milliseconds), f"{rate:.1f}"


def report_training(version: Version, pairs: Pairs, seconds: float) -> None:
    """Steps of the usual batch, made beforehand; samples a second, and the share of what this device can do."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe, module = tasks.recipe(version.task), tasks.network(version.task)
    network = network_of(version).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6)
    examples = [recipe.prepare(*pair) for pair in itertools.islice(itertools.cycle(pairs), recipe.BATCH_SIZE)]
    settings = network.settings
    batch = recipe.collate(examples, settings, np.random.default_rng(0)).to(device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with in_training(device):
            value = module.loss(network, batch)
        torch.autograd.backward(value)
        optimizer.step()

    _, operations = with_operations(step)
    spent, most = timed(step, device, seconds), peak(device)
    reached = operations / spent
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    console.print(
        f"{version.task} training on {name}: {len(examples) / spent:.1f} samples/s in batches of {len(examples)}, "
        f"{reached / 1e12:.3f} TFLOP/s, {100 * reached / most:.0f} % of the {most / 1e12:.2f} of a matrix product"
    )


def timed(call: Call, device: torch.device, seconds: float) -> float:
    """The median duration of a call in seconds; the first one does not count."""
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while len(durations) <= LEAST_STEPS or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        durations.append(time.perf_counter() - begun)
    return statistics.median(durations[1:])


def read_all(task: Task, pairs: Pairs) -> list[NDArray[Any]]:
    """The decoded media."""
    return [media.read(task, medium(item.uri), item.uri) for item, _ in pairs]


if __name__ == "__main__":
    main()
