"""Where a training run is, in a file from which the same command goes on."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.errors import InvalidInput


@dataclass
class Run:
    """The state of a run: everything a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimizers: list[torch.optim.Optimizer]
    epoch: int = 0
    batch: int = 0  # of this epoch
    step: int = 0  # of all epochs

    def save(self, path: Path) -> None:
        """Writes the checkpoint whole or not at all.

        Raises:
            InvalidInput: the disk does not take it; the one before stays.
        """
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": [self.epoch, self.batch, self.step],
        }
        temporary = path.with_suffix(".partial")
        try:
            with temporary.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            cause = error if isinstance(error, OSError) else error.__context__  # torch hides what the disk said
            if not isinstance(cause, OSError):
                raise
            raise InvalidInput(
                f"{path}: expected room for a checkpoint, got {cause.strerror}; the one before is kept"
            ) from error

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint, whatever device it was made on; each value goes to where its own is used.

        Raises:
            InvalidInput: the file is damaged.
            OSError: the system does not open it.
        """
        with path.open("rb") as file:
            try:
                self._take(torch.load(file, map_location="cpu", weights_only=True))  # where AdamW reads its counts
            except Exception as error:  # pickle, zip files and torch each raise their own
                told = "expected a checkpoint of this run, got a damaged file; without it the run begins anew"
                raise InvalidInput(f"{path}: {told} ({' '.join(str(error).split())[:200]})") from error

    def _take(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self.epoch, self.batch, self.step = state["progress"]
