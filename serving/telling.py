"""What the loop says, in the shapes that the API answers in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel

from models.records import TASKS, Task
from serving.bodies import (
    AgreedBody,
    AnswerBody,
    ConsensusBody,
    GivenBody,
    InForceBody,
    LeasedBody,
    PoliciesBody,
    PromotionBody,
    SuspectBody,
    SuspectsBody,
    UnreadBody,
    VersionBody,
)
from serving.http_errors import error_detail
from serving.loop import Answer, Leased, Promotion, StoredVersion
from serving.opinions import Agreed
from serving.policies import Policies
from serving.store.records import Opinions
from serving.suspecting import Ranking


def as_json(body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request."""
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")


def answer_body(answer: Answer) -> AnswerBody:
    """The answer, as the API gives it; it was checked when it was made."""
    return AnswerBody.model_construct(**_told(answer))


def leased_body(leased: Leased, answer: Answer) -> LeasedBody:
    """A leased item with the newest answer on it, and why it came first, if it did."""
    if leased.first and leased.due is not None:
        why = f"due by {leased.due.astimezone(UTC):%Y-%m-%d %H:%M} UTC, so it comes first; {answer.decision.reason}"
        answer = replace(answer, decision=replace(answer.decision, reason=why))
    return LeasedBody.model_construct(
        **_told(answer),
        uri=leased.item.uri,
        group=leased.item.group,
        language=leased.item.language,
        due=leased.due,
        lease_id=leased.lease_id,
        expires_at=leased.expires_at,
    )


def version_body(version: StoredVersion) -> VersionBody:
    """A version, without the place where it lies."""
    return VersionBody(
        version=version.name,
        task=version.task,
        state=version.state,
        parent=version.parent,
        created_at=version.created_at,
        onnx_sha256=version.onnx_sha256,
        metrics=dict(version.metrics),
        failure=version.failure,
    )


def suspects_body(task: Task, ranking: Ranking, offset: int, limit: int) -> SuspectsBody:
    """The page of a ranking that begins at ``offset``."""
    end = offset + limit
    return SuspectsBody(
        task=task,
        model_version=ranking.version,
        ranked_at=ranking.ranked_at,
        total=len(ranking.suspects),
        suspects=[
            SuspectBody(
                rank=one.rank,
                score=one.suspicion.score,
                item_id=one.item.id,
                uri=one.item.uri,
                group=one.item.group,
                annotator=ranking.annotators[one.item.id],
                reason=one.suspicion.reason,
                findings=list(one.suspicion.findings),
            )
            for one in ranking.suspects[offset:end]
        ],
        unread=[
            UnreadBody(item_id=one.item.id, uri=one.item.uri, error=error_detail(one.failure)) for one in ranking.unread
        ],
        next=end if end < len(ranking.suspects) else None,
    )


def policies_body(policies: Policies) -> PoliciesBody:
    """What is in force now."""
    return PoliciesBody(tasks={task: _in_force(policies, task) for task in TASKS})


def _in_force(policies: Policies, task: Task) -> InForceBody:
    adopted = policies.adopted(task)
    return InForceBody(
        version=policies.of(task).version,
        policy=policies.told(task),
        adopted_by=adopted.actor if adopted else None,
        adopted_at=adopted.at if adopted else None,
    )


def consensus_body(item_id: str, found: Mapping[Task, tuple[Opinions, Agreed]]) -> ConsensusBody:
    """What people said of an item, and what they agree on."""
    return ConsensusBody(
        item_id=item_id,
        tasks={
            task: AgreedBody(
                label=agreed.label,
                people=agreed.people,
                agreement=agreed.agreement,
                given=[GivenBody(**vars(one)) for one in said.given],
            )
            for task, (said, agreed) in found.items()
        },
    )


def promotion_body(promotion: Promotion) -> PromotionBody:
    """A line of the log of switches."""
    comparison = promotion.comparison
    return PromotionBody(
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


def _told(answer: Answer) -> dict[str, Any]:
    said = answer.preannotation
    return {
        "item_id": said.item_id,
        "task": said.task,
        "model_version": said.model_version,
        "label": said.label,
        "uncertainty": said.uncertainty,
        "route": answer.decision,
    }
