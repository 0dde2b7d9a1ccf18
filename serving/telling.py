"""What the loop says, as the records that the API answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

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
from serving.store.records import Opinion, Opinions
from serving.suspecting import Ranking

_ADAPTERS: dict[type, TypeAdapter[Any]] = {  # one a record
    kind: TypeAdapter(kind)
    for kind in vars(answers).values()
    if isinstance(kind, type) and kind.__module__ == answers.__name__
}


def as_json(told: Any, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request."""
    return Response(json_of(told), headers=headers, media_type="application/json")


def json_of(told: Any) -> bytes:
    """A record of ``answers`` as JSON; it was checked when it was made."""
    return _ADAPTERS[type(told)].dump_json(told)


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
    plan = decided.parts
    parts = None if plan is None else answers.Parts(plan.accepted, plan.shown, plan.asked)
    return answers.Route(decided.decision, why, parts, decided.policy, decided.otherwise)


def version_told(version: StoredVersion) -> answers.Version:
    """A version, without the place where it lies."""
    return answers.Version(
        version=version.name,
        task=version.task,
        state=version.state,
        parent=version.parent,
        created_at=version.created_at,
        onnx_sha256=version.onnx_sha256,
        metrics=dict(version.metrics),
        failure=version.failure,
    )


def suspects_told(task: Task, ranking: Ranking, offset: int, limit: int, owed: frozenset[str]) -> answers.Suspects:
    """The page of a ranking that begins at ``offset``, without the items whose label who asks ``owed`` themselves."""
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
                findings=tuple(answers.Finding(**vars(found)) for found in one.suspicion.findings),
            )
            for one in without(ranking.suspects[offset:end], owed)
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
            task: answers.Agreed(agreed.label, agreed.people, agreed.agreement, tuple(map(_opinion, said.given)))
            for task, (said, agreed) in found.items()
        },
    )


def _opinion(one: Opinion) -> answers.Opinion:
    return answers.Opinion(one.annotator, one.label, one.seconds, one.counts, one.planted)


def annotators_told(found: Mapping[Task, Sequence[Standing]]) -> answers.Annotators:
    """How fast people are and how often right."""
    return answers.Annotators({task: tuple(map(_standing, people)) for task, people in found.items()})


def _standing(one: Standing) -> answers.Standing:
    return answers.Standing(
        annotator=one.annotator,
        speed=_speed(one.speed),
        gold=answers.Share(**vars(one.gold)),
        consensus=answers.Share(**vars(one.consensus)),
        gold_speed=_speed(one.gold_speed),
        labels=one.labels,
    )


def _speed(speed: Speed | None) -> answers.Speed | None:
    return None if speed is None else answers.Speed(**vars(speed))


def promotion_told(promotion: Promotion) -> answers.Promotion:
    """A line of the log of switches."""
    comparison = promotion.comparison
    return answers.Promotion(
        version=promotion.version,
        task=promotion.task,
        previous=promotion.previous,
        forced=promotion.forced,
        quality=comparison.quality,
        previous_quality=comparison.previous_quality,
        gold_items=comparison.gold_items,
        note=comparison.note,
        at=promotion.at,
        actor=promotion.actor,
    )
