"""Kaldi data directories: ``wav.scp``, ``text``, ``utt2spk`` and so on. Source: kaldi-asr.org/doc/data_prep.html."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, zip_longest
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, numbered_lines
from models.datasets.output import file_name, new_folder, token
from models.datasets.shelf import Shelf
from models.errors import InvalidInput, NotFound
from models.records import Item, Transcript

_FILES = ("wav.scp", "text", "utt2spk")
_LANGUAGES = "utt2lang"


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every utterance of a data directory, or of its folder SPLIT; the group is the speaker, the language
    that of ``utt2lang``, where there is such a file and it names the utterance.

    The three files must name the same utterances in the same order, as Kaldi's own check wants it. Paths in
    ``wav.scp`` are absolute, or relative to its folder. An item is a whole file: commands (``.. |``) and ``segments``
    are refused.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split, or one of the files is missing.
    """
    if split is None and (root / "wav.scp").is_file():
        return _read(root, root)
    splits = sorted(path.parent.name for path in root.glob("*/wav.scp"))
    return _read(root, root / chosen_split(root, splits, split, "SPLIT/wav.scp"))


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Transcript]]:
    if (folder / "segments").exists():
        broken(f"{folder / 'segments'}:1", "whole files, one utterance each", "segments of longer recordings")
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise NotFound(f"{folder}: expected {', '.join(_FILES)}, got no {' and no '.join(missing)}")
    languages = _languages(folder / _LANGUAGES)
    for lines in zip_longest(*(numbered_lines(folder / name) for name in _FILES)):
        where, path, text, speaker, utterance = _joined(folder, lines)
        if path.endswith("|"):
            broken(where, "the path of a sound file", path)
        sound = existing(where, folder / path)
        language = next(iter(languages.values(utterance)), None)
        yield Item(below(root, sound), str(sound), speaker, language), Transcript(text)


def _languages(file: Path) -> Shelf:
    """The language of each utterance that the file names; none where there is no such file."""
    languages = Shelf()
    for where, line in numbered_lines(file) if file.is_file() else ():
        utterance, language = _cut(line)
        if not language:
            broken(where, "an utterance and its language", line)
        languages.add(utterance, language)
    return languages


def _joined(folder: Path, lines: Sequence[tuple[str, str] | None]) -> tuple[str, str, str, str, str]:
    """(where, path, text, speaker, name) of one utterance, whose line each file must have at the same place."""
    utterance, values = None, []
    for name, numbered in zip(_FILES, lines, strict=True):
        if numbered is None:
            broken(f"{folder / name}", "as many utterances as the other files have", "fewer")
        where, line = numbered
        found, value = _cut(line)
        utterance = utterance or found
        if found != utterance or not (value or name == "text"):
            broken(where, f"a line of utterance {utterance}, as in {_FILES[0]}", line)
        values.append(value)
    assert lines[0] is not None
    assert utterance is not None
    return lines[0][0], values[0], values[1], values[2], utterance


def _cut(line: str) -> tuple[str, str]:
    """The name of an utterance and what is said of it, which blanks or tabs part."""
    name, *rest = line.split(maxsplit=1)
    return name, rest[0].strip() if rest else ""


def write(root: Path, pairs: Iterable[tuple[Item, Transcript]]) -> None:
    """Writes ``wav.scp``, ``text``, ``utt2spk`` and ``spk2utt``, sorted as Kaldi wants them; sounds stay in place.
    ``utt2lang`` has those utterances whose language is known; without any, there is no such file.

    An utterance is called ``SPEAKER-ITEM``; an item without a group is its own speaker.

    Raises:
        InvalidInput: as ``new_folder``, two items that would be one utterance, or a path that ``wav.scp`` cannot hold.
    """
    utterances = Shelf()
    with new_folder(root) as out:
        for item, label in pairs:
            name = file_name(item)
            speaker = (token(item.group) if item.group else name).replace("-", "_")
            utterance = f"{speaker}-{name}" if item.group else speaker
            if utterance in utterances:
                raise InvalidInput(f"{root}: expected items with names of their own, got two called {utterance}")
            told = {"wav.scp": _path(item), "text": " ".join(label.text.split()), "utt2spk": speaker}
            utterances.add(utterance, (speaker, told, item.language))
        for file in _FILES:
            with (out / file).open("w", encoding="utf-8") as lines:
                lines.writelines(f"{key} {row[file]}".rstrip() + "\n" for key, (_, row, _) in utterances.in_order())
        _write_languages(out / _LANGUAGES, ((key, row[2]) for key, row in utterances.in_order()))
        with (out / "spk2utt").open("w", encoding="utf-8") as lines:
            for speaker, rows in groupby(utterances.in_order(), key=lambda row: row[1][0]):
                lines.write(speaker)
                lines.writelines(f" {utterance}" for utterance, _ in rows)
                lines.write("\n")


def _path(item: Item) -> str:
    path = str(Path(item.uri).absolute())
    if "\n" in path or path != path.strip() or path.endswith("|"):
        raise InvalidInput(f"item {item.id}: expected a path of one line that ends in no blank and no |, got {path!r}")
    return path


def _write_languages(file: Path, told: Iterable[tuple[str, str | None]]) -> None:
    lines = (f"{utterance} {token(language)}\n" for utterance, language in told if language)
    for first in lines:  # so that there is no empty file
        with file.open("w", encoding="utf-8") as out:
            out.write(first)
            out.writelines(lines)
