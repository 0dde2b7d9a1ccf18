"""Checkpoints of torch models: files of weights, and the download of libraries that have their own."""

import pickle
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.errors import InvalidInput, NotFound

_INSIDE = ("model", "state_dict", "model_state_dict")  # where training scripts put the weights
_PLAIN: list[Any] = [Namespace]  # what torchvision's own scripts save beside them: arguments, which are no code


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint: safetensors, or torch's own format, which is read without running any code in it.

    What stands before every name goes, as DataParallel, torch.compile and Lightning write it.

    Raises:
        NotFound: no such file.
        InvalidInput: no weights in it.
    """
    if not path.is_file():
        raise NotFound(f"{path}: expected a checkpoint, got nothing of that name")
    try:
        with torch.serialization.safe_globals(_PLAIN):
            values = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words advise to run what is in the file
        found = re.search(r"GLOBAL (\S+)", str(error))
        told = f"{found[1]}; save its state_dict(), or export it to ONNX" if found else "other objects or none"
        raise InvalidInput(f"{path}: expected a checkpoint of plain weights, got {told}") from error
    except Exception as error:  # safetensors, zip files and the system each raise their own
        told = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{path}: expected a checkpoint of plain weights, got {told}") from error
    for key in _INSIDE:
        if isinstance(values, Mapping) and isinstance(values.get(key), Mapping):
            values = values[key]
            break
    if not isinstance(values, Mapping) or not values or not all(isinstance(value, Tensor) for value in values.values()):
        told = ", ".join(map(str, list(values)[:5])) if isinstance(values, Mapping) else type(values).__name__
        raise InvalidInput(f"{path}: expected weights by name, perhaps in {' or '.join(_INSIDE)}, got {told or 'none'}")
    state = {str(name): value for name, value in values.items()}
    while len({name.partition(".")[0] for name in state}) == 1 and all("." in name for name in state):
        state = {name.partition(".")[2]: value for name, value in state.items()}
    return state


def download(what: str, fetch: Callable[[], Any]) -> Any:
    """What a library downloads.

    Raises:
        NotFound: it cannot be reached.
    """
    try:
        return fetch()
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; a wrong hash is a RuntimeError
        told = " ".join(str(error).split())[:200]
        raise NotFound(f"{what}: expected to download it, got {told}; a file will do: {what}:FILE") from error
