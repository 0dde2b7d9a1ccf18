"""Where a run is: kept whole or not at all, by one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from models.errors import InvalidInput
from models.running import Run, alone_in

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize("kept", [0, 100, 1000])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoint.pt"
    run().save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidInput, match=r"checkpoint.pt: expected a checkpoint of this run, got a damaged file"):
        run().load(path)


OTHER = (
    "import sys; from pathlib import Path; from models.running import alone_in\nwith alone_in(Path(sys.argv[1])): pass"
)


def test_the_same_run_goes_on_in_one_process_at_a_time(tmp_path: Path) -> None:
    def other() -> str:
        ended = subprocess.run([sys.executable, "-c", OTHER, tmp_path], cwd=ROOT, capture_output=True, text=True)
        return ended.stderr

    with alone_in(tmp_path):
        assert f"{tmp_path}: expected to be the only run there, got the same one" in other()
    assert not other()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InvalidInput, match="file/run: expected a folder for checkpoints, got Not a directory"),
        alone_in(tmp_path / "file" / "run"),
    ):
        pass
