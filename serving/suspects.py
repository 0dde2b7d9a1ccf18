"""Labels that are probably wrong, worst first: of data sets, as one command, or of the store."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from pydantic import TypeAdapter
from rich.console import Console

from models import datasets
from models.asr.posterior import Heard, hear
from models.counting import counted
from models.detection.seen import Detector, Seen
from models.errors import InvalidInput
from models.evaluate import evaluate
from models.journal import append, open_journal, written_lines
from models.media import read_audio, read_image
from models.progress import progress_bar
from models.recordings import medium
from models.records import Item, Label, Task, Transcript, require_kind, require_size
from models.room import room
from models.tasks import Runtime, load_runtime
from selection.suspects import Suspicion, suspicions, worst_first
from serving.evaluation import find
from serving.loop import Loop
from serving.settings import Settings

COLUMNS = ("rank", "score", "item_id", "uri", "kind", "reason")
SEED = 0

Pairs = Sequence[tuple[Item, Label]]
A = TypeVar("A")

_HEARD, _SEEN = TypeAdapter(Heard), TypeAdapter(Seen)


@dataclass(frozen=True)
class Request:
    """Which labels to look at, those of data sets or, without any, those that people gave in the store, and which
    model to ask: a version or an ONNX file, None the serving version."""

    task: Task
    data: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class Suspect:
    """A label with its rank, 1 for the worst, and what speaks against it."""

    rank: int
    item: Item
    suspicion: Suspicion

    @property
    def row(self) -> dict[str, Any]:
        """The columns of a table."""
        first = self.suspicion.findings[:1]
        return {
            "rank": self.rank,
            "score": round(self.suspicion.score, 6),
            "item_id": self.item.id,
            "uri": self.item.uri,
            "kind": first[0].kind if first else "",
            "reason": self.suspicion.reason,
        }

    @property
    def told(self) -> dict[str, Any]:
        """The same with all that was found."""
        return {**self.row, "findings": [asdict(one) for one in self.suspicion.findings]}


def suspects(
    request: Request, loop: Loop, settings: Settings, out: Path, console: Console | None = None
) -> list[Suspect]:
    """Writes every label, worst first, as a CSV or JSON-lines file; the same command goes on where it was stopped.

    Raises:
        InvalidInput: data of another task, nothing to look at, or a file that is to be neither CSV nor JSON lines.
        NotFound: there is no such version, file or data.
        UnreadableMedia, TooLarge: an item that cannot be read.
    """
    write = _writer(out)
    pairs = _pairs(request, loop)
    subject = find(request.task, request.model, loop)
    journal = out.with_name(f"{out.stem}-answers-{subject.model.name}.jsonl")
    with progress_bar(console or Console(stderr=True)) as progress:
        bar = progress.add_task(f"suspects {request.task}", total=len(pairs))
        runtime = load_runtime(request.task, subject.onnx, settings.threads)
        ranked = rank(request.task, runtime, pairs, journal=journal, tell=lambda: progress.advance(bar))
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        kept = f"the model's answers are kept in {journal}, and the same command goes on from them"
        with room(out, counted(len(ranked), "label"), kept):
            write(unfinished, ranked)
            unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    journal.unlink()
    return ranked


def rank(
    task: Task, runtime: Runtime, pairs: Pairs, *, journal: Path | None = None, tell: Callable[[], None] = lambda: None
) -> list[Suspect]:
    """The labels, worst first, as a model sees them; ``tell`` is called after each medium.

    Raises:
        UnreadableMedia, TooLarge, NotFound: an item that cannot be read; what was said until then is in the journal.
    """
    labels = [label for _, label in pairs]
    said: Sequence[Any]
    if task == "asr":
        said = _heard(runtime, pairs, journal, tell)
    elif task == "detection":
        said = _seen(runtime, pairs, journal, tell)
    else:
        said = evaluate(task, runtime, pairs, journal=journal, tell=tell).predictions
    found = suspicions(task, labels, said, np.random.default_rng(SEED))
    order = worst_first(found, [item.id for item, _ in pairs])
    return [Suspect(number, pairs[place][0], found[place]) for number, place in enumerate(order, 1)]


def _pairs(request: Request, loop: Loop) -> list[tuple[Item, Label]]:
    task = request.task
    datasets.require_each_once("suspects", task, request.data)
    datasets.require_task("suspects", task, request.data)
    found = [pair for spec in request.data for pair in datasets.read(spec)]
    if not request.data:
        found = [*loop.labelled.training_data(task), *loop.labelled.gold_data(task)]
    if not found:
        raise InvalidInput(f"suspects {task}: expected labels to look at, got none")
    return found


def _heard(runtime: Runtime, pairs: Pairs, journal: Path | None, tell: Callable[[], None]) -> list[Heard]:
    """What a recogniser hears in each clip beside the text that was given."""

    def ask(item: Item, data: bytes, label: Label) -> Heard:
        return hear(runtime, read_audio(data, item.uri), require_kind(label, Transcript).text)

    def question(data: bytes, label: Label) -> bytes:
        return data + b"\0" + require_kind(label, Transcript).text.encode()

    return _asked(pairs, journal, tell, ask, question, _HEARD)


def _seen(runtime: Runtime, pairs: Pairs, journal: Path | None, tell: Callable[[], None]) -> list[Seen]:
    """What a detector sees in each image."""
    assert isinstance(runtime, Detector)

    def ask(item: Item, data: bytes, label: Label) -> Seen:
        image = read_image(data, item.uri)
        require_size(item.uri, label, *image.shape[1::-1])
        seen = runtime.see(image)
        return replace(seen, said=replace(seen.said, embedding=()))

    return _asked(pairs, journal, tell, ask, lambda data, _: data, _SEEN)


def _asked(
    pairs: Pairs, journal: Path | None, tell: Callable[[], None], ask: Callable[[Item, bytes, Label], A],
    question: Callable[[bytes, Label], bytes], adapter: TypeAdapter[A],
) -> list[A]:  # fmt: skip
    """The answers to all; with a journal each question is asked once, whatever stops it."""
    answers = list[A]()
    with open_journal(journal) if journal else nullcontext() as lines:
        known = dict(_answered_before(lines, adapter)) if lines else {}
        for item, label in pairs:
            data = medium(item.uri)
            key = hashlib.sha256(question(data, label)).hexdigest()
            if key not in known:
                known[key] = ask(item, data, label)
                if lines:
                    append(lines, {"sha256": key, "answer": adapter.dump_python(known[key], mode="json")})
            answers.append(known[key])
            tell()
    return answers


def _answered_before(lines: IO[bytes], adapter: TypeAdapter[A]) -> Iterator[tuple[str, A]]:
    for number, line in enumerate(written_lines(lines), 1):
        try:
            values = json.loads(line)
            yield values["sha256"], adapter.validate_python(values["answer"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInput(f"{lines.name}:{number}: expected a line of this command, got {line[:100]!r}") from error


def _writer(out: Path) -> Callable[[Path, Iterable[Suspect]], None]:
    writers = {".csv": _write_csv, ".jsonl": _write_lines}
    if out.suffix not in writers:
        raise InvalidInput(f"suspects: expected a file that ends in .csv or .jsonl, got {out}")
    return writers[out.suffix]


def _write_csv(path: Path, ranked: Iterable[Suspect]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(one.row for one in ranked)


def _write_lines(path: Path, ranked: Iterable[Suspect]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one.told, ensure_ascii=False, allow_nan=False) + "\n" for one in ranked)
