"""Common Voice: ``SPLIT.tsv`` beside ``clips/``. Source: github.com/common-voice/cv-dataset, README.

Its tars unpack to a folder a release, with one of these a language. Its spontaneous speech is one table of all splits,
``ss-corpus-LANGUAGE.tsv`` beside ``audios/``.
"""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, numbered_lines, splits_in
from models.errors import NotFound
from models.records import Item, Transcript

_NEEDED = ("client_id", "path", "sentence")
_SPONTANEOUS, _NEEDED_THERE = "ss-corpus-", ("client_id", "audio_file", "transcription", "split")
_SPLITS_THERE = ("train", "dev", "test", "unassigned")
_ABOUT = {"clip_durations", "reported", "unvalidated_sentences", "validated_sentences"}  # files that label no clips
_NO_SENTENCE = ("", '""')  # the latter where a release had nothing left after its cleaning


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every clip of ``SPLIT.tsv`` with its sentence; the group is the speaker (``client_id``), the language
    what the column ``locale`` says, where there is one. ROOT may be the folder above that of the only language, or the
    file.

    A clip whose sentence is empty is left out: somebody speaks in it, and what they say is not known. Tabs are the only
    separators and quotes are part of the sentence, as the files are written; only where a sentence stands in quotes and
    doubles those within, as releases up to the sixth have it, they are taken for CSV's. A ``path`` without a suffix, as
    in the first releases, is that of an MP3 file. Of spontaneous speech the splits are train, dev, test and unassigned,
    and the language is that of the file's name.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split, or several languages; the message lists them.
    """
    if root.is_file() and root.suffix == ".tsv":
        return _of_tables(root.parent, root.parent, [root.stem], split)
    folder = _language(root)
    return _of_tables(root, folder, _splits(folder), split)


def _language(root: Path) -> Path:
    if _splits(root):
        return root
    languages = sorted(path.parent.name for path in root.glob("*/clips") if _splits(path.parent))
    return root / _only(root, languages) if languages else root


def _only(root: Path, languages: list[str]) -> str:
    if len(languages) > 1:
        got = f"that of several ({', '.join(languages)})"
        raise NotFound(f"{root}: expected the folder of one language, got {got}")
    return languages[0]


def _splits(folder: Path) -> list[str]:
    return [name for name in splits_in(folder, "", ".tsv") if name not in _ABOUT]


def _of_tables(root: Path, folder: Path, tables: list[str], split: str | None) -> Iterator[tuple[Item, Transcript]]:
    languages = [name.removeprefix(_SPONTANEOUS) for name in tables if name.startswith(_SPONTANEOUS)]
    if not languages or split in tables:
        return _read(root, folder / f"{chosen_split(folder, tables, split, 'SPLIT.tsv')}.tsv")
    chosen = chosen_split(folder, _SPLITS_THERE, split, "split")
    return _read_spontaneous(root, folder, _only(folder, languages), chosen)


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Transcript]]:
    for where, row in _rows(file, _NEEDED):
        name = row["path"] if Path(row["path"]).suffix else f"{row['path']}.mp3"
        yield from _labelled(root, where, file.parent / "clips" / name, row, row["sentence"], row.get("locale"))


def _read_spontaneous(root: Path, folder: Path, language: str, split: str) -> Iterator[tuple[Item, Transcript]]:
    for where, row in _rows(folder / f"{_SPONTANEOUS}{language}.tsv", _NEEDED_THERE):
        if row["split"] not in _SPLITS_THERE:
            broken(where, f"a split, one of {', '.join(_SPLITS_THERE)}", row["split"])
        if row["split"] == split:
            clip = folder / "audios" / row["audio_file"]
            yield from _labelled(root, where, clip, row, row["transcription"], language)


def _rows(file: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its values by column, without blanks around them."""
    lines = numbered_lines(file)
    where, header = next(lines, (f"{file}:1", ""))
    columns = header.split("\t")
    if not set(needed) <= set(columns):
        broken(where, f"a header with {', '.join(needed)} between tabs", header)
    for where, line in lines:
        values = [value.strip() for value in line.split("\t")]
        if len(values) != len(columns):
            broken(where, f"{len(columns)} columns", len(values))
        row = dict(zip(columns, values, strict=True))
        if not all(row[key] for key in needed[:2]):
            broken(where, f"values for {' and '.join(needed[:2])}", tuple(row[key] for key in needed[:2]))
        yield where, row


def _labelled(
    root: Path, where: str, clip: Path, row: dict[str, str], text: str, language: str | None
) -> Iterator[tuple[Item, Transcript]]:
    if text not in _NO_SENTENCE:
        clip = existing(where, clip)
        yield Item(below(root, clip), str(clip), row["client_id"], language or None), Transcript(_unquoted(text))


def _unquoted(sentence: str) -> str:
    within = sentence[1:-1]
    doubled = '""' in within and '"' not in within.replace('""', "")
    is_csv = doubled and sentence.startswith('"') and sentence.endswith('"')
    return within.replace('""', '"') if is_csv else sentence
