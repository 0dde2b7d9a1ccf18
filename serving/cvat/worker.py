"""The thread that takes completed jobs over, which CVAT need not wait for."""

from serving.cvat.corrections import Corrections
from serving.loop import utc_now
from serving.worker_thread import WorkerThread


class Worker(WorkerThread):
    """Works on CVAT's events."""

    def __init__(self, corrections: Corrections) -> None:
        super().__init__("cvat")
        self._corrections = corrections

    def _work(self) -> bool:
        return bool(self._corrections.work(utc_now()))

    def close(self) -> None:
        """Ends after the frame at hand."""
        self._corrections.close()
        super().close()
