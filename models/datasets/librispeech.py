"""LibriSpeech: ``SPLIT/SPEAKER/CHAPTER/``, with one file of transcripts a chapter. Source: openslr.org/12, README."""

import os
from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, files_below, numbered_lines
from models.records import Item, Transcript

_TRANSCRIPTS = ".trans.txt"
_UNPACKED = "LibriSpeech"  # the folder in which the tar of a split has it
_LANGUAGE = "en"  # of the whole corpus, as its page says


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every utterance of a split such as ``dev-clean``, in the order of its path; the group is the speaker. ROOT may be
    the split, or a part of it, or the folder above ``LibriSpeech/``.

    A line is ``SPEAKER-CHAPTER-NUMBER TEXT``, in capitals, and the sound the ``.flac`` of that name beside it.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    if split is None and root.is_dir() and _has_transcripts(root):
        return _read(root, root)
    folder = next((above for above in (root, root / _UNPACKED) if _splits(above)), root)
    return _read(root, folder / chosen_split(folder, _splits(folder), split, f"SPLIT/SPEAKER/CHAPTER/*{_TRANSCRIPTS}"))


def _splits(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.is_dir() and _has_transcripts(path))


def _has_transcripts(folder: Path, deeper: int = 2) -> bool:
    """Whether they are at most two folders down: what is above all splits is none of them."""
    with os.scandir(folder) as entries:
        shown = (entry for entry in entries if not entry.name.startswith("."))
        return any(
            entry.name.endswith(_TRANSCRIPTS)
            or (deeper and entry.is_dir() and _has_transcripts(Path(entry), deeper - 1))
            for entry in shown
        )


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Transcript]]:
    for file in files_below(folder, (".txt",)):
        if file.name.endswith(_TRANSCRIPTS):
            for where, line in numbered_lines(file):
                name, _, text = line.partition(" ")
                if not name.startswith(file.name.removesuffix(_TRANSCRIPTS) + "-") or not text.strip():
                    broken(where, "SPEAKER-CHAPTER-NUMBER TEXT of this chapter", line)
                sound = existing(where, file.parent / f"{name}.flac")
                item = Item(below(root, sound), str(sound), name.split("-")[0], _LANGUAGE)
                yield item, Transcript(text.strip())
