"""What the endless audit says of labels accepted unseen: how wrong they may be, and whether the promise is broken.

A random share of what would be accepted goes to people for ever. Both answers hold at every moment at once, so one may
look as often as one likes.
"""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betaln

from models.arrays import Floats
from models.errors import InvalidInput

ODDS = (2.0, 6.0, 40.0)  # how many times those of alpha the odds of an error are supposed to have become
_FORGOTTEN = 1e-6  # of the stake on the newest audit: what an older one has less than that


class Audit(NamedTuple):
    """An audit by its number, from 1 on, and the shares of labels that it found ``wrong`` and ``judged``."""

    number: int
    wrong: float
    judged: float = 1.0


NONE_YET: Floats = np.empty((0, len(Audit._fields)))  # audits of a group


@dataclass(frozen=True)
class AuditBound:
    """What ``n`` audits of accepted labels say of a promise; ``after`` adds one.

    An audit judges a label, or the labels of an item as the share of the most that an item can have: ``judged`` is the
    sum of these over all audits, ``errors`` the part of it that was wrong. Audits of one group (clip, speaker) may be
    wrong together: they are one bet, and no group has more than ``most``. ``evidence`` (odds,) are the stakes against
    the promise, ``rising`` the logarithm of how far the evidence for the first of ``ODDS`` has risen since it was last
    at its lowest, which was after ``good`` audits: what was accepted up to then is in order as far as audits tell.
    ``crossed`` is the number of audits after which the promise was found broken, None while it is not; it is never
    taken back, as only a new calibration makes a new promise. ``begun`` (1 + odds, beginnings) has the number of the
    audit at which bets began, and their stakes by now. Where the last audit was of an item that stands ``alone``, what
    begins with the next joins what began last: all that comes is the same to both.
    """

    alpha: float
    delta: float
    most: int = 1
    n: int = 0
    judged: float = 0.0
    errors: float = 0.0
    evidence: tuple[float, ...] = (0.0,) * len(ODDS)
    rising: float = 0.0
    good: int = 0
    crossed: int | None = None
    alone: bool = False
    begun: Floats = field(default_factory=lambda: np.empty((1 + len(ODDS), 0)), compare=False, repr=False)

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
        mean near alpha, where it matters how narrow the bound is. Each audit counts for its share of the largest group,
        which never makes the bound narrower than bets on groups would (the geometric mean of factors is less than the
        arithmetic one).
        """
        k, judged, a, b = self.errors / self.most, self.judged / self.most, 0.5, 0.5 / self.alpha
        right = judged - k
        mixed = float(betaln(k + a, right + b) - betaln(a, b)) + math.log(self.delta)

        def excess(rate: float) -> float:
            return mixed - (k * math.log(rate) if k else 0.0) - right * math.log1p(-rate)

        high = 1 - 1e-12
        low = min(high, max(1e-12, k / judged if judged else 0.0))
        return float(brentq(excess, low, high)) if excess(high) > 0 else 1.0

    @property
    def crosses(self) -> bool:
        """Whether the audits prove that the rate has risen above alpha; wrongly so with probability delta, for ever.

        Source: bets against a rate of at most alpha that may begin at any audit, the j-th with 1 / (j (j + 1)) of
        the stake (mixtures of e-processes over the time of change, Shin, Ramdas and Rinaldo 2023): a change after a
        thousand good audits is found nearly as soon as one after ten. What a group multiplies a stake by follows from
        the sum of its audits since the bet began, as those of ``evidence.Grouped``: so a large group counts for more
        than a small one, as it does among what is accepted.
        """
        return self.crossed is not None

    def after(self, wrong: float, judged: float = 1.0, same: ArrayLike | None = None) -> "AuditBound":
        """With one more audit.

        A label on its own is ``wrong`` (True) or not. Labels that hang together (the parts of an image) are one audit:
        K wrong ones of N accepted ones are ``wrong`` K / m and ``judged`` N / m, where m is the largest number there
        can be. ``same`` (audits, 3) are the audits of before, in their order, that are of the same group, each as an
        ``Audit``; None where the item stands alone.

        Raises:
            InvalidInput: shares out of order, or more audits of the group than ``most``.
        """
        if not 0 <= wrong <= judged <= 1:
            raise InvalidInput(f"audits: expected 0 <= wrong <= judged <= 1, got {wrong} and {judged}")
        audit = Audit(self.n + 1, float(wrong), judged)
        group = NONE_YET if same is None else np.asarray(same, np.float64).reshape(-1, 3)
        if len(group) >= self.most:
            raise InvalidInput(f"audits: expected at most {self.most} of a group, got {len(group) + 1}")
        bets = np.array([_bet(self.alpha, odds) for odds in ODDS])
        before, by_now = self._shares(group, audit)
        begun = self._with_stake_on(audit.number)
        begun[1:] *= _factors(bets, before, by_now, group, begun[0])
        evidence = begun[1:].sum(axis=1)
        since = len(group) - int(np.searchsorted(group[:, 0], self.good + 1))
        grown = np.log1p(bets[0] * by_now[since]) - np.log1p(bets[0] * before[since])
        rising = max(0.0, self.rising + float(grown))
        proven = evidence.mean() + 1 / (audit.number + 1) >= 1 / self.delta  # the last is the stake not yet begun
        largest = begun[1:].max(axis=0)
        kept = largest >= _FORGOTTEN * largest[-1]
        return replace(
            self,
            n=audit.number,
            judged=self.judged + audit.judged,
            errors=self.errors + audit.wrong,
            evidence=tuple(evidence.tolist()),
            rising=rising,
            good=self.good if rising else audit.number,
            crossed=audit.number if proven and self.crossed is None else self.crossed,
            alone=same is None,
            begun=begun if kept.all() else begun[:, kept],  # which takes a while
        )

    def _with_stake_on(self, number: int) -> Floats:
        """What has begun, a copy, with the stake that is on the audit of that number."""
        stake = 1 / (number * (number + 1))
        if not self.alone:
            return np.column_stack([self.begun, [number, *[stake] * len(ODDS)]])
        begun = self.begun.copy()
        begun[1:, -1] += stake
        return begun

    def _shares(self, group: Floats, audit: Audit) -> tuple[Floats, Floats]:
        """By how much the last 0, 1, .. audits of a group (audits + 1,) are more wrong than alpha allows, as a share of
        the largest group: before one more, and with it."""
        against = np.append(0.0, (group[:, 1] - self.alpha * group[:, 2])[::-1]).cumsum()
        return against / self.most, (against + audit.wrong - self.alpha * audit.judged) / self.most


def _factors(bets: Floats, before: Floats, by_now: Floats, group: Floats, since: Floats) -> Floats:
    """What an audit multiplies stakes by (odds, beginnings) that began ``since``: of a group by how its sum since then
    changes, so that its audits are one bet."""
    factors = (1 + bets[:, None] * by_now) / (1 + bets[:, None] * before)
    until = np.searchsorted(since, group[:, 0], side="right")  # what began up to each of the group's audits
    return np.repeat(factors[:, ::-1], np.diff(np.concatenate([[0], until, [len(since)]])), axis=1)


def _bet(alpha: float, odds: float) -> float:
    """The bet that grows fastest where the odds of an error are so many times those of alpha.

    1 + bet (1 - alpha) and 1 - bet alpha are how many times likelier a wrong and a right label are there.
    """
    rate = odds * alpha / (1 - alpha + odds * alpha)
    return (rate - alpha) / (alpha * (1 - alpha))
