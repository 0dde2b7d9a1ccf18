"""What every benchmark measures alike: callers who ask one thing after the other, and how long each answer took."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Asked = TypeVar("Asked")
Ask: TypeAlias = Callable[[Asked], None]


@dataclass(frozen=True)
class Figures:
    """One contestant in one round: latencies in seconds, sorted; answers a second; processor seconds of an answer."""

    latencies: tuple[float, ...]
    rate: float
    processor_s: float

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that a share of the answers did not exceed."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def drive(connect: Callable[[], Ask[Asked]], things: Iterator[Asked], callers: int, seconds: float) -> Figures:
    """As many callers, each on a connection of its own, asking one thing after the other until the time is up."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        ask = connect()
        while (begun := time.perf_counter()) < end:
            ask(next(things))
            latencies.append(time.perf_counter() - begun)

    begun, processor = time.perf_counter(), time.process_time()
    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(latencies) / (time.perf_counter() - begun)
    return Figures(tuple(sorted(latencies)), rate, (time.process_time() - processor) / len(latencies))
