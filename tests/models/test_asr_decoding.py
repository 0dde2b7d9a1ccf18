"""CTC decoding against hand-worked tables and against the sum over every path."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.arrays import Floats
from models.asr.decoding import align, greedy, prefix_beam

EVERYTHING = 10_000  # a beam that no small case fills


def certain(path: list[int], classes: int = 3) -> Floats:
    """Log-probabilities that are nearly sure of one path."""
    probabilities = np.full((len(path), classes), 0.01)
    probabilities[np.arange(len(path)), path] = 1 - 0.01 * (classes - 1)
    log_probs: Floats = np.log(probabilities)
    return log_probs


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ([], ()),
        ([0, 0, 0], ()),
        ([1, 1, 1], (1,)),
        ([1, 0, 1], (1, 1)),
        ([0, 1, 1, 0, 0, 1, 2, 2, 0], (1, 1, 2)),
        ([2, 1, 2], (2, 1, 2)),
    ],
)
def test_repeats_merge_unless_a_blank_stands_between(path: list[int], tokens: tuple[int, ...]) -> None:
    log_probs = certain(path) if path else np.zeros((0, 3))
    assert greedy(log_probs) == tokens
    assert prefix_beam(log_probs, beam=4)[0].tokens == tokens


def test_the_best_text_may_not_be_the_best_path() -> None:
    # blank-blank is the best path (0.36), but "a" gathers a-blank, blank-a and a-a: 0.24 + 0.24 + 0.16 = 0.64
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert greedy(log_probs) == ()
    found = prefix_beam(log_probs, beam=4)
    assert [hypothesis.tokens for hypothesis in found] == [(1,), ()]
    assert [math.exp(hypothesis.log_prob) for hypothesis in found] == pytest.approx([0.64, 0.36])


def test_ties_go_to_the_earlier_tokens() -> None:
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array([[0, 0.25, 0.5, 0.25], [0, 0.5, 0.25, 0.25]]))
    found = [(hypothesis.tokens, math.exp(hypothesis.log_prob)) for hypothesis in prefix_beam(log_probs, beam=5)]
    assert [tokens for tokens, _ in found] == [(2, 1), (1,), (2,), (2, 3), (3, 1)]
    assert [value for _, value in found] == pytest.approx([0.25, 0.125, 0.125, 0.125, 0.125])


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def every_path(log_probs: Floats) -> dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]]:
    """Each text with all its paths and their log-probabilities."""
    frames, classes = log_probs.shape
    texts: dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]] = {}
    for path in itertools.product(range(classes), repeat=frames):
        log_prob = float(sum(log_probs[frame, token] for frame, token in enumerate(path)))
        texts.setdefault(collapse(path), []).append((path, log_prob))
    return texts


small_log_probs = (
    st.tuples(st.integers(1, 5), st.integers(2, 4))
    .flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-4, 4)))
    .map(lambda logits: logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
)


@settings(max_examples=60, deadline=None)
@given(small_log_probs)
def test_a_full_beam_gives_every_text_its_exact_probability(log_probs: Floats) -> None:
    expected = {
        tokens: float(np.logaddexp.reduce([value for _, value in paths]))
        for tokens, paths in every_path(log_probs).items()
    }
    found = {hypothesis.tokens: hypothesis.log_prob for hypothesis in prefix_beam(log_probs, EVERYTHING, floor=0)}
    assert found == pytest.approx(expected, abs=1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@settings(max_examples=40, deadline=None)
@given(small_log_probs)
def test_a_narrow_beam_never_claims_more_than_there_is(log_probs: Floats) -> None:
    exact = {hypothesis.tokens: hypothesis.log_prob for hypothesis in prefix_beam(log_probs, EVERYTHING, floor=0)}
    for hypothesis in prefix_beam(log_probs, beam=2):
        assert hypothesis.log_prob <= exact[hypothesis.tokens] + 1e-9


def test_alignment_by_hand() -> None:
    log_probs = certain([0, 1, 1, 0, 1, 2, 2, 0])
    assert align(log_probs, (1, 1, 2)) == [(1, 3), (4, 5), (5, 7)]
    assert align(log_probs, ()) == []


def test_alignment_keeps_a_blank_between_equal_tokens() -> None:
    spans = align(np.log(np.full((3, 2), 0.5)), (1, 1))
    assert spans == [(0, 1), (2, 3)]


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 3 frames, got 2"):
        align(np.log(np.full((2, 2), 0.5)), (1, 1))


@settings(max_examples=60, deadline=None)
@given(small_log_probs, st.integers(0, 1000))
def test_the_aligned_path_is_the_most_probable_one(log_probs: Floats, choice: int) -> None:
    texts = every_path(log_probs)
    tokens = sorted(texts)[choice % len(texts)]
    path = np.zeros(len(log_probs), int)
    for token, (first, last) in zip(tokens, align(log_probs, tokens), strict=True):
        path[first:last] = token
    assert collapse(tuple(path)) == tokens
    reached = float(log_probs[np.arange(len(path)), path].sum())
    assert reached == pytest.approx(max(value for _, value in texts[tokens]), abs=1e-9)
