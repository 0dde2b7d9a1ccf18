"""Speech Commands: the lists make the splits, noise says nothing, and what is broken is named."""

from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, put

CLIPS = ("yes/0a7c2a8d_nohash_0.wav", "yes/b1_nohash_1.wav", "no/b1_nohash_0.wav", "no/c2_nohash_0.wav")


def corpus(root: Path, testing: str = "no/c2_nohash_0.wav\n") -> Path:
    for clip in CLIPS:
        put(root / clip)
    put(root / "_background_noise_" / "pink_noise.wav")
    put(root / "_background_noise_" / "README.md")
    put(root / "validation_list.txt", "yes/b1_nohash_1.wav\nno/b1_nohash_0.wav\n")
    return put(root / "testing_list.txt", testing)


def test_what_no_list_names_is_for_training(tmp_path: Path) -> None:
    corpus(tmp_path)
    read_all = {split: list(read(f"speechcommands:{tmp_path}:{split}")) for split in ("training", "testing", "noise")}
    assert read_all == {
        "training": [(Item(CLIPS[0], str(tmp_path / CLIPS[0]), "0a7c2a8d", "en"), Transcript("yes"))],
        "testing": [(Item(CLIPS[3], str(tmp_path / CLIPS[3]), "c2", "en"), Transcript("no"))],
        "noise": [
            (
                Item("_background_noise_/pink_noise.wav", str(tmp_path / "_background_noise_" / "pink_noise.wav")),
                Transcript(""),
            )
        ],
    }
    validation = read(f"speechcommands:{tmp_path}:validation")
    assert [(label, item.group) for item, label in validation] == [(Transcript("yes"), "b1"), (Transcript("no"), "b1")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no/no_nohash_0.wav", "expected a file that exists, got '"),
        ("no/other.wav", "expected a clip WORD/SPEAKER_nohash_NUMBER.wav, got 'no/other.wav'"),
        ("a/b/c_nohash_0.wav", "expected a clip WORD/SPEAKER_nohash_NUMBER.wav, got 'a/b/c_nohash_0.wav'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, f"no/c2_nohash_0.wav\n{line}\n")
    put(tmp_path / "no" / "other.wav")
    put(tmp_path / "a" / "b" / "c_nohash_0.wav")
    expect_broken(f"speechcommands:{tmp_path}:testing", file, 2, message)


def test_a_clip_of_another_name_is_named(tmp_path: Path) -> None:
    corpus(tmp_path)
    file = put(tmp_path / "no" / "other.wav")
    expect_broken(f"speechcommands:{tmp_path}:training", file, "", "expected a clip WORD/SPEAKER_nohash_NUMBER.wav")


def test_without_both_lists_there_are_no_splits(tmp_path: Path) -> None:
    corpus(tmp_path).unlink()
    with pytest.raises(NotFound, match=r"no file validation_list.txt or testing_list.txt"):
        read(f"speechcommands:{tmp_path}:training")
