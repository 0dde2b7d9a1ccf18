"""What is simulated."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from models.records import Label, Task
from models.tasks import differs
from models.versions import Version
from selection.cost import Costs
from selection.policy import Policy
from serving.policies import default_policy
from serving.settings import Settings
from serving.simulation.pool import Pool
from serving.simulation.workshop import Workshop


@dataclass(frozen=True)
class Plan:
    """What is simulated; ``shares`` are the parts of the pool that are worked through by the end of each round.

    A candidate is trained for ``epochs`` from ``start`` after each round, never where ``epochs`` is 0. Without a start
    people label the first round's items from nothing, drawn at random, and the first model is trained on those, for
    ``first_epochs``. Where labels are accepted unseen, training stops once a promise holds or the share ``learn_until``
    is labelled: a new version has to earn its promise anew. People take the seconds of ``costs``; the loop learns them
    from what people take. ``ancestors`` are the versions that the start descends from: a promise asks what they were
    trained on. A ``policy`` is adopted where the deployment chooses what people see, instead of what the settings say.
    Without ``groups`` each item is taken for independent of all others, in training too.
    """

    task: Task
    start: Version | None
    pool: Pool
    settings: Settings
    shares: tuple[float, ...]
    epochs: int
    learn_until: float
    mistakes: float
    folder: Path
    costs: Costs = field(default_factory=Costs)
    first_epochs: int | None = None
    ancestors: tuple[Version, ...] = ()
    policy: Policy | None = None
    groups: bool = True

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.task, self.folder)

    @property
    def decided_by(self) -> Policy:
        """The terms of the arms that choose."""
        policy = self.policy or default_policy(self.settings)
        return policy if self.groups else replace(policy, groups=False)

    def wrong(self, label: Label, truth: Label) -> bool:
        """Whether a label is wrong by the rule of those terms, in any arm."""
        return differs(self.task, label, truth, self.decided_by.matters)
