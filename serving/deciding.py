"""From what a version says about an item to the answer: calibrated doubt, human seconds, and who must look at it."""

from dataclasses import dataclass, replace

import numpy as np

from models.records import PreAnnotation, Prediction, Seconds, Task, Uncertainty
from selection.cost import Costs, expected_seconds, from_scratch_seconds
from selection.routing import Policy, draw, route
from serving.settings import Settings
from serving.store.records import Answer
from serving.trust import Trust


@dataclass(frozen=True)
class Deciding:
    """How this deployment decides; the same item gets the same decision from it, at any time."""

    policy: Policy
    costs: Costs
    seed: int

    @staticmethod
    def by(settings: Settings) -> "Deciding":
        """As the settings ask for."""
        return Deciding(Policy(settings.calibration_share, settings.audit_share), Costs(), settings.seed)

    def draw(self, item_id: str) -> float:
        """The random number in [0, 1) of an item that decides whether people check it whatever its score."""
        return draw(item_id, self.seed)

    def answer(self, said: PreAnnotation, duration_s: Seconds | None, trust: Trust) -> Answer:
        """Calibrate, cost, route: the answer for a pre-annotation of which only the raw doubt is known to be right."""
        score = said.uncertainty.score
        p_error = trust.p_error(score, said.features)
        seconds = expected_seconds(said.task, said.label, p_error, said.features, duration_s, self.costs)
        scratch_s = from_scratch_seconds(said.task, said.label, said.features, duration_s, self.costs)
        uncertainty = Uncertainty(p_error=p_error, seconds=seconds, score=score)
        decision = route(uncertainty, scratch_s, trust.promise, self.policy, self.draw(said.item_id))
        return Answer(replace(said, uncertainty=uncertainty), decision)


def undecided(item_id: str, task: Task, version: str, said: Prediction) -> PreAnnotation:
    """What a version said about an item, before anything is decided: its raw doubt stands for all of it."""
    uncertainty = Uncertainty(p_error=said.score, seconds=0.0, score=said.score)
    embedding = tuple(np.asarray(said.embedding, dtype=np.float32).tolist())
    return PreAnnotation(item_id, task, version, said.label, uncertainty, said.features, embedding)
