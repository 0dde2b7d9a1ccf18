"""Who looks at an item: nobody, a person with the pre-annotation, a person from scratch, or a random check; and why."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from models.errors import InvalidInput
from models.records import Seconds, Uncertainty
from selection.risk import NoPromise, Promise, Threshold, percent

Choice: TypeAlias = Literal["accept", "review", "annotate", "audit"]

_BITS = 53  # of a float's fraction


@dataclass(frozen=True)
class Policy:
    """What may be accepted unseen, and what share of items people check at random, all in (0, 1].

    ``alpha`` and ``delta``, below 1: with probability 1 - delta at most a share alpha of the accepted labels is wrong.
    ``audit_share`` of the items are checked once there is a promise, ``calibration_share`` until then.
    """

    alpha: float
    delta: float
    audit_share: float
    calibration_share: float

    def __post_init__(self) -> None:
        for name in ("alpha", "delta", "audit_share", "calibration_share"):
            share, whole = getattr(self, name), name.endswith("share")
            if not (0 < share < 1 or (whole and share == 1)):
                raise InvalidInput(f"Policy.{name}: expected a share in (0, {'1]' if whole else '1)'}, got {share}")


@dataclass(frozen=True)
class Decision:
    """Who looks at an item, and why, in one sentence."""

    decision: Choice
    reason: str

    def __post_init__(self) -> None:
        if self.decision not in get_args(Choice):
            raise InvalidInput(f"Decision.decision: expected one of {get_args(Choice)}, got {self.decision!r}")


def draw(item_id: str, seed: int, purpose: str = "audit") -> float:
    """A number in [0, 1), as good as random and always the same for an item, a seed and a purpose.

    Draws for different purposes are independent, so that no share is drawn from within another.
    """
    key = f"{purpose}\0{seed}\0{item_id}".encode(errors="surrogatepass")
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _BITS)) / (1 << _BITS)


def route(
    uncertainty: Uncertainty, scratch_seconds: Seconds, promise: Promise, policy: Policy, draw: float
) -> Decision:
    """Who looks at an item.

    Random checks come first, whatever the doubt: only so are they a fair sample. Then an item is accepted where the
    promise covers it, drawn from scratch where correcting takes no less time, and otherwise reviewed.

    Args:
        uncertainty: of the pre-annotation; ``p_error`` is what the promise's threshold is compared with.
        scratch_seconds: human time to make the label from nothing.
        promise: for the version that made the pre-annotation; one that is weaker than the policy accepts nothing.
        policy: shares and the promise asked for.
        draw: the item's random number in [0, 1), independent of everything else about it.

    Raises:
        InvalidInput: ``draw`` or ``scratch_seconds`` is out of range.
    """
    if not 0 <= draw < 1:
        raise InvalidInput(f"route: expected a draw in [0, 1), got {draw}")
    if not 0 <= scratch_seconds < float("inf"):
        raise InvalidInput(f"route: expected scratch_seconds finite and >= 0, got {scratch_seconds}")
    promise = _asked_for(promise, policy)
    share = policy.audit_share if isinstance(promise, Threshold) else policy.calibration_share
    standing = _standing(uncertainty.p_error, promise)
    if draw < share:
        return Decision(
            "audit", f"one of the {percent(share)} drawn at random for a check, whatever their doubt; {standing}"
        )
    if isinstance(promise, Threshold) and uncertainty.p_error <= promise.threshold:
        return Decision("accept", standing)
    if uncertainty.seconds >= scratch_seconds:
        times = f"correcting would take {uncertainty.seconds:.1f} s, from scratch {scratch_seconds:.1f} s"
        return Decision("annotate", f"{times}; {standing}")
    return Decision("review", standing)


def _asked_for(promise: Promise, policy: Policy) -> Promise:
    """The promise, if it is at least as strong as the policy asks."""
    if isinstance(promise, NoPromise) or (promise.alpha <= policy.alpha and promise.delta <= policy.delta):
        return promise
    known = f"alpha {percent(promise.alpha)}, delta {percent(promise.delta)}"
    asked = f"alpha {percent(policy.alpha)}, delta {percent(policy.delta)}"
    return NoPromise(
        f"the promise known is for {known}, asked for is {asked}", policy.alpha, policy.delta, promise.n, 1
    )


def _standing(p_error: float, promise: Promise) -> str:
    """Where an item stands against the promise."""
    if isinstance(promise, NoPromise):
        return f"p_error {p_error:.2g}, and nothing is accepted unseen yet: {promise.reason}"
    doubt, limit = _apart(p_error, promise.threshold)
    relation = "within" if p_error <= promise.threshold else "above"
    rates = f"alpha {percent(promise.alpha)}, delta {percent(promise.delta)}, n = {promise.n}"
    return f"p_error {doubt} is {relation} the accepted {limit} ({rates})"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers with as many decimals as show which is the larger, at least 2."""
    for decimals in range(2, 17):
        texts = f"{first:.{decimals}f}", f"{second:.{decimals}f}"
        if texts[0] != texts[1] or first == second:
            return texts
    return repr(first), repr(second)
