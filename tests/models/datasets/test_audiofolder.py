"""Audio folders, as Hugging Face's datasets reads them: a table beside sounds, and every broken line named."""

import json
from pathlib import Path

import pytest

from models.datasets import read
from models.errors import InvalidDataset, NotFound
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, labels, put


def table(root: Path, text: str, name: str = "metadata.csv") -> Path:
    for clip in "abc":
        put(root / f"{clip}.wav")
    return put(root / name, text)


def test_cells_of_csv_may_hold_commas_quotes_and_lines(tmp_path: Path) -> None:
    file = table(tmp_path, '\ufefffile_name,transcription,speaker_id\na.wav,"Hello, ""you""\ntwo",7\n\nc.wav, c ,\n')
    expected = [
        (Item("a.wav", str(tmp_path / "a.wav"), "7"), Transcript('Hello, "you"\ntwo')),
        (Item("c.wav", str(tmp_path / "c.wav")), Transcript("c")),
    ]
    assert list(read(f"audiofolder:{tmp_path}")) == expected
    assert list(read(f"audiofolder:{file}")) == expected


def test_what_nobody_wrote_down_is_left_out(tmp_path: Path) -> None:
    """``datasets`` reads an empty cell and null as nothing known, and so is a blank one; an empty string stays."""
    table(tmp_path / "cells", "file_name,text\na.wav,\nb.wav,go\nc.wav, \n")
    assert labels(f"audiofolder:{tmp_path / 'cells'}") == {"b.wav": Transcript("go")}
    rows = [{"file_name": "a.wav", "sentence": None}, {"file_name": "b.wav", "sentence": ""}]
    table(tmp_path / "json", "".join(json.dumps(row) + "\n" for row in rows), "metadata.jsonl")
    assert labels(f"audiofolder:{tmp_path / 'json'}") == {"b.wav": Transcript("")}


@pytest.mark.parametrize("above", ["", "data"])
def test_a_split_is_a_folder_with_a_table(tmp_path: Path, above: str) -> None:
    for split in ("train", "test"):
        row = {"file_name": "a.wav", "text": split, "lang": "de", "speaker": 3}
        table(tmp_path / above / split, json.dumps(row) + "\n", "metadata.jsonl")
    (pair,) = read(f"audiofolder:{tmp_path}:test")
    clip = tmp_path / above / "test" / "a.wav"
    assert pair == (Item(clip.relative_to(tmp_path).as_posix(), str(clip), "3", "de"), Transcript("test"))
    with pytest.raises(NotFound, match=r"expected one of the splits there \(test, train\), got no split"):
        read(f"audiofolder:{tmp_path}")
    with pytest.raises(NotFound, match="got dev"):
        read(f"audiofolder:{tmp_path}:dev")
    with pytest.raises(NotFound, match=r"expected one of the splits there \(metadata\), got train"):
        read(f"audiofolder:{tmp_path / above / 'test' / 'metadata.jsonl'}:train")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "expected file_name and one of transcription, transcript, sentence, text, got ''"),
        ("file_name,label\na.wav,1\n", 1, "expected file_name and one of transcription, transcript, "),
        ("file_name,text,sentence\na.wav,x,y\n", 1, "expected file_name and one of transcription, "),
        ("file_name,text\na.wav,x,y\n", 2, "expected 2 columns, got 3"),
        ("file_name,text\ngone.wav,x\n", 2, "expected a file that exists, got"),
        ("file_name,text\n,x\n", 2, "expected a string under 'file_name', got None"),
        ('file_name,text\na.wav,"x\n', 2, "expected CSV, got 'unexpected end of data'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, line: int, message: str) -> None:
    expect_broken(f"audiofolder:{tmp_path}", table(tmp_path, text), line, message)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    file = put(table(tmp_path, ""), b"file_name,text\na.wav,\xff\n")
    expect_broken(f"audiofolder:{tmp_path}", file, 2, "expected UTF-8 text, got")


def test_a_line_of_json_without_its_columns_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, '{"file_name": "a.wav"}\n', "metadata.jsonl")
    expect_broken(f"audiofolder:{tmp_path}", file, 1, "expected file_name and one of transcription, ")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table(tmp_path, "file_name,text,text\na.wav,go,stop\n")
    with pytest.raises(InvalidDataset, match="got 'file_name, text, text'"):
        labels(f"audiofolder:{tmp_path}")
