"""Free Spoken Digit Dataset: all is in the names of the files. Source: its README, "Organization" and "Usage"."""

import re
from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, files_below, names_below
from models.records import Item, Transcript

_NAME = re.compile(r"([0-9])_(.+)_([0-9]+)")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEST = range(5)  # the numbers of the official test set
_LANGUAGE = "en"  # of all digits, as the README says


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """The recordings ``DIGIT_SPEAKER_NUMBER.wav`` in ``recordings/`` or ROOT itself; the group is the speaker.

    As the README says, numbers 0 to 4 are ``test`` and all others ``train``: both splits share their speakers.

    Raises:
        InvalidDataset: a file of another name.
        NotFound: no such split.
    """
    folder = root / "recordings" if (root / "recordings").is_dir() else root
    splits = ("train", "test") if any(name.endswith(".wav") for name in names_below(folder)) else ()
    return _read(root, folder, chosen_split(folder, splits, split, "DIGIT_SPEAKER_NUMBER.wav"))


def _read(root: Path, folder: Path, split: str) -> Iterator[tuple[Item, Transcript]]:
    for sound in files_below(folder, (".wav",)):
        name = _NAME.fullmatch(sound.stem)
        if name is None:
            broken(str(sound), "a name DIGIT_SPEAKER_NUMBER.wav", sound.name)
        digit, speaker, number = name.groups()
        if (int(number) in _TEST) == (split == "test"):
            yield Item(below(root, sound), str(sound), speaker, _LANGUAGE), Transcript(_DIGITS[int(digit)])
