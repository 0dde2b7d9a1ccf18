"""Common Voice: ``SPLIT.tsv`` beside ``clips/``. Source: github.com/common-voice/cv-dataset, README.

Its tars unpack to a folder a release, with one of these a language.
"""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, numbered_lines, splits_in
from models.errors import NotFound
from models.records import Item, Transcript

_NEEDED = ("client_id", "path", "sentence")
_ABOUT = {"clip_durations", "reported", "unvalidated_sentences", "validated_sentences"}  # files that label no clips
_NO_SENTENCE = ("", '""')  # the latter where a release had nothing left after its cleaning


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every clip of ``SPLIT.tsv`` with its sentence; the group is the speaker (``client_id``), the language
    what the column ``locale`` says, where there is one. ROOT may be the folder above that of the only language.

    A clip whose sentence is empty is left out: somebody speaks in it, and what they say is not known. Tabs are the only
    separators and quotes are part of the sentence, as the files are written; only where a sentence stands in quotes and
    doubles those within, as releases up to the sixth have it, they are taken for CSV's. A ``path`` without a suffix, as
    in the first releases, is that of an MP3 file.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split, or several languages; the message lists them.
    """
    folder = _language(root)
    chosen = chosen_split(folder, _splits(folder), split, "SPLIT.tsv")
    return _read(root, folder / f"{chosen}.tsv")


def _language(root: Path) -> Path:
    if _splits(root):
        return root
    languages = sorted(path.parent for path in root.glob("*/clips") if _splits(path.parent))
    if len(languages) > 1:
        names = ", ".join(path.name for path in languages)
        raise NotFound(f"{root}: expected the folder of one language, got that of several ({names})")
    return languages[0] if languages else root


def _splits(folder: Path) -> list[str]:
    return [name for name in splits_in(folder, "", ".tsv") if name not in _ABOUT]


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Transcript]]:
    lines = numbered_lines(file)
    where, header = next(lines, (f"{file}:1", ""))
    columns = header.split("\t")
    if not set(_NEEDED) <= set(columns):
        broken(where, f"a header with {', '.join(_NEEDED)} between tabs", header)
    for where, line in lines:
        values = line.split("\t")
        if len(values) != len(columns):
            broken(where, f"{len(columns)} columns", len(values))
        row = dict(zip(columns, values, strict=True))
        speaker, name, sentence = (row[key].strip() for key in _NEEDED)
        if not speaker or not name:
            broken(where, "values for client_id and path", (speaker, name))
        if sentence in _NO_SENTENCE:
            continue
        clip = existing(where, file.parent / "clips" / (name if Path(name).suffix else f"{name}.mp3"))
        language = row.get("locale", "").strip() or None
        yield Item(below(root, clip), str(clip), speaker, language), Transcript(_unquoted(sentence))


def _unquoted(sentence: str) -> str:
    within = sentence[1:-1]
    doubled = '""' in within and '"' not in within.replace('""', "")
    is_csv = doubled and sentence.startswith('"') and sentence.endswith('"')
    return within.replace('""', '"') if is_csv else sentence
