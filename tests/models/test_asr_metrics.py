"""Error rates and the normaliser, by hand."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.asr.metrics import differs, measure
from models.asr.transcripts import NORMALISER, normalise, units
from models.errors import InvalidInput
from models.records import Boxes, Transcript


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hello,  World!", "hello world"),
        ("Łužica – wšitko", "łužica wšitko"),
        ("cafe\u0301", "café"),
        ("Don’t 'quote' me", "don't quote me"),
        ("full-featured", "full featured"),
        ("北京、上海。", "北京上海"),
        ("而 对 楼市", "而对楼市"),
        ("用 Python 写 的 3 行", "用 python 写的 3 行"),
        ("東京 タワー へ 行く", "東京タワーへ行く"),
        ("か \u3099", "か \u3099"),  # a mark without its kana is not joined to another
        ("नमस्ते", "नमस्ते"),
        ("나는 학교에 간다.", "나는 학교에 간다"),  # Korean has spaces, as have all that lie between Han characters
        ("ꯃꯤꯇꯩ ꯂꯣꯟ", "ꯃꯤꯇꯩ ꯂꯣꯟ"),
        ("ꦧꦱ ꦗꦮ", "ꦧꦱ ꦗꦮ"),
        ("\ufa0e \ufa29", "\ufa0e\ufa29"),  # Han characters among the compatible ones
        ("\U00020000 \U0002a6d6", "\U00020000\U0002a6d6"),
        (" ...?! ", ""),
        ("ශ්\u200dරී ලංකා", "ශ්රී ලංකා"),  # a joiner, of which Sinhala is full
        ("می\u200cخواهم", "میخواهم"),
        ("Donau\u00addampf\u200e", "donaudampf"),
        ("か\u200d\u3099", "が"),
        ("ทดสอบ\u200bคำ", "ทดสอบ คำ"),  # a space without width is one
    ],
)
def test_normalised_texts(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


def pair(guess: str, truth: str) -> tuple[Transcript, Transcript]:
    return Transcript(guess), Transcript(truth)


def test_error_rates_by_hand() -> None:
    # words: 1 substitution, 1 deletion of 4; characters: b->d, " c" missing of "a b", "a c"
    metrics = measure([pair("A, d", "a b"), pair("a", "a c")])
    assert metrics.wer == pytest.approx(2 / 4)
    assert metrics.cer == pytest.approx(3 / 6)
    assert (metrics.exact, metrics.n, metrics.normaliser) == (0.0, 2, NORMALISER)
    assert metrics.quality == pytest.approx(0.5)


def test_korean_is_measured_by_words() -> None:
    metrics = measure([pair("나는 학교 간다", "나는 학교에 간다")])
    assert (metrics.wer, metrics.cer) == pytest.approx((1 / 3, 1 / 9))
    assert units("나는 학교에 간다") == ["나는", "학교에", "간다"]


def test_chinese_is_measured_by_characters() -> None:
    # However the truth is cut into words: one of six characters is wrong, and the sentence is one word.
    metrics = measure([pair("设定二十度", "设定 二十九 度")])
    assert (metrics.cer, metrics.wer, metrics.exact) == pytest.approx((1 / 6, 1, 0))
    assert measure([pair("设定二十九度", "设定 二十九，度。")]).exact == 1
    assert not differs(Transcript("北京上海"), Transcript("北京、上海。"))


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Edits between two sequences, cell by cell."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


TEXT = st.lists(st.sampled_from(["a", "ab", "b", "ba", "aba"]), max_size=5).map(" ".join)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_rates_are_edits_over_units_of_all_truths(texts: list[tuple[str, str]]) -> None:
    metrics = measure([pair(guess, truth) for guess, truth in texts])
    words = sum(distance(truth.split(), guess.split()) for guess, truth in texts)
    characters = sum(distance(truth, guess) for guess, truth in texts)
    assert metrics.wer == pytest.approx(words / max(1, sum(len(truth.split()) for _, truth in texts)))
    assert metrics.cer == pytest.approx(characters / max(1, sum(len(truth) for _, truth in texts)))
    assert metrics.exact == sum(guess == truth for guess, truth in texts) / len(texts)


def test_quality_stays_in_range_when_everything_is_made_up() -> None:
    metrics = measure([pair("far too many words", "x")])
    assert metrics.cer > 1
    assert metrics.quality == 0.0


def test_silence_is_right_and_words_in_silence_are_wrong() -> None:
    assert measure([pair("", "")]).quality == 1.0
    assert measure([pair("a", ""), pair("", "")]).exact == 0.5
    assert measure([pair("a", "")]).quality == 0.0
    assert (measure([pair("far too many", "")]).wer, measure([pair("far too many", "")]).cer) == (3, 12)
    # Silence has no words, and what is made up in it counts against those of the other clips.
    assert measure([pair("one two", ""), pair("a b c d", "a b c d")]).wer == 2 / 4


def test_nothing_measured() -> None:
    assert measure([]).n == 0


def test_only_words_matter() -> None:
    assert not differs(Transcript("Yes, indeed!"), Transcript("yes indeed"))
    assert differs(Transcript("yes in deed"), Transcript("yes indeed"))


def test_other_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected Transcript, got Boxes"):
        differs(Transcript("a"), Boxes(1, 1))
