"""Where a run is: kept whole or not at all."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models.errors import InvalidInput
from models.running import Run

LARGE = 1 << 20  # more weights than a file's buffer holds


def run(weights: int = 8) -> Run:
    network = nn.Linear(weights, 1)
    return Run(network, nn.Linear(weights, 1), [torch.optim.SGD(network.parameters(), 0.1)], epoch=2)


@pytest.mark.parametrize("weights", [8, LARGE])  # torch tells a full disk in two ways
def test_a_full_disk_is_told_and_the_checkpoint_before_stays(tmp_path: Path, weights: int) -> None:
    path = tmp_path / "checkpoint.pt"
    run().save(path)
    before = path.read_bytes()
    path.with_suffix(".partial").symlink_to("/dev/full")
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: expected room for a checkpoint, got No space left on dev"):
        run(weights).save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", [b"serialization_id", b"byteorder", b"little", b"progress", b"_rebuild_tensor_v2"])
def test_one_with_a_damaged_place_is_told(tmp_path: Path, place: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    run().save(path)
    whole = path.read_bytes()
    assert place in whole
    path.write_bytes(whole.replace(place, b"\xf4" * len(place)))
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: expected a checkpoint of this run, got a damaged file"):
        run().load(path)


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        run().load(tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 1000])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoint.pt"
    run().save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: expected a checkpoint of this run, got a damaged file"):
        run().load(path)
