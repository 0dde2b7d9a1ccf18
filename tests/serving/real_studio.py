"""The real Label Studio, started on a folder of its own; it lives in an environment of its own, not in ours.

``make label-studio`` installs it; ``PRELABEL_TEST_LABEL_STUDIO`` may name another ``label-studio`` command, and
``PRELABEL_TEST_LABEL_STUDIO_DATA`` a folder of it whose database is migrated already, which is copied: its first start
takes minutes.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.serving.processes import free_port

TOKEN = "0123456789abcdef0123456789abcdef01234567"
EMAIL = "ada@example.org"
PASSWORD = "not-a-secret"
START_S = 400.0  # its first start migrates a new database
_ENVIRONMENT = {
    "USE_DEFAULT_BANNED_SUBNETS": "false",  # it would refuse backends on loopback
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "COLLECT_ANALYTICS": "False",
    "LATEST_VERSION_CHECK": "False",
}


def command() -> str | None:
    """The ``label-studio`` command, if it is installed."""
    beside = Path(__file__).parents[2] / ".label-studio" / "bin" / "label-studio"
    named = os.environ.get("PRELABEL_TEST_LABEL_STUDIO", str(beside))
    return shutil.which(named) or shutil.which("label-studio")


@contextmanager
def running(program: str, folder: Path) -> Iterator["RealStudio"]:
    """A Label Studio with one user, until the block ends."""
    migrated = os.environ.get("PRELABEL_TEST_LABEL_STUDIO_DATA")
    if migrated:
        shutil.copytree(migrated, folder)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "-p", str(port)]
    words += ["--username", EMAIL, "--password", PASSWORD, "--user-token", TOKEN]
    plain = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=folder, env={**plain, **_ENVIRONMENT, "LABEL_STUDIO_BASE_DATA_DIR": str(folder)},
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            studio = RealStudio(f"http://127.0.0.1:{port}")
            studio.wait(process, folder / "log.txt")
            yield studio
        finally:
            process.terminate()
            process.wait()


class RealStudio:
    """What a person does there, through its API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Token {TOKEN}"}, timeout=120)

    def wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                if self._http.get("/health").is_success:
                    return
            except httpx.HTTPError:
                time.sleep(1)
        raise AssertionError(f"Label Studio did not start: {log.read_text()[-2000:]}")

    def call(self, method: str, path: str, **how: Any) -> Any:
        answer = self._http.request(method, path, **how)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def new_project(self, title: str, label_config: str, files: dict[str, bytes]) -> int:
        body = {"title": title, "label_config": label_config, "sampling": "Uncertainty sampling"}
        project = int(self.call("POST", "/api/projects", json=body)["id"])
        for name, data in files.items():
            self.call("POST", f"/api/projects/{project}/import", files={"file": (name, data)})
        return project

    def predictions(self, project: int) -> list[dict[str, Any]]:
        return list(self.call("GET", "/api/predictions/", params={"project": project}))

    def shown_version(self, project: int) -> str:
        return str(self.call("GET", f"/api/projects/{project}")["model_version"])

    def next_task(self, project: int) -> dict[str, Any] | None:
        """What it gives a person to label next; None where nothing is left."""
        answer = self._http.get(f"/api/projects/{project}/next")
        assert answer.is_success or answer.status_code == 404, answer.text[:500]
        return dict(answer.json()) if answer.is_success else None

    def interactive(self, project: int, task: int, drawn: list[Any]) -> list[dict[str, Any]]:
        """What it shows to a person who draws these regions with a smart control."""
        (backend,) = self.call("GET", "/api/ml", params={"project": project})
        body = {"task": task, "context": {"result": drawn}}
        return list(self.call("POST", f"/api/ml/{backend['id']}/interactive-annotating", json=body)["data"]["result"])

    def act(self, action: str, project: int, *tasks: int) -> None:
        """What is chosen from the menu of the project's table for some tasks, or for all."""
        chosen = {"all": False, "included": list(tasks)} if tasks else {"all": True, "excluded": []}
        self.call("POST", f"/api/dm/actions?id={action}&project={project}", json={"selectedItems": chosen})

    def annotations(self, task: int) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/api/tasks/{task}/annotations/"))

    def annotate(self, task: int, result: list[Any], **more: Any) -> int:
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", json={"result": result, **more})["id"])
