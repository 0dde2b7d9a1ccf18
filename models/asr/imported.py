"""A recogniser that others made, in use: its own sound and classes, then the same search and doubt as ours.

Where the model gives no embedding, the mean and deviation of 40 log-mel bands over the clip stand in for one: how it
sounds, not what is said.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.asr import runtime
from models.asr.declaration import SHORTEST, Declaration, log_probs
from models.asr.decoding import Tokens
from models.asr.log_mel import timbre
from models.asr.runtime import Symbol, windows
from models.certainty import Certainty
from models.declaring import build
from models.media import SAMPLE_RATE, Waveform, require_sound
from models.onnx_files import WORD_CERTAINTY, description, graph_of, open_session, run


class Runtime(runtime.Runtime):
    """An ONNX session that carries its declaration in its metadata."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        about = description(onnx, "asr")
        self.declaration = build(Declaration, about["declaration"])
        self.alphabet = self.declaration.alphabet
        self._session = open_session(onnx, threads)
        self._graph = graph_of(self._session)
        self._spelling = None
        self._certainty = Certainty(**about.get(WORD_CERTAINTY, {}))

    def feeds(self, media: Waveform) -> dict[str, NDArray[Any]]:
        """The network's inputs for one clip; a very short one is followed by silence.

        Raises:
            InvalidInput: the clip has no samples.
        """
        require_sound(media)
        return self.declaration.input.feeds(np.pad(media, (0, max(0, SHORTEST - len(media)))), self._graph)

    def log_probs(self, media: Waveform) -> tuple[Floats, Floats]:
        """Log-probabilities (frames, classes) of a clip of any length, and its embedding.

        A long clip is heard piece by piece, cut where it is quiet. Frame i lies at i times ``frame_s``: where a network
        gives a few frames less for a piece than that, blanks fill up; where it gives more, the last piece keeps them,
        for words may end there.
        """
        pieces, embeddings, weights = [], [], []
        frames = 0
        for first, last, _, _ in windows(media):
            outputs = run(self._session, self.feeds(media[first:last]))
            heard = log_probs(self.declaration, outputs[self.declaration.output])
            wanted = max(1, round(last / SAMPLE_RATE / self.declaration.frame_s) - frames)
            if last == len(media):
                wanted = max(wanted, len(heard))
            pieces.append(_filled(heard, wanted))
            embeddings.append(self._embedding(outputs, media[first:last]))
            weights.append(last - first)
            frames += wanted
        return np.concatenate(pieces), np.average(np.stack(embeddings), axis=0, weights=weights)

    def _embedding(self, outputs: dict[str, NDArray[Any]], media: Waveform) -> Floats:
        name = self.declaration.embedding
        if name:
            told = outputs[name].astype(np.float64)
            return np.asarray(told.reshape(-1, told.shape[-1]).mean(axis=0))
        return np.array(timbre(media))

    def _symbols(self, log_probs: Floats, tokens: Tokens, offset: int) -> tuple[Symbol, ...]:
        """The pieces, apart where they hold a space; those that write nothing left out."""
        return tuple(
            Symbol(text, whole.first, whole.last, whole.confidence)
            for whole in super()._symbols(log_probs, tokens, offset)
            for text in _parts(whole.text)
        )

    def _begins(self, frame: int, duration_s: float) -> float:
        return min(duration_s, frame * self.declaration.frame_s)


def _filled(values: Floats, frames: int) -> Floats:
    """As many frames as that: the first ones, or all and then blanks."""
    blank = np.full((max(0, frames - len(values)), values.shape[1]), -30.0)
    blank[:, 0] = 0.0
    return np.concatenate([values[:frames], blank])


def _parts(piece: str) -> list[str]:
    """ " the" -> " ", "the": words are what lies between spaces."""
    parts: list[str] = []
    for number, word in enumerate(piece.split(" ")):
        parts += [" "] * (number > 0) + [word] * bool(word)
    return parts
