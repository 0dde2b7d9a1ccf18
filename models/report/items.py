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
            "id": [_utf8(item.id) for item in evaluation.items],
            "uri": [_utf8(item.uri) for item in evaluation.items],
            "group": pyarrow.array([item.group and _utf8(item.group) for item in evaluation.items], pyarrow.string()),
            "data": [_utf8(name) for name in data],
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
    return _utf8(json.dumps(to_json(label), ensure_ascii=False))


def _utf8(text: str) -> str:
    """What of a path or a label is no UTF-8 is written out, as in the journal."""
    return text.encode(errors="backslashreplace").decode()
