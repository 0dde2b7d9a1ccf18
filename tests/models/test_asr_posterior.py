"""The likelihood of a given text: by hand, then against every path, then against the search."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.arrays import Floats
from models.asr.decoding import prefix_beam
from models.asr.posterior import UNSURE, hear, log_likelihood, tokens_of
from models.records import Prediction, Transcript, Word

LETTERS = (" ", "a", "b")


def distributions(frames: int, classes: int, seed: int) -> Floats:
    shares = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), frames)
    return np.log(shares + 1e-12)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(c for i, c in enumerate(path) if c != 0 and (i == 0 or path[i - 1] != c))


def test_one_frame_by_hand() -> None:
    log_probs = np.log([[0.2, 0.7, 0.1]])
    assert log_likelihood(log_probs, ()) == pytest.approx(np.log(0.2))
    assert log_likelihood(log_probs, (1,)) == pytest.approx(np.log(0.7))
    assert log_likelihood(log_probs, (1, 2)) == -np.inf


def test_a_repeat_needs_a_blank_between() -> None:
    log_probs = np.log(np.full((2, 3), 1 / 3))
    assert log_likelihood(log_probs, (1, 1)) == -np.inf
    assert log_likelihood(log_probs, (1, 2)) == pytest.approx(np.log(1 / 9))


@given(st.integers(1, 5), st.lists(st.integers(1, 2), max_size=3), st.integers(0, 99))
def test_it_sums_over_every_path(frames: int, tokens: list[int], seed: int) -> None:
    log_probs = distributions(frames, 3, seed)
    paths = [path for path in product(range(3), repeat=frames) if collapsed(path) == tuple(tokens)]
    total = sum(np.exp(sum(log_probs[t, c] for t, c in enumerate(path))) for path in paths)
    assert np.exp(log_likelihood(log_probs, tuple(tokens))) == pytest.approx(total)


def test_it_agrees_with_an_exact_search() -> None:
    log_probs = distributions(5, 3, 1)
    for found in prefix_beam(log_probs, beam=1000, floor=0.0)[:20]:
        assert log_likelihood(log_probs, found.tokens) == pytest.approx(found.log_prob)


@pytest.mark.parametrize(
    ("text", "alphabet", "expected"),
    [
        ("ab a", LETTERS, (2, 3, 1, 2)),
        ("axb", LETTERS, (2, 3)),
        ("", LETTERS, ()),
        ("the cat", (" the", " c", "a", "t", "at"), (1, 2, 5)),
        ("ab", ("A", "B"), (1, 2)),
    ],
)
def test_texts_in_the_symbols_of_an_alphabet(text: str, alphabet: tuple[str, ...], expected: tuple[int, ...]) -> None:
    assert tokens_of(text, alphabet) == expected


class Hearing:
    """A recogniser that is fairly sure of "ab"."""

    alphabet = LETTERS

    def log_probs(self, media: NDArray[np.float32]) -> tuple[Floats, Floats]:
        return np.log([[0.1, 0.05, 0.8, 0.05], [0.1, 0.05, 0.05, 0.8]]), np.zeros(1)

    def read(self, media: NDArray[np.float32], *_: Floats) -> Prediction:
        return Prediction(Transcript("ab"), 0.1, {}, ())

    def predict(self, media: NDArray[np.float32]) -> Prediction:
        return self.read(media, *self.log_probs(media))


@pytest.mark.parametrize(("text", "log_ratio"), [("ab", 0.0), ("AB.", 0.0), ("aa", -np.inf)])
def test_a_clip_beside_a_given_text(text: str, log_ratio: float) -> None:
    heard = hear(Hearing(), np.zeros(10, np.float32), text)
    assert (heard.text, heard.symbols) == ("ab", 2)
    if np.isfinite(log_ratio):
        assert heard.log_ratio == pytest.approx(log_ratio)
    else:  # it does not fit into two frames: as unlikely as the unlikeliest path
        assert heard.log_ratio == pytest.approx(np.log(0.05**2 / 0.64))


def test_a_given_text_that_is_likely_too() -> None:
    heard = hear(Hearing(), np.zeros(10, np.float32), "a")
    expected = np.log(0.8 * 0.1 + 0.8 * 0.05 + 0.1 * 0.05) - np.log(0.64)
    assert heard.log_ratio == pytest.approx(expected)


class Whispering:
    """A recogniser that gives words and confidences alone."""

    def predict(self, media: NDArray[np.float32]) -> Prediction:
        words = (Word("turn", 0, 1, 0.9), Word("left", 1, 2, 0.8))
        return Prediction(Transcript("turn left", words), 0.1, {}, ())


@pytest.mark.parametrize(
    ("text", "log_ratio"),
    [
        ("turn left", 0.0),
        ("turn right", np.log(0.2 / 0.8)),
        ("left", np.log(0.1 / 0.9)),
        ("turn left now", np.log(UNSURE)),
    ],
)
def test_without_frames_words_and_their_confidences_tell(text: str, log_ratio: float) -> None:
    heard = hear(Whispering(), np.zeros(10, np.float32), text)
    assert (heard.text, heard.symbols) == ("turn left", max(9, len(text)))
    assert heard.log_ratio == pytest.approx(log_ratio)
