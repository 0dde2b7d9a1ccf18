"""How many of the errors planted into real labels are among those ranked worst, with the starters.

``python -m benchmarks.suspects DATA.. [--draws 20]`` with data sets as ``FORMAT:ROOT[:SPLIT]``. In each draw a
twentieth of the items gets one error each, of kinds taken at random (``benchmarks/planting.py``), and all labels are
ranked as ``prelabel suspects`` does. What is told is the share of the errors in the tenth ranked worst, with a 95 %
interval over draws, by kind too; for boxes also for the fixed scores of ObjectLab. The labels have errors of their own,
which stand in the way: what is ranked above a planted one need not be a mistake of the ranking.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.planting import KINDS, plant
from models import datasets, tasks
from models.arrays import Floats
from models.asr.posterior import Heard, hear
from models.asr.transcripts import normalise
from models.detection.overlap import corners_of, pairwise_iou
from models.detection.seen import Seen
from models.evaluate import read_item
from models.records import Boxes, Item, Label, Prediction, Task, Transcript
from models.versions import starters
from selection.suspects import suspicions, worst_first

SHARE, WORST = 0.05, 0.1

Score = Callable[[Sequence[Label], Sequence[Any]], Floats]


@dataclass
class Asked:
    """A data set and what the starter says of it; a clip is heard once for each text that is given for it."""

    task: Task
    items: list[Item]
    labels: list[Label]
    said: list[Any]
    runtime: Any
    heard: dict[tuple[int, str], Heard]

    def says(self, labels: Sequence[Label]) -> list[Any]:
        """What the model says of every medium, beside these labels."""
        if self.task != "asr":
            return self.said
        return [self._hears(place, label) for place, label in enumerate(labels)]

    def _hears(self, place: int, label: Label) -> Heard:
        assert isinstance(label, Transcript)
        key = place, normalise(label.text)
        if key not in self.heard:
            media = read_item(self.task, self.items[place])
            self.heard[key] = hear(self.runtime, media, label.text)
        return self.heard[key]


def ask(spec: str) -> Asked:
    """The data set with the answers of its task's starter."""
    task = datasets.task_of(spec)
    runtime: Any = tasks.load_runtime(task, next(one for one in starters() if one.task == task).onnx, 1)
    items, labels = map(list, zip(*datasets.read(spec), strict=True))
    told = track(items, description=spec, disable=task == "asr")
    look = runtime.see if task == "detection" else runtime.predict
    said = [look(read_item(task, item)) for item in told] if task != "asr" else []
    return Asked(task, items, labels, said, runtime, {})


def spoilt(asked: Asked, rng: np.random.Generator) -> tuple[list[Label], dict[int, str]]:
    """The labels with one error in each of a twentieth of them, and where of which kind."""
    labels, planted = list(asked.labels), dict[int, str]()
    wanted = max(1, round(SHARE * len(labels)))
    for place in rng.permutation(len(labels)).tolist():
        kind = str(rng.choice(sorted(KINDS[asked.task])))
        label = plant(asked.task, kind, labels[place], asked.labels, rng)
        if label is not None and len(planted) < wanted:
            labels[place], planted[place] = label, kind
    return labels, planted


def found(asked: Asked, draw: int, score: Score | None = None) -> list[tuple[str, bool]]:
    """The kind of each planted error of one draw, and whether it is in the tenth ranked worst."""
    rng = np.random.default_rng([41, draw])
    labels, planted = spoilt(asked, rng)
    ids = [item.id for item in asked.items]
    if score is None:
        order = worst_first(suspicions(asked.task, labels, asked.says(labels), rng), ids)
    else:
        scores = score(labels, asked.says(labels))
        order = sorted(range(len(ids)), key=lambda place: (-scores[place], ids[place]))
    worst = set(order[: max(1, round(WORST * len(order)))])
    return [(kind, place in worst) for place, kind in sorted(planted.items())]


def objectlab(labels: Sequence[Label], seen: Sequence[Seen]) -> Floats:
    """1 less ObjectLab's score of each image: the geometric mean of its three, each pooled softly over boxes.

    Similarity is the IoU; a predicted box counts from confidence 0.5, an overlooked or swapped one from 0.9; softmin
    with temperature 0.1. Source: Tkachenko, Thyagarajan and Mueller 2023, with these constants.
    """
    return np.array([1 - _objectlab(label, one.said) for label, one in zip(labels, seen, strict=True)])


def _objectlab(label: Label, said: Prediction) -> float:
    assert isinstance(label, Boxes)
    assert isinstance(said.label, Boxes)
    ours, theirs = (corners_of(some.boxes) for some in (label, said.label))
    iou = pairwise_iou(ours, theirs)
    sure = np.array([box.confidence for box in said.label.boxes])
    same = np.array([[a.category == b.category for b in said.label.boxes] for a in label.boxes], bool).reshape(
        iou.shape
    )
    overlooked = [(iou * same)[:, j].max(initial=0) for j in np.flatnonzero(sure >= 0.9)]
    located = [iou[i, same[i] & (sure >= 0.5)].max() for i in range(len(ours)) if (same[i] & (sure >= 0.5)).any()]
    swapped = [1 - iou[i, ~same[i] & (sure >= 0.9)].max(initial=0) for i in range(len(ours))]
    return float(np.prod([_softmin(np.array(some)) for some in (overlooked, located, swapped)]) ** (1 / 3))


def _softmin(scores: Floats) -> float:
    if not len(scores):
        return 1.0
    weights = np.exp((1 - scores) / 0.1)
    return float((scores * weights).sum() / weights.sum())


def row(name: str, draws: Sequence[Sequence[tuple[str, bool]]], kinds: Sequence[str]) -> list[str]:
    """A line of the table: the share found, its interval over draws, and the share of each kind."""
    shares = np.array([np.mean([hit for _, hit in draw]) for draw in draws])
    rng = np.random.default_rng(0)
    means = shares[rng.integers(len(shares), size=(2000, len(shares)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    every = [one for draw in draws for one in draw]
    by_kind = [[hit for kind, hit in every if kind == name] for name in kinds]
    return [name, f"{np.mean([hit for _, hit in every]):.2f} ({low:.2f} to {high:.2f})", str(len(every)),
            *(f"{np.mean(hits):.2f}" if hits else "" for hits in by_kind)]  # fmt: skip


def report(spec: str, draws: int, console: Console) -> None:
    """One table a data set."""
    asked = ask(spec)
    kinds = sorted(KINDS[asked.task])
    table = Table("ranking", f"found in the worst {WORST:.0%}", "errors", *kinds, box=None)
    rankings: dict[str, Score | None] = {"prelabel": None}
    if asked.task == "detection":
        rankings["ObjectLab"] = objectlab
    for name, score in rankings.items():
        runs = [found(asked, draw, score) for draw in track(range(draws), description=f"{spec} {name}")]
        table.add_row(*row(name, runs, kinds))
    console.print(f"\n{spec}: {len(asked.items)} items, {max(1, round(SHARE * len(asked.items)))} errors a draw")
    console.print(table)


def main() -> None:
    """Parses, plants, ranks, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="FORMAT:ROOT[:SPLIT]")
    parser.add_argument("--draws", type=int, default=20)
    given = parser.parse_args()
    console = Console(width=160)
    for spec in given.data:
        report(spec, given.draws, console)


if __name__ == "__main__":
    main()
