"""How likely a given text is to a recogniser, beside the text that it hears itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from models.arrays import Floats
from models.asr.decoding import LogProbs, Tokens, lattice
from models.asr.transcripts import normalise
from models.errors import InvalidInput
from models.media import Waveform
from models.records import Prediction, Transcript, Word, require_kind

_NEVER = -np.inf
UNSURE = 0.05  # the probability left for other words than a recogniser's own, where it gives no more than confidences


@dataclass(frozen=True)
class Heard:
    """A clip as a recogniser hears it, beside a text that was given for it.

    ``log_ratio`` is the log-probability (natural) of the given text less that of the heard one. ``symbols`` counts
    those of the longer text, at least 1.
    """

    text: str
    log_ratio: float
    symbols: int


class Recogniser(Protocol):
    """Whatever hears a clip."""

    def predict(self, media: Waveform) -> Prediction:
        """What was said, with its doubt."""


@runtime_checkable
class FrameByFrame(Recogniser, Protocol):
    """A recogniser that tells how likely each symbol is in each frame."""

    @property
    def alphabet(self) -> Sequence[str]:
        """What its classes but the blank write."""

    def log_probs(self, media: Waveform) -> tuple[LogProbs, Floats]:
        """Log-probabilities (frames, classes), and an embedding (n,)."""

    def read(self, media: Waveform, log_probs: LogProbs, embedding: Floats) -> Prediction:
        """What was said, by them."""


def hear(runtime: Recogniser, media: Waveform, given: str) -> Heard:
    """What a recogniser of this package hears, and how likely the given text is to it.

    A recogniser without frame-wise probabilities (Whisper) is asked through the confidences of its words.
    """
    if not isinstance(runtime, FrameByFrame):
        return _by_words(require_kind(runtime.predict(media).label, Transcript).words, normalise(given))
    log_probs, embedding = runtime.log_probs(media)
    said = require_kind(runtime.read(media, log_probs, embedding).label, Transcript)
    texts = (normalise(given), normalise(said.text))
    ours, theirs = (log_likelihood(log_probs, tokens_of(text, runtime.alphabet)) for text in texts)
    lowest = float(log_probs.min(axis=1).sum())  # of a text that does not fit into the clip
    return Heard(texts[1], max(ours, lowest) - max(theirs, lowest), max(1, *map(len, texts)))


def log_likelihood(log_probs: LogProbs, tokens: Tokens) -> float:
    """The log-probability that CTC writes exactly these tokens; minus infinity where they need more frames.

    The forward recursion over the lattice of states (Graves et al. 2006, section 4.1).

    Args:
        log_probs: (frames, classes), natural logarithms, class 0 the blank.
        tokens: classes, none of them the blank.
    """
    states, may_skip = lattice(tokens)
    reached = np.full(len(states), _NEVER)
    reached[:2] = log_probs[0, states[:2]]
    for frame in log_probs[1:]:
        before = reached
        reached = before.copy()
        reached[1:] = np.logaddexp(reached[1:], before[:-1])
        reached[2:] = np.logaddexp(reached[2:], np.where(may_skip[2:], before[:-2], _NEVER))
        reached += frame[states]
    return float(np.logaddexp.reduce(reached[-2:]))


def tokens_of(text: str, alphabet: Sequence[str]) -> Tokens:
    """A normalised text in the symbols of an alphabet, the longest that fits first; what it lacks is left out.

    Pieces may begin with the space before a word, and are compared in lower case.

    Raises:
        InvalidInput: the alphabet is empty.
    """
    if not alphabet:
        raise InvalidInput("speech: expected a recogniser that can write something, got an empty alphabet")
    classes = {symbol.lower(): number for number, symbol in reversed([*enumerate(alphabet, 1)]) if symbol}
    longest = max(map(len, classes))
    if any(len(symbol) > 1 and symbol.startswith(" ") for symbol in classes):
        text = f" {text}" if text else text
    tokens, place = [], 0
    while place < len(text):
        fits = (text[place : place + size] for size in range(longest, 0, -1))
        symbol = next((one for one in fits if one in classes), None)
        if symbol is not None:
            tokens.append(classes[symbol])
        place += len(symbol) if symbol else 1
    return tuple(tokens)


def _by_words(words: tuple[Word, ...], given: str) -> Heard:
    """The ratio if words are right independently, each with its confidence, and another word costs ``UNSURE``."""
    heard = [normalise(word.text) for word in words]
    text, wanted = " ".join(heard), given.split()
    left = list(wanted)
    ratio = 0.0
    for word, spoken in zip(words, heard, strict=True):
        if spoken in left:
            left.remove(spoken)
        else:
            sure = min(max(word.confidence, UNSURE), 1 - UNSURE)
            ratio += float(np.log(1 - sure) - np.log(sure))
    ratio += max(0, len(wanted) - len(words)) * float(np.log(UNSURE))
    return Heard(text, ratio, max(1, len(text), len(given)))
