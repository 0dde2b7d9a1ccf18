"""Checks that the queue handed out past others, which had been drawn before them and waited.

They come in the order of their draw, but what is due goes first, people get what they can do, and what somebody gives
back waits until somebody else takes it. What was passed over may be harder, so what went past it tells only half.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from serving.store.records import Audited, OpenCheck


def overtaken(known: Sequence[Audited], waiting: Sequence[OpenCheck]) -> list[OpenCheck]:
    """Those of the open checks, in their order, past which one was handed out that was drawn after them."""
    handed = sorted((one.handed_at, one.draw) for one in known if one.leased)
    times = [at for at, _ in handed]
    highest = [*accumulate((draw for _, draw in reversed(handed)), max)][::-1]  # draw of those from then on
    places = ((one, bisect_right(times, one.since)) for one in waiting)
    return [one for one, place in places if place < len(times) and one.draw < highest[place]]


def overtaking(known: Sequence[Audited], waiting: Sequence[OpenCheck]) -> set[str]:
    """The ids of the known checks that were handed out past an open one that was drawn before them."""
    waited = sorted((one.since, one.draw) for one in waiting)
    times, lowest = [since for since, _ in waited], [*accumulate((draw for _, draw in waited), min)]
    places = ((one, bisect_left(times, one.handed_at)) for one in known if one.leased)
    return {one.item_id for one, place in places if place and lowest[place - 1] < one.draw}
