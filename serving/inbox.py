"""Work on what tools told: at once, again later where something is away, and never where it cannot be done."""

from collections.abc import Callable
from datetime import datetime, timedelta

from models.errors import NotAllowed, PrelabelError
from serving.errors import Unavailable
from serving.server_log import log
from serving.store.inbox import Event, Inbox

EVENTS_AT_ONCE = 100
MOST_ATTEMPTS = 20  # some hours, of what nobody expected


def work_off(inbox: Inbox, tool: str, heed: Callable[[Event], None], now: datetime) -> int:
    """Does what the events that are due ask for, and returns how many there were.

    What cannot be had at the moment is tried again later; what can never be is kept with the reason.
    """
    events = inbox.due(tool, now, EVENTS_AT_ONCE)
    for event in events:
        try:
            heed(event)
        except (Unavailable, NotAllowed) as error:
            inbox.put_off(event, str(error), later(now, event.attempts))
        except PrelabelError as error:
            log.warning("event %d of %s cannot be worked on: %s", event.id, tool, error)
            inbox.bury(event, str(error))
        except Exception as error:
            log.exception("event %d of %s failed", event.id, tool)
            if event.attempts < MOST_ATTEMPTS:
                inbox.put_off(event, repr(error), later(now, event.attempts))
            else:
                inbox.bury(event, repr(error))
        else:
            inbox.done(event)
    return len(events)


def later(now: datetime, attempts: int) -> datetime:
    """When to try again what has failed so often: after two seconds, then twice as long, at most ten minutes."""
    return now + timedelta(seconds=min(600, 2.0 ** (attempts + 1)))
