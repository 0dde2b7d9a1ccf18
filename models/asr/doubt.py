"""How far a transcript is to be trusted, from the probabilities it was read from."""

import math
from collections.abc import Sequence

import jiwer
import numpy as np

from models.arrays import Floats
from models.records import Word

ALPHA = 1 / 3


def confidence(log_probs: Floats) -> Floats:
    """How certain each frame is, in [0, 1]: 1 for a single possible class, 0 for all alike.

    Tsallis entropy H = (1 - sum p^a) / (a - 1) with a = 1/3, at most Hmax = (V^(1 - a) - 1) / (1 - a) for V classes;
    confidence = (e^-H - e^-Hmax) / (1 - e^-Hmax) (Laptev and Ginsburg 2022, as in NeMo).

    Args:
        log_probs: (frames, classes), natural logarithms of distributions over at least 2 classes.
    """
    classes = log_probs.shape[1]
    entropy = (1 - np.exp(ALPHA * log_probs).sum(axis=1)) / (ALPHA - 1)
    least = math.exp(-(classes ** (1 - ALPHA) - 1) / (1 - ALPHA))
    certain: Floats = np.clip((np.exp(-entropy) - least) / (1 - least), 0.0, 1.0)
    return certain


def word_features(words: Sequence[Word], edits: float) -> dict[str, float]:
    """What calibration learns from the words of any recogniser, and from how many edits it expects them to want."""
    confidences = [word.confidence for word in words] or [0.0]
    return {
        "words": float(len(words)),
        "word_confidence_min": min(confidences),
        "word_confidence_mean": float(np.mean(confidences)),
        "expected_edits": edits,
        "expected_wer": min(1.0, edits / max(1, len(words))),
    }


def word_edits(guess: str, truth: str) -> int:
    """Words to substitute, delete or insert to turn ``guess`` into ``truth``."""
    output = jiwer.process_words(truth, guess)
    return int(output.substitutions + output.deletions + output.insertions)
