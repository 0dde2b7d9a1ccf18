"""Long JSON documents entry by entry: as the whole parser reads them, wherever the text is cut."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets import documents
from models.datasets.documents import list_of, lists_of
from models.errors import InvalidDataset
from tests.models.datasets.corpora import put

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5)


@settings(max_examples=50)
@given(ENTRIES, ENTRIES, JSON, st.sampled_from((None, 1)), st.booleans(), st.integers(1, 9))
def test_entries_are_those_of_the_whole_document(
    a: list[Any], b: list[Any], other: Any, indent: int | None, ascii_only: bool, chunk: int
) -> None:
    text = json.dumps({"a": a, "other": other, "b": b, "c": [other]}, indent=indent, ensure_ascii=ascii_only)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_CHUNK", chunk)
        path = put(Path(folder) / "document.json", text)
        found = list(lists_of(path, "a", "b"))
        assert [entry for name, _, entry in found if name == "a"] == a
        assert [entry for name, _, entry in found if name == "b"] == b
        assert [where for name, where, _ in found if name == "b"] == [f"{path}:b[{i}]" for i in range(len(b))]
        put(path, json.dumps(a, indent=indent))
        assert list(list_of(path, "a")) == [(f"{path}:[{i}]", entry) for i, entry in enumerate(a)]
        put(path, json.dumps({"c": [other], "a": a, "b": b}, indent=indent))
        assert list(list_of(path, "a")) == [(f"{path}:a[{i}]", entry) for i, entry in enumerate(a)]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 14])
@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ('{"a": [{"x": 1},\n {"y": tru}]}', "2", "expected JSON, got 'Expecting value at column 8'"),
        ('{"a": [{"x": 1}\n {"y": 2}]}', "2", "expected JSON, got \"Expecting ',' or ']' at column 2\""),
        ('{"a": [{"x": 1}', "1", "expected JSON, got \"Expecting ',' or ']' at column 16\""),
        ('{"a": [\n\n{"x": "no end', "3", "expected JSON, got 'Unterminated string starting at at column 7'"),
        ('{"a": [] "b": 1}', "1", "expected JSON, got \"Expecting ',' or '}' at column 10\""),
        ("{a: []}", "1", "expected JSON, got 'Expecting property name enclosed in double quotes at column 2'"),
        ('{"a" []}', "1", "expected JSON, got \"Expecting ':' delimiter at column 6\""),
        ('{"a": []}\n[]', "2", "expected JSON, got 'Extra data at column 1'"),
        ("", "1", "expected a JSON object, got ''"),
        ('{"b": []}', "1", "expected a list under 'a', got None"),
        ('{"b": 1,\n "a": {}}', "2", "expected a list under 'a', got {}"),
        ('{"a": [{}, 3]}', "a[1]", "expected an object, got 3"),
        ('{"a": [' + '{"x": [1, 2, 3]},' * 9 + "}]}", "1", "expected JSON, got 'Expecting value at column 161'"),
    ],
)
def test_what_is_broken_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, where: str, message: str, chunk: int
) -> None:
    monkeypatch.setattr(documents, "_CHUNK", chunk)
    path = put(tmp_path / "document.json", text)
    with pytest.raises(InvalidDataset) as caught:
        list(lists_of(path, "a"))
    assert str(caught.value) == f"{path}:{where}: {message}"


def test_an_early_mistake_is_found_without_reading_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the rest of a long document would be held in memory for nothing."""
    monkeypatch.setattr(documents, "_CHUNK", 64)
    path = put(tmp_path / "document.json", b'{"a": [{"x": oops}, ' + b"{}, " * 9999 + b'{"x": "\xff"}]}')
    with pytest.raises(InvalidDataset, match="Expecting value at column 14"):
        list(lists_of(path, "a"))
