"""AISHELL-1: ``wav/SPLIT/SPEAKER/``, and one file with all transcripts. Source: openslr.org/33 and arXiv 1709.05522."""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, numbered_lines
from models.errors import NotFound
from models.records import Item, Transcript

_TRANSCRIPTS = Path("transcript", "aishell_transcript_v0.8.txt")
_SPLITS = {"train", "dev", "test"}
_SPEAKER = slice(6, 11)  # of BAC009S0002W0122
_LANGUAGE = "zh"  # of the whole corpus, as its paper says


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every utterance of ``train``, ``dev`` or ``test`` that has a transcript; the group is the speaker.

    The blanks between words, which are a segmenter's and not the speaker's, are taken out. Where one of the three is
    not there, speakers without a folder are taken to be in it: the transcripts do not say.

    Raises:
        InvalidDataset: a broken line of the transcripts, naming file and line.
        NotFound: no transcripts, or no such split.
    """
    splits = sorted(path.name for path in (root / "wav").glob("*") if path.is_dir())
    chosen = chosen_split(root / "wav", splits, split, "wav/SPLIT/SPEAKER/*.wav, packed in wav/*.tar.gz")
    if not (root / _TRANSCRIPTS).is_file():
        raise NotFound(f"{root}: expected {_TRANSCRIPTS} in it, got no such file")
    return _read(root, chosen, [name for name in splits if name != chosen])


def _read(root: Path, split: str, others: list[str]) -> Iterator[tuple[Item, Transcript]]:
    folder, is_whole = root / "wav" / split, {split, *others} >= _SPLITS
    for where, line in numbered_lines(root / _TRANSCRIPTS):
        name, *words = line.split()
        speaker = name[_SPEAKER]
        if not words or not speaker.startswith("S"):
            broken(where, "BAC009 SPEAKER W NUMBER, then the words", line)
        path = Path(speaker, f"{name}.wav")
        if any((root / "wav" / other / path).is_file() for other in others):
            continue
        if not is_whole and not (folder / speaker).is_dir():
            continue
        sound = existing(where, folder / path)
        yield Item(below(root, sound), str(sound), speaker, _LANGUAGE), Transcript("".join(words))
