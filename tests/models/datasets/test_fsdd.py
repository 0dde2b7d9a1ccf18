"""Spoken digits: names tell word, speaker and split."""

from pathlib import Path

import pytest

from models.datasets import read
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, put


@pytest.mark.parametrize("folder", ["", "recordings/"])
def test_the_first_five_of_each_are_for_testing(tmp_path: Path, folder: str) -> None:
    for name in ("7_theo_4", "0_mary_jane_5", "9_theo_49", "3_jackson_0"):
        put(tmp_path / f"{folder}{name}.wav")
    put(tmp_path / "metadata.py")
    test, train = (list(read(f"fsdd:{tmp_path}:{split}")) for split in ("test", "train"))
    first = f"{folder}3_jackson_0.wav"
    assert test[0] == (Item(first, str(tmp_path / first), "jackson", "en"), Transcript("three"))
    assert [(item.group, label) for item, label in test[1:]] == [("theo", Transcript("seven"))]
    assert [(item.group, label) for item, label in train] == [
        ("mary_jane", Transcript("zero")),
        ("theo", Transcript("nine")),
    ]


@pytest.mark.parametrize("name", ["10_theo_1.wav", "seven_theo_1.wav", "7_1.wav"])
def test_another_name_is_refused(tmp_path: Path, name: str) -> None:
    file = put(tmp_path / name)
    expect_broken(f"fsdd:{tmp_path}:train", file, "", f"expected a name DIGIT_SPEAKER_NUMBER.wav, got '{name}'")
