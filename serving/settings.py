"""Every setting, read from the environment once; each is ``PRELABEL_`` and its name in capitals."""

import json
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.matters import Matters
from models.media import Limits
from selection.policy import LEAST_RATE
from selection.queueing import StrategyName

Balance: TypeAlias = Literal["none", "group", "class"]


class Settings(BaseSettings):
    """How this deployment behaves; frozen after start-up."""

    model_config = SettingsConfigDict(env_prefix="PRELABEL_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on; other than loopback it needs a token")
    port: int = Field(3000, ge=0, le=65535, description="port to listen on")
    database_url: str = Field("sqlite:///prelabel.db", description="SQLite file or PostgreSQL URL")
    data_dir: Path = Field(Path("prelabel-data"), description="folder of posted media and trained versions")
    threads: int = Field(2, ge=1, le=1024, description="threads of one model's inference")
    max_waiting: int = Field(64, ge=1, description="requests that may wait for a model before 429 is answered")
    max_body_mb: float = Field(64, gt=0, description="largest request body, in megabytes")
    max_image_megapixels: float = Field(50, gt=0, description="largest image, in megapixels")
    max_audio_s: float = Field(600, gt=0, description="longest audio, in seconds")
    uri_roots: tuple[Path, ...] = Field((), description="folders that uri may read from, as a JSON list")
    uri_hosts: tuple[str, ...] = Field((), description="hosts that uri may fetch from, as a JSON list")
    uri_timeout_s: float = Field(20, gt=0, description="longest fetch of one uri, in seconds")
    lease_s: float = Field(1800, gt=0, description="how long a person holds an item from the queue, in seconds")
    strategy: StrategyName = Field("uncertainty", description="order of the queue, one of the strategies below")
    balance: Balance = Field("none", description="who takes turns in the queue: none, each group, or each class")
    frames_apart: int = Field(1, ge=1, description="how far a frame from the queue is from any that people had")
    alpha: float = Field(0.02, ge=LEAST_RATE, lt=1, description="error rate allowed among labels accepted unseen")
    delta: float = Field(0.05, ge=LEAST_RATE, lt=1, description="probability that the promise on alpha may fail")
    promise_of: Literal["items", "parts"] = Field(
        "items", description="what is accepted unseen: whole items, or words, boxes and lines one by one"
    )
    matters_wer: float = Field(0.0, ge=0, lt=1, description="a transcript is wrong above this word error rate")
    matters_iou: float = Field(0.5, gt=0, le=1, description="a box is wrong below this IoU with the true one")
    matters_category: bool = Field(True, description="whether a box's wrong category is an error")
    matters_lane_px: float = Field(8, gt=0, le=512, description="a line is wrong farther off, in pixels of 512")
    audit_share: float = Field(0.02, gt=0, le=1, description="random share of items that people always check")
    calibration_share: float = Field(0.2, gt=0, le=1, description="that share until the first promise holds")
    gold_share: float = Field(0.1, ge=0, lt=1, description="random share of corrected items kept out of training")
    label_studio_url: str | None = Field(None, description="the Label Studio that this service works with")
    label_studio_token: str | None = Field(None, repr=False, description="a token of it, legacy or personal")
    label_studio_labels: dict[str, str] = Field({}, description="its labels and what the model calls them, as JSON")
    label_studio_group: str = Field(
        "group", description="key of a task's data or meta that names its speaker, clip or sequence"
    )
    cvat_url: str | None = Field(None, description="the CVAT that this service works with")
    cvat_token: str | None = Field(None, repr=False, description="a token of it, personal or legacy")
    cvat_webhook_secret: str | None = Field(None, repr=False, description="with which CVAT signs its webhooks")
    cvat_labels: dict[str, str] = Field({}, description="CVAT's labels and what the model calls them, as JSON")
    seed: int = Field(0, ge=0, description="seed of every random draw; keep it once people have begun")

    @property
    def matters(self) -> Matters:
        """What counts as an error of a model."""
        return Matters(self.matters_wer, self.matters_iou, self.matters_category, self.matters_lane_px)

    @property
    def limits(self) -> Limits:
        """The largest media that are decoded."""
        return Limits(self.max_image_megapixels, self.max_audio_s)

    @property
    def largest_body(self) -> int:
        """In bytes; of a medium that is fetched as well."""
        return int(self.max_body_mb * 1_000_000)


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, from which ``Settings()`` makes the same ones."""
    values = settings.model_dump(mode="json")
    return {f"PRELABEL_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items() if value is not None}  # fmt: skip
