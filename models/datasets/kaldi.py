"""Kaldi data directories: ``wav.scp``, ``text``, ``utt2spk`` and so on. Source: kaldi-asr.org/doc/data_prep.html."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, zip_longest
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, existing, finite, numbered_lines, stretch_uri
from models.datasets.output import file_name, new_folder, number, token
from models.datasets.shelf import Shelf
from models.errors import InvalidInput, NotFound, UnreadableMedia
from models.recordings import Stretch, recording, stretch
from models.records import Item, Seconds, Transcript

_RECORDINGS, _SEGMENTS = "wav.scp", "segments"
_FILES = (_RECORDINGS, "text", "utt2spk")
_OVERHANG: Seconds = 0.5  # beyond the end of the recording: so much Kaldi cuts off, more it passes over
_LANGUAGES = "utt2lang"
_UNPACKING = (  # commands that give a file as it is: of Kaldi's recipe for LibriSpeech, and of lhotse for all but WAV
    re.compile(r"flac -c -d -s (\S+) \|"),
    re.compile(r"ffmpeg -threads 1 -i (.+) -ar \d+ -map_channel 0\.0\.0 +-f wav -threads 1 pipe:1 \|"),
)


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every utterance of a data directory, or of its folder SPLIT; the group is the speaker, the language
    that of ``utt2lang``, where there is such a file and it names the utterance.

    The three files must name the same utterances in the same order, as Kaldi's own check wants it. Where there is
    ``segments``, it stands for ``wav.scp`` in that, which then names recordings, and the items are stretches of these,
    called by their utterances. Paths in ``wav.scp`` are absolute, or relative to its folder or to one above it, in
    which the recipe ran; ``flac -c -d -s PATH |``, as Kaldi's recipe for LibriSpeech writes it, is that path, and so is
    lhotse's ``ffmpeg -threads 1 -i PATH .. |`` of a first channel. Other commands (``.. |``) are refused and, of
    segments and of such a channel, recordings of several channels.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split, or one of the files is missing.
    """
    if split is None and (root / _RECORDINGS).is_file():
        return _read(root, root)
    splits = sorted(path.parent.name for path in root.glob(f"*/{_RECORDINGS}"))
    return _read(root, root / chosen_split(root, splits, split, f"SPLIT/{_RECORDINGS}"))


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Transcript]]:
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise NotFound(f"{folder}: expected {', '.join(_FILES)}, got no {' and no '.join(missing)}")
    languages = _languages(folder / _LANGUAGES)
    recordings = _recordings(folder) if (folder / _SEGMENTS).is_file() else None
    names = _FILES if recordings is None else (_SEGMENTS, *_FILES[1:])
    for lines in zip_longest(*(numbered_lines(folder / name) for name in names)):
        where, told, text, speaker, utterance = _joined(folder, names, lines)
        if recordings is None:
            sound = _sound(where, folder, told)
            item_id, uri = below(root, sound), str(sound)
        else:
            item_id, uri = below(root, folder / utterance), _segment(where, told, folder, recordings)
        language = next(iter(languages.values(utterance)), None)
        yield Item(item_id, uri, speaker, language), Transcript(text)


def _sound(where: str, folder: Path, path: str) -> Path:
    told = next((found[1] for command in _UNPACKING if (found := command.fullmatch(path))), path)
    if told.endswith("|"):
        broken(where, "the path of a sound file", told)
    places = [above / told for above in (folder, *folder.parents)]
    sound = existing(where, next(filter(os.path.isfile, places), places[0]))
    if path.startswith("ffmpeg "):
        _require_one_channel(where, sound)
    return sound


def _require_one_channel(where: str, sound: Path) -> None:
    with suppress(UnreadableMedia):  # which is for whoever listens to it
        if (channels := recording(sound).channels) > 1:
            broken(where, "a recording of one channel", f"{channels} in {sound}")


def _recordings(folder: Path) -> Shelf:
    """Where each recording stands in ``wav.scp``, and what stands there."""
    recordings = Shelf()
    for where, line in numbered_lines(folder / _RECORDINGS):
        name, path = _cut(line)
        if not path or name in recordings:
            broken(where, "a recording of its own and its path", line)
        recordings.add(name, (where, path))
    return recordings


def _segment(where: str, told: str, folder: Path, recordings: Shelf) -> str:
    """The uri of the stretch that a line of ``segments`` tells, as ``extract-segments`` of Kaldi reads it."""
    columns = told.split()
    if len(columns) != 3:
        broken(where, "a recording, a start and an end behind the utterance", told)
    start, end = finite(where, "a start and an end in seconds", columns[1:])
    if start < 0 or (end != -1 and end <= start):
        broken(where, "a start of 0 s or more and a later end, or -1 for that of the recording", columns[1:])
    found = recordings.values(columns[0])
    if not found:
        broken(where, f"a recording of {_RECORDINGS}", columns[0])
    named_at, path = found[0]
    sound = _sound(named_at, folder, path)
    _require_one_channel(where, sound)
    return stretch_uri(where, Stretch(sound, start, None if end == -1 else end), _OVERHANG)


def _languages(file: Path) -> Shelf:
    """The language of each utterance that the file names; none where there is no such file."""
    languages = Shelf()
    for where, line in numbered_lines(file) if file.is_file() else ():
        utterance, language = _cut(line)
        if not language:
            broken(where, "an utterance and its language", line)
        languages.add(utterance, language)
    return languages


def _joined(
    folder: Path, names: Sequence[str], lines: Sequence[tuple[str, str] | None]
) -> tuple[str, str, str, str, str]:
    """(where, path or segment, text, speaker, name) of one utterance, whose line each file must have at the same
    place."""
    utterance, values = None, []
    for name, numbered in zip(names, lines, strict=True):
        if numbered is None:
            broken(f"{folder / name}", "as many utterances as the other files have", "fewer")
        where, line = numbered
        found, value = _cut(line)
        utterance = utterance or found
        if found != utterance or not (value or name == "text"):
            broken(where, f"a line of utterance {utterance}, as in {names[0]}", line)
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
    ``utt2lang`` has those utterances whose language is known; without any, there is no such file. Where an item is a
    stretch of a recording, ``segments`` tells where each utterance is, and ``wav.scp`` names recordings.

    An utterance is called ``SPEAKER-ITEM``, or as its item where that begins so; an item without a group is its own
    speaker.

    Raises:
        InvalidInput: as ``new_folder``, two items that would be one utterance, a path that ``wav.scp`` cannot hold, or
            a recording of several channels, where there are stretches.
        UnreadableMedia, NotFound: a recording whose length cannot be told, where there are stretches.
    """
    utterances, segmented = Shelf(), False
    with new_folder(root) as out:
        for item, label in pairs:
            name = file_name(item)
            speaker = (token(item.group) if item.group else name).replace("-", "_")
            utterance = f"{speaker}-{name.removeprefix(f'{speaker}-')}" if item.group else speaker
            if utterance in utterances:
                raise InvalidInput(f"{root}: expected items with names of their own, got two called {utterance}")
            found = stretch(item.uri)
            segmented = segmented or found is not None
            told = {_RECORDINGS: _path(item, found), "text": " ".join(label.text.split()), "utt2spk": speaker}
            utterances.add(utterance, (speaker, told, item.language, found and (found.start_s, found.end_s)))
        if segmented:
            _write_segments(out, utterances)
        for file in _FILES[segmented:]:
            with (out / file).open("w", encoding="utf-8") as lines:
                lines.writelines(f"{key} {row[1][file]}".rstrip() + "\n" for key, row in utterances.in_order())
        _write_languages(out / _LANGUAGES, ((key, row[2]) for key, row in utterances.in_order()))
        with (out / "spk2utt").open("w", encoding="utf-8") as lines:
            for speaker, rows in groupby(utterances.in_order(), key=lambda row: row[1][0]):
                lines.write(speaker)
                lines.writelines(f" {utterance}" for utterance, _ in rows)
                lines.write("\n")


def _path(item: Item, found: Stretch | None) -> str:
    path = str(Path(found.recording if found else item.uri).absolute())
    if "\n" in path or path != path.strip() or path.endswith("|"):
        raise InvalidInput(f"item {item.id}: expected a path of one line that ends in no blank and no |, got {path!r}")
    return path


def _write_segments(out: Path, utterances: Shelf) -> None:
    """``segments``, with all of the file for what is no stretch, and ``wav.scp`` of the recordings."""
    names, paths = Shelf(), Shelf()
    with (out / _SEGMENTS).open("w", encoding="utf-8") as lines:
        for utterance, (_, told, _, times) in utterances.in_order():
            path = told[_RECORDINGS]
            if path not in names:
                name = token(Path(path).stem)
                name = f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}" if name in paths else name
                names.add(path, name)
                paths.add(name, path)
            start, end = _ends(utterance, Stretch(Path(path), *(times or (0, None))))
            lines.write(f"{utterance} {names.values(path)[0]} {number(start)} {number(end)}\n")
    with (out / _RECORDINGS).open("w", encoding="utf-8") as lines:
        lines.writelines(f"{name} {path}\n" for name, path in paths.in_order())


def _ends(utterance: str, found: Stretch) -> tuple[Seconds, Seconds]:
    """Where a stretch begins and ends, by the frames of its recording."""
    known = recording(found.recording)
    if known.channels > 1:
        got = f"{known.channels} in {found.recording}"
        raise InvalidInput(f"utterance {utterance}: expected a recording of one channel, as in all segments, got {got}")
    first, end = found.frames(known)
    return first / known.rate, end / known.rate


def _write_languages(file: Path, told: Iterable[tuple[str, str | None]]) -> None:
    lines = (f"{utterance} {token(language)}\n" for utterance, language in told if language)
    for first in lines:  # so that there is no empty file
        with file.open("w", encoding="utf-8") as out:
            out.write(first)
            out.writelines(lines)
