"""TextGrids as Praat reads them: free-standing numbers and quoted texts, tiers without gaps."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets import textgrid
from models.records import Item, Transcript, Word
from tests.models.datasets.corpora import sound
from tests.models.datasets.round_trips import media, words_in_time

Interval = tuple[float, float, str]


def grid(text: str) -> tuple[float, dict[str, list[Interval]]]:
    """End and tiers: all that is not a free-standing number, a quoted text or a flag is a comment to Praat."""
    tokens = [
        quoted.replace('""', '"') if quoted or not number else float(number)
        for quoted, number in re.findall(r'"((?:[^"]|"")*)"|(?<![\w\[])(\d[\d.e-]*)(?![\w\]])', text)
    ]
    assert tokens[:3] == ["ooTextFile", "TextGrid", 0.0]
    end, size, *rest = tokens[3:]
    tiers: dict[str, list[Interval]] = {}
    for _ in range(int(size)):
        kind, name, low, high, count, *rest = rest
        assert (kind, low, high) == ("IntervalTier", 0.0, end)
        values, rest = rest[: 3 * int(count)], rest[3 * int(count) :]
        tiers[str(name)] = [
            (float(a), float(b), str(t)) for a, b, t in zip(*(values[i::3] for i in range(3)), strict=True)
        ]
    assert not rest
    return float(end), tiers


def test_the_whole_text_and_its_words_are_tiers_of_their_own(tmp_path: Path) -> None:
    words = (Word('"go"', 0.25, 0.5), Word("on", 0.45, 0.75))
    label = Transcript('"go" on', words)
    textgrid.write(tmp_path / "out", [(Item("x/a.wav", str(sound(tmp_path / "a.wav", 1.25))), label)])
    text = (tmp_path / "out" / "x_a.TextGrid").read_text(encoding="utf-8")
    assert text.startswith(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 1.25\ntiers? <exists>\n'
    )
    assert '            text = """go"" on"\n' in text
    spoken = [(0.0, 0.25, ""), (0.25, 0.5, '"go"'), (0.5, 0.75, "on"), (0.75, 1.25, "")]
    assert grid(text) == (1.25, {"text": [(0.0, 1.25, '"go" on')], "words": spoken})


def test_without_times_there_is_one_tier(tmp_path: Path) -> None:
    textgrid.write(tmp_path / "out", [(Item("a", str(sound(tmp_path / "a.wav"))), Transcript("go\non"))])
    assert grid((tmp_path / "out" / "a.TextGrid").read_text()) == (0.5, {"text": [(0.0, 0.5, "go\non")]})


def test_times_that_are_written_alike_leave_no_gap_between_them(tmp_path: Path) -> None:
    """Praat does not open a file with an interval that ends where it starts."""
    words = (Word("go", 0, 0.3), Word("on", 0.1 + 0.2, 0.5 - 1e-12))
    textgrid.write(tmp_path / "out", [(Item("a", str(sound(tmp_path / "a.wav"))), Transcript("go on", words))])
    _, tiers = grid((tmp_path / "out" / "a.TextGrid").read_text())
    assert tiers["words"] == [(0.0, 0.3, "go"), (0.3, 0.5, "on")]


@settings(max_examples=30)
@given(st.lists(words_in_time(), max_size=3))
def test_tiers_leave_nothing_out_and_words_keep_their_order(labels: list[Transcript]) -> None:
    with media(labels) as (folder, pairs):
        textgrid.write(folder / "out", pairs)  # type: ignore[arg-type]
        for path, label in zip(sorted((folder / "out").iterdir()), labels, strict=True):
            end, tiers = grid(path.read_text(encoding="utf-8"))
            assert tiers["text"] == [(0.0, end, label.text)]
            intervals = tiers.get("words", [])
            assert [text for _, _, text in intervals if text] == label.text.split()
            assert all(start < stop for start, stop, _ in intervals)
            if intervals:
                assert (intervals[0][0], intervals[-1][1]) == (0.0, end)
            assert all(first[1] == second[0] for first, second in pairwise(intervals))
            for (start, stop, _), word in zip((i for i in intervals if i[2]), label.words, strict=True):
                assert start == pytest.approx(word.start_s, abs=0.01)
                assert stop == pytest.approx(word.end_s, abs=0.01)
