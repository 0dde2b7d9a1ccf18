"""Speech Commands: a folder a word. Source: Warden 2018 (arXiv 1804.03209), section 7, and the data set's README."""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, files_below, numbered_lines
from models.datasets.shelf import Shelf
from models.records import Item, Transcript

_LISTS = {"validation": "validation_list.txt", "testing": "testing_list.txt"}
_NOISE = "_background_noise_"
_SPLITS = ("training", *_LISTS, "noise")
_LANGUAGE = "en"  # of all words, as its paper says


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """The clips of a split with their word; the group is the speaker.

    ``validation`` and ``testing`` are what the two lists name, ``training`` is the rest, and ``noise`` the long files
    of ``_background_noise_``, in which nothing is said.

    Raises:
        InvalidDataset: a broken line or file name, naming it.
        NotFound: no such split, or one of the lists is not there.
    """
    there = all((root / name).is_file() for name in _LISTS.values())
    chosen = chosen_split(root, _SPLITS if there else (), split, " or ".join(_LISTS.values()))
    if chosen == "noise":
        return _noise(root)
    return _listed(root, root / _LISTS[chosen]) if chosen in _LISTS else _rest(root)


def _listed(root: Path, file: Path) -> Iterator[tuple[Item, Transcript]]:
    for where, line in numbered_lines(file):
        yield _clip(where, root, existing(where, root / line.strip()))


def _rest(root: Path) -> Iterator[tuple[Item, Transcript]]:
    listed = Shelf((line.strip(), None) for name in _LISTS.values() for _, line in numbered_lines(root / name))
    for sound in files_below(root, (".wav",)):
        if sound.parent.name != _NOISE and below(root, sound) not in listed:
            yield _clip(str(sound), root, sound)


def _noise(root: Path) -> Iterator[tuple[Item, Transcript]]:
    for sound in files_below(root / _NOISE, (".wav",)):
        yield Item(below(root, sound), str(sound)), Transcript("")


def _clip(where: str, root: Path, sound: Path) -> tuple[Item, Transcript]:
    speaker, mark, _ = sound.stem.partition("_nohash_")
    if not mark or not speaker or sound.parent.parent != root:
        broken(where, "a clip WORD/SPEAKER_nohash_NUMBER.wav", below(root, sound))
    return Item(below(root, sound), str(sound), speaker, _LANGUAGE), Transcript(sound.parent.name)
