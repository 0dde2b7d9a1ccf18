"""The thread that delivers messages: at least once, by itself again after a failure, in the end to a list of dead ones.

Messages of one webhook are sent one after the other, as they were told, and wait while the first of them is not heard.
Each webhook has a thread of its own in a round and a turn in it, so that one that hangs or is slow costs the others a
turn and a timeout at the most.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

import httpx
import numpy as np

from models.records import Seconds
from serving.store.outbox import Delivery, Outbox
from serving.webhooks.signing import signature
from serving.worker_thread import WorkerThread

TIMEOUT_S: Seconds = 10.0  # of each wait for a receiver
TURN_S: Seconds = 10.0  # in a round; what is left then waits for the next one
DELAYS_S: tuple[Seconds, ...] = (5, 60, 300, 1800, 7200, 18_000, 36_000)  # between attempts; after the last it is dead
JITTER = 0.1  # of a delay, so that not all come back at once
ROUND = 100  # messages of one webhook
AT_ONCE = 8  # webhooks
SHORT, SOON_S = 10_000, 2.0  # bytes of an answer and seconds for them: its body tells nothing
_CLAIM = timedelta(minutes=5)  # after that another process takes over what one that was killed had taken


class Sender(WorkerThread):
    """Delivers what is due."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Callable[[], datetime],
        *,
        timeout_s: Seconds = TIMEOUT_S,
        turn_s: Seconds = TURN_S,
        delays_s: Sequence[Seconds] = DELAYS_S,
    ) -> None:
        super().__init__("webhooks")
        self._outbox = outbox
        self._clock = clock
        self._delays_s = delays_s
        self._turn_s = turn_s
        self._rng = np.random.default_rng()
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=False)
        self._pool = ThreadPoolExecutor(AT_ONCE, "webhook")

    def close(self) -> None:
        """Ends after the messages at hand."""
        super().close()
        self._pool.shutdown()
        self._client.close()

    def _work(self) -> bool:
        now = self._clock()
        queues: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in self._outbox.claim(now, now + _CLAIM, ROUND):
            queues[delivery.webhook].append(delivery)
        list(self._pool.map(self._deliver, queues.values()))
        return bool(queues)

    def _deliver(self, queue: Sequence[Delivery]) -> None:
        end = monotonic() + self._turn_s
        for place, delivery in enumerate(queue, start=1):
            until = self._told(delivery)
            if until is None and monotonic() >= end:
                until = self._clock()
            if until is not None:
                self._outbox.put_off(queue[place:], until)
                return

    def _told(self, delivery: Delivery) -> datetime | None:
        """Delivers a message; says when to try again, unless it was heard or is dead now."""
        why = self._send(delivery)
        if why is None:
            self._outbox.heard(delivery)
            return None
        until = self._again(delivery.attempts)
        self._outbox.failed(delivery, why, until)
        return until

    def _send(self, delivery: Delivery) -> str | None:
        """Why a message was not heard, if it was not."""
        body, timestamp = delivery.body.encode(), int(self._clock().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(delivery.secret, delivery.message, timestamp, body),
        }
        try:
            with self._client.stream("POST", delivery.url, content=body, headers=headers) as answer:
                _finish(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"expected an answer, got {type(error).__name__}: {error}"
        return None if answer.is_success else f"expected a status of 200 to 299, got {answer.status_code}"

    def _again(self, attempts: int) -> datetime | None:
        if attempts >= len(self._delays_s):
            return None
        spread = 1 + JITTER * float(self._rng.uniform(-1, 1))
        return self._clock() + timedelta(seconds=self._delays_s[attempts] * spread)


def _finish(answer: httpx.Response) -> None:
    """Reads a short body, so that the connection serves the next message; one that goes on for long is left alone."""
    announced, begun = answer.headers.get("content-length", ""), monotonic()
    if announced.isdecimal() and int(announced) <= SHORT:
        with suppress(httpx.HTTPError):  # the status has come, which is what counts
            for _ in answer.iter_raw():
                if monotonic() - begun > SOON_S:
                    break
