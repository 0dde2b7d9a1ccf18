"""Versions on the way: each is trained once, asked once and measured once, whichever arm or process needs it first."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.console import Console

from models.evaluate import asking, evaluate
from models.records import Item, Label, Prediction, Task, to_json
from models.tasks import Runtime, load_runtime
from models.versions import Version, read_version
from serving.training import Material, Request, train_version

Pairs = Sequence[tuple[Item, Label]]
THREADS = 1  # of a model: every core has a process of its own


@dataclass(frozen=True)
class Workshop:
    """Below ``folder`` lies what was trained and asked; several processes may use it at once."""

    task: Task
    folder: Path

    def answers(self, version: Version, items: Sequence[Item]) -> dict[str, Prediction]:
        """What a version says of some items, by id, embeddings included."""
        if not items:
            return {}
        journal = self.folder / "answers" / f"{version.name}.jsonl"
        with alone(journal), asking(self.task, _Later(version), journal, embeddings=True) as ask:
            return {item.id: ask(item) for item in items}

    def quality(self, version: Version, held_out: Pairs) -> float:
        """The figure in [0, 1] that decides promotions, on items that no version here was trained on."""
        known = self.folder / "measured" / f"{version.name}.json"
        with alone(known):
            if not known.exists():
                journal = known.with_suffix(".jsonl")
                found = evaluate(self.task, _Later(version), held_out, journal=journal).measured.quality
                _write(known, {"quality": found})
                journal.unlink()
            return float(json.loads(known.read_text(encoding="utf-8"))["quality"])

    def trained(self, start: Version | None, pairs: Pairs, epochs: int | None, seed: int) -> Version:
        """The version that training makes of ``start``, or of nothing, and some labels: whoever comes to the same
        labels shares it. Without ``epochs`` it takes as many as the task's own recipe.

        Raises:
            LossNotFinite, Refused: as ``train_version``.
        """
        said = sorted((item.id, json.dumps(to_json(label), sort_keys=True)) for item, label in pairs)
        text = json.dumps([start.name if start else None, said, epochs, seed])
        known = self.folder / "trained" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        with alone(known):
            if not known.exists():
                runs = known.with_suffix(".runs")
                _write(known, {"version": self._train(start, pairs, epochs, seed, runs).name})
                shutil.rmtree(runs)
            name = json.loads(known.read_text(encoding="utf-8"))["version"]
        return read_version(self.folder / "models" / name)

    def _train(self, start: Version | None, pairs: Pairs, epochs: int | None, seed: int, runs: Path) -> Version:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            return train_version(
                Request(task=self.task, data=(), epochs=epochs, seed=seed),
                Material(list(pairs)),
                start=start,
                runs_dir=runs,
                versions_dir=self.folder / "models",
                console=Console(file=nowhere),
            )


class _Later:
    """A version's runtime, loaded when there is something that it has not been asked yet."""

    def __init__(self, version: Version) -> None:
        self._version = version

    @cached_property
    def _runtime(self) -> Runtime:
        return load_runtime(self._version.task, self._version.onnx, THREADS)

    def feeds(self, media: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return self._runtime.feeds(media)

    def predict(self, media: NDArray[Any]) -> Prediction:
        return self._runtime.predict(media)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While one process makes what lies at a path, others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, values: dict[str, Any]) -> None:
    """The file is there whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(values), encoding="utf-8")
    unfinished.replace(path)
