"""Error rates and the normaliser, by hand."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.asr.metrics import differs, measure
from models.asr.transcripts import NORMALISER, normalise
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
        ("北京、上海。", "北京 上海"),
        ("नमस्ते", "नमस्ते"),
        (" ...?! ", ""),
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


def test_quality_stays_in_range_when_everything_is_made_up() -> None:
    metrics = measure([pair("far too many words", "x")])
    assert metrics.cer > 1
    assert metrics.quality == 0.0


def test_silence_is_right_and_words_in_silence_are_wrong() -> None:
    assert measure([pair("", "")]).quality == 1.0
    assert measure([pair("a", ""), pair("", "")]).exact == 0.5
    assert measure([pair("a", "")]).quality == 0.0


def test_nothing_measured() -> None:
    assert measure([]).n == 0


def test_only_words_matter() -> None:
    assert not differs(Transcript("Yes, indeed!"), Transcript("yes indeed"))
    assert differs(Transcript("yes in deed"), Transcript("yes indeed"))


def test_other_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected a Transcript, got Boxes"):
        differs(Transcript("a"), Boxes(1, 1))
