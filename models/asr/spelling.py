"""What a recogniser knows of how its texts are spelled: character n-grams, asked which character comes next.

Probabilities are interpolated from the longest context down to the uniform one, each context trusted the more the fewer
different characters followed it (Witten and Bell 1991). The counts travel with the model as one packed string.
"""

import base64
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from models.arrays import Floats
from models.asr.frames import BLANK

ORDER = 5  # characters, the next one included
START, END = "\x02", "\x03"  # no transcript contains them
MOST_NGRAMS = 200_000  # the rarest go first, so that a model stays small whatever it was trained on

Counts = dict[str, Counter[str]]  # of each character after its last ORDER - 1 characters, or all since the start


def learn(texts: Iterable[str], packed: str = "") -> str:
    """Packs the n-grams of normalised texts and of those already ``packed``.

    Each counts as often as among the ones or the others, whichever is more: what is learnt anew with every round of
    training is counted once.
    """
    counts: Counts = defaultdict(Counter)
    for text in texts:
        marked = START + text + END
        for place in range(1, len(marked)):
            counts[marked[max(0, place - ORDER + 1) : place]][marked[place]] += 1
    for context, nexts in unpack(packed).items():
        counts[context] |= nexts
    return pack(counts)


def pack(counts: Mapping[str, Mapping[str, int]]) -> str:
    """The counts as ASCII text, at most ``MOST_NGRAMS`` of them; empty for none."""
    grams = [(-count, context, symbol) for context, nexts in counts.items() for symbol, count in nexts.items()]
    if not grams:
        return ""
    kept: dict[str, dict[str, int]] = defaultdict(dict)
    for negative, context, symbol in sorted(sorted(grams)[:MOST_NGRAMS], key=lambda gram: gram[1:]):
        kept[context][symbol] = -negative
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def unpack(packed: str) -> Counts:
    """The counts that ``pack`` wrote."""
    counts: Counts = defaultdict(Counter)
    if packed:
        for context, nexts in json.loads(zlib.decompress(base64.b85decode(packed))).items():
            counts[context].update(nexts)
    return counts


class Spelling:
    """The n-grams over one alphabet, as a beam search asks for them.

    ``weight`` is how much log-probabilities of spelling count beside those of sound; ``bonus`` is added for each
    symbol, because every further one costs probability.
    """

    def __init__(self, packed: str, alphabet: Sequence[str], weight: float, bonus: float) -> None:
        self._classes = {symbol: place for place, symbol in enumerate(alphabet, start=1)} | {END: BLANK}
        self._alphabet = alphabet
        self._weight, self._bonus = weight, bonus
        self._counts = _all_orders(unpack(packed))
        self._known: dict[str, Floats] = {}

    def scores(self, tokens: Sequence[int], before: str = START) -> Floats:
        """What each class (1 + symbols,) adds to a hypothesis as its next symbol; class 0 is the end of the text.

        Args:
            tokens: the hypothesis so far.
            before: the text that precedes it, if it does not begin one.
        """
        tail = "".join(self._alphabet[token - 1] for token in tokens[1 - ORDER :])
        context = (before + tail if len(tokens) < ORDER - 1 else tail)[1 - ORDER :]
        if context not in self._known:
            self._known[context] = self._weighed(context)
        return self._known[context]

    def _weighed(self, context: str) -> Floats:
        scores = self._weight * np.log(self.probabilities(context)) + self._bonus
        scores[BLANK] -= self._bonus
        return np.asarray(scores)

    def probabilities(self, context: str) -> Floats:
        """The probability (1 + symbols,) of each next symbol; class 0 is the end of the text."""
        p = np.full(len(self._classes), 1 / len(self._classes))
        for length in range(len(context) + 1):
            nexts = self._counts.get(context[len(context) - length :])
            if nexts is None:
                break
            seen = np.zeros(len(p))
            for symbol, count in nexts.items():
                seen[self._classes[symbol]] = count
            p = (seen + len(nexts) * p) / (seen.sum() + len(nexts))
        return p


def _all_orders(counts: Counts) -> Counts:
    """The counts after every shorter context too."""
    every: Counts = defaultdict(Counter)
    for context, nexts in counts.items():
        for start in range(len(context) + 1):
            every[context[start:]].update(nexts)
    return every
