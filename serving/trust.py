"""How far a version is to be trusted: what people's checks of randomly drawn items say about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from models.records import Task
from models.versions import Version
from selection.actions import actions
from selection.calibration import IDENTITY, MINIMUM, Calibrator, fit
from selection.cost import Costs
from selection.fitting import FittedCosts, fit_costs
from selection.growing import Ladder
from selection.parts import PartPromise
from selection.risk import NoPromise, Threshold
from serving.sizes import size_of
from serving.store.records import Audited, Place, Worked
from serving.weighing import KindPromise, Promise, Terms, Weighed, item_checks, weigh_checks

UNWEIGHED = f"no random checks of this version are weighed yet, which takes at least {MINIMUM}"


@dataclass(frozen=True)
class Trust:
    """A version's calibration, the promise under which its labels are accepted unseen, if there is one, and what its
    corrections cost, once enough people told their seconds.

    The rest is what weighing goes on from (``serving.weighing``): the last look or the ladders, and how many known
    checks waited for others: ``behind`` which, as ``serving.weighing.Weighed`` says.
    """

    calibrator: Calibrator
    promise: Promise
    costs: FittedCosts | None = None
    looked: int = 0
    ladders: tuple[Ladder, ...] = ()
    waiting: int = 0
    behind: tuple[str | None, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether anything is accepted unseen."""
        return holds(self.promise)

    @property
    def missing(self) -> int:
        """How many more random checks than were weighed it takes, at the very least, for a promise that is not there;
        0 where none is missing, or nobody can tell."""
        each = [one.missing for one in _each(self.promise) if isinstance(one, NoPromise)]
        return min(filter(None, each), default=0)

    def since(self, new: int) -> "Trust":
        """The same where so many random checks were done since it was weighed: they are missing no longer."""
        match self.promise:
            case KindPromise(each=each) as kinds:
                later = {kind: replace(one, promise=_since(kinds.of(kind), new)) for kind, one in each.items()}
                return replace(self, promise=replace(kinds, each=later))
            case PartPromise(parts, missing) as both:
                return replace(self, promise=replace(both, parts=_since(parts, new), missing=_since(missing, new)))
            case one:
                return replace(self, promise=_since(one, new))

    def promise_for(self, kind: str | None) -> Threshold | NoPromise | PartPromise:
        """What is promised of items of a kind, where kinds have promises of their own, or else of all."""
        if not isinstance(self.promise, KindPromise):
            return self.promise
        assert kind is not None
        return self.promise.of(kind)

    def p_error(self, score: float, features: Mapping[str, float]) -> float:
        """The probability that a person would change something, in [0, 1], of an answer with that doubt.

        The features count where trees learnt from them, unless one of theirs is not there any more: an answer matters
        more than its last decimals.
        """
        trees = self.calibrator.trees
        told = trees is not None and all(name in features for name in trees.names)
        return float(self.calibrator.p_error([score], [features] if told else None)[0])

    def without(self, reason: str, of_parts: bool = False) -> "Trust":
        """What stays of it where its promise is not kept, or is not the one asked for: the calibration alone."""
        return replace(self, promise=no_promise(reason, of_parts), looked=0, ladders=(), waiting=0, behind=())

    def without_kind(self, kind: str, reason: str, checks_from: datetime) -> "Trust":
        """What stays of it where the promise of a kind is not kept, of which checks count from then on alone."""
        assert isinstance(self.promise, KindPromise)
        promise = self.promise.without(kind, reason, checks_from)
        return replace(self, promise=promise, waiting=promise.waiting)

    def told(self) -> dict[str, Any]:
        """The promise for a report: whether it holds, its figures or why there is none."""
        told = {"holds": self.holds, "calibrated_on": self.calibrator.n}
        match self.promise:
            case KindPromise() as promised:
                return {**told, **promised.told(), "of": "kinds of parts" if promised.of_parts else "kinds"}
            case PartPromise(parts, missing, most):
                of_parts = {"holds": isinstance(parts, Threshold), **asdict(parts), "of": "parts", "most": most}
                return {**told, **of_parts, "missing_part": asdict(missing)}
            case promise:
                return {**told, **asdict(promise), "of": "items"}

    def to_json(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Calibrator and promise as plain values, from which ``from_json`` restores them."""
        costs = {"costs": asdict(self.costs)} if self.costs else {}
        weighing = {"looked": self.looked, "ladders": list(map(asdict, self.ladders)), "waiting": self.waiting,
                    "behind": self.behind}  # fmt: skip
        promise = asdict(self.promise, dict_factory=_plain)
        return {**self.calibrator.to_json(), **costs}, {**promise, **weighing}

    @staticmethod
    def from_json(calibrator: Mapping[str, Any], promise: Mapping[str, Any]) -> "Trust":
        """What ``to_json`` wrote."""
        kept = calibrator.get("costs")
        costs = FittedCosts(Costs(**kept["costs"]), kept["n"]) if kept else None
        weighed = _weighed(promise, _promise(promise))
        weighing = weighed.looked, weighed.ladders, weighed.waiting, weighed.behind
        return Trust(Calibrator.from_json(calibrator), weighed.promise, costs, *weighing)


def holds(promise: Promise, kind: str | None = None) -> bool:
    """Whether anything, or anything of a kind, is accepted unseen."""
    match promise:
        case KindPromise():
            return promise.holds if kind is None else isinstance(promise.of(kind), Threshold)
        case PartPromise(parts, missing):  # within the second alone, items in which nothing was found
            return isinstance(parts, Threshold) or isinstance(missing, Threshold)
        case _:
            return isinstance(promise, Threshold)


def no_promise(reason: str, of_parts: bool, missing: int = 0) -> NoPromise | PartPromise:
    """Nothing is promised, of items or of parts, and why."""
    return PartPromise.none(reason, missing) if of_parts else NoPromise(reason, missing)


def _each(promise: Promise) -> Iterator[Threshold | NoPromise]:
    match promise:
        case KindPromise(each=each):
            yield from (promise.of(kind) for kind in each)
        case PartPromise(parts, missing):
            yield from (parts, missing)
        case one:
            yield one


def _since(one: Threshold | NoPromise, new: int) -> Threshold | NoPromise:
    return replace(one, missing=max(1, one.missing - new)) if isinstance(one, NoPromise) and one.missing else one


def _weighed(kept: Mapping[str, Any], promise: Promise) -> Weighed:
    ladders = tuple(_ladder(one) for one in kept.get("ladders", ()))
    since = datetime.fromisoformat(kept["checks_from"]) if kept.get("checks_from") else None
    return Weighed(
        promise,
        int(kept.get("waiting", 0)),
        ladders,
        int(kept.get("looked", 0)),
        since,
        most=int(kept.get("most", 1)),
        pool=int(kept.get("pool", 0)),
        behind=tuple(kept.get("behind", ())),
    )


def kinds_lost(promise: Mapping[str, Any]) -> dict[str, datetime]:
    """Of a promise that ``to_json`` wrote: since when checks of kinds count whose own promises were withdrawn."""
    each = promise.get("each", {})
    return {kind: datetime.fromisoformat(since) for kind, one in each.items() if (since := one.get("checks_from"))}


def _plain(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values}


def _promise(kept: Mapping[str, Any]) -> Promise:
    if "each" in kept:
        each = {kind: _weighed(one, _simple(one["promise"])) for kind, one in kept["each"].items()}
        return KindPromise(kept["alpha"], kept["delta"], each, bool(kept.get("of_parts")))
    if "most" in kept:
        return PartPromise(_simple(kept["parts"]), _simple(kept["missing"]), kept["most"])
    return _simple(kept)


def _ladder(kept: Mapping[str, Any]) -> Ladder:
    return Ladder(tuple(kept["thresholds"]), tuple(kept["shares"]), kept["most"])


def _simple(promise: Mapping[str, Any]) -> Threshold | NoPromise:
    kind = Threshold if "threshold" in promise else NoPromise
    return kind(**{field.name: promise[field.name] for field in fields(kind) if field.name in promise})


def untried(version: Version, of_parts: bool = False, missing: int = 0) -> Trust:
    """What is known of a version before people checked it: the calibration that it came with, and no promise."""
    calibrator = Calibrator.from_json(version.calibration) if version.calibration else IDENTITY
    return Trust(calibrator, no_promise(UNWEIGHED, of_parts, missing))


def learn_costs(task: Task, worked: Sequence[Worked]) -> FittedCosts | None:
    """What corrections cost by the seconds that people told; None from too few.

    A label of another size than the image's cannot be compared with what was shown, and is left out.
    """
    known = [one for one in worked if one.shown is None or size_of(one.shown) == size_of(one.given)]
    did = [actions(task, one.shown, one.given, one.duration_s) for one in known]
    return fit_costs(task, did, [one.seconds for one in known])


def learn(
    terms: Terms,
    audited: Iterable[Audited],
    before: Calibrator = IDENTITY,
    stood: Trust | None = None,
    unsettled: Place | None = None,
) -> Trust:
    """What corrected audit items teach about the version that answered them.

    Too few of them leave the calibration as it was ``before``. The promise speaks of the raw score, which no label
    has touched but for those that tuned the version (``serving.tuning``), so the same items may teach both. Items of
    one group (frames of a clip, utterances of a speaker) are never taken for independent evidence, so the promise holds
    for media of other groups too. Where the pool tells of parts, the promise is one for parts. It goes on from what
    ``stood`` before on the same terms, and rests on the checks before the first that is ``unsettled``; the calibration
    waits for none and learns from all.
    """
    known = [one for one in audited if one.draw < terms.share]  # a larger share of before is left out, whatever it says
    checks, calibrator = item_checks(known, terms), before
    if len(known) >= MINIMUM:
        features = [one.answer.features for one in known]
        calibrator = fit(checks.scores, checks.errors, features=features, groups=checks.groups)
    last = Weighed(stood.promise, ladders=stood.ladders, looked=stood.looked) if stood else None
    weighed = weigh_checks(known, unsettled, terms, last)
    going_on = weighed.looked, weighed.ladders, weighed.waiting, weighed.behind
    return Trust(calibrator, weighed.promise, None, *going_on)
