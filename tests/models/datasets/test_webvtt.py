"""WebVTT: subtitles short enough to read, with the time of each word, as a player would take them."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets import webvtt
from models.records import Item, Transcript, Word
from tests.models.datasets.corpora import sound
from tests.models.datasets.round_trips import media, transcripts, words_in_time


def written(tmp_path: Path, label: Transcript) -> str:
    webvtt.write(tmp_path / "out", [(Item("x/a.wav", str(sound(tmp_path / "a.wav", 1.25))), label)])
    return (tmp_path / "out" / "x_a.vtt").read_text(encoding="utf-8")


def test_a_text_without_times_lasts_as_long_as_its_sound(tmp_path: Path) -> None:
    text = written(tmp_path, Transcript("R & D\n<now>"))
    assert text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nR &amp; D &lt;now&gt;\n"


def test_where_nothing_is_said_nothing_is_shown(tmp_path: Path) -> None:
    assert written(tmp_path, Transcript("")) == "WEBVTT\n"


def test_words_carry_their_times_and_a_pause_parts_two_subtitles(tmp_path: Path) -> None:
    words = (Word("go", 3599.5, 3599.9996), Word("on", 3600.25, 3600.5), Word("now", 3602, 3602.5))
    assert written(tmp_path, Transcript("go on now", words)) == (
        "WEBVTT\n\n00:59:59.500 --> 01:00:00.500\ngo <01:00:00.250>on\n\n01:00:02.000 --> 01:00:02.500\nnow\n"
    )


def test_a_subtitle_is_at_most_two_lines_and_seven_seconds_long(tmp_path: Path) -> None:
    long = [Word(letter * 40, at, at + 0.5) for letter, at in (("a", 0), ("b", 0.5), ("c", 1))]  # 40 + 1 + 40 <= 84
    slow = [Word(letter, at, at + 3.5) for letter, at in (("d", 1.5), ("e", 5), ("f", 8.5))]
    words = (*long, *slow)
    text = written(tmp_path, Transcript(" ".join(word.text for word in words), words))
    shown = [said.split() for _, _, said in cues(text)]
    assert [[word[0] for word in said] for said in shown] == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_times_rise_within_a_subtitle_and_none_is_empty(tmp_path: Path) -> None:
    """As section 4 wants it: a player shows no subtitle that ends when it starts."""
    words = (Word("uh", 0.5, 0.5), Word("a", 2, 2.4), Word("b", 2, 2.5), Word("c", 2.2, 2.6), Word("d", 2.1, 2.6))
    last = (*words, Word("e", 2.6, 2.6))
    assert written(tmp_path, Transcript("uh a b c d e", last)) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:00.501\nuh\n\n00:00:02.000 --> 00:00:02.600\na b <00:00:02.200>c d e\n"
    )


def cues(text: str) -> list[tuple[float, float, str]]:
    """Start, end and bare text of each subtitle: a reader of its own, for these tests."""
    found = []
    for block in text.split("\n\n")[1:]:
        times, _, body = block.partition("\n")
        start, end = (
            sum(float(part) * 60**i for i, part in enumerate(t.split(":")[::-1])) for t in times.split(" --> ")
        )
        bare = re.sub(r"<[^>]*>", "", body.strip())
        found.append((start, end, bare.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")))
    return found


@settings(max_examples=30)
@given(st.lists(words_in_time(), max_size=3))
def test_every_word_is_shown_once_in_its_time(labels: list[Transcript]) -> None:
    with media(labels) as (folder, pairs):
        webvtt.write(folder / "out", pairs)  # type: ignore[arg-type]
        for path, label in zip(sorted((folder / "out").iterdir()), labels, strict=True):
            shown = cues(path.read_text(encoding="utf-8"))
            assert " ".join(text for _, _, text in shown) == label.text
            assert all(len(text) <= 84 or " " not in text for _, _, text in shown)
            at = 0
            for start, end, text in shown:
                spoken = label.words[at : at + len(text.split())]
                at += len(spoken)
                assert abs(start - spoken[0].start_s) <= 0.0006
                assert start < end
                assert abs(end - spoken[-1].end_s) <= 0.0016
                assert end - start <= 7.001 or len(spoken) == 1


@settings(max_examples=30)
@given(transcripts())
def test_a_text_is_shown_whole(labels: list[Transcript]) -> None:
    with media(labels) as (folder, pairs):
        webvtt.write(folder / "out", pairs)  # type: ignore[arg-type]
        for path, label in zip(sorted((folder / "out").iterdir()), labels, strict=True):
            shown = [text for _, _, text in cues(path.read_text(encoding="utf-8"))]
            assert shown == ([label.text] if label.text else [])
