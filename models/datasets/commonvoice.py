"""Common Voice: ``SPLIT.tsv`` beside ``clips/``. Source: github.com/common-voice/cv-dataset, README."""

from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, existing, numbered_lines, split_file
from models.records import Item, Transcript

_NEEDED = ("client_id", "path", "sentence")


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every clip of ``SPLIT.tsv`` with its sentence; the group is the speaker (``client_id``), the language
    what the column ``locale`` says, where there is one.

    Tabs are the only separators and quotes are part of the sentence, as the files are written; only where a sentence
    stands in quotes and doubles those within, as releases up to the sixth have it, they are taken for CSV's. A ``path``
    without a suffix, as in the first releases, is that of an MP3 file.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    file, _ = split_file(root, "", split, ".tsv")
    return _read(root, file)


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
        if not speaker or not name or not sentence:
            broken(where, f"values for {', '.join(_NEEDED)}", (speaker, name, sentence))
        clip = existing(where, root / "clips" / (name if Path(name).suffix else f"{name}.mp3"))
        language = row.get("locale", "").strip() or None
        yield Item(below(root, clip), str(clip), speaker, language), Transcript(_unquoted(sentence))


def _unquoted(sentence: str) -> str:
    within = sentence[1:-1]
    doubled = '""' in within and '"' not in within.replace('""', "")
    is_csv = doubled and sentence.startswith('"') and sentence.endswith('"')
    return within.replace('""', '"') if is_csv else sentence
