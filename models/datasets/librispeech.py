"""LibriSpeech: ``SPLIT/SPEAKER/CHAPTER/``, with one file of transcripts a chapter. Source: openslr.org/12, README."""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, files_below, names_below, numbered_lines
from models.records import Item, Transcript

_TRANSCRIPTS = ".trans.txt"
_LANGUAGE = "en"  # of the whole corpus, as its page says


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every utterance of a split such as ``dev-clean``, in the order of its path; the group is the speaker. ROOT may be
    the split.

    A line is ``SPEAKER-CHAPTER-NUMBER TEXT``, in capitals, and the sound the ``.flac`` of that name beside it.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    if split is None and _has_transcripts(root):
        return _read(root, root)
    splits = sorted(path.name for path in root.glob("*") if path.is_dir() and _has_transcripts(path))
    return _read(root, root / chosen_split(root, splits, split, f"SPLIT/SPEAKER/CHAPTER/*{_TRANSCRIPTS}"))


def _has_transcripts(folder: Path) -> bool:
    """Whether they are two folders down, and no deeper: of the folder above all splits none is one."""
    first = next((name for name in names_below(folder) if name.endswith(_TRANSCRIPTS)), "")
    return first.count("/") == 2


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
