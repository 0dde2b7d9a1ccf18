"""When checks in groups are weighed for a promise: again and again as they become more, so that all looks share delta.

Checks that stand alone may be weighed at any moment (``growing``). A group (speaker, clip) is one observation, though,
and grows with the checks: no bet can be made on a part of it that is not lost when the rest comes. So checks in groups
are weighed when twice as many are known as at the look before, each time the first so many, and each look has half of
the delta of the look before it: delta / 2, delta / 4, .. (alpha spending, Lan and DeMets 1983). When a look takes
place, and which checks it takes, depends on their number alone, never on what they found.
"""

from selection.evidence import checks_needed


def look(n: int, alpha: float, delta: float) -> int:
    """The number of the look, from 1 on, that n checks are enough for; 0 where no look could end in a promise."""
    return max(0, n // first(alpha, delta)).bit_length()


def level(number: int, delta: float) -> float:
    """The part of delta that a look has; all together have no more than delta."""
    return float(delta / 2**number)


def begins(number: int, alpha: float, delta: float) -> int:
    """From how many checks on a look takes place."""
    return int(first(alpha, delta) * 2 ** (number - 1))


def first(alpha: float, delta: float) -> int:
    """The fewest checks that the first look can make a promise of, were they all accepted and right."""
    return checks_needed(alpha, level(1, delta))
