"""How a function is described to nuclio, which is where CVAT looks for functions: what it is, and how to deploy it."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

HANDLER = Path(__file__).with_name("nuclio_handler.py")
RUNTIME = "python:3.11"  # known to nuclio 1.13 as well as to those that dropped 3.9
LARGEST_FRAME = 268_435_456  # bytes of a request; nuclio's own default is far less than a large frame


def description(
    name: str, kind: Literal["detector", "tracker"], labels: Sequence[tuple[str, str]], url: str
) -> dict[str, Any]:
    """A function that passes on to ``url``. ``labels`` are (name, kind of shape). Whoever deploys it adds the token.

    Fields as in nuclio's function configuration reference, and as CVAT reads them (``cvat/apps/lambda_manager``).
    """
    spec = [{"id": number, "name": label, "type": shape} for number, (label, shape) in enumerate(labels)]
    annotations = {"name": name.replace("-", " "), "type": kind, "framework": "onnx", "spec": json.dumps(spec)}
    if kind == "tracker":
        annotations["supported_shape_types"] = "rectangle"
    return {
        "metadata": {"name": name, "namespace": "cvat", "annotations": annotations},
        "spec": {
            "description": f"the {kind} of prelabel at {url}",
            "runtime": RUNTIME,
            "handler": f"{HANDLER.stem}:handler",
            "eventTimeout": "120s",
            "env": [{"name": "PRELABEL_FUNCTION", "value": url}],
            "build": {
                "image": f"cvat.{name}",
                "functionSourceCode": base64.b64encode(HANDLER.read_bytes()).decode(),
            },
            "triggers": {
                "http": {
                    "kind": "http",
                    "numWorkers": 2,
                    "workerAvailabilityTimeoutMilliseconds": 10000,
                    "attributes": {"maxRequestBodySize": LARGEST_FRAME},
                }
            },
            "platform": {"attributes": {"restartPolicy": {"name": "always", "maximumRetryCount": 3},
                                        "mountMode": "volume"}},
        },
    }  # fmt: skip
