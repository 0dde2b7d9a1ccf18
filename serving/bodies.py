"""What requests and answers look like: the types behind the API's description."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import InvalidInput
from models.records import (
    LABEL_TYPES,
    Boxes,
    Correction,
    Lanes,
    Seconds,
    Task,
    Transcript,
    Uncertainty,
    explain,
    from_json,
)
from selection.annotators import Standing
from selection.routing import Decision
from selection.suspects import Finding
from serving.http_errors import ErrorDetail
from serving.store.records import UNFIT, Unfit

Label = Transcript | Boxes | Lanes


class Body(BaseModel):
    """A request's body: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")


class UriBody(Body):
    """A medium by name, where its bytes do not come with the request."""

    uri: str = Field(min_length=1, examples=["s3://frames/0001.jpg"])


class ItemLine(Body):
    """One line of a registration."""

    uri: str = Field(min_length=1)
    task: Task
    group: str | None = Field(None, min_length=1, description="speaker, clip or sequence that the medium belongs to")
    language: str | None = Field(None, min_length=1, description="the language spoken in it")
    due: AwareDatetime | None = Field(None, description="when its label is needed; told again, the newer time counts")


class AnswerBody(BaseModel):
    """What a version said about a medium, how far that is to be trusted, and who must look at it."""

    item_id: str
    task: Task
    model_version: str
    label: Label
    uncertainty: Uncertainty
    route: Decision


class FailedBody(BaseModel):
    """The place of a medium that got no answer, among those of one request that did."""

    name: str
    error: ErrorDetail


class LeasedBody(AnswerBody):
    """An item held for one person, with the pre-annotation to correct."""

    uri: str
    group: str | None
    language: str | None
    due: datetime | None
    lease_id: str
    expires_at: datetime


class QueueBody(BaseModel):
    """The next items, most useful first; where there are none, the reason."""

    items: list[LeasedBody]
    reason: str | None = None


class LineFailure(BaseModel):
    """A line of a registration whose medium could not be had."""

    line: int
    uri: str
    error: ErrorDetail


class RegisteredBody(BaseModel):
    """How many (item, task) were new, how many known, and how many lines failed."""

    new: int
    known: int
    failed: int
    failures: list[LineFailure]


class CorrectionBody(Body):
    """A person's label. ``created_at`` is when it was given; without it, now. With ``lease_id``, ``model_version`` is
    by default the one whose pre-annotation was handed out."""

    task: Task
    label: dict[str, Any] = Field(description="a Transcript, Boxes or Lanes, as the task asks")
    annotator: str = Field(min_length=1)
    seconds: Annotated[Seconds, Field(ge=0, description="human time spent")]
    tool: str = Field("api", min_length=1)
    created_at: datetime | None = None
    model_version: str | None = None
    lease_id: str | None = None

    def correction(self, item_id: str, created_at: datetime, model_version: str | None) -> Correction:
        """The record of it.

        Raises:
            InvalidRecord: the label is none of the task's.
        """
        return Correction(
            item_id=item_id,
            task=self.task,
            label=from_json(LABEL_TYPES[self.task], self.label),
            annotator=self.annotator,
            seconds=self.seconds,
            tool=self.tool,
            created_at=created_at,
            model_version=model_version,
        )


class UnfitBody(Body):
    """A person's word that an item cannot be labelled. ``created_at`` is when it was given; without it, now."""

    task: Task
    reason: str = Field(
        description="; ".join(f"{task}: {', '.join(reasons)}" for task, reasons in UNFIT.items()), examples=["damaged"]
    )
    annotator: str = Field(min_length=1)
    seconds: Annotated[Seconds, Field(ge=0, description="human time spent")]
    tool: str = Field("api", min_length=1)
    created_at: datetime | None = None
    lease_id: str | None = None

    def unfit(self, item_id: str, now: datetime) -> Unfit:
        """The record of it.

        Raises:
            InvalidInput: the reason is none of the task's, or the time has no zone.
        """
        at = self.created_at or now
        return Unfit(item_id, self.task, self.reason, self.annotator, self.seconds, self.tool, at)


class UnfitReceiptBody(BaseModel):
    """What became of such a word; ``repeated`` when the same one had come before."""

    item_id: str
    task: Task
    reason: str
    repeated: bool


class ReceiptBody(BaseModel):
    """What became of a correction."""

    item_id: str
    correction_id: int
    repeated: bool


class VersionBody(BaseModel):
    """One version and its state."""

    version: str
    task: Task
    state: Literal["candidate", "serving", "retired", "failed"]
    parent: str | None
    created_at: datetime
    onnx_sha256: str
    metrics: dict[str, Any]
    failure: str | None


class ModelsBody(BaseModel):
    """Every version, by task and age."""

    models: list[VersionBody]


class PromoteBody(Body):
    """How to promote."""

    force: bool = Field(False, description="even if it is worse on the gold items")


class PromotionBody(BaseModel):
    """A switch, and the figures that allowed it."""

    version: str
    task: Task
    previous: str | None
    forced: bool
    quality: float | None
    previous_quality: float | None
    gold_items: int
    note: str
    at: datetime
    actor: str


class PolicyBody(Body):
    """A policy for a task or, without one, for all; terms left out are as the settings say."""

    task: Task | None = None
    policy: dict[str, Any] = Field(description="terms, as docs/policy.schema.json describes them")


class InForceBody(BaseModel):
    """What is in force for a task: its version, all its terms, and who adopted it when, if anybody did."""

    version: str
    policy: dict[str, Any]
    adopted_by: str | None
    adopted_at: datetime | None


class PoliciesBody(BaseModel):
    """The policy in force for each task."""

    tasks: dict[Task, InForceBody]


class ReportBody(BaseModel):
    """The figures of each task."""

    tasks: dict[Task, dict[str, Any]]


class SuspectBody(BaseModel):
    """A label that may be wrong: how likely in [0, 1], why, and who gave it."""

    rank: int
    score: float
    item_id: str
    uri: str
    group: str | None
    annotator: str
    reason: str
    findings: list[Finding]


class UnreadBody(BaseModel):
    """An item whose label nothing is said of, and what is wrong with its medium."""

    item_id: str
    uri: str
    error: ErrorDetail


class SuspectsBody(BaseModel):
    """A page of a task's labels, worst first, as a version saw them; ``next`` is the offset of the page after it.

    ``unread`` are the items whose media cannot be read, the same on every page.
    """

    task: Task
    model_version: str
    ranked_at: datetime
    total: int
    suspects: list[SuspectBody]
    unread: list[UnreadBody]
    next: int | None


class GivenBody(BaseModel):
    """What one person said of an item, and whether it is the label that counts: the newest of all. ``planted``: its
    answer was known, and they were measured by it."""

    annotator: str
    label: Label
    seconds: Seconds
    counts: bool
    planted: bool


class AgreedBody(BaseModel):
    """The label that people give together, how many gave one, and how far they agree in [0, 1]."""

    label: Label
    people: int
    agreement: float
    given: list[GivenBody]


class ConsensusBody(BaseModel):
    """What people agree on about an item, by the tasks that it is corrected for."""

    item_id: str
    tasks: dict[Task, AgreedBody]


class AnnotatorsBody(BaseModel):
    """Who labelled, by task and name."""

    tasks: dict[Task, list[Standing]]


class StatusBody(BaseModel):
    """The answer of a probe."""

    status: Literal["ok"]


def parse(kind: type[Body], data: bytes | str, where: str) -> Any:
    """A body from JSON.

    Raises:
        InvalidInput: naming the place, what was expected and what came.
    """
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {explain(error)}") from error
