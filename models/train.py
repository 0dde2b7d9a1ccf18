"""The one training loop: any task, resumable to the bit, stopped by a loss that is not finite.

All randomness follows from (seed, epoch, batch), so a run that was killed goes on from its last checkpoint to the same
weights as a run that was not. The weights that leave are an exponential moving average (EMA) of the trained ones.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TextColumn
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from models import tasks
from models.ahead import made_ahead, processes_beside
from models.errors import InvalidInput, LossNotFinite
from models.holding import alone_in
from models.optimizers import optimizers, step
from models.precision import in_training
from models.pretrained import Pretrained
from models.progress import progress_bar
from models.records import Item, Label, Task, to_json
from models.running import Run
from models.stopping import Stop
from models.utilisation import peak, with_operations
from models.versions import Version

CHECKPOINT_EVERY_S = 60.0
MEMORY_BYTES = 8 << 30
EMA_DECAY = 0.999
CLIP_NORM = 5.0
WARM_UP_SHARE = 0.05


@dataclass(frozen=True)
class Plan:
    """What a run is. The same plan on the same items and labels is the same run, and goes on where it stopped.

    ``keep`` is the share of the weights it started from that the result keeps. A mean of both bears other material
    better than what was trained last, and often that very material too (Wortsman et al. 2022, arXiv 2109.01903).
    ``strong`` changes the examples more than usual, where a recipe knows how, for media unlike them.
    """

    task: Task
    data: tuple[str, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    parent: str | None = None
    keep: float = 0.0
    strong: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.keep < 1:
            raise InvalidInput(f"training plan: expected to keep a share in [0, 1) of the start, got {self.keep:g}")
        if self.keep and not self.parent:
            raise InvalidInput(
                f"training plan: expected a version to start from, to keep {self.keep:g} of it, got none"
            )
        if self.epochs < 1 or self.batch_size < 1 or not 0 < self.learning_rate < math.inf:
            got = f"{self.epochs}, {self.batch_size} and {self.learning_rate:g}"
            raise InvalidInput(
                f"training plan: expected epochs, batch size and learning rate > 0 and finite, got {got}"
            )

    def run_name(self, pairs: Sequence[tuple[Item, Label]]) -> str:
        """A name that only this plan on these items with these labels has."""
        learnt = sorted(json.dumps([item.id, item.uri, to_json(label)]) for item, label in pairs)
        text = json.dumps([asdict(self), learnt])
        return f"{self.task}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Examples:
    """The training items, decoded once and kept as far as the memory allowed goes; else whenever they are needed."""

    def __init__(self, recipe: ModuleType, pairs: Sequence[tuple[Item, Label]], memory: int = MEMORY_BYTES) -> None:
        self._recipe = recipe
        self._pairs = pairs
        self._kept: dict[int, Any] = {}
        self._room = memory

    def __len__(self) -> int:
        return len(self._pairs)

    def id(self, index: int) -> str:
        """Which item it is, without decoding it."""
        return self._pairs[index][0].id

    def __getitem__(self, index: int) -> Any:
        return self._kept[index] if index in self._kept else self.decoded(index)

    def decoded(self, index: int) -> Any:
        """The item as its file has it."""
        return self._recipe.prepare(*self._pairs[index])

    def keep(self, index: int, example: Any) -> None:
        """Keeps what was decoded, if there is room for it."""
        if example.nbytes <= self._room:
            self._kept[index] = example
            self._room -= example.nbytes


def train(
    plan: Plan,
    pairs: Sequence[tuple[Item, Label]],
    folder: Path,
    *,
    start: Version | Pretrained | None = None,
    console: Console | None = None,
    device: torch.device | None = None,
) -> tuple[nn.Module, Any]:
    """Trains to the end of the plan, from ``folder``'s checkpoint if there is one.

    Returns:
        The averaged network in evaluation mode on the CPU, and its settings.

    Raises:
        InvalidInput: nothing to train on, a strong augmentation that the recipe does not know, a GPU too small, a
            folder that takes no checkpoint, or the same run going on elsewhere.
        LossNotFinite: naming the items of the batch; the last good checkpoint stays.
    """
    if not pairs:
        raise InvalidInput(f"training {plan.task}: expected at least 1 labelled item, got none")
    console = console or Console(stderr=True)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    other = tasks.architecture(start.settings) if start else None
    recipe, module = tasks.recipe(plan.task, other), tasks.network(plan.task, other)
    if plan.strong and not hasattr(recipe, "STRONG"):
        raise InvalidInput(f"training {plan.task}: expected the usual augmentation, got strong; its recipe knows none")
    previous = module.Settings(**start.settings) if start else None
    settings = recipe.settings_for([label for _, label in pairs], previous)
    examples = Examples(recipe, pairs)

    with alone_in(folder), progress_bar(console, TextColumn("{task.fields[loss]}")) as progress:
        sizes = _sizes(examples, progress, processes_beside(device))
        run = _begin(plan, recipe, module, settings, start, device)
        checkpoint = folder / "checkpoint.pt"
        if checkpoint.exists():
            run.load(checkpoint)
            done = run.epoch == plan.epochs
            where = "trained already" if done else f"going on at epoch {run.epoch + 1}, batch {run.batch + 1}"
            console.print(f"{where}: {folder.name}")
        schedule = _Schedule(plan, recipe, sizes)
        total = plan.epochs * len(examples)
        bar = progress.add_task("training", completed=run.epoch * len(examples), total=total, loss="")

        def tell(done: int, loss: float) -> None:
            progress.update(bar, completed=done, loss=f"loss {loss:.4f}")

        _loop(run, schedule, examples, settings, checkpoint, console, tell)
    if start is not None and plan.keep:
        _follow(run.average, as_begun(run.average, recipe, module, start), 1 - plan.keep)
    return run.average.eval().cpu(), settings


def as_begun(trained: nn.Module, recipe: ModuleType, module: ModuleType, start: Version | Pretrained) -> nn.Module:
    """The network with the weights that it started from; what these know nothing of stays as trained."""
    network = deepcopy(trained)
    recipe.warm_start(network, load_file(start.checkpoint), module.Settings(**start.settings))
    return network


def _sizes(examples: Examples, progress: Progress, processes: int) -> list[int]:
    bar = progress.add_task("reading media", total=len(examples), loss="")
    sizes = []
    for index, example in made_ahead(examples.decoded, range(len(examples)), processes):
        examples.keep(index, example)
        sizes.append(int(example.size))
        progress.advance(bar)
    return sizes


@dataclass(frozen=True)
class _Turn:
    """One batch's turn: batch ``index`` of the ``of`` in an epoch, and which items it holds."""

    epoch: int
    index: int
    of: int
    members: list[int]


@dataclass(frozen=True)
class _Schedule:
    """Which items each batch of each epoch holds, and at which learning rate."""

    plan: Plan
    recipe: ModuleType
    sizes: Sequence[int]

    def turns(self, epoch: int, batch: int) -> Iterator[_Turn]:
        """All of the plan from a batch of an epoch on."""
        for now in range(epoch, self.plan.epochs):
            rng = np.random.default_rng([self.plan.seed, now])
            batches = self.recipe.batches(self.sizes, self.plan.batch_size, rng)
            for index in range(batch if now == epoch else 0, len(batches)):
                yield _Turn(now, index, len(batches), batches[index])

    def rng(self, turn: _Turn) -> np.random.Generator:
        return np.random.default_rng([self.plan.seed, turn.epoch, turn.index])

    def collate(self, turn: _Turn) -> Callable[..., Any]:
        """How the recipe makes a batch; a recipe that has a ``LATE`` share does it otherwise in that last part."""
        late = self._done(turn) >= 1 - getattr(self.recipe, "LATE", 0.0)
        made: Callable[..., Any] = self.recipe.collate_late if late else self.recipe.collate
        return partial(made, variation=self.recipe.STRONG) if self.plan.strong else made

    def learning_rate(self, turn: _Turn) -> float:
        """Linear warm-up, then a half cosine, over the whole plan."""
        done = self._done(turn)
        if done < WARM_UP_SHARE:
            return self.plan.learning_rate * (0.05 + 0.95 * done / WARM_UP_SHARE)
        along = (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)
        return self.plan.learning_rate * max(0.01, 0.5 * (1 + math.cos(math.pi * along)))

    def _done(self, turn: _Turn) -> float:
        """The share of the plan that is done before a batch, below 1."""
        return (turn.epoch + turn.index / turn.of) / self.plan.epochs


def _begin(
    plan: Plan,
    recipe: ModuleType,
    module: ModuleType,
    settings: Any,
    start: Version | Pretrained | None,
    device: torch.device,
) -> Run:
    torch.manual_seed(plan.seed)
    network = module.Network(settings)
    if start is not None:
        state = load_file(start.checkpoint)
        recipe.warm_start(network, state, module.Settings(**start.settings))
    network.to(device)
    average = deepcopy(network).requires_grad_(False)
    return Run(network, average, optimizers(network, plan.learning_rate))


def _loop(
    run: Run,
    schedule: _Schedule,
    examples: Examples,
    settings: Any,
    checkpoint: Path,
    console: Console,
    tell: Callable[[int, float], None],
) -> None:
    plan, device = schedule.plan, next(run.network.parameters()).device

    def make(turn: _Turn) -> Any:
        return schedule.collate(turn)([examples[i] for i in turn.members], settings, schedule.rng(turn))

    saved_at, pace = time.monotonic(), _Pace(device)
    turns = schedule.turns(run.epoch, run.batch)
    with Stop() as stop, closing(made_ahead(make, turns, processes_beside(device))) as made:
        for turn, batch in made:
            ids = [examples.id(i) for i in turn.members]
            try:
                loss = pace.gradients(run, plan, batch, ids)
                _update(run, schedule.learning_rate(turn), ids)
            except torch.OutOfMemoryError as error:
                raise InvalidInput(f"step {run.step + 1}: expected batches of {plan.batch_size} to fit into the GPU's "
                                   "memory, got none left; train with a smaller --batch-size") from error  # fmt: skip
            run.epoch, run.batch = turn.epoch, turn.index + 1
            tell(round((run.epoch + run.batch / turn.of) * len(examples)), loss)
            if run.batch == turn.of:
                run.epoch, run.batch = turn.epoch + 1, 0
                console.print(f"epoch {run.epoch}/{plan.epochs}: {pace.lap()}")
            if stop.asked or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                run.save(checkpoint)
                saved_at = time.monotonic()
            if stop.asked:
                console.print(f"stopped; the same command goes on at epoch {run.epoch + 1}, batch {run.batch + 1}")
                raise KeyboardInterrupt
    run.save(checkpoint)


class _Pace:
    """How an epoch went: its mean loss, items a second and, on a GPU, the share of its peak.

    The arithmetic is counted once, on the first batch, and goes with the size of the batches' media: parts of a
    training may be shown larger ones than others.
    """

    def __init__(self, device: torch.device) -> None:
        self._peak = peak(device) if device.type == "cuda" else None
        self._work_each = 0.0
        self._losses: list[float] = []
        self._items = self._size = 0
        self._began = time.monotonic()

    def gradients(self, run: Run, plan: Plan, batch: Any, ids: list[str]) -> float:
        """The loss, as ``_gradients`` returns it."""
        size = next(iter(vars(batch).values())).numel()  # its images or waveforms
        if self._peak and not self._work_each:
            loss, work = with_operations(lambda: _gradients(run, plan, batch, ids))
            self._work_each = work / size
        else:
            loss = _gradients(run, plan, batch, ids)
        self._losses.append(loss)
        self._items, self._size = self._items + len(ids), self._size + size
        return loss

    def lap(self) -> str:
        """The epoch in words; the next one begins."""
        spent = max(time.monotonic() - self._began, 1e-9)
        told = f"loss {np.mean(self._losses):.4f}, {self._items / spent:.1f} items/s, {spent:.0f} s"
        if self._peak:
            told += f", {self._work_each * self._size / spent / self._peak:.1%} of the GPU's peak"
        self._losses, self._items, self._size, self._began = [], 0, 0, time.monotonic()
        return told


def _gradients(run: Run, plan: Plan, batch: Any, ids: list[str]) -> float:
    """Forward and back; returns the loss."""
    torch.manual_seed(int(np.random.SeedSequence([plan.seed, run.step]).generate_state(1)[0]))
    device = next(run.network.parameters()).device
    run.network.train()
    run.network.zero_grad(set_to_none=True)
    with in_training(device):
        module = tasks.network(plan.task, tasks.architecture(run.network.settings))
        loss: Tensor = module.loss(run.network, batch.to(device))
    value = float(loss.detach())
    if not math.isfinite(value):
        raise LossNotFinite(f"step {run.step + 1}: expected a finite loss, got {value}; items: {', '.join(ids)}")
    torch.autograd.backward(loss)
    return value


def _update(run: Run, learning_rate: float, ids: list[str]) -> None:
    """One step of the optimisers, and of the average after them."""
    norm = float(nn.utils.clip_grad_norm_(run.network.parameters(), CLIP_NORM))
    if not math.isfinite(norm):
        raise LossNotFinite(f"step {run.step + 1}: expected finite gradients, got {norm}; items: {', '.join(ids)}")
    step(run.optimizers, learning_rate)
    _follow(run.average, run.network, min(EMA_DECAY, (1 + run.step) / (10 + run.step)))
    run.step += 1


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the average towards the network; counters and other whole numbers are copied."""
    pairs = list(zip(_tensors(average), _tensors(network), strict=True))
    floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    follow([mean for mean, _ in floats], [now for _, now in floats], None)
    for mean, now in pairs:
        if not mean.dtype.is_floating_point:
            mean.copy_(now)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
