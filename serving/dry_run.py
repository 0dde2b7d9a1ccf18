"""What would go where under another policy, and what it would cost: decided anew from the store, and kept nowhere."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.counting import counted
from models.errors import NotFound
from models.records import Seconds, Task
from selection.policy import Policy
from serving.loop import Loop


@dataclass(frozen=True)
class Outcome:
    """What becomes of the open items: how many go where, and the human seconds that they take there."""

    policy: str
    promise: Mapping[str, Any]
    items: Mapping[str, int]
    seconds: Mapping[str, Seconds]
    examples: Mapping[str, str]  # the reason of one item of each decision
    otherwise: Mapping[str, str]  # what would change the decision on that item

    @property
    def total_s(self) -> Seconds:
        return sum(self.seconds.values())

    @property
    def title(self) -> str:
        """The policy, and what it accepts or why nothing; of each kind in a line of its own, where it has kinds."""
        promise = self.promise
        if "kinds" in promise:
            return "\n".join([f"{self.policy}:", *(kind["told"] for kind in promise["kinds"].values())])
        held = f"accepts scores up to {promise['threshold']:.4g}" if promise["holds"] else promise["reason"]
        return f"{self.policy}: {held}"

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Each decision with its items, seconds and an example, as words."""
        return [
            (where, str(n), f"{self.seconds.get(where, 0):.0f}", self.examples[where], self.otherwise[where])
            for where, n in sorted(self.items.items())
        ]

    def summed_up(self, budget_s_per_day: Seconds | None) -> str:
        """All decisions in one line, in days of a budget where there is one."""
        days = (
            f", {self.total_s / budget_s_per_day:.1f} days at {budget_s_per_day:g} s a day" if budget_s_per_day else ""
        )
        found = counted(sum(self.items.values()), "open item")
        return f"{self.policy}: {found}, {self.total_s:.0f} human seconds{days}"


def dry_run(loop: Loop, task: Task, policy: Policy) -> Outcome:
    """Weighs the checks of the serving version by a policy, and decides about every item that waits.

    Raises:
        NotFound: nothing serves.
    """
    version = loop.versions.serving(task)
    if version is None:
        raise NotFound(f"route {task}: expected a version that serves, got none")
    items, seconds = Counter[str](), defaultdict[str, float](float)
    examples, otherwise = dict[str, str](), dict[str, str]()
    trust, decided = loop.tried(version, policy)
    for answer in decided:
        where = answer.decision.decision if answer.decision.parts is None else "review in parts"
        items[where] += 1
        if where != "accept":
            seconds[where] += answer.preannotation.uncertainty.seconds
        examples.setdefault(where, answer.decision.reason)
        otherwise.setdefault(where, answer.decision.otherwise or "")
    return Outcome(policy.version, trust.told(), dict(items), dict(seconds), examples, otherwise)
