"""What the endless audit says of labels accepted unseen: how wrong they may be, and whether the promise is broken.

A random share of what would be accepted goes to people for ever. Both answers hold at every moment at once, so one may
look as often as one likes.
"""

import math
from dataclasses import dataclass, replace

from scipy.optimize import brentq
from scipy.special import betaln

from models.errors import InvalidInput

ODDS = (2.0, 6.0, 40.0)  # how many times those of alpha the odds of an error are supposed to have become


@dataclass(frozen=True)
class AuditBound:
    """What ``n`` audits of accepted labels say of a promise; ``after`` adds one.

    An audit judges a label, or a group of labels as the share of the largest group there can be: ``judged`` is the sum
    of these over all audits, ``errors`` the part of it that was wrong. ``evidence`` (odds,) are the stakes against the
    promise, ``rising`` the logarithm of how far the evidence for the first of ``ODDS`` has risen since it was last at
    its lowest, which was after ``good`` audits: what was accepted up to then is in order as far as audits tell.
    ``crossed`` is the number of audits after which the promise was found broken, None while it is not; it is never
    taken back, as only a new calibration makes a new promise.
    """

    alpha: float
    delta: float
    n: int = 0
    judged: float = 0.0
    errors: float = 0.0
    evidence: tuple[float, ...] = (0.0,) * len(ODDS)
    rising: float = 0.0
    good: int = 0
    crossed: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise InvalidInput(f"audits: expected alpha and delta in (0, 1), got {self.alpha} and {self.delta}")
        if not 0 <= self.errors <= self.judged <= self.n:
            counts = f"{self.errors}, {self.judged} and {self.n}"
            raise InvalidInput(f"audits: expected 0 <= errors <= judged <= n, got {counts}")

    @property
    def upper(self) -> float:
        """The error rate among the accepted is at most this, with probability 1 - delta at all times at once.

        It supposes a rate that does not change; 1 before the first audit. Source: the rates at which a Beta mixture
        of likelihoods stays below 1 / delta times their own (Robbins 1970; Ville's inequality). The mixture has its
        mean near alpha, where it matters how narrow the bound is. Groups count by their shares, which never makes the
        bound narrower than bets on them would (the geometric mean of factors is less than the arithmetic one).
        """
        k, right, a, b = self.errors, self.judged - self.errors, 0.5, 0.5 / self.alpha
        mixed = float(betaln(k + a, right + b) - betaln(a, b)) + math.log(self.delta)

        def excess(rate: float) -> float:
            return mixed - (k * math.log(rate) if k else 0.0) - right * math.log1p(-rate)

        high = 1 - 1e-12
        low = min(high, max(1e-12, k / self.judged if self.judged else 0.0))
        return float(brentq(excess, low, high)) if excess(high) > 0 else 1.0

    @property
    def crosses(self) -> bool:
        """Whether the audits prove that the rate has risen above alpha; wrongly so with probability delta, for ever.

        Source: bets against a rate of at most alpha that may begin at any audit, the j-th with 1 / (j (j + 1)) of
        the stake (mixtures of e-processes over the time of change, Shin, Ramdas and Rinaldo 2023): a change after a
        thousand good audits is found nearly as soon as one after ten.
        """
        return self.crossed is not None

    def after(self, wrong: float, judged: float = 1.0) -> "AuditBound":
        """With one more audit.

        A label on its own is ``wrong`` (True) or not. Labels that hang together (the parts of an image, the items of a
        clip) are one audit: K wrong ones of N accepted ones are ``wrong`` K / m and ``judged`` N / m, where m is the
        largest number there can be.

        Raises:
            InvalidInput: shares out of order.
        """
        if not 0 <= wrong <= judged <= 1:
            raise InvalidInput(f"audits: expected 0 <= wrong <= judged <= 1, got {wrong} and {judged}")
        n = self.n + 1
        begun = 1 / (n * (n + 1))
        growth = [1 + _bet(self.alpha, odds) * (wrong - self.alpha * judged) for odds in ODDS]
        evidence = tuple((stake + begun) * factor for stake, factor in zip(self.evidence, growth, strict=True))
        rising = max(0.0, self.rising + math.log(growth[0]))
        proven = sum(evidence) / len(ODDS) + 1 / (n + 1) >= 1 / self.delta  # the last is the stake not yet begun
        return replace(
            self,
            n=n,
            judged=self.judged + judged,
            errors=self.errors + wrong,
            evidence=evidence,
            rising=rising,
            good=self.good if rising else n,
            crossed=n if proven and self.crossed is None else self.crossed,
        )


def _bet(alpha: float, odds: float) -> float:
    """The bet that grows fastest where the odds of an error are so many times those of alpha.

    1 + bet (1 - alpha) and 1 - bet alpha are how many times likelier a wrong and a right label are there.
    """
    rate = odds * alpha / (1 - alpha + odds * alpha)
    return (rate - alpha) / (alpha * (1 - alpha))
