"""What the loop says, as the records that the API answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC
from functools import cache
from typing import Any, TypeVar, cast

from fastapi.responses import Response
from pydantic import TypeAdapter

from models.records import TASKS, Task
from selection.annotators import Speed, Standing
from selection.routing import Decision
from serving import answers
from serving.concealing import without
from serving.http_errors import error_detail
from serving.loop import Answer, Leased, Promotion, StoredVersion
from serving.opinions import Agreed
from serving.policies import Policies
from serving.store.records import Opinions
from serving.suspecting import Ranking

T = TypeVar("T")

_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)  # one a record


def as_json(told: Any, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request."""
    return Response(json_of(told), headers=headers, media_type="application/json")


def json_of(told: Any) -> bytes:
    """A record of ``answers`` as JSON; it was checked when it was made."""
    return _adapter(type(told)).dump_json(told)


def told_as(kind: type[T], record: Any, **more: Any) -> T:
    """An answer of that kind from a record of the loop: the fields that both have, and ``more``.

    What else the record holds is not told; where a field of the answer is in neither, that is a bug.
    """
    names = {field.name for field in fields(cast(Any, kind))} - more.keys()
    return kind(**{name: getattr(record, name) for name in names}, **more)


def answer_told(answer: Answer) -> answers.Answer:
    """What a version said."""
    return answers.Answer(**_answer(answer, answer.decision.reason))


def leased_told(leased: Leased, answer: Answer) -> answers.Leased:
    """A leased item with the newest answer on it, and why it came first, if it did."""
    why = answer.decision.reason
    if leased.first and leased.due is not None:
        why = f"due by {leased.due.astimezone(UTC):%Y-%m-%d %H:%M} UTC, so it comes first; {why}"
    item = leased.item
    return answers.Leased(
        **_answer(answer, why), uri=item.uri, group=item.group, language=item.language, due=leased.due,
        lease_id=leased.lease_id, expires_at=leased.expires_at,
    )  # fmt: skip


def _answer(answer: Answer, why: str) -> dict[str, Any]:
    said = answer.preannotation
    return {
        "item_id": said.item_id,
        "task": said.task,
        "model_version": said.model_version,
        "label": said.label,
        "uncertainty": said.uncertainty,
        "route": _route(answer.decision, why),
    }


def _route(decided: Decision, why: str) -> answers.Route:
    parts = None if decided.parts is None else told_as(answers.Parts, decided.parts)
    return told_as(answers.Route, decided, reason=why, parts=parts)


def version_told(version: StoredVersion) -> answers.Version:
    """A version, without the place where it lies."""
    return told_as(answers.Version, version, version=version.name)


def suspects_told(task: Task, ranking: Ranking, offset: int, limit: int, hidden: frozenset[str]) -> answers.Suspects:
    """The page of a ranking that begins at ``offset``, without the ``hidden`` items."""
    end = offset + limit
    return answers.Suspects(
        task=task,
        model_version=ranking.version,
        ranked_at=ranking.ranked_at,
        total=len(ranking.suspects),
        suspects=tuple(
            answers.Suspect(
                rank=one.rank,
                score=one.suspicion.score,
                item_id=one.item.id,
                uri=one.item.uri,
                group=one.item.group,
                annotator=ranking.annotators[one.item.id],
                reason=one.suspicion.reason,
                findings=tuple(told_as(answers.Finding, found) for found in one.suspicion.findings),
            )
            for one in without(ranking.suspects[offset:end], hidden)
        ),
        unread=tuple(answers.Unread(one.item.id, one.item.uri, error_detail(one.failure)) for one in ranking.unread),
        next=end if end < len(ranking.suspects) else None,
    )


def policies_told(policies: Policies) -> answers.Policies:
    """What is in force now."""
    return answers.Policies({task: _in_force(policies, task) for task in TASKS})


def _in_force(policies: Policies, task: Task) -> answers.InForce:
    adopted = policies.adopted(task)
    return answers.InForce(
        version=policies.of(task).version,
        policy=policies.told(task),
        adopted_by=adopted.actor if adopted else None,
        adopted_at=adopted.at if adopted else None,
    )


def consensus_told(item_id: str, found: Mapping[Task, tuple[Opinions, Agreed]]) -> answers.Consensus:
    """What people said of an item, and what they agree on."""
    return answers.Consensus(
        item_id,
        {
            task: told_as(answers.Agreed, agreed, given=tuple(told_as(answers.Opinion, one) for one in said.given))
            for task, (said, agreed) in found.items()
        },
    )


def annotators_told(found: Mapping[Task, Sequence[Standing]]) -> answers.Annotators:
    """How fast people are and how often right."""
    return answers.Annotators({task: tuple(map(_standing, people)) for task, people in found.items()})


def _standing(one: Standing) -> answers.Standing:
    gold, consensus = (told_as(answers.Share, share) for share in (one.gold, one.consensus))
    speed, gold_speed = map(_speed, (one.speed, one.gold_speed))
    return told_as(answers.Standing, one, speed=speed, gold=gold, consensus=consensus, gold_speed=gold_speed)


def _speed(speed: Speed | None) -> answers.Speed | None:
    return None if speed is None else told_as(answers.Speed, speed)


def promotion_told(promotion: Promotion) -> answers.Promotion:
    """A line of the log of switches."""
    return told_as(answers.Promotion, promotion, **vars(promotion.comparison))
