"""The speech recogniser as it serves: an ONNX session, a beam search, and words with times and doubt."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, logsumexp, softmax

from models.arrays import Floats
from models.asr.decoding import Expectation, Hypothesis, Tokens, align, greedy, prefix_beam
from models.asr.doubt import confidence, word_edits, word_features
from models.asr.frames import BLANK, CONTEXT, FRAME, FRAME_S
from models.asr.spelling import START, Spelling
from models.asr.timing import when_they_sound
from models.certainty import Certainty
from models.media import SAMPLE_RATE, Waveform, require_sound
from models.onnx_files import WORD_CERTAINTY, description, open_session
from models.records import Prediction, Transcript, Word

BEAM = 8
SPELLING_WEIGHT = 0.5  # of what the model knows of spelling, beside what it hears
SYMBOL_BONUS = 1.0  # for each symbol, because each costs probability
WINDOW_FRAMES = 300  # the network hears at most 12 s at once: about what it was trained on, and its memory is bounded
MARGIN_FRAMES = 32  # and 1.3 s on either side of them, so that it never starts in the middle of a word
QUIET_FRAMES = 5  # a cut lies where 0.2 s are quietest
PASSAGE_FRAMES = 500  # the search decodes at most 20 s at once


@dataclass(frozen=True)
class Symbol:
    """One character of the transcript, the frames (first, one past the last) it was heard in, its confidence."""

    text: str
    first: int
    last: int
    confidence: float


@dataclass(frozen=True)
class Passage:
    """A stretch of speech decoded at once.

    ``edits`` is the number of wrong words expected among the hypotheses, ``entropy`` theirs in nats, ``log_prob`` the
    log-probability of the best text as heard, ``log_empty`` that of silence.
    """

    symbols: tuple[Symbol, ...]
    log_prob: float
    log_empty: float
    entropy: float
    edits: float
    as_greedy: bool


class Runtime:
    """An exported recogniser. ``alphabet`` is what it can write."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        about = description(onnx, "asr")
        self._session = open_session(onnx, threads)
        self.alphabet: tuple[str, ...] = tuple(about["settings"]["alphabet"])
        self._certainty = Certainty(**about.get(WORD_CERTAINTY, {}))
        spelling = about["settings"].get("spelling", "")
        self._spelling = Spelling(spelling, self.alphabet, SPELLING_WEIGHT, SYMBOL_BONUS) if spelling else None

    def feeds(self, media: Waveform) -> dict[str, NDArray[Any]]:
        """The network's inputs for one clip.

        Raises:
            InvalidInput: the clip has no samples.
        """
        require_sound(media)
        return {"waveform": media[np.newaxis].astype(np.float32), "lengths": np.array([len(media)], np.int64)}

    def predict(self, media: Waveform) -> Prediction:
        """What was said, with times and doubt.

        The score is the chance of any wrong word if those that the hypotheses lead one to expect fell independently:
        1 - e^-expected. An empty transcript has score 1.0: that nothing was said is for a person to confirm; its
        feature ``empty_probability`` tells confident silence from speech that the model could not read.
        """
        return self.read(media, *self.log_probs(media))

    def read(self, media: Waveform, log_probs: Floats, embedding: Floats) -> Prediction:
        """The same, where ``log_probs`` has been asked already."""
        duration_s = len(media) / SAMPLE_RATE
        parts = [self._decode(log_probs, *span) for span in passages(log_probs, self._space)]
        aligned = spell([symbol for part in parts for symbol in part.symbols], duration_s, self._begins)
        words = when_they_sound(aligned, media)
        features = {"duration_s": duration_s, **features_of(parts, words, log_probs)}
        certain = tuple(replace(word, confidence=float(self._certainty.of(word.confidence))) for word in words)
        label = Transcript(" ".join(word.text for word in words), certain)
        score = 1 - math.exp(-features["expected_edits"]) if words else 1.0
        return Prediction(label, score, features, tuple(float(value) for value in embedding))

    def log_probs(self, media: Waveform) -> tuple[Floats, Floats]:
        """Log-probabilities (frames, classes) of a clip of any length, and its embedding (width,).

        Long clips are heard window by window, cut at quiet places; the frames are joined before anything is decoded.
        """
        frames, embeddings, weights = [], [], []
        for first, last, start, end in windows(media):
            feeds = self.feeds(media[start:end])
            log_probs, _, embedding = self._session.run(["log_probs", "frames", "embedding"], feeds)
            skipped = (first - start) // FRAME + (CONTEXT if first > 0 else 0)
            stop = (last - start) // FRAME + CONTEXT if last < len(media) else log_probs.shape[1]
            frames.append(log_probs[0, skipped:stop])
            embeddings.append(embedding[0])
            weights.append(last - first)
        joined = np.concatenate(frames).astype(np.float64)
        return joined, np.average(np.stack(embeddings).astype(np.float64), axis=0, weights=weights)

    @property
    def _space(self) -> int:
        return self.alphabet.index(" ") + 1 if " " in self.alphabet else BLANK

    def _begins(self, frame: int, duration_s: float) -> float:
        return begins(frame, duration_s)

    def _decode(self, log_probs: Floats, first: int, last: int) -> Passage:
        """The most probable text of frames ``first`` to ``last``."""
        heard = log_probs[first:last]
        found: dict[str, list[Hypothesis]] = {}  # sequences that differ in spaces only are one text
        for hypothesis in prefix_beam(heard, BEAM, expected=self._expected(first)):
            found.setdefault(self._text(hypothesis.tokens), []).append(hypothesis)
        scores = {text: float(logsumexp([one.score for one in alike])) for text, alike in found.items()}
        best = max(scores, key=scores.__getitem__)
        shares = softmax(list(scores.values()))
        return Passage(
            symbols=self._symbols(heard, found[best][0].tokens, first),
            log_prob=min(0.0, float(logsumexp([one.log_prob for one in found[best]]))),
            log_empty=min(0.0, float(heard[:, BLANK].sum())),
            entropy=float(entr(shares).sum()),
            edits=float(sum(share * word_edits(best, text) for share, text in zip(shares, scores, strict=True))),
            as_greedy=best == self._text(greedy(heard)),
        )

    def _expected(self, first: int) -> Expectation | None:
        """What spelling adds to each next symbol of a passage; one in the middle of a text begins a word."""
        if self._spelling is None:
            return None
        return partial(self._spelling.scores, before=START if first == 0 else " ")

    def _text(self, tokens: Tokens) -> str:
        return " ".join("".join(self.alphabet[token - 1] for token in tokens).split())

    def _symbols(self, log_probs: Floats, tokens: Tokens, offset: int) -> tuple[Symbol, ...]:
        """Each token where the alignment puts it, as certain as the frame that says it loudest."""
        certain = confidence(log_probs)
        return tuple(
            Symbol(
                text=self.alphabet[token - 1],
                first=offset + first,
                last=offset + last,
                confidence=float(certain[first + int(log_probs[first:last, token].argmax())]),
            )
            for token, (first, last) in zip(tokens, align(log_probs, tokens), strict=True)
        )


def windows(media: Waveform) -> Iterator[tuple[int, int, int, int]]:
    """How a clip is heard: (first, last) samples that count and (start, end) samples given to the network.

    The stretches that count follow each other without gap or overlap; each is cut where the sound is quietest in the
    second half of a full window.
    """
    count = len(media) // FRAME
    framed = media[: count * FRAME].reshape(count, FRAME)
    loudness = np.einsum("fs,fs->f", framed, framed)
    around = np.convolve(loudness, np.ones(QUIET_FRAMES), mode="same") if count else loudness
    first = 0
    while count - first > WINDOW_FRAMES:
        half = first + WINDOW_FRAMES // 2
        cut = half + int(around[half : first + WINDOW_FRAMES].argmin())
        yield _window(first, cut * FRAME, len(media))
        first = cut
    yield _window(first, len(media), len(media))


def _window(first_frame: int, last: int, size: int) -> tuple[int, int, int, int]:
    first, margin = first_frame * FRAME, MARGIN_FRAMES * FRAME
    return first, last, max(0, first - margin), min(size, last + margin)


def passages(log_probs: Floats, space: int) -> Iterator[tuple[int, int]]:
    """Stretches (first, last) of at most ``PASSAGE_FRAMES`` to decode one by one.

    Each is cut at the frame most surely a space, or where none is likely, most surely blank: there no path is broken.
    """
    first = 0
    while len(log_probs) - first > PASSAGE_FRAMES:
        half = first + PASSAGE_FRAMES // 2
        choice = log_probs[half : first + PASSAGE_FRAMES]
        between = space if choice[:, space].max() > math.log(0.5) else BLANK
        cut = half + int(choice[:, between].argmax())
        yield first, cut
        first = cut
    yield first, len(log_probs)


def begins(frame: int, duration_s: float) -> float:
    """When a frame begins: each is centred on a multiple of 40 ms, the first ``CONTEXT`` frames before the clip."""
    return min(duration_s, max(0.0, (frame - CONTEXT - 0.5) * FRAME_S))


def spell(symbols: Sequence[Symbol], duration_s: float, begins: Callable[[int, float], float]) -> tuple[Word, ...]:
    """Words from symbols: split at spaces, timed by their frames, each as certain as its least certain symbol."""
    words = []
    for blank, group in groupby(symbols, key=lambda symbol: symbol.text.isspace()):
        if not blank:
            spelled = list(group)
            start_s, end_s = (begins(frame, duration_s) for frame in (spelled[0].first, spelled[-1].last))
            text = "".join(symbol.text for symbol in spelled)
            words.append(Word(text, start_s, end_s, min(symbol.confidence for symbol in spelled)))
    return tuple(words)


def features_of(parts: Sequence[Passage], words: Sequence[Word], log_probs: Floats) -> Mapping[str, float]:
    """What calibration learns from, the same keys for every clip."""
    return {
        **word_features(words, sum(part.edits for part in parts)),
        "text_probability": math.exp(sum(part.log_prob for part in parts)),
        "empty_probability": math.exp(sum(part.log_empty for part in parts)),
        "nbest_entropy": sum(part.entropy for part in parts),
        "frame_probability": float(np.exp(log_probs.max(axis=1).mean())),
        "greedy_agrees": float(all(part.as_greedy for part in parts)),
    }
