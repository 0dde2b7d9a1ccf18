"""Audio folders: ``metadata.csv`` or ``.jsonl`` beside sounds. Source: huggingface.co/docs/datasets/audio_dataset."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from models.datasets.layout import below, broken, chosen_split, existing, json_lines, text_field, whole_lines
from models.records import Item, Transcript

_TABLES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"
_TEXTS = ("transcription", "transcript", "sentence", "text")  # what people call the column of what is said
_SPEAKERS = ("speaker_id", "speaker")
_LANGUAGES = ("language", "lang", "locale")
_ABOVE = "data"  # in which splits may lie


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every sound that a table names, with what is said in it; the group is ``speaker_id`` or ``speaker``, the language
    ``language``, ``lang`` or ``locale``, where there is such a column.

    ROOT is the table or its folder, or has a folder a split with one, perhaps in ``data/``. What is said stands under
    ``transcription``, ``transcript``, ``sentence`` or ``text``; a sound without it (a blank cell, null) is left out:
    nobody wrote it down. An empty string of JSON means that nothing is said.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    if root.is_file():
        chosen_split(root, [root.stem], split, root.name)
        return _read(root.parent, root)
    if split is None and (table := _table(root)):
        return _read(root, table)
    tables = {place.name: table for above in (root, root / _ABOVE) for place in above.glob("*/")
              if (table := _table(place))}  # fmt: skip
    return _read(root, tables[chosen_split(root, sorted(tables), split, f"SPLIT/{' or '.join(_TABLES)}")])


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in _TABLES if (folder / name).is_file()), None)


def _read(root: Path, table: Path) -> Iterator[tuple[Item, Transcript]]:
    for where, row in _rows(table):
        sound = existing(where, table.parent / text_field(where, row, _FILE))
        text = _told(where, row, _TEXTS)
        if text is not None:
            item = Item(below(root, sound), str(sound), _told(where, row, _SPEAKERS), _told(where, row, _LANGUAGES))
            yield item, Transcript(text.strip())


def _rows(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row by its columns, among which are that of the file and one of what is said."""
    if table.suffix == ".csv":
        yield from _csv_rows(table)
        return
    for where, row in json_lines(table):
        _require_columns(where, row)
        yield where, row


def _csv_rows(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = csv.reader(whole_lines(table), strict=True)  # for a cell may hold several
    try:
        columns = next(rows, [])
        _require_columns(f"{table}:1", columns)
        for values in filter(None, rows):
            where = f"{table}:{rows.line_num}"
            if len(values) != len(columns):
                broken(where, f"{len(columns)} columns", len(values))
            yield where, {name: value if value.strip() else None for name, value in zip(columns, values, strict=True)}
    except csv.Error as error:
        broken(f"{table}:{rows.line_num}", "CSV", str(error))


def _require_columns(where: str, columns: Collection[str]) -> None:
    if _FILE not in columns or sum(column in _TEXTS for column in columns) != 1:
        broken(where, f"{_FILE} and one of {', '.join(_TEXTS)}", ", ".join(columns))


def _told(where: str, row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """What the first of these columns says that says anything."""
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return None
    return str(row[name]) if type(row[name]) is int else text_field(where, row, name)
