"""The policy that is in force: the one adopted last or, where none was, what the settings say.

Every decision asks for it, so an adoption holds at once in every process; what waits in the queue is decided anew when
the background looks next.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.errors import InvalidInput, NotFound
from models.records import Task, explain
from selection.policy import KEYS, Policy
from selection.queueing import Share
from serving.settings import Settings
from serving.store import Store
from serving.store.records import Actor, Adoption, storable_time

_ADAPTER = TypeAdapter(Policy)


@dataclass(frozen=True)
class Shares:
    """The calibration shares of a task, oldest first: the first until there was another, and each other one ``since`` a
    time."""

    shares: Sequence[float]
    since: Sequence[datetime]

    def smallest(self, start: datetime, end: datetime) -> float:
        """The smallest that was in force at any moment from ``start`` to ``end``."""
        first, last = bisect_right(self.since, start), bisect_right(self.since, end)
        return min(self.shares[first : max(first, last) + 1])


class Policies:
    """The policies of one deployment."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self.default = default_policy(settings)
        self._read: dict[int, Policy] = {}

    def of(self, task: Task) -> Policy:
        """What is in force for a task."""
        adopted = self.adopted(task)
        return self.default if adopted is None else self._policy(adopted)

    def begin(self, actor: Actor, now: datetime) -> None:
        """The settings are in force from now on, where nobody adopted a policy: their calibration share is noted."""
        self._store.policies.set_share(self.default.calibration_share, actor, now)

    def shares(self, task: Task) -> Shares:
        """The calibration shares of a task so far; those of the settings until somebody adopted a policy."""
        adopted = [(one.at, self._policy(one).calibration_share) for one in self.history() if one.task in (task, None)]
        kept = self._store.policies.shares_set()
        first = kept[0][1] if kept else self.default.calibration_share
        later = [one for one in kept[1:] if not adopted or one[0] < adopted[0][0]] + adopted
        since = accumulate((at for at, _ in later), max)  # the clocks of two processes may differ
        return Shares([first, *(share for _, share in later)], [*since])

    def _policy(self, adopted: Adoption) -> Policy:
        if adopted.id not in self._read:
            self._read[adopted.id] = _ADAPTER.validate_python(adopted.terms)
        return self._read[adopted.id]

    def adopted(self, task: Task) -> Adoption | None:
        """Who put it in force, and when; None where nobody did."""
        return self._store.policies.in_force(task)

    def adopt(self, policy: Policy, task: Task | None, actor: Actor, now: datetime) -> Adoption:
        """Puts a policy in force, for one task or for all; with all its terms, whatever the settings say later."""
        return self._store.policies.add(task, policy.version, to_json(policy), actor, now)

    def history(self) -> list[Adoption]:
        """Every adoption, oldest first."""
        return self._store.policies.all()

    def told(self, task: Task) -> dict[str, Any]:
        """What is in force for a task, as JSON values."""
        return to_json(self.of(task))


def default_policy(settings: Settings) -> Policy:
    """What the settings say."""
    terms = {name: getattr(settings, name) for name in KEYS if hasattr(settings, name)}
    return Policy(**terms, strategies=(Share(settings.strategy),))


def read_policy(path: Path, default: Policy) -> Policy:
    """The policy of a TOML file, with what it leaves out as in ``default``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no TOML, or a key or value is none of a policy's, with the file.
    """
    try:
        terms = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise NotFound(f"{path}: expected a policy, got {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, and brackets without end, too
        raise InvalidInput(f"{path}: expected TOML, got an error: {error}") from error
    return parse_policy(terms, str(path), default)


def parse_policy(terms: Mapping[str, Any], where: str, default: Policy) -> Policy:
    """The policy of terms as they stand in TOML or JSON, with those left out as in ``default``.

    Raises:
        InvalidInput: a key or value is none of a policy's, with the place.
    """
    if unknown := sorted(set(terms) - set(KEYS)):
        raise InvalidInput(f"{where}: expected {', '.join(KEYS)}, got {unknown[0]!r}")
    try:
        policy: Policy = _ADAPTER.validate_python({**to_json(default), **terms})
    except ValidationError as error:
        raise InvalidInput(f"{where}: {explain(error, Policy)}") from error
    if policy.checks_from is not None:
        storable_time(policy.checks_from, f"{where}: checks_from")
    for deadline in policy.deadlines:
        storable_time(deadline.by, f"{where}: deadlines: by")
    return policy


def to_json(policy: Policy) -> dict[str, Any]:
    """All terms as plain JSON values."""
    terms: dict[str, Any] = _ADAPTER.dump_python(policy, mode="json")
    return terms


def json_schema() -> dict[str, Any]:
    """The published JSON schema of a policy."""
    return {"title": "prelabel policy", **{k: v for k, v in _ADAPTER.json_schema().items() if k != "title"}}
