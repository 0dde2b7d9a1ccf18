"""Answers of a model version on its own, without a store: no promise, nothing accepted unseen."""

from dataclasses import asdict
from typing import Any

from models.media import SAMPLE_RATE, read
from models.records import Record, to_json
from models.tasks import load_runtime
from models.versions import Version
from selection.rules import About
from serving.batch import Answering
from serving.deciding import Deciding, undecided
from serving.media_files import content_id
from serving.policies import default_policy
from serving.settings import Settings
from serving.trust import untried


def unstored(version: Version, settings: Settings) -> Answering:
    """Answers of a version on its own: calibrated as it came, and without checks by people nothing is accepted.

    The fields are those of the service's answers.
    """
    runtime = load_runtime(version.task, version.onnx, settings.threads)
    policy = default_policy(settings)
    deciding, trust = Deciding.by(settings), untried(version, policy.of_parts)

    def answer(data: bytes, name: str) -> dict[str, Any]:
        media = read(version.task, data, name, settings.limits)
        duration_s = len(media) / SAMPLE_RATE if version.task == "asr" else None
        said = undecided(content_id(data), version.task, version.name, runtime.predict(media))
        decided = deciding.answer(said, About(duration_s=duration_s), trust, policy)
        return {
            "task": version.task,
            "model_version": version.name,
            "label": _plain(said.label),
            "uncertainty": _plain(decided.preannotation.uncertainty),
            "route": asdict(decided.decision),
        }

    return answer


def _plain(record: Record) -> dict[str, Any]:
    """The record's JSON without the version of the format, which only whole documents carry."""
    return {key: value for key, value in to_json(record).items() if key != "version"}
