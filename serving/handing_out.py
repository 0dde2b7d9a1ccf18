"""Who gets which items next, by the policy in force: what is due, what was drawn at random, what strategies pick.

And, planted among these, items whose answers are known.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.records import TASKS, Seconds, Task
from selection.policy import Policy
from selection.queueing import Share, Skills, StrategyName, done_by, split, tomorrow, urgent
from selection.routing import draw
from serving.ordering import LEAST_S, order_of
from serving.policies import Policies
from serving.settings import Settings
from serving.store import Store
from serving.store.queue import Order
from serving.store.records import Actor, Leased

ANYTHING = Skills()


@dataclass(frozen=True)
class Nothing:
    """Why a person gets nothing, and after how many seconds it is worth to ask again, where that is known."""

    reason: str
    retry_after_s: Seconds | None = None


class HandingOut:
    """Leases items to people; ``is_gold`` tells by its id of which corrected items the answer counts as known."""

    def __init__(self, store: Store, policies: Policies, settings: Settings, is_gold: Callable[[str], bool]) -> None:
        self._store = store
        self._policies = policies
        self._settings = settings
        self._is_gold = is_gold

    def lease(
        self,
        task: Task,
        limit: int,
        annotator: str,
        actor: Actor,
        now: datetime,
        strategy: StrategyName | None,
        seconds: Seconds | None = None,
    ) -> list[Leased]:
        """Up to ``limit`` items that this person can do; where they have only so many ``seconds``, what fits into them.

        First what is due and would otherwise come too late; while the day's budget lasts, the other places are shared
        by planted items, of which nobody is told, by audit items, in the order of their draw, and by the strategies,
        each with its share of what is left.
        """
        policy = self._policies.of(task)
        able = policy.annotators.get(annotator, ANYTHING)
        if not able.does(task):
            return []
        leased, planted = list[Leased](), list[Leased]()
        until = now + timedelta(seconds=self._settings.lease_s)

        def left() -> Seconds | None:
            return None if seconds is None else seconds - sum(map(_seconds, [*leased, *planted]))

        def add(places: int, order: Order) -> None:
            leased.extend(self._store.queue.lease(task, places, order, annotator, actor, now, until, able))

        def chance(of: str) -> float:
            return draw(f"{annotator} {now.isoformat()}", self._settings.seed, of)

        if due := self._due(task, policy, now):
            add(limit, Order("priority", 0, groups=due, seconds=left()))
        places = self._places(task, limit - len(leased), left())
        if places and self._left_today(policy, now) > 0:
            known = int(places * policy.planted_share + chance("planted"))
            if known and self._store.workload.waiting(task):  # among nothing they would stand out
                whose = annotator, actor, now, until, able
                planted += self._store.planting.lease(task, known, *whose, self._is_gold, chance("known"), left())
            places -= len(planted)
            audits = int(places * policy.calibration_share + chance("lease"))
            mix = (Share(strategy),) if strategy else policy.strategies
            shares = split(mix, places - audits, chance("mix")) or [(mix[0].name, 0)]
            for name, count in shares if places else ():
                add(count + audits, order_of(self._settings, name, count + audits, audits, left()))
                audits = 0
        for one in planted:  # anywhere, so that no place tells
            leased.insert(int(draw(one.lease_id, self._settings.seed) * (len(leased) + 1)), one)
        return leased

    def _places(self, task: Task, limit: int, seconds: Seconds | None) -> int:
        """How many items to hand out: as many as usually fit into the seconds, so that audits have their share."""
        if seconds is None or not limit:
            return limit
        waiting = self._store.workload.waiting(task)
        usual = self._store.workload.open_seconds([task]) / waiting if waiting else 0.0
        return min(limit, math.ceil(seconds / max(usual, LEAST_S)))

    def why_nothing(self, task: Task, annotator: str, now: datetime, seconds: Seconds | None = None) -> Nothing:
        """Why ``lease`` had nothing for this person."""
        policy, waiting = self._policies.of(task), self._store.workload.waiting(task)
        able = policy.annotators.get(annotator, ANYTHING)
        if not waiting:
            return Nothing("nothing is open")
        others = f"{waiting} items of {task} wait for others"
        if able != ANYTHING and not able.does(task):
            return Nothing(f"{annotator} does {able.words}; {others}")
        if self._left_today(policy, now) <= 0:
            until = tomorrow(now)
            spent = f"today's {policy.budget_s_per_day:g} human seconds are used up"
            return Nothing(
                f"{spent}; more is handed out from {until:%Y-%m-%d %H:%M} UTC on", (until - now).total_seconds()
            )
        if seconds is not None:
            return Nothing(f"nothing that takes at most {seconds:g} s is open for {annotator}; {others}")
        if able != ANYTHING:
            return Nothing(f"nothing that {annotator} can do ({able.words}) is open; {others}")
        return Nothing(f"nothing is open that {annotator} did not see or give back just now; {others}")

    def _due(self, task: Task, policy: Policy, now: datetime) -> Sequence[str]:
        """Groups that the budget would not reach in time, the earliest first."""
        if not policy.deadlines:
            return ()
        waiting = self._store.workload.waiting_groups(task, [one.group for one in policy.deadlines])
        if not waiting:
            return ()
        tasks = self._together(policy)
        open_s, used_s = self._store.workload.open_seconds(tasks), self._used_today(policy, now)
        deadlines = [one for one in policy.deadlines if one.group in waiting]
        return urgent(deadlines, done_by(now, open_s, used_s, policy.budget_s_per_day))

    def _left_today(self, policy: Policy, now: datetime) -> Seconds:
        budget = policy.budget_s_per_day
        return float("inf") if budget is None else budget - self._used_today(policy, now)

    def _used_today(self, policy: Policy, now: datetime) -> Seconds:
        if policy.budget_s_per_day is None:
            return 0.0
        return self._store.workload.worked_seconds(self._together(policy), tomorrow(now) - timedelta(days=1))

    def _together(self, policy: Policy) -> list[Task]:
        """The tasks that share a policy, and so its budget."""
        return [task for task in TASKS if self._policies.of(task).version == policy.version]


def _seconds(leased: Leased) -> Seconds:
    """What a person is expected to need for an item."""
    return leased.answer.preannotation.uncertainty.seconds
