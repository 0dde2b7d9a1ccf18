"""A function for CVAT's own command line, which annotates a whole task with what prelabel finds::

    cvat-cli task auto-annotate 7 --function-file cvat_function.py --conf-threshold 0.4 \\
        -p url=str:http://127.0.0.1:3000 -p task=str:detection -p token=str:TOKEN

Stands alone: it needs cvat-sdk and nothing else, so it runs wherever that command does.
"""

import base64
import datetime
import email.utils
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import PIL.Image
from cvat_sdk.models import LabeledShapeRequest

AS_IT_IS = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # what PNG keeps
ATTEMPTS = 5
LATER = (429, 503)  # prelabel has too much to do, or its store or its model is away
UNTOLD_S = 2.0  # to wait after the first, where nobody says how long
LONGEST_S = 60.0


class Function:
    """Asks a prelabel about each frame.

    ``task`` is detection (rectangles) or lane (polylines). ``threshold`` is the least confidence where the command
    says none; ``labels``, divided by commas, are the only ones that are wanted. ``token`` has the scope annotate.
    ``group`` names the clip that the frames are of, because CVAT's SDK does not tell it.

    Raises:
        RuntimeError: prelabel does not answer, or refuses; with its words.
    """

    def __init__(
        self, url: str, task: str, token: str = "", threshold: float = 0.0, labels: str = "", group: str = ""
    ) -> None:
        self._url = f"{url.rstrip('/')}/cvat/{task}"
        self._token = token
        self._threshold = threshold
        self._clip = {"group": group} if group else {}
        known = json.loads(self._asked(None)["metadata"]["annotations"]["spec"])
        wanted = [name.strip() for name in labels.split(",") if name.strip()] or [one["name"] for one in known]
        self._numbers = {name: number for number, name in enumerate(wanted)}
        kind = known[0]["type"] if known else "any"
        specs = [cvataa.label_spec(name, number, type=kind) for name, number in self._numbers.items()]
        self.spec = cvataa.DetectionFunctionSpec(labels=specs)

    def detect(self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image) -> list[LabeledShapeRequest]:
        """The shapes on a frame, which prelabel gets pixel by pixel as CVAT has it."""
        threshold = self._threshold if context.conf_threshold is None else context.conf_threshold
        file = io.BytesIO()
        (image if image.mode in AS_IT_IS else image.convert("RGB")).save(file, "PNG", compress_level=1)
        frame = base64.b64encode(file.getvalue()).decode()
        found = self._asked({"image": frame, "threshold": threshold, "labels": list(self._numbers), **self._clip})
        return [
            cvataa.shape(
                self._numbers[one["label"]], type=one["type"], points=one["points"], score=float(one["confidence"])
            )
            for one in found
        ]

    def _asked(self, body: Mapping[str, Any] | None) -> Any:
        """The answer of prelabel to a body, or to a look at the function."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        asked = urllib.request.Request(self._url, json.dumps(body).encode() if body else None, headers)
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(asked, timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code in LATER and attempt + 1 < ATTEMPTS:
                    time.sleep(wait_s(error.headers.get("Retry-After", ""), attempt))
                    continue
                got = f"{error.code} {error.read().decode(errors='replace')[:500]}"
                raise RuntimeError(f"{self._url}: expected an answer of prelabel, got {got}") from error
            except OSError as error:
                if body and attempt + 1 < ATTEMPTS:  # it did answer when it was asked for its labels
                    time.sleep(wait_s("", attempt))
                    continue
                raise RuntimeError(f"{self._url}: expected prelabel to answer, got {error}") from error
        raise AssertionError("the last attempt answers or raises")


def wait_s(told: str, attempt: int) -> float:
    """How long a ``Retry-After`` asks to wait, seconds or a date (RFC 9110, section 10.2.3); where it asks for nothing,
    twice as long after each attempt."""
    try:
        asked = float(told) if told.strip().isdecimal() else _until(told)
    except ValueError:
        asked = UNTOLD_S * 2**attempt
    return min(max(asked, 0.0), LONGEST_S)


def _until(told: str) -> float:
    at = email.utils.parsedate_to_datetime(told)
    return (at - datetime.datetime.now(at.tzinfo)).total_seconds()


create = Function  # by this name the command finds it
