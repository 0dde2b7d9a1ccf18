"""From what a version says about an item to the answer: calibrated doubt, human seconds, and who must look at it."""

from dataclasses import dataclass, replace

import numpy as np

from models.parts import has_parts
from models.records import PreAnnotation, Prediction, Seconds, Task, Uncertainty
from selection.cost import Costs, expected_seconds, from_scratch_seconds, part_doubts, parts_seconds
from selection.parts import PartPromise, Plan, missing_doubt, plan, plan_kinds, plan_together
from selection.policy import Policy
from selection.routing import Decision, draw, route, route_parts
from selection.rules import About, Rule
from serving.settings import Settings
from serving.store.records import Anew, Answer, Pending
from serving.trust import Trust
from serving.weighing import KindPromise


@dataclass(frozen=True)
class Deciding:
    """How this deployment decides; the same item gets the same decision by the same policy, at any time."""

    costs: Costs
    gold_share: float
    seed: int

    @staticmethod
    def by(settings: Settings) -> "Deciding":
        """As the settings ask for."""
        return Deciding(Costs(), settings.gold_share, settings.seed)

    def draw(self, item_id: str) -> float:
        """The random number in [0, 1) of an item that decides whether people check it whatever its score."""
        return draw(item_id, self.seed)

    def is_gold(self, item_id: str, chosen: bool = False) -> bool:
        """Whether the item, once corrected, is kept out of training, decides promotions and may be planted: it was
        drawn, or somebody chose it."""
        return chosen or draw(item_id, self.seed, "gold") < self.gold_share

    def answer(
        self, said: PreAnnotation, about: About, trust: Trust, policy: Policy, chance: float | None = None
    ) -> Answer:
        """Calibrate, cost, route: the answer for a pre-annotation of which only the raw doubt is known to be right.

        ``chance`` stands for the item's own draw, where it is given. What somebody chose as gold people label.
        """
        if about.chosen:
            as_gold = replace(self, gold_share=1.0)
            return _by_people(as_gold.answer(said, replace(about, chosen=False), trust, policy, chance))
        chance = self.draw(said.item_id) if chance is None else chance
        duration_s, rule = about.duration_s, policy.rule_for(said.task, said.label, about)
        kind = None if policy.of_parts else policy.kind_of(said.task, said.label, about)
        promise = trust.promise if policy.of_parts else trust.promise_for(kind)
        score, costs = said.uncertainty.score, trust.costs.costs if trust.costs else self.costs
        p_error = trust.p_error(score, said.features)
        seconds = expected_seconds(said.task, said.label, p_error, said.features, duration_s, costs)
        scratch_s = from_scratch_seconds(said.task, said.label, said.features, duration_s, costs)
        uncertainty = Uncertainty(p_error=p_error, seconds=seconds, score=score)
        if isinstance(promise, PartPromise | KindPromise):
            doubted = replace(said, uncertainty=uncertainty)
            return self._by_parts(doubted, about, scratch_s, promise, costs, policy, rule, chance)
        decision = route(uncertainty, scratch_s, promise, policy, chance, rule, kind)
        return Answer(replace(said, uncertainty=uncertainty), decision)

    def anew(self, one: Pending, trust: Trust, policy: Policy) -> Anew:
        """The decision of today on an answer of the store."""
        said = one.preannotation
        return one.preannotation_id, self.answer(said, one.about, trust, policy), self.draw(said.item_id)

    def _by_parts(
        self,
        said: PreAnnotation,
        about: About,
        scratch_s: Seconds,
        promise: PartPromise | KindPromise,
        costs: Costs,
        policy: Policy,
        rule: Rule | None,
        chance: float,
    ) -> Answer:
        """The decision where parts are accepted one by one, and the seconds that those shown will take.

        Gold items are shown whole: what nobody looked at is no yardstick for another version.
        """
        missing = missing_doubt(said.label, said.features, said.uncertainty.score)
        whole = not has_parts(said.label) or self.is_gold(said.item_id)
        doubts, kinds = part_doubts(said.label), None
        if isinstance(promise, KindPromise):
            of, promise_of = policy.kinds_of_parts(said.task, said.label, about), promise.parts_of
            kinds, promise = plan_kinds(doubts, of, missing, promise_of), promise.together
        todo = plan(doubts, missing, promise) if kinds is None else plan_together(kinds, missing, promise)
        if whole:
            todo = _whole(todo)
            kinds = kinds and {kind: replace(of, plan=_whole(of.plan)) for kind, of in kinds.items()}
        seconds = said.uncertainty.seconds
        if todo.partial:
            asked = todo.shown, todo.asked
            seconds = parts_seconds(said.task, said.label, *asked, said.features, about.duration_s, costs)
        decision = route_parts(missing, seconds, scratch_s, todo, promise, policy, chance, rule, kinds)
        if decision.parts is None:
            return Answer(said, decision)
        return Answer(replace(said, uncertainty=replace(said.uncertainty, seconds=seconds)), decision)

    def as_if_open(self, said: PreAnnotation, about: About, trust: Trust, policy: Policy) -> Answer:
        """What would be decided today of an item whose answer is known, were it handed out like any other: one that is
        sure enough to be accepted, or in parts, people get whole by chance alone, by a number like any other's."""
        as_any, about = replace(self, gold_share=0.0), replace(about, chosen=False)
        answer = as_any.answer(said, about, trust, policy)
        if answer.decision.decision != "accept" and answer.decision.parts is None:
            return answer
        drawn = draw(said.item_id, self.seed, "as if open") * min(policy.audit_share, policy.calibration_share)
        return as_any.answer(said, about, trust, policy, chance=drawn)


def _whole(plan: Plan) -> Plan:
    """Of which a person sees all."""
    return Plan((), tuple(sorted(plan.accepted + plan.shown)), True)


def _by_people(answer: Answer) -> Answer:
    """The answer on an item that is chosen as gold: its label is no yardstick before a person gave it."""
    decided = answer.decision
    if decided.decision != "accept":
        return answer
    why, otherwise = f"chosen as gold, which people label; {decided.reason}", "not chosen it would be accepted unseen"
    return replace(answer, decision=Decision("review", why, policy=decided.policy, otherwise=otherwise))


def undecided(item_id: str, task: Task, version: str, said: Prediction) -> PreAnnotation:
    """What a version said about an item, before anything is decided: its raw doubt stands for all of it."""
    uncertainty = Uncertainty(p_error=said.score, seconds=0.0, score=said.score)
    embedding = tuple(np.asarray(said.embedding, dtype=np.float32).tolist())
    return PreAnnotation(item_id, task, version, said.label, uncertainty, said.features, embedding)
