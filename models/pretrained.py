"""Models of torchvision and torchaudio: starts for training, and versions without any.

They are named LIBRARY:MODEL[:FILE]: the library's own download, or a file of the same weights. Each library's models
live in one module of a task, which has the verbs of that task's own network and recipe.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from models import tasks
from models.errors import InvalidInput
from models.export import Origin, publish
from models.importing import LIBRARIES, UNKNOWN
from models.records import Task
from models.versions import CHECKPOINT, Version


@dataclass(frozen=True)
class Pretrained:
    """A start for training that is no version: where it comes from, its settings and the file of its weights."""

    name: str
    settings: Mapping[str, Any]
    checkpoint: Path


def start_from(task: Task, source: str, folder: Path) -> Pretrained:
    """The model as a start for training; its weights are kept in ``folder``, under a name of their own.

    Raises:
        NotFound: no such file, or no way to download it.
        InvalidInput: no such model, or a file of another.
    """
    name, _, settings, state = _read(task, source, {})
    digest = _digest(name, state)
    path = folder / f"{name.replace(':', '-')}-{digest[:12]}" / CHECKPOINT
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({key: value.contiguous() for key, value in state.items()}, partial)
        partial.replace(path)
    return Pretrained(f"{name}#{digest[:12]}", asdict(settings), path)


def import_checkpoint(
    task: Task, source: str, given: Mapping[str, Any], *, note: str, versions_dir: Path, now: datetime
) -> Version:
    """Makes a version of a checkpoint: its network, exported and compared with torch as after training.

    Raises:
        NotFound: no such file, or no way to download it.
        InvalidInput: no such model, a file of another, or one that recognises nothing yet.
        Refused: torch and ONNX disagree, or the answers cannot be used.
    """
    name, module, settings, state = _read(task, source, given)
    if task == "asr" and not settings.alphabet:
        raise InvalidInput(f"{source}: expected a recogniser, got a network that writes nothing yet; train it: --init")
    network = module.Network(settings)
    module.warm_start(network, state, settings)
    training = {"imported": name, "sha256": _digest(name, state)}
    origin = Origin(task, None, now, (UNKNOWN,), "nothing", training, note)
    return publish(origin, network.eval(), settings, [], [], versions_dir)


def _read(task: Task, source: str, given: Mapping[str, Any]) -> tuple[str, ModuleType, Any, dict[str, Tensor]]:
    """Its name, the module it lives in, its settings and its weights."""
    library, _, rest = source.partition(":")
    if library in LIBRARIES:
        model, _, file = rest.partition(":")
    else:
        library = next((name for name, (known, _) in LIBRARIES.items() if known == task), "")
        model, file = str(given.get("model", "")), source
    if not library or LIBRARIES[library][0] != task:
        told = ", ".join(f"{name} for {known}" for name, (known, _) in LIBRARIES.items())
        raise InvalidInput(f"{source}: expected a checkpoint of {told}, got one for {task}")
    module = tasks.recipe(task, LIBRARIES[library][1])
    strange = sorted(set(given) - {"model", *module.DECLARABLE})
    if strange:
        known = ", ".join(("model", *module.DECLARABLE))
        raise InvalidInput(f"declaration: expected some of {known} for {library}, got {', '.join(strange)}")
    settings, state = module.pretrained(model, Path(file) if file else None, given)
    module = tasks.recipe(task, settings.architecture)  # a library's models may live in several
    return ":".join(part for part in (library, model, Path(file).name) if part), module, settings, state


def _digest(name: str, state: Mapping[str, Tensor]) -> str:
    """A hash of a name and its weights."""
    digest = hashlib.sha256(name.encode())
    for key in sorted(state):
        digest.update(key.encode() + state[key].contiguous().numpy().tobytes())
    return digest.hexdigest()
