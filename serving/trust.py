"""How far a version is to be trusted: what people's checks of randomly drawn items say about it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.asr.certainty import Certainty
from models.asr.certainty import learn as word_certainty
from models.detection.results import Results as Detected
from models.evaluate import Evaluation
from models.matters import ANYTHING, Matters
from models.onnx_files import OPERATING_POINTS, WORD_CERTAINTY
from models.parts import has_parts
from models.records import Label, PreAnnotation, Task, Transcript
from models.tasks import differs, part_errors
from models.versions import Version
from selection.actions import actions
from selection.calibration import IDENTITY, MINIMUM, Calibrator, fit
from selection.checks import RandomChecks
from selection.cost import Costs, part_doubts
from selection.fitting import FittedCosts, fit_costs
from selection.looks import begins, level, look
from selection.parts import PartChecks, PartPromise, missing_doubt, promise_parts
from selection.risk import NoPromise, Threshold, promise
from selection.showing import least_confidence
from serving.store.records import Audited, Worked

Floats: TypeAlias = NDArray[np.float64]
Promise: TypeAlias = Threshold | NoPromise | PartPromise


@dataclass(frozen=True)
class Pool:
    """What a version said of its items, corrected or not: the doubt (n,) about each; where parts are accepted one by
    one, that about each part (p,), and whether something is missing (m,)."""

    scores: Floats
    parts: Floats | None = None
    missing: Floats | None = None

    @staticmethod
    def of_parts(answers: Iterable[PreAnnotation]) -> "Pool":
        """The pool of answers with the parts of those that have any."""
        scores, doubts, missing = list[float](), [np.zeros(0)], list[float]()
        for one in answers:
            scores.append(one.uncertainty.score)
            if has_parts(one.label):
                doubts.append(part_doubts(one.label))
                missing.append(_missing(one))
        return Pool(np.array(scores), np.concatenate(doubts), np.array(missing, np.float64))


@dataclass(frozen=True)
class Trust:
    """A version's calibration, the promise under which its labels are accepted unseen, if there is one, and what its
    corrections cost, once enough people told their seconds. ``looked`` is the last look (``selection.looks``) at the
    checks for that promise."""

    calibrator: Calibrator
    promise: Promise
    costs: FittedCosts | None = None
    looked: int = 0

    @property
    def holds(self) -> bool:
        """Whether anything is accepted unseen."""
        return isinstance(self._first, Threshold)

    @property
    def _first(self) -> Threshold | NoPromise:
        """The promise of what is accepted most: items, or their parts."""
        return self.promise.parts if isinstance(self.promise, PartPromise) else self.promise

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
        return replace(self, promise=no_promise(reason, of_parts))

    def told(self) -> dict[str, Any]:
        """The promise for a report: whether it holds, its figures or why there is none."""
        told = {"holds": self.holds, "calibrated_on": self.calibrator.n, **asdict(self._first)}
        if isinstance(self.promise, PartPromise):
            return {**told, "of": "parts", "most": self.promise.most, "missing_part": asdict(self.promise.missing)}
        return {**told, "of": "items"}

    def to_json(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Calibrator and promise as plain values, from which ``from_json`` restores them."""
        costs = {"costs": asdict(self.costs)} if self.costs else {}
        return {**self.calibrator.to_json(), **costs}, {**asdict(self.promise), "looked": self.looked}

    @staticmethod
    def from_json(calibrator: Mapping[str, Any], promise: Mapping[str, Any]) -> "Trust":
        """What ``to_json`` wrote."""
        kept = calibrator.get("costs")
        costs = FittedCosts(Costs(**kept["costs"]), kept["n"]) if kept else None
        looked = int(promise.get("looked", 0))
        if "most" not in promise:
            return Trust(Calibrator.from_json(calibrator), _simple(promise), costs, looked)
        parts, missing = _simple(promise["parts"]), _simple(promise["missing"])
        return Trust(Calibrator.from_json(calibrator), PartPromise(parts, missing, promise["most"]), costs, looked)


def no_promise(reason: str, of_parts: bool) -> NoPromise | PartPromise:
    """Nothing is promised, of items or of parts, and why."""
    return PartPromise.none(reason) if of_parts else NoPromise(reason)


def _simple(promise: Mapping[str, Any]) -> Threshold | NoPromise:
    kind = Threshold if "threshold" in promise else NoPromise
    return kind(**{field.name: promise[field.name] for field in fields(kind) if field.name in promise})


def untried(version: Version, of_parts: bool = False) -> Trust:
    """What is known of a version before people checked it: the calibration that it came with, and no promise."""
    calibrator = Calibrator.from_json(version.calibration) if version.calibration else IDENTITY
    return Trust(calibrator, no_promise("no random checks of this version are known", of_parts))


def first_calibration(unseen: Evaluation) -> dict[str, Any] | None:
    """The calibration that a version comes with, from items kept out of its training; None from too few."""
    if len(unseen.items) < MINIMUM:
        return None
    features, groups = [said.features for said in unseen.predictions], [item.group for item in unseen.items]
    return fit(unseen.scores, unseen.errors, features=features, groups=groups).to_json()


def tuned(unseen: Evaluation) -> dict[str, Any]:
    """What items kept out of training teach a version's runtime, where they are enough: how certain words are, and from
    which confidence on boxes are shown to people."""
    if isinstance(unseen.results, Detected):
        points = _operating_points(unseen.results)
        return {OPERATING_POINTS: points} if points else {}
    if unseen.task == "asr":
        line = _word_certainty(unseen)
        return {WORD_CERTAINTY: asdict(line)} if line else {}
    return {}


def _word_certainty(unseen: Evaluation) -> Certainty | None:
    confidences, right = list[float](), list[bool]()
    for said, truth in zip(unseen.predictions, unseen.truths, strict=True):
        assert isinstance(said.label, Transcript)
        confidences += [word.confidence for word in said.label.words]
        right += (~part_errors("asr", said.label, truth).wrong).tolist()
    return word_certainty(confidences, right) if len(right) >= MINIMUM and 0 < sum(right) < len(right) else None


def _operating_points(results: Detected) -> dict[str, float]:
    return {
        name: least_confidence(confidences, right, Costs())
        for name, (confidences, right) in results.rights().items()
        if right.sum() >= MINIMUM
    }


def learn_costs(task: Task, worked: Sequence[Worked]) -> FittedCosts | None:
    """What corrections cost by the seconds that people told; None from too few.

    A label of another size than the image's cannot be compared with what was shown, and is left out.
    """
    known = [one for one in worked if one.shown is None or _size(one.shown) == _size(one.given)]
    did = [actions(task, one.shown, one.given, one.duration_s) for one in known]
    return fit_costs(task, did, [one.seconds for one in known])


def _size(label: Label) -> tuple[int, int] | None:
    return None if isinstance(label, Transcript) else (label.width, label.height)


def learn(
    task: Task,
    audited: Iterable[Audited],
    share: float,
    pool: Pool,
    alpha: float,
    delta: float,
    before: Calibrator = IDENTITY,
    matters: Matters = ANYTHING,
    stood: Trust | None = None,
) -> Trust:
    """What corrected audit items, drawn with a number below ``share``, teach about the version that answered them.

    Too few of them leave the calibration as it was ``before``. The promise speaks of the raw score, which no label
    has touched, so the same items may teach both. Items of one group (frames of a clip, utterances of a speaker) are
    never taken for independent evidence, so the promise holds for media of other groups too. Where the pool tells of
    parts, the promise is one for parts. What ``stood`` before on the same terms stands until the next look.
    """
    known = [one for one in audited if one.draw < share]  # a larger share of before is left out, whatever it says
    checks, calibrator = _checks(task, known, share, matters), before
    if len(known) >= MINIMUM:
        features = [one.answer.features for one in known]
        calibrator = fit(checks.scores, checks.errors, features=features, groups=checks.groups)
    number = look(len(known), alpha, delta)
    again = begins(number + 1, alpha, delta)
    if stood is not None and 1 <= number <= stood.looked:
        waiting = _each(stood.promise, lambda one: _waiting(one, known, again))
        return replace(stood, calibrator=calibrator, promise=waiting)
    part = level(max(1, number), delta)
    if pool.parts is None or pool.missing is None:
        found: Promise = promise(checks, alpha=alpha, delta=part, pool_scores=pool.scores)
    else:
        parts = _part_checks(task, [one for one in known if has_parts(one.answer.label)], share, matters)
        pools = {"pool_parts": pool.parts, "pool_missing": pool.missing}
        found = promise_parts(parts, alpha=alpha, delta=part, **pools)
    if number == 0:
        return Trust(calibrator, found)
    return Trust(calibrator, _each(found, lambda one: _looked_at(one, number, known, again)), looked=number)


def _each(promise: Promise, change: Callable[[Threshold | NoPromise], Threshold | NoPromise]) -> Promise:
    if isinstance(promise, PartPromise):
        return replace(promise, parts=change(promise.parts), missing=change(promise.missing))
    return change(promise)


def _looked_at(one: Threshold | NoPromise, number: int, known: Sequence[Audited], again: int) -> Threshold | NoPromise:
    """A promise that says the delta of all looks, or why there is none, and when the next look is."""
    if isinstance(one, Threshold):
        return replace(one, delta=one.delta * 2**number)
    return _waiting(replace(one, reason=f"{one.reason}; they are weighed again when {again} are known"), known, again)


def _waiting(one: Threshold | NoPromise, known: Sequence[Audited], again: int) -> Threshold | NoPromise:
    return replace(one, missing=max(1, again - len(known))) if isinstance(one, NoPromise) else one


def _checks(task: Task, known: Sequence[Audited], share: float, matters: Matters) -> RandomChecks:
    wrong = [differs(task, one.answer.label, one.truth, matters) for one in known]
    return _random(known, share, [one.answer.uncertainty.score for one in known], wrong)


def _part_checks(task: Task, known: Sequence[Audited], share: float, matters: Matters) -> PartChecks:
    errors = [part_errors(task, one.answer.label, one.truth, matters) for one in known]
    items = _random(known, share, [_missing(one.answer) for one in known], [each.missing > 0 for each in errors])
    scores = np.concatenate([np.zeros(0), *(part_doubts(one.answer.label) for one in known)])
    wrong = np.concatenate([np.zeros(0, np.bool_), *(each.wrong for each in errors)])
    return PartChecks.of(items, scores, wrong, np.repeat(np.arange(len(known)), [len(each.wrong) for each in errors]))


def _random(known: Sequence[Audited], share: float, scores: Sequence[float], errors: Sequence[bool]) -> RandomChecks:
    return RandomChecks.of(
        item_ids=[one.item_id for one in known],
        scores=np.array(scores, dtype=np.float64),
        errors=np.array(errors, dtype=np.bool_),
        draws=np.array([one.draw for one in known], dtype=np.float64),
        share=share,
        groups=[one.about.group or None for one in known],
    )


def _missing(answer: PreAnnotation) -> float:
    return missing_doubt(answer.label, answer.features, answer.uncertainty.score)
