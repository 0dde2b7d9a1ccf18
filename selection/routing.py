"""Who looks at an item: nobody, a person who corrects, a person who starts afresh, or a person who audits."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from models.errors import InvalidInput
from models.records import Seconds, Uncertainty
from selection.risk import NoPromise, Threshold

Route: TypeAlias = Literal["accept", "review", "annotate", "audit"]


@dataclass(frozen=True)
class Policy:
    """The shares, each in (0, 1], of items that people check at random: before the first promise, and under one."""

    calibration_share: float = 0.2
    audit_share: float = 0.02

    def __post_init__(self) -> None:
        for name in ("calibration_share", "audit_share"):
            share = getattr(self, name)
            if not 0 < share <= 1:
                raise InvalidInput(f"Policy.{name}: expected a share in (0, 1], got {share}")


@dataclass(frozen=True)
class Decision:
    """Where an item goes, and why, in one sentence."""

    decision: Route
    reason: str


def draw(item_id: str, seed: int, purpose: str = "audit") -> float:
    """A number in [0, 1) that an item keeps for ever, uniform over items and independent between purposes."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{item_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def route(
    uncertainty: Uncertainty,
    scratch_seconds: Seconds,
    promise: Threshold | NoPromise,
    policy: Policy,
    drawn: float,
) -> Decision:
    """Decides by chance first, then by the promise, then by what costs a person less.

    Args:
        scratch_seconds: what labelling without a pre-annotation would cost.
        promise: what may be accepted unseen; without one nothing is.
        drawn: the item's own number in [0, 1), from ``draw``: the audit must not depend on any score.
    """
    share = policy.audit_share if isinstance(promise, Threshold) else policy.calibration_share
    if drawn < share:
        return Decision("audit", f"drawn at random: people check {share:.3g} of all items, whatever their score")
    if isinstance(promise, Threshold) and uncertainty.score <= promise.threshold:
        return Decision("accept", f"{_doubt(uncertainty)} is within the accepted {_terms(promise)}")
    if isinstance(promise, Threshold):
        why = f"{_doubt(uncertainty)} is above the accepted {_terms(promise)}"
    else:
        why = f"{_doubt(uncertainty)}, and nothing is accepted unseen yet: {promise.reason}"
    if uncertainty.seconds >= scratch_seconds:
        compared = f"correcting would take {uncertainty.seconds:.1f} s, labelling afresh {scratch_seconds:.1f} s"
        return Decision("annotate", f"{why}; {compared}")
    return Decision("review", why)


def _doubt(uncertainty: Uncertainty) -> str:
    return f"p_error {uncertainty.p_error:.2f} (score {uncertainty.score:.2f})"


def _terms(promise: Threshold) -> str:
    percent = f"alpha {100 * promise.alpha:g} %, delta {100 * promise.delta:g} %"
    return f"score {promise.threshold:.2f} ({percent}, n = {promise.n})"
