"""A folder that one process at a time works in."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import InvalidInput
from models.holding import alone_in

ROOT = Path(__file__).parents[2]
OTHER = """
import sys
from pathlib import Path
from models.holding import alone_in
with alone_in(Path(sys.argv[1])):
    pass
"""


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    def other() -> str:
        command = [sys.executable, "-c", OTHER, str(tmp_path / "run")]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stderr

    with alone_in(tmp_path / "run"):
        assert f"{tmp_path}/run: expected to be the only run there, got another one going on" in other()
    assert not other()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "run", "Not a directory")):
        with pytest.raises(InvalidInput, match=f"{path}: expected a folder to write to, got {why}"), alone_in(path):
            pass


def test_a_folder_that_cannot_be_held_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems over a network that know no locks."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(InvalidInput, match=f"{tmp_path}: expected a folder .*, got No locks av"), alone_in(tmp_path):
        pass
