"""What would go where under another policy, and what it would cost: decided anew from the store, and kept nowhere."""

import hashlib
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import InvalidInput, NotFound
from models.records import Seconds, Task, explain
from serving.calibrations import BATCH, Calibrations
from serving.deciding import Deciding
from serving.settings import Settings
from serving.store import Store

POLICY = ("alpha", "delta", "promise_of", "audit_share", "calibration_share", "matters_wer", "matters_iou",
          "matters_category", "matters_lane_px")  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What becomes of the open items: how many go where, and the human seconds that they take there."""

    policy: str
    promise: Mapping[str, Any]
    items: Mapping[str, int]
    seconds: Mapping[str, Seconds]
    examples: Mapping[str, str]  # the reason of one item of each decision

    @property
    def total_s(self) -> Seconds:
        return sum(self.seconds.values())

    @property
    def title(self) -> str:
        """The policy, and what it accepts or why nothing."""
        promise = self.promise
        held = f"accepts scores up to {promise['threshold']:.4g}" if promise["holds"] else promise["reason"]
        return f"{self.policy}: {held}"

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Each decision with its items, seconds and an example, as words."""
        return [
            (where, str(n), f"{self.seconds.get(where, 0):.0f}", self.examples[where])
            for where, n in sorted(self.items.items())
        ]

    def summed_up(self, budget_s_per_day: Seconds | None) -> str:
        """All decisions in one line, in days of a budget where there is one."""
        days = (
            f", {self.total_s / budget_s_per_day:.1f} days at {budget_s_per_day:g} s a day" if budget_s_per_day else ""
        )
        return f"{self.policy}: {sum(self.items.values())} open items, {self.total_s:.0f} human seconds{days}"


@dataclass(frozen=True)
class Policy:
    """Settings of deciding in place of those of the deployment; ``version`` names the file's content."""

    version: str
    values: Mapping[str, Any]
    budget_s_per_day: Seconds | None

    def over(self, settings: Settings) -> Settings:
        """The settings with those of the policy."""
        return Settings.model_validate({**settings.model_dump(), **self.values})


def read_policy(path: Path, settings: Settings) -> Policy:
    """The policy of a TOML file: any of ``POLICY``, named like the settings, and ``budget_s_per_day``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no TOML, or a key or value is none of a policy's, with the file.
    """
    try:
        data = path.read_bytes()
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise NotFound(f"{path}: expected a policy, got {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path}: expected TOML, got an error: {error}") from error
    budget = values.pop("budget_s_per_day", None)
    if unknown := sorted(set(values) - set(POLICY)):
        raise InvalidInput(f"{path}: expected {', '.join((*POLICY, 'budget_s_per_day'))}, got {unknown[0]!r}")
    if budget is not None and not (isinstance(budget, int | float) and 0 < budget <= 10**9):
        raise InvalidInput(f"{path}: budget_s_per_day: expected seconds above 0, got {budget!r}")
    policy = Policy(f"policy-{hashlib.sha256(data).hexdigest()[:12]}", values, budget)
    try:
        policy.over(settings)
    except ValidationError as error:
        raise InvalidInput(f"{path}: {explain(error)}") from error
    return policy


def dry_run(store: Store, settings: Settings, task: Task, name: str, clock: Callable[[], datetime]) -> Outcome:
    """Weighs the checks of the serving version by these settings, and decides about every item that waits.

    Raises:
        NotFound: nothing serves.
    """
    version = store.versions.serving(task)
    if version is None:
        raise NotFound(f"route {task}: expected a version that serves, got none")
    deciding = Deciding.by(settings)
    trust = Calibrations(store, deciding, settings, clock).weigh(version)
    items, seconds, examples = Counter[str](), defaultdict[str, float](float), dict[str, str]()
    for batch in store.items.open_answers(task, version.name, BATCH):
        for waiting in batch:
            answer = deciding.answer(waiting.preannotation, waiting.duration_s, trust)
            where = answer.decision.decision if answer.decision.parts is None else "review in parts"
            items[where] += 1
            if where != "accept":
                seconds[where] += answer.preannotation.uncertainty.seconds
            examples.setdefault(where, answer.decision.reason)
    return Outcome(name, trust.told(), dict(items), dict(seconds), examples)
