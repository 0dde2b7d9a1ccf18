"""What requests look like: the types behind the API's description; ``answers.py`` has those of what comes back."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import InvalidInput
from models.records import LABEL_TYPES, WRITTEN_OUT, Correction, Seconds, Task, Time, explain, from_json
from serving.store.records import UNFIT, Unfit

_Worked = Annotated[Seconds, Field(ge=0, le=86_400, description="human time spent, a day at most")]


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
    due: Annotated[AwareDatetime, WRITTEN_OUT] | None = Field(
        None, description="when its label is needed; told again, the newer time counts"
    )


class CorrectionBody(Body):
    """A person's label. ``created_at`` is when it was given; without it, now. With ``lease_id``, ``model_version`` is
    by default the one whose pre-annotation was handed out."""

    task: Task
    label: dict[str, Any] = Field(description="a Transcript, Boxes or Lanes, as the task asks")
    annotator: str = Field(min_length=1)
    seconds: _Worked
    tool: str = Field("api", min_length=1)
    created_at: Time | None = None
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
    seconds: _Worked
    tool: str = Field("api", min_length=1)
    created_at: Time | None = None
    lease_id: str | None = None

    def unfit(self, item_id: str, now: datetime) -> Unfit:
        """The record of it.

        Raises:
            InvalidInput: the reason is none of the task's, or the time has no zone.
        """
        at = self.created_at or now
        return Unfit(item_id, self.task, self.reason, self.annotator, self.seconds, self.tool, at)


class PromoteBody(Body):
    """How to promote."""

    force: bool = Field(False, description="even if it is worse on the gold items")


class PolicyBody(Body):
    """A policy for a task or, without one, for all; terms left out are as the settings say."""

    task: Task | None = None
    policy: dict[str, Any] = Field(description="terms, as docs/policy.schema.json describes them")


def parse(kind: type[Body], data: bytes | str, where: str) -> Any:
    """A body from JSON.

    Raises:
        InvalidInput: naming the place, what was expected and what came.
    """
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {explain(error, kind)}") from error


async def only_known(request: Request) -> None:
    """Lets no address pass whose parameters its route does not have: misspelt, they would count for nothing.

    Raises:
        InvalidInput: naming those that came and those there are.
    """
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        expected = f"no parameters but {', '.join(known)}" if known else "no parameters"
        raise InvalidInput(f"{request.url.path}: expected {expected}; got {', '.join(map(repr, unknown)):.200}")
