"""The peer of ``serving.py``: a plain FastAPI app with the same model and nothing else, no store and no decision."""

import os
import sys
from pathlib import Path
from typing import cast

import uvicorn
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter

from models.media import read
from models.records import LABEL_TYPES, Prediction, Task
from models.tasks import load_runtime


def create_app(task: Task, onnx: Path) -> FastAPI:
    """One route: bytes in, the label as JSON out."""
    app, runtime = FastAPI(), load_runtime(task, onnx)
    limiter, label = CapacityLimiter(len(os.sched_getaffinity(0))), TypeAdapter(LABEL_TYPES[task])

    def predict(data: bytes) -> Prediction:
        return runtime.predict(read(task, data, "body"))

    @app.post("/")
    async def annotate(request: Request) -> Response:
        prediction = await run_sync(predict, await request.body(), limiter=limiter)
        return Response(label.dump_json(prediction.label), media_type="application/json")

    return app


if __name__ == "__main__":
    app = create_app(cast(Task, sys.argv[1]), Path(sys.argv[2]))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning", access_log=False)
