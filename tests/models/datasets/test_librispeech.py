"""LibriSpeech: chapters of transcripts beside their sounds, and every broken line named."""

import shutil
from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, put


def corpus(root: Path, second: str = "") -> Path:
    for split, speaker in (("dev-clean", "84"), ("dev-clean", "1272"), ("test-other", "367")):
        chapter = root / split / speaker / "121"
        put(chapter / f"{speaker}-121-0000.flac")
        put(chapter / f"{speaker}-121.trans.txt", f"{speaker}-121-0000 GO  DO YOU HEAR\n")
    put(root / "README.TXT")
    file = root / "dev-clean" / "84" / "121" / "84-121.trans.txt"
    return put(file, f"{file.read_text()}{second}")


def test_utterances_come_by_path_with_their_speaker(tmp_path: Path) -> None:
    corpus(tmp_path)
    first, second = (f"dev-clean/{speaker}/121/{speaker}-121-0000.flac" for speaker in ("1272", "84"))
    assert list(read(f"librispeech:{tmp_path}:dev-clean")) == [
        (Item(first, str(tmp_path / first), "1272", "en"), Transcript("GO  DO YOU HEAR")),
        (Item(second, str(tmp_path / second), "84", "en"), Transcript("GO  DO YOU HEAR")),
    ]
    assert [item.group for item, _ in read(f"librispeech:{tmp_path}:test-other")] == ["367"]


def test_the_root_may_be_a_split_but_not_the_folder_above_all_of_them(tmp_path: Path) -> None:
    corpus(tmp_path / "LibriSpeech")
    sounds = [item.id for item, _ in read(f"librispeech:{tmp_path}/LibriSpeech/dev-clean")]
    assert sounds == ["1272/121/1272-121-0000.flac", "84/121/84-121-0000.flac"]
    for name in ("", ":LibriSpeech"):  # which is the training data and the test in one
        with pytest.raises(NotFound, match=r"LibriSpeech: expected one of the splits there \(dev-clean, test-other\)"):
            read(f"librispeech:{tmp_path}{name}")


def test_a_tar_unpacks_to_a_folder_above_its_split(tmp_path: Path) -> None:
    corpus(tmp_path / "LibriSpeech")
    sound = "LibriSpeech/test-other/367/121/367-121-0000.flac"
    assert [item.id for item, _ in read(f"librispeech:{tmp_path}:test-other")] == [sound]
    shutil.rmtree(tmp_path / "LibriSpeech" / "dev-clean")
    assert [item.id for item, _ in read(f"librispeech:{tmp_path}")] == [sound]


@pytest.mark.parametrize(
    ("place", "sounds"),
    [
        (":84", ["84/121/84-121-0000.flac"]),
        ("/84", ["121/84-121-0000.flac"]),
        ("/84/121", ["84-121-0000.flac"]),
    ],
)
def test_a_part_of_a_split_may_be_read(tmp_path: Path, place: str, sounds: list[str]) -> None:
    corpus(tmp_path)
    assert [item.id for item, _ in read(f"librispeech:{tmp_path}/dev-clean{place}")] == sounds


def test_splits_are_found_in_whatever_order_a_folder_lists_its_files(tmp_path: Path) -> None:
    """A transcript that was copied deeper into a split makes it no other thing."""
    corpus(tmp_path)
    for number in range(30):
        put(tmp_path / "dev-clean" / str(number) / "deep" / "er" / "x.trans.txt")
    assert len(list(read(f"librispeech:{tmp_path}:dev-clean"))) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("84-121-0001\n", "expected SPEAKER-CHAPTER-NUMBER TEXT of this chapter, got '84-121-0001'"),
        ("85-121-0001 GO\n", "expected SPEAKER-CHAPTER-NUMBER TEXT of this chapter, got '85-121-0001 GO'"),
        ("84-121-0001 GO\n", "expected a file that exists, got '"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    expect_broken(f"librispeech:{tmp_path}:dev-clean", corpus(tmp_path, line), 2, message)
