"""The house stands as docs/architecture.md draws it: imports point one way, and serving needs no torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RANK = {"models": 0, "selection": 1, "serving": 2}
PURE = {"numpy", "scipy", "sklearn"}  # all that selection may use besides the standard library and models


def imported(source: str) -> Iterator[str]:
    """The modules that a file names in ``import x`` and ``from x import y``, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def upward(room: str, source: str) -> list[str]:
    """The imports of a file in ``room`` that point the wrong way."""
    return [name for name in imported(source) if RANK.get(name.split(".")[0], -1) > RANK[room]]


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", RANK)
def test_imports_point_one_way(room: str) -> None:
    assert files(room)
    wrong = {str(path.relative_to(ROOT)): upward(room, path.read_text(encoding="utf-8")) for path in files(room)}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize(
    "violation", ["import serving.store", "from serving import store", "from selection.risk import x"]
)
def test_a_wrong_import_is_seen(violation: str) -> None:
    assert upward("models", f"def f() -> None:\n    {violation}\n")


def test_no_relative_imports_hide_an_arrow() -> None:
    for room in RANK:
        for path in files(room):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            assert not [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level > 0], path


def test_selection_uses_arrays_alone() -> None:
    for path in files("selection"):
        tops = {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
        foreign = tops - set(sys.stdlib_module_names) - PURE - {"selection", "models"}
        assert not foreign, f"{path}: {foreign}"


def test_serving_makes_promises_of_random_checks_alone() -> None:
    """``accept_threshold`` takes any arrays; ``promise`` takes only what is known to be drawn at random."""
    for path in files("serving"):
        source = path.read_text(encoding="utf-8")
        assert "accept_threshold" not in source, path


SERVING_PATH = [
    "models.media",
    "models.tasks",
    "models.asr.runtime",
    "models.detection.runtime",
    "models.lane.runtime",
    "selection.routing",
    "serving.cli",
    "serving.loop",
    "serving.app",
    "serving.service",
]


@pytest.mark.parametrize("module", SERVING_PATH)
def test_serving_never_imports_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr or f"{module} imports torch"
