"""``items.parquet``: one row an item, for whoever looks further than the report does."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from pyarrow import parquet

from models.records import Label, to_json
from models.report.judged import Judged


def write(path: Path, judged: Judged, data: Sequence[str]) -> None:
    """Writes the items in their order, ``data`` (n,) naming the data set of each; labels and features are JSON."""
    evaluation, doubt = judged.evaluation, judged.max_probability
    table = pyarrow.table(
        {
            "id": [item.id for item in evaluation.items],
            "uri": [item.uri for item in evaluation.items],
            "group": pyarrow.array([item.group for item in evaluation.items], pyarrow.string()),
            "data": list(data),
            "score": evaluation.scores,
            "p_error": judged.p_error,
            "max_probability_doubt": pyarrow.nulls(len(data), pyarrow.float64()) if doubt is None else doubt,
            "error": evaluation.errors,
            "mistakes": evaluation.results.mistakes,
            **evaluation.results.columns,
            "predicted": [_text(said.label) for said in evaluation.predictions],
            "truth": [_text(truth) for truth in evaluation.truths],
            "features": [json.dumps(dict(said.features)) for said in evaluation.predictions],
        }
    )
    parquet.write_table(table, path)


def _text(label: Label) -> str:
    return json.dumps(to_json(label), ensure_ascii=False)
