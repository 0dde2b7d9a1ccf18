"""What can go wrong between a program and the service, and how each failure is called over HTTP.

Five failures exist only here, besides those of ``models.errors``::

    PrelabelError
    ├── NotAllowed
    │   └── Unauthenticated    a token is needed, and none came or an unknown one (401)
    ├── TooSlow                a body hardly comes (408)
    ├── Overloaded             more requests wait for a model than the settings allow (429)
    └── Unavailable            a model or a host that is needed does not answer now (503)
        └── StoreAway          nor the store, or the disk under it takes nothing more
"""

from models.errors import (
    InvalidInput,
    InvalidRecord,
    NotAllowed,
    NotFound,
    PrelabelError,
    Refused,
    Stale,
    TooLarge,
    UnreadableMedia,
)


class Unauthenticated(NotAllowed):
    """A token is needed, and none came or an unknown one."""


class TooSlow(PrelabelError):
    """A request's body comes so slowly that it would keep others waiting."""


class Overloaded(PrelabelError):
    """More requests wait for a model than the settings allow; ``retry_after_s`` is a whole number of seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(PrelabelError):
    """A model or a host that is needed does not answer now."""


class StoreAway(Unavailable):
    """The store cannot go on now: locked for long, full, read-only, out of reach or broken; nothing was kept."""

    retry_after_s = 5

    def __init__(self, why: str) -> None:
        super().__init__(f"the store cannot go on: {why}")
        self.why = why


KINDS: tuple[tuple[type[PrelabelError], int, str], ...] = (  # the first that fits
    (UnreadableMedia, 422, "unreadable_media"),
    (TooLarge, 413, "too_large"),
    (InvalidRecord, 422, "invalid_record"),
    (InvalidInput, 422, "invalid_input"),
    (NotFound, 404, "not_found"),
    (Unauthenticated, 401, "unauthenticated"),
    (NotAllowed, 403, "not_allowed"),
    (Stale, 409, "stale"),
    (Refused, 409, "refused"),
    (TooSlow, 408, "too_slow"),
    (Overloaded, 429, "overloaded"),
    (Unavailable, 503, "unavailable"),
)


def status_of(error: PrelabelError) -> tuple[int, str]:
    """The HTTP status and the code of a failure."""
    return next(((status, code) for kind, status, code in KINDS if isinstance(error, kind)), (500, "internal"))
