"""Training that Label Studio asks for: the same command that a person would type, one at a time for each task."""

import os
import subprocess
import sys
import threading
from typing import IO

from models.records import Task
from serving.server_log import log
from serving.settings import Settings, environment

COMMAND = "from serving.cli import main; main()"  # the ``prelabel`` of this environment, wherever it is


class Training:
    """Starts ``prelabel train`` as a process of its own: this one never loads torch."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "runs"
        self._environment = {**os.environ, **environment(settings)}
        self._processes: dict[Task, subprocess.Popen[bytes]] = {}
        self._starting = threading.Lock()

    def begin(self, task: Task) -> str:
        """Begins to train a candidate on the corrections, unless that is under way; says how it is."""
        with self._starting:
            if self.status(task) != "running":
                with self._log_of(task) as output:
                    self._processes[task] = subprocess.Popen(
                        [sys.executable, "-c", COMMAND, "train", task],
                        env=self._environment,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                log.info("training of %s begins; it writes to %s", task, output.name)
        return self.status(task)

    def status(self, task: Task) -> str:
        """idle, running, done or failed."""
        process = self._processes.get(task)
        if process is None:
            return "idle"
        code = process.poll()
        return "running" if code is None else "failed" if code else "done"

    def close(self) -> None:
        """Stops what runs; the same training goes on where it stopped when it is asked for again."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _log_of(self, task: Task) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / f"train-{task}.log").open("wb")
