"""From frame-wise log-probabilities to token sequences: greedy, prefix beam search and alignment, all for CTC.

``log_probs`` is (frames, classes) everywhere, natural logarithms, class 0 the blank (Graves et al. 2006).
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats
from models.asr.frames import BLANK

LogProbs: TypeAlias = NDArray[np.float32] | Floats
Tokens: TypeAlias = tuple[int, ...]
Expectation: TypeAlias = Callable[[Tokens], Floats]  # scores (classes,) of what follows; class 0: nothing

_NEVER = -math.inf


@dataclass(frozen=True)
class Hypothesis:
    """A token sequence, the log-probability of all its paths that the search kept, and that plus what was expected."""

    tokens: Tokens
    log_prob: float
    score: float


def greedy(log_probs: LogProbs) -> Tokens:
    """The tokens of the single most probable path: repeats merged, blanks dropped."""
    path = log_probs.argmax(axis=1)
    starts = np.flatnonzero(np.diff(path, prepend=BLANK))
    return tuple(int(token) for token in path[starts] if token != BLANK)


def prefix_beam(
    log_probs: LogProbs, beam: int, floor: float = 1e-4, expected: Expectation | None = None
) -> list[Hypothesis]:
    """The best token sequences, best first, ties by their tokens.

    Each sequence sums over its paths (Hannun et al. 2014, Algorithm 1). The search is exact where ``beam`` covers every
    prefix and ``floor`` is 0.

    Args:
        beam: sequences kept at each frame.
        floor: tokens less probable than this in a frame are not considered there.
        expected: what the language adds for each next token; without it the score is the log-probability.
    """
    # prefix -> (log-probability of its paths that end in blank, of those that end in its last token)
    kept: dict[Tokens, tuple[float, float]] = {(): (0.0, _NEVER)}
    added: dict[Tokens, float] = {(): 0.0}  # what was expected of each prefix
    lowest = math.log(floor) if floor > 0 else _NEVER
    for frame in log_probs:
        heard = [int(token) for token in np.flatnonzero(frame >= lowest) if token != BLANK]
        spoken = [(token, float(frame[token])) for token in heard]
        candidates = _extended(kept, float(frame[BLANK]), spoken)
        if expected is not None:
            _expect(candidates, added, expected)
        kept = _best(candidates, added, beam)
    found = []
    for tokens, ends in kept.items():
        log_prob, end = _add(*ends), float(expected(tokens)[BLANK]) if expected is not None else 0.0
        found.append(Hypothesis(tokens, log_prob, log_prob + added.get(tokens, 0.0) + end))
    return sorted(found, key=lambda hypothesis: (-hypothesis.score, hypothesis.tokens))


def _expect(candidates: dict[Tokens, tuple[float, float]], added: dict[Tokens, float], expected: Expectation) -> None:
    """Adds what was expected of each prefix that is new."""
    for prefix in candidates:
        if prefix not in added:
            added[prefix] = added[prefix[:-1]] + float(expected(prefix[:-1])[prefix[-1]])


def _extended(
    kept: dict[Tokens, tuple[float, float]], blank: float, spoken: list[tuple[int, float]]
) -> dict[Tokens, tuple[float, float]]:
    """Every prefix after one more frame."""
    silent: dict[Tokens, float] = {}
    voiced: dict[Tokens, float] = defaultdict(lambda: _NEVER)
    for prefix, (in_blank, in_token) in kept.items():
        either = _add(in_blank, in_token)
        silent[prefix] = either + blank
        for token, log_prob in spoken:
            longer = (*prefix, token)
            if prefix and token == prefix[-1]:  # a repeat merges unless a blank stands between
                voiced[prefix] = _add(voiced[prefix], in_token + log_prob)
                voiced[longer] = _add(voiced[longer], in_blank + log_prob)
            else:
                voiced[longer] = _add(voiced[longer], either + log_prob)
    ends = {prefix: (silent.get(prefix, _NEVER), voiced[prefix]) for prefix in (silent | voiced)}
    return {prefix: both for prefix, both in ends.items() if max(both) > _NEVER}


def _best(
    candidates: dict[Tokens, tuple[float, float]], added: dict[Tokens, float], beam: int
) -> dict[Tokens, tuple[float, float]]:
    def rank(entry: tuple[Tokens, tuple[float, float]]) -> tuple[float, Tokens]:
        return -_add(*entry[1]) - added.get(entry[0], 0.0), entry[0]

    return dict(sorted(candidates.items(), key=rank)[:beam])


def _add(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    if first < second:
        first, second = second, first
    return first if second == _NEVER else first + math.log1p(math.exp(second - first))


def align(log_probs: LogProbs, tokens: Tokens) -> list[tuple[int, int]]:
    """The frames of each token on the most probable path of ``tokens``: (first, one past the last).

    Viterbi over blank, token, blank, token, ..., blank. Takes frames x (2 tokens + 1) bytes.

    Raises:
        ValueError: there are fewer frames than the tokens need.
    """
    if not tokens:
        return []
    repeats = sum(left == right for left, right in pairwise(tokens))
    if len(log_probs) < len(tokens) + repeats:
        raise ValueError(f"alignment: expected at least {len(tokens) + repeats} frames, got {len(log_probs)}")
    states, may_skip = lattice(tokens)
    path = _viterbi(log_probs.astype(np.float64), states, may_skip)
    spoken = [np.flatnonzero(path == state) for state in range(1, len(states), 2)]
    return [(int(frames[0]), int(frames[-1]) + 1) for frames in spoken]


def lattice(tokens: Tokens) -> tuple[NDArray[np.int64], Bools]:
    """The states (2 * tokens + 1,) blank, token, blank, ..., blank, and into which of them one may come (as well as by
    staying or stepping) by skipping the blank before: a token other than the one before it."""
    states = np.full(2 * len(tokens) + 1, BLANK)
    states[1::2] = tokens
    may_skip = np.zeros(len(states), bool)
    may_skip[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    return states, may_skip


def _viterbi(log_probs: Floats, states: NDArray[np.int64], may_skip: Bools) -> NDArray[np.int64]:
    """The state of a lattice at each frame."""
    score = np.full(len(states), _NEVER)
    score[:2] = log_probs[0, states[:2]]
    back = np.zeros((len(log_probs), len(states)), np.int8)
    reach = np.full((3, len(states)), _NEVER)
    for frame in range(1, len(log_probs)):
        reach[0] = score
        reach[1, 1:] = score[:-1]
        reach[2, 2:] = np.where(may_skip[2:], score[:-2], _NEVER)
        back[frame] = reach.argmax(axis=0)
        score = reach.max(axis=0) + log_probs[frame, states]
    path = np.empty(len(log_probs), np.int64)
    path[-1] = len(states) - 1 if score[-1] >= score[-2] else len(states) - 2
    for frame in range(len(log_probs) - 1, 0, -1):
        path[frame - 1] = path[frame] - back[frame, path[frame]]
    return path
