"""`bentoml build` packs all that the service needs, and the bento serves from a folder of its own."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.records import TASKS
from tests.serving.processes import free_port
from tests.serving.served import eventually, picture, sound

ROOT = Path(__file__).parents[2]
BENTOML = [sys.executable, "-m", "bentoml"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of BentoML with the one bento, built."""
    folder = tmp_path_factory.mktemp("bentoml")
    environment = {**os.environ, "BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    command = [*BENTOML, "build", "--version", "test", str(ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_it_holds_the_packages_and_the_weights_and_nothing_else(home: Path) -> None:
    source = home / "bentos" / "prelabel" / "test" / "src"
    found = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {f"models/weights/{task}/model.onnx" for task in TASKS} <= found
    assert {"serving/dashboard/templates/layout.html", "serving/migrations/env.py", "requirements.lock"} <= found
    assert {path.split("/")[0] for path in found} == {
        "models", "selection", "serving", "README.md", "requirements.lock", "bentofile.yaml",
    }  # fmt: skip
    assert not [path for path in found if path.endswith((".pyc", ".db"))]
    assert (source.parent / "README.md").read_text() == (ROOT / "README.md").read_text()


@pytest.fixture
def elsewhere(home: Path, tmp_path: Path) -> Iterator[str]:
    """The origin of the bento, serving from an empty folder."""
    port = free_port()
    environment = {
        **os.environ,
        "BENTOML_HOME": str(home),
        "PRELABEL_DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "PRELABEL_DATA_DIR": str(tmp_path / "data"),
    }
    command = [*BENTOML, "serve", "prelabel:test", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
    origin = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return httpx.get(f"{origin}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(is_ready, 120)
        yield origin
    finally:
        process.terminate()
        process.wait(60)


def test_it_serves_its_own_starters_from_another_folder(elsewhere: str, home: Path, tmp_path: Path) -> None:
    with httpx.Client(base_url=elsewhere, timeout=60, trust_env=False) as client:
        for task in TASKS:
            data = sound() if task == "asr" else picture(120, 320, 180)
            answer = client.post(f"/v1/{task}/annotate", content=data)
            assert answer.status_code == 200, answer.text
        assert "prelabel" in client.get("/").text
    store = sqlite3.connect(tmp_path / "store.db")
    folders = [tmp_path / "data" / folder for (folder,) in store.execute("SELECT folder FROM versions")]
    store.close()
    assert len(folders) == len(TASKS)
    brought = {path.read_bytes() for path in (home / "bentos").rglob("models/weights/*/model.onnx")}
    assert {(folder / "model.onnx").read_bytes() for folder in folders} == brought
