"""How far a version is to be trusted: what people's checks of randomly drawn items say about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluate import Evaluation
from models.records import Task
from models.tasks import differs
from models.versions import Version
from selection.calibration import IDENTITY, MINIMUM, Calibrator, fit
from selection.checks import RandomChecks
from selection.risk import NoPromise, Threshold, promise
from serving.store.records import Audited


@dataclass(frozen=True)
class Trust:
    """A version's calibration, and the promise under which its labels are accepted unseen, if there is one."""

    calibrator: Calibrator
    promise: Threshold | NoPromise

    def p_error(self, score: float, features: Mapping[str, float]) -> float:
        """The probability that a person would change something, in [0, 1], of an answer with that doubt.

        The features count where trees learnt from them, unless one of theirs is not there any more: an answer matters
        more than its last decimals.
        """
        trees = self.calibrator.trees
        told = trees is not None and all(name in features for name in trees.names)
        return float(self.calibrator.p_error([score], [features] if told else None)[0])

    def unweighed(self, alpha: float, delta: float) -> "Trust":
        """What stays of it where a promise for other terms than its own is asked for: the calibration alone."""
        terms = f"alpha {100 * alpha:.4g} %, delta {100 * delta:.4g} %"
        return replace(self, promise=NoPromise(f"the random checks are not yet weighed for {terms}"))

    def told(self) -> dict[str, Any]:
        """The promise for a report: whether it holds, its figures or why there is none."""
        holds = isinstance(self.promise, Threshold)
        return {"holds": holds, "calibrated_on": self.calibrator.n, **asdict(self.promise)}

    def to_json(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Calibrator and promise as plain values, from which ``from_json`` restores them."""
        return self.calibrator.to_json(), asdict(self.promise)

    @staticmethod
    def from_json(calibrator: Mapping[str, Any], promise: Mapping[str, Any]) -> "Trust":
        """What ``to_json`` wrote."""
        kind = Threshold if "threshold" in promise else NoPromise
        return Trust(Calibrator.from_json(calibrator), kind(**promise))


def untried(version: Version) -> Trust:
    """What is known of a version before people checked it: the calibration that it came with, and no promise."""
    calibrator = Calibrator.from_json(version.calibration) if version.calibration else IDENTITY
    return Trust(calibrator, NoPromise("no random checks of this version are known"))


def first_calibration(unseen: Evaluation) -> dict[str, Any] | None:
    """The calibration that a version comes with, from items kept out of its training; None from too few."""
    if len(unseen.items) < MINIMUM:
        return None
    features, groups = [said.features for said in unseen.predictions], [item.group for item in unseen.items]
    return fit(unseen.scores, unseen.errors, features=features, groups=groups).to_json()


def learn(
    task: Task,
    audited: Iterable[Audited],
    share: float,
    pool_scores: NDArray[np.float64],
    alpha: float,
    delta: float,
    before: Calibrator = IDENTITY,
) -> Trust:
    """What corrected audit items, drawn with a number below ``share``, teach about the version that answered them.

    Too few of them leave the calibration as it was ``before``. The promise speaks of the raw score, which no label
    has touched, so the same items may teach both. Items of one group (frames of a clip, utterances of a speaker) are
    never taken for independent evidence, so the promise holds for media of other groups too.
    """
    known = [one for one in audited if one.draw < share]  # a larger share of before is left out, whatever it says
    checks, calibrator = _checks(task, known, share), before
    if len(known) >= MINIMUM:
        features = [one.answer.features for one in known]
        calibrator = fit(checks.scores, checks.errors, features=features, groups=checks.groups)
    return Trust(calibrator, promise(checks, alpha=alpha, delta=delta, pool_scores=pool_scores))


def _checks(task: Task, known: Sequence[Audited], share: float) -> RandomChecks:
    return RandomChecks.of(
        item_ids=[one.item_id for one in known],
        scores=np.array([one.answer.uncertainty.score for one in known], dtype=np.float64),
        errors=np.array([differs(task, one.answer.label, one.truth) for one in known], dtype=np.bool_),
        draws=np.array([one.draw for one in known], dtype=np.float64),
        share=share,
        groups=[one.group or None for one in known],
    )
