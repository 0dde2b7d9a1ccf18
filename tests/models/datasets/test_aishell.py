"""AISHELL-1: one file of transcripts for all splits, and every broken line named."""

import shutil
from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, put


def corpus(root: Path, more: str = "") -> Path:
    for split, speaker in (("train", "S0002"), ("dev", "S0724"), ("dev", "S0725")):
        put(root / "wav" / split / speaker / f"BAC009{speaker}W0122.wav")
    put(root / "wav" / "S0002.tar.gz")
    lines = "BAC009S0002W0122 而 对 楼市\nBAC009S0725W0122 限 购\nBAC009S0724W0122 一  二\n"
    return put(root / "transcript" / "aishell_transcript_v0.8.txt", lines + more)


def test_blanks_are_a_segmenters_and_speakers_are_groups(tmp_path: Path) -> None:
    corpus(tmp_path)
    first, second = (f"wav/dev/{speaker}/BAC009{speaker}W0122.wav" for speaker in ("S0725", "S0724"))
    assert list(read(f"aishell:{tmp_path}:dev")) == [
        (Item(first, str(tmp_path / first), "S0725", "zh"), Transcript("限购")),
        (Item(second, str(tmp_path / second), "S0724", "zh"), Transcript("一二")),
    ]
    assert [item.group for item, _ in read(f"aishell:{tmp_path}:train")] == ["S0002"]


def test_a_split_is_read_without_the_others_and_a_whole_corpus_misses_none_of_its_speakers(tmp_path: Path) -> None:
    transcripts = corpus(tmp_path)
    shutil.rmtree(tmp_path / "wav" / "train")
    assert [item.group for item, _ in read(f"aishell:{tmp_path}:dev")] == ["S0725", "S0724"]
    assert [item.group for item, _ in read(f"aishell:{tmp_path}")] == ["S0725", "S0724"]
    for other in ("train", "test"):
        (tmp_path / "wav" / other).mkdir()
    expect_broken(f"aishell:{tmp_path}:dev", transcripts, 1, "expected a file that exists, got '")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("BAC009S0002W0123\n", "expected BAC009 SPEAKER W NUMBER, then the words, got 'BAC009S0002W0123'"),
        ("x 而\n", "expected BAC009 SPEAKER W NUMBER, then the words, got 'x 而'"),
        ("BAC009S0002W0123 而\n", "expected a file that exists, got '"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    expect_broken(f"aishell:{tmp_path}:train", corpus(tmp_path, line), 4, message)


def test_without_transcripts_there_is_nothing_to_read(tmp_path: Path) -> None:
    corpus(tmp_path).unlink()
    with pytest.raises(NotFound, match=r"expected transcript/aishell_transcript_v0\.8\.txt in it, got no such file"):
        read(f"aishell:{tmp_path}:train")


def test_archives_of_speakers_are_to_be_unpacked(tmp_path: Path) -> None:
    corpus(tmp_path)
    (tmp_path / "wav").rename(tmp_path / "unpacked")
    put(tmp_path / "wav" / "S0002.tar.gz")
    with pytest.raises(NotFound, match=r"no file wav/SPLIT/SPEAKER/\*\.wav, packed in wav/\*\.tar\.gz\), got train"):
        read(f"aishell:{tmp_path}:train")
