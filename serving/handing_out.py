"""Who gets which items next, by the policy in force: what is due, what was drawn at random, what strategies pick.

And, planted among these, items whose answers are known.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.counting import counted
from models.records import TASKS, Seconds, Task
from selection.policy import Policy
from selection.queueing import Share, StrategyName, done_by, due_by, tomorrow, turns
from selection.routing import draw
from serving.gold import IsGold
from serving.ordering import LEAST_S, order_of
from serving.policies import Policies
from serving.settings import Settings
from serving.store import Store
from serving.store.order import Order
from serving.store.records import Actor, Leased
from serving.store.waiting import ANYTHING, Asking


@dataclass(frozen=True)
class Nothing:
    """Why a person gets nothing, and after how many seconds it is worth to ask again, where that is known."""

    reason: str
    retry_after_s: Seconds | None = None


class HandingOut:
    """Leases items to people; ``gold_of`` a task tells by its id of which corrected items the answer is known."""

    def __init__(self, store: Store, policies: Policies, settings: Settings, gold_of: Callable[[Task], IsGold]) -> None:
        self._store = store
        self._policies = policies
        self._settings = settings
        self._gold_of = gold_of

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

        First what is due and would otherwise come too late; while the day's budget lasts, planted items, of which
        nobody is told, have their share of the other places, and audit items and the strategies take turns at the rest.
        """
        policy = self._policies.of(task)
        able = policy.annotators.get(annotator, ANYTHING)
        if not able.does(task):
            return []
        take = _Taking(self._store, Asking(task, annotator, actor, now, self._until(now), able), seconds)
        leased = self._due_first(task, limit, policy, take)
        places = self._places(task, limit - len(leased), take.seconds_left)
        if places and self._left_today(policy, now) > 0:
            planted = self._planted(task, places, policy, take)
            leased += self._in_turn(task, places - len(planted), policy, strategy, take)
            for one in planted:  # anywhere, so that no place tells
                leased.insert(int(draw(one.lease_id, self._settings.seed) * (len(leased) + 1)), one)
        return [replace(one, due=due_by(one.due, one.item.group, policy.deadlines)) for one in leased]

    def standing(self, task: Task, places: int, now: datetime) -> tuple[int, list[str]]:
        """Which items would have the next places for somebody who can do everything, whatever the day's budget, and
        how many people have or had."""
        policy = self._policies.of(task)
        take = _Taking(self._store, Asking(task, "", "", now, self._until(now)))
        with self._store.trying():
            held = self._due_first(task, places, policy, take)
            held += self._in_turn(task, places - len(held), policy, None, take)
        return self._store.workload.handed_out(task), [one.item.id for one in held]

    def _due_first(self, task: Task, limit: int, policy: Policy, take: "_Taking") -> list[Leased]:
        """What the budget would not reach in time."""
        until = self._due_until(task, policy, take.by.now)
        if until is None:
            return []
        order = Order("priority", until=until, deadlines=policy.deadlines, seconds=take.seconds_left)
        return [replace(one, first=True) for one in take(limit, order)]

    def _planted(self, task: Task, places: int, policy: Policy, take: "_Taking") -> list[Leased]:
        """Items whose answers are known; among nothing else they would stand out."""
        moment = f"{take.by.annotator} {take.by.now.isoformat()}"
        by_chance, known = (draw(moment, self._settings.seed, of) for of in ("planted", "known"))
        count = int(places * policy.planted_share + by_chance)
        if not count or not self._store.workload.waiting(task):
            return []
        until = self._reached(policy, take.by.now)
        order = Order("draw", until=until, deadlines=policy.deadlines, seconds=take.seconds_left)
        return take.told(self._store.planting.lease(take.by, count, self._gold_of(task), known, order))

    def _in_turn(
        self, task: Task, places: int, policy: Policy, strategy: StrategyName | None, take: "_Taking"
    ) -> list[Leased]:
        """Audit items, in the order of their draw, and what each strategy picks, at the places where it is their turn.

        Where there are no audit items left the first strategy has their places; where there is nothing else, they have
        all.
        """
        mix = (Share(strategy),) if strategy else policy.strategies
        whose = turns(mix, policy.calibration_share, self._store.workload.handed_out(task), places)
        wanted = Counter(whose)
        audits = take(wanted[None], Order("audit", seconds=take.seconds_left))
        wanted[mix[0].name] += wanted[None] - len(audits)
        picks: dict[StrategyName | None, list[Leased]] = {None: audits}
        for name in (one.name for one in mix if wanted[one.name]):
            order = order_of(self._settings, name, wanted[name], take.seconds_left)
            picks[name] = take(wanted[name], order)
        return _laid_out(whose, picks)

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
            held = self._store.workload.held_by_others(task, annotator, now) if able == ANYTHING else 0
            holding = f"; others hold {counted(held, 'item')} of {task}" if held else ""
            new = self._store.workload.new(task)
            coming = f"; {_wait(new, task)} for the model" if new else ""
            return Nothing(f"nothing is open{holding}{coming}")
        others = f"{_wait(waiting, task)} for others"
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

    def _due_until(self, task: Task, policy: Policy, now: datetime) -> datetime | None:
        """Until when the budget would not reach what waits in time; None where nothing that waits is due by then."""
        earliest = self._store.deadlines.earliest(task, policy.deadlines)
        return until if earliest is not None and earliest < (until := self._reached(policy, now)) else None

    def _reached(self, policy: Policy, now: datetime) -> datetime:
        """When the budget will have done all that waits."""
        open_s, used_s = self._store.workload.open_seconds(self._together(policy)), self._used_today(policy, now)
        return done_by(now, open_s, used_s, policy.budget_s_per_day)

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._settings.lease_s)

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


@dataclass
class _Taking:
    """Leases items to who asks, and has only so many seconds."""

    store: Store
    by: Asking
    seconds_left: Seconds | None = None

    def __call__(self, places: int, order: Order) -> list[Leased]:
        return self.told(self.store.queue.lease(self.by, places, order)) if places else []

    def told(self, leased: list[Leased]) -> list[Leased]:
        """What was leased, whose seconds are spent now."""
        if self.seconds_left is not None:
            self.seconds_left -= sum(map(_seconds, leased))
        return leased


def _wait(count: int, task: Task) -> str:
    return f"{counted(count, 'item')} of {task} {'waits' if count == 1 else 'wait'}"


def _laid_out(
    whose: Sequence[StrategyName | None], picks: Mapping[StrategyName | None, Sequence[Leased]]
) -> list[Leased]:
    """The picks of each at the places where it is their turn; what is left over comes last."""
    rest = {name: iter(taken) for name, taken in picks.items()}
    placed = [next(rest[name], None) for name in whose if name in rest]
    return [*filter(None, placed), *(one for taken in rest.values() for one in taken)]


def _seconds(leased: Leased) -> Seconds:
    """What a person is expected to need for an item."""
    return leased.answer.preannotation.uncertainty.seconds
