"""Setting up says in one line what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("python", ["", "/nowhere/python3", "false"])
def test_an_unsuitable_python_is_named_and_nothing_is_set_up(tmp_path: Path, python: str) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "-C", str(tmp_path), f"PYTHON={python}", "install"]
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE")
    }  # not that of make test
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=outside)
    told, made = ended.stderr.splitlines()
    assert f"expected Python 3.11, 3.12 or 3.13 with venv, got {python or 'none'}:" in told
    assert made.startswith("make: *** ")
    assert not (tmp_path / ".venv").exists()
