"""Who looks at an item: nobody, a person who corrects, who starts afresh, or who checks what was drawn at random."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from models.counting import percent
from models.errors import InvalidInput
from models.records import Seconds, Uncertainty
from selection.kinds import MISSING, called
from selection.parts import OfKind, PartPromise, Plan
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.rules import Rule

Route: TypeAlias = Literal["accept", "review", "annotate", "audit", "calibrate"]

DRAWN: tuple[Route, ...] = ("audit", "calibrate")  # checked by people at random: under a promise, and for the first
_UNASKED = "within the doubt accepted of what is missing nobody would look at it"
_DONE: dict[Route, str] = {"accept": "accepted unseen", "review": "reviewed", "annotate": "labelled afresh"}


@dataclass(frozen=True)
class Decision:
    """Where an item goes, and why, in one sentence.

    With ``parts`` only some of them are shown to the person; without, all of the item is, or, accepted, nothing.
    ``policy`` is the version of that by which it was decided, ``otherwise`` what would change the decision; what was
    decided before there were any has none.
    """

    decision: Route
    reason: str
    parts: Plan | None = None
    policy: str | None = None
    otherwise: str | None = None


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
    rule: Rule | None = None,
    kind: str | None = None,
) -> Decision:
    """Decides by chance first, then by a rule, then by the promise, then by what costs a person less.

    Args:
        scratch_seconds: what labelling without a pre-annotation would cost.
        promise: what may be accepted unseen; without one nothing is.
        drawn: the item's own number in [0, 1), from ``draw``: the audit must not depend on any score.
        rule: by which a person always sees this item.
        kind: of which the item is, and the promise speaks alone.

    Raises:
        InvalidInput: ``drawn`` is out of range.
    """
    why = _standing(uncertainty, promise)
    if kind is not None:
        why = f"it is of {called(kind)}; {why}"
    decided = _by_cost(uncertainty.seconds, scratch_seconds, why, _until_accepted(uncertainty.score, promise))
    if isinstance(promise, Threshold) and uncertainty.score <= promise.threshold:
        score, limit = _apart(uncertainty.score, promise.threshold)
        otherwise = f"above the score {limit} (it has {score}) it would be {_DONE[decided.decision]}"
        decided = Decision("accept", why, otherwise=otherwise)
    return _by_chance(_by_rule(decided, rule, policy), promise, policy, drawn, kind)


def route_parts(
    missing: float,
    seconds: Seconds,
    scratch_seconds: Seconds,
    plan: Plan,
    promise: PartPromise,
    policy: Policy,
    drawn: float,
    rule: Rule | None = None,
    kinds: Mapping[str, OfKind] | None = None,
) -> Decision:
    """Like ``route`` where parts are accepted one by one; who audits, or comes by a rule, sees all of them.

    Args:
        promise: of all parts; where ``kinds`` of them have promises of their own, whether more of these are to come.
        missing: doubt in [0, 1] whether something is missing.
        seconds: what a person needs for the parts shown, and for the question what is missing if it is asked.

    Raises:
        InvalidInput: ``drawn`` is out of range.
    """
    each = {"": OfKind(plan, promise)} if kinds is None else {f"of {called(kind)} ": of for kind, of in kinds.items()}
    accepted = [f"{kind}{_accepted_parts(of.plan, of.promise)}" for kind, of in each.items()]
    why = "; ".join([*accepted, _missing(missing, plan, promise)])
    if plan.unseen:
        decided = Decision("accept", why, otherwise="a part or a doubt above its score would be shown to a person")
    else:
        first = next((kind for kind, of in each.items() if of.plan.shown or kinds is None), None)
        until = _UNASKED if first is None else f"{first}{_until_parts_accepted(each[first].plan, each[first].promise)}"
        decided = _by_cost(seconds, scratch_seconds, why, until, plan if plan.partial else None)
    return _by_chance(_by_rule(decided, rule, policy), promise.parts, policy, drawn)


def standing_of(kind: str, promise: Threshold | NoPromise) -> str:
    """What becomes of the items of a kind or of its parts, or of the question what is missing, in one line."""
    if kind == MISSING:
        return _standing_of_missing(promise)
    if isinstance(promise, NoPromise):
        return f"of {called(kind)} nothing is accepted unseen yet: {promise.reason}"
    found = f"{promise.errors} of the {promise.accepted} checked ones within were wrong"
    return f"of {called(kind)} scores up to {promise.threshold:.4g} are accepted unseen: {found} ({_terms(promise)})"


def _standing_of_missing(promise: Threshold | NoPromise) -> str:
    if isinstance(promise, NoPromise):
        return f"what is missing is always asked: {promise.reason}"
    found = f"{promise.errors} of the {promise.accepted} checked ones within lacked something"
    return f"what is missing is not asked up to the doubt {promise.threshold:.4g}: {found} ({_terms(promise)})"


def _by_chance(
    decided: Decision, promise: Threshold | NoPromise, policy: Policy, drawn: float, kind: str | None = None
) -> Decision:
    if not 0 <= drawn < 1:
        raise InvalidInput(f"route: expected a draw in [0, 1), got {drawn}")
    held = isinstance(promise, Threshold)
    share = policy.audit_share if held else policy.calibration_share
    if drawn >= share:
        return decided
    checked = f"{percent(share)} of all items" + (f" of {called(kind)}" if kind is not None else "")
    why = f"drawn at random: people check {checked}, whatever their score; {decided.reason}"
    otherwise = f"not drawn (its number is {_plain(drawn)}) it would be {_DONE[decided.decision]}"
    return Decision("audit" if held else "calibrate", why, policy=policy.version, otherwise=otherwise)


def _by_rule(decided: Decision, rule: Rule | None, policy: Policy) -> Decision:
    if rule is None:
        return replace(decided, policy=policy.version)
    why = f"by a rule of the policy, {rule.words} is always {_DONE[rule.decision]}; {decided.reason}"
    unless = f"with {rule.avoided}, or without that rule," if rule.avoided else "without that rule"
    otherwise = f"{unless} it would be {_DONE[decided.decision]}"
    return Decision(rule.decision, why, policy=policy.version, otherwise=otherwise)


def _by_cost(
    seconds: Seconds, scratch_seconds: Seconds, why: str, otherwise: str, parts: Plan | None = None
) -> Decision:
    if seconds >= scratch_seconds:
        takes, afresh = f"{seconds:.1f} s", f"{scratch_seconds:.1f} s"
        compared = f"correcting would take {takes}, labelling afresh {afresh}"
        if takes == afresh:
            compared = f"correcting would take as long as labelling afresh, {afresh}"
        cheaper = f"if correcting took less than {scratch_seconds:.1f} s it would be {_DONE['review']}"
        return Decision("annotate", f"{why}; {compared}", otherwise=f"{cheaper}; {otherwise}")
    return Decision("review", why, parts, otherwise=otherwise)


def _until_accepted(score: float, promise: Threshold | NoPromise) -> str:
    """What it takes for an item to be accepted unseen."""
    if isinstance(promise, NoPromise):
        return _until_promised(promise)
    has, limit = _apart(score, promise.threshold)
    return f"up to the score {limit} (it has {has}) it would be {_DONE['accept']}"


def _until_parts_accepted(plan: Plan, promise: PartPromise) -> str:
    if isinstance(promise.parts, NoPromise):
        return _until_promised(promise.parts)
    shown = f"its {len(plan.shown)} shown parts" if len(plan.shown) != 1 else "its one shown part"
    up_to = f"up to the score {promise.parts.threshold:.2g} {shown} would be {_DONE['accept']}"
    if len(plan.accepted) + len(plan.shown) > promise.most:
        up_to += f" if it had no more than {promise.most} parts"
    return up_to if plan.shown else _UNASKED


def _until_promised(promise: NoPromise) -> str:
    if promise.missing:
        return f"it can be {_DONE['accept']} once {promise.missing} more random checks are weighed, at the earliest"
    return f"when it could be {_DONE['accept']} cannot be told: {promise.reason}"


def _accepted_parts(plan: Plan, promise: PartPromise) -> str:
    if isinstance(promise.parts, NoPromise):
        return f"no part is accepted unseen yet: {promise.parts.reason}"
    count = len(plan.accepted) + len(plan.shown)
    held = promise.parts
    within = (
        f"{len(plan.accepted)} of {count} parts are within the accepted score {held.threshold:.2g} ({_terms(held)})"
    )
    capped = plan.shown and len(plan.accepted) == promise.most
    return f"{within}, and no more than {promise.most} of one item are accepted" if capped else within


def _missing(missing: float, plan: Plan, promise: PartPromise) -> str:
    if isinstance(promise.missing, NoPromise):
        return f"what is missing is always asked: {promise.missing.reason}"
    if plan.asked and missing <= promise.missing.threshold:
        return "what is missing is asked, for a person sees all of it"
    score, limit = _apart(missing, promise.missing.threshold)
    relation, asked = ("above", "is") if plan.asked else ("within", "is not")
    doubt = f"the doubt {score} is {relation} {limit} ({_terms(promise.missing)})"
    return f"what is missing {asked} asked: {doubt}"


def _terms(promise: Threshold) -> str:
    return f"alpha {percent(promise.alpha)}, delta {percent(promise.delta)}, n = {promise.n}"


def _standing(uncertainty: Uncertainty, promise: Threshold | NoPromise) -> str:
    """Where an item stands against the promise."""
    if isinstance(promise, NoPromise):
        doubt = f"p_error {_plain(uncertainty.p_error)} (score {_plain(uncertainty.score)})"
        return f"{doubt}, and nothing is accepted unseen yet: {promise.reason}"
    score, limit = _apart(uncertainty.score, promise.threshold)
    relation = "within" if uncertainty.score <= promise.threshold else "above"
    standing = f"(score {score}) is {relation} the accepted score {limit} ({_terms(promise)})"
    return f"p_error {_plain(uncertainty.p_error)} {standing}"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers with as many decimals as show which is the larger, at least 2."""
    for decimals in range(2, 17):
        texts = f"{first:.{decimals}f}", f"{second:.{decimals}f}"
        if texts[0] != texts[1] or first == second:
            return texts
    return repr(first), repr(second)


def _plain(value: float) -> str:
    """A number as people write it, however small: two digits that count, or four after the point."""
    return f"{value:.2g}" if value >= 0.001 or value == 0 else f"{value:.4f}"
