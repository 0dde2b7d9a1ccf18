"""WebVTT subtitles, one file a sound. Source: w3.org/TR/webvtt1, sections 4.1 and 4.2."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from models.datasets.output import file_name, new_folder
from models.recordings import duration_s
from models.records import Item, Seconds, Transcript, Word

_PAUSE: Seconds = 1.0  # a longer one ends a subtitle
_LONGEST: Seconds = 7.0  # of one subtitle
_MOST_CHARACTERS = 84  # two lines of 42


def write(root: Path, pairs: Iterable[tuple[Item, Transcript]]) -> None:
    """Writes ``ITEM.vtt`` for every item: subtitles with the time of each word, or one over all where none is known.

    Raises:
        InvalidInput: as ``new_folder``.
        UnreadableMedia, NotFound: a sound without known words whose length cannot be told.
    """
    with new_folder(root) as out:
        for item, label in pairs:
            with (out / f"{file_name(item)}.vtt").open("x", encoding="utf-8") as file:
                file.write("WEBVTT\n")
                for start, end, text in _cues(item, label):
                    shown_until = max(end, start + 1)  # players skip what ends when it starts
                    file.write(f"\n{_clock(start)} --> {_clock(shown_until)}\n{text}\n")


def _cues(item: Item, label: Transcript) -> Iterator[tuple[int, int, str]]:
    """(start, end, text) of each subtitle, in milliseconds."""
    if label.words:
        for words in _subtitles(label.words):
            end = max(_milliseconds(word.end_s) for word in words)
            yield _milliseconds(words[0].start_s), end, " ".join(_timed(words, end))
    elif label.text.split():
        yield 0, _milliseconds(duration_s(item.uri)), _escaped(" ".join(label.text.split()))


def _timed(words: Sequence[Word], end: int) -> Iterator[str]:
    """The words of a subtitle, each but the first behind its time, which must be later than the last and before the
    end; others come with the word before them."""
    known = _milliseconds(words[0].start_s)
    yield _escaped(words[0].text)
    for word in words[1:]:
        start = _milliseconds(word.start_s)
        if known < start < end:
            known = start
            yield f"<{_clock(start)}>{_escaped(word.text)}"
        else:
            yield _escaped(word.text)


def _subtitles(words: Sequence[Word]) -> Iterator[list[Word]]:
    """The words in groups that can be read at once."""
    group: list[Word] = []
    for word in words:
        if group:
            characters = sum(len(known.text) + 1 for known in group) + len(word.text)
            pause, length = word.start_s - group[-1].end_s, word.end_s - group[0].start_s
            if pause > _PAUSE or length > _LONGEST or characters > _MOST_CHARACTERS:
                yield group
                group = []
        group.append(word)
    yield group


def _escaped(text: str) -> str:
    return escape(text, quote=False)


def _milliseconds(seconds: Seconds) -> int:
    return round(seconds * 1000)


def _clock(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
