"""Character n-grams against a hand-worked table, a slow recursion, and the search that asks them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.arrays import Floats
from models.asr.decoding import prefix_beam
from models.asr.frames import BLANK
from models.asr.spelling import END, MOST_NGRAMS, ORDER, START, Spelling, learn, pack, unpack

ALPHABET = ("a", "b", " ")
EVERYTHING = 10_000  # a beam that no small case fills
texts = st.lists(st.text("ab ", max_size=8), max_size=6)


def spelling(packed: str, weight: float = 1.0, bonus: float = 0.0) -> Spelling:
    return Spelling(packed, ALPHABET, weight, bonus)


def test_probabilities_by_hand() -> None:
    """After "ab" and "aa": three a, one b and two ends follow anything; after an a, one each."""
    known = spelling(learn(["ab", "aa"]))
    anything = (np.array([2, 3, 1, 0]) + 3 * 0.25) / (6 + 3)
    assert known.probabilities("") == pytest.approx(anything)
    after_a = (np.array([1, 1, 1, 0]) + 3 * anything) / (3 + 3)
    assert known.probabilities("a") == pytest.approx(after_a)
    assert known.probabilities("b ") == pytest.approx(anything), "nothing is known after a space"


def slow_probability(known: list[str], context: str, symbol: str) -> float:
    """Witten and Bell's interpolation, counted over the marked texts anew for each context."""
    marked = [START + text + END for text in known]

    def count(after: str) -> list[str]:
        return [text[i] for text in marked for i in range(1, len(text)) if text[:i].endswith(after)]

    p = 1 / (len(ALPHABET) + 1)
    for length in range(len(context) + 1):
        nexts = count(context[len(context) - length :])
        if not nexts:
            break
        kinds = len(set(nexts))
        p = (nexts.count(symbol) + kinds * p) / (len(nexts) + kinds)
    return p


@settings(max_examples=60, deadline=None)
@given(texts, st.text("ab ", max_size=ORDER - 1))
def test_probabilities_follow_the_definition(known: list[str], context: str) -> None:
    p = spelling(learn(known)).probabilities(context)
    assert p.sum() == pytest.approx(1)
    expected = [slow_probability(known, context, symbol) for symbol in (END, *ALPHABET)]
    assert p == pytest.approx(np.array(expected))


@given(texts, texts)
def test_texts_that_are_learnt_again_count_once(first: list[str], second: list[str]) -> None:
    assert unpack(learn(first + second, learn(first))) == unpack(learn(first + second))
    counts, more = unpack(learn(first)), unpack(learn(second))
    known = unpack(learn(second, learn(first)))
    assert known.keys() == counts.keys() | more.keys()
    assert all(known[context] == counts[context] | more[context] for context in known)


def test_nothing_learnt_is_nothing_packed() -> None:
    assert learn([]) == "" == pack({})


def test_the_rarest_go_where_there_are_too_many() -> None:
    counts = {f"{i:04d}": {"a": 1} for i in range(MOST_NGRAMS)} | {"aaaa": {"b": 2}}
    kept = unpack(pack(counts))
    assert len(kept) == MOST_NGRAMS
    assert kept["aaaa"] == {"b": 2}


def test_scores_weigh_and_reward_symbols_but_not_the_end() -> None:
    known = spelling(learn(["ab", "aa"]), weight=0.5, bonus=2.0)
    expected = 0.5 * np.log(known.probabilities(START + "a")) + [0, 2, 2, 2]
    assert known.scores((1,)) == pytest.approx(expected)
    assert known.scores((1,), before=" ") == pytest.approx(0.5 * np.log(known.probabilities(" a")) + [0, 2, 2, 2])
    long = known.scores((2, 1, 1, 1, 1))
    assert long == pytest.approx(0.5 * np.log(known.probabilities("aaaa")) + [0, 2, 2, 2])


def test_spelling_decides_what_sound_leaves_open() -> None:
    log_probs = np.log(np.array([[0.02, 0.49, 0.48, 0.01], [0.9, 0.04, 0.04, 0.02]]))
    assert prefix_beam(log_probs, beam=4)[0].tokens == (1,)
    assert prefix_beam(log_probs, beam=4, expected=spelling(learn(["b", "b", "ba"])).scores)[0].tokens == (2,)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.just(4)), elements=st.floats(-4, 4)), texts)
def test_a_full_beam_adds_spelling_to_sound_exactly(logits: Floats, known: list[str]) -> None:
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    words = spelling(learn(known), weight=0.7, bonus=0.3)
    by_sound = {one.tokens: one.log_prob for one in prefix_beam(log_probs, EVERYTHING, floor=0)}
    found = prefix_beam(log_probs, EVERYTHING, floor=0, expected=words.scores)
    assert {one.tokens: one.log_prob for one in found} == pytest.approx(by_sound, abs=1e-9)
    for one in found:
        parts = [float(words.scores(one.tokens[:i])[token]) for i, token in enumerate(one.tokens)]
        total = math.fsum([by_sound[one.tokens], *parts, float(words.scores(one.tokens)[BLANK])])
        assert one.score == pytest.approx(total, abs=1e-9)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
