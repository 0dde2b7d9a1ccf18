"""When words sound: a recogniser that hears the whole clip may write a word before it is said."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from models.arrays import AnyFloats
from models.media import SAMPLE_RATE, Waveform
from models.records import Word

HOP_S = 0.01
QUIET = 0.1  # of the loudest hop of a word (-20 dB): what is quieter at its edges is not the word


def when_they_sound(words: Iterable[Word], media: Waveform) -> tuple[Word, ...]:
    """The words without what is quiet at their edges; times only move inward, so that words keep their order.

    Where noise is nearly as loud as speech nothing is quiet, and the times stay as they were.
    """
    hop = round(HOP_S * SAMPLE_RATE)
    count = -(-len(media) // hop)
    hops = np.pad(media, (0, count * hop - len(media))).reshape(count, hop)
    loudness = np.sqrt(np.einsum("hs,hs->h", hops, hops))
    return tuple(_tightened(word, loudness) for word in words)


def _tightened(word: Word, loudness: AnyFloats) -> Word:
    first, last = round(word.start_s / HOP_S), round(word.end_s / HOP_S)
    heard = loudness[first:last]
    loud = np.flatnonzero(heard > QUIET * heard.max(initial=0.0))
    if not len(loud):
        return word
    start_s, end_s = (first + int(loud[0])) * HOP_S, (first + int(loud[-1]) + 1) * HOP_S
    return replace(word, start_s=max(word.start_s, start_s), end_s=min(word.end_s, end_s))
