"""Answers of a model version on its own, without a store: no promise, nothing accepted unseen."""

import hashlib
from dataclasses import asdict
from typing import Any

from models.media import SAMPLE_RATE, Limits, read
from models.records import Record, Uncertainty, to_json
from models.tasks import load_runtime
from models.versions import Version
from selection.cost import Costs, expected_seconds, from_scratch_seconds
from selection.routing import Policy, draw, route
from serving.batch import Answering
from serving.settings import Settings
from serving.trust import untried


def unstored(version: Version, settings: Settings) -> Answering:
    """Answers of a version on its own: calibrated as it came, and without checks by people nothing is accepted.

    The fields are those of the service's answers.
    """
    runtime = load_runtime(version.task, version.onnx, settings.threads)
    limits = Limits(settings.max_image_megapixels, settings.max_audio_s)
    policy = Policy(calibration_share=settings.calibration_share, audit_share=settings.audit_share)
    costs, trust = Costs(), untried(version)

    def answer(data: bytes, name: str) -> dict[str, Any]:
        media = read(version.task, data, name, limits)
        duration_s = len(media) / SAMPLE_RATE if version.task == "asr" else None
        said = runtime.predict(media)
        p_error = trust.p_error(said.score, said.features)
        seconds = expected_seconds(version.task, said.label, p_error, said.features, duration_s, costs)
        scratch_s = from_scratch_seconds(version.task, said.label, said.features, duration_s, costs)
        uncertainty = Uncertainty(p_error=p_error, seconds=seconds, score=said.score)
        chance = draw(hashlib.sha256(data).hexdigest(), settings.seed)
        decision = route(uncertainty, scratch_s, trust.promise, policy, chance)
        return {
            "task": version.task,
            "model_version": version.name,
            "label": _plain(said.label),
            "uncertainty": _plain(uncertainty),
            "route": asdict(decision),
        }

    return answer


def _plain(record: Record) -> dict[str, Any]:
    """The record's JSON without the version of the format, which only whole documents carry."""
    return {key: value for key, value in to_json(record).items() if key != "version"}
