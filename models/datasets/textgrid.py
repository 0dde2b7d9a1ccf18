"""Praat TextGrids, one file a sound. Source: fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from models.datasets.output import file_name, new_folder, number
from models.recordings import duration_s
from models.records import Item, Seconds, Transcript

_Interval: TypeAlias = tuple[Seconds, Seconds, str]

_SHORTEST: Seconds = 0.001  # Praat knows no empty interval
_DIGITS = 6  # behind the point: times that are written alike are the same


def write(root: Path, pairs: Iterable[tuple[Item, Transcript]]) -> None:
    """Writes ``ITEM.TextGrid`` for every item: a tier with the whole text and, where they are known, one of words.

    Raises:
        InvalidInput: as ``new_folder``.
        UnreadableMedia, NotFound: a sound whose length cannot be told.
    """
    with new_folder(root) as out:
        for item, label in pairs:
            with (out / f"{file_name(item)}.TextGrid").open("x", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in _grid(label, duration_s(item.uri)))


def _grid(label: Transcript, length_s: Seconds) -> Iterator[str]:
    spoken = list(_words(label))
    end_s = max(round(length_s, _DIGITS), *(word[1] for word in spoken), _SHORTEST)
    tiers = {"text": [(0.0, end_s, label.text)]}
    if spoken:
        tiers["words"] = list(_without_gaps(spoken, end_s))
    yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "")
    yield from ("xmin = 0", f"xmax = {number(end_s)}", "tiers? <exists>", f"size = {len(tiers)}", "item []:")
    for index, (name, intervals) in enumerate(tiers.items(), 1):
        yield from (f"    item [{index}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}")
        yield from ("        xmin = 0", f"        xmax = {number(end_s)}")
        yield f"        intervals: size = {len(intervals)}"
        for place, (start, end, text) in enumerate(intervals, 1):
            yield from (f"        intervals [{place}]:", f"            xmin = {number(start)}")
            yield from (f"            xmax = {number(end)}", f"            text = {_quoted(text)}")


def _words(label: Transcript) -> Iterator[_Interval]:
    """The words one after the other: where one begins before the last has ended, it begins there."""
    before = 0.0
    for word in label.words:
        start = max(round(word.start_s, _DIGITS), before)
        before = round(max(word.end_s, start + _SHORTEST), _DIGITS)
        yield start, before, word.text


def _without_gaps(words: Iterable[_Interval], end_s: Seconds) -> Iterator[_Interval]:
    """The words with empty intervals between them, as a tier must leave nothing out."""
    before = 0.0
    for start, end, text in words:
        if start > before:
            yield before, start, ""
        yield start, end, text
        before = end
    if end_s > before:
        yield before, end_s, ""


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
