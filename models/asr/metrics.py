"""Word and character error rates, by jiwer, over texts written the one way of ``transcripts.normalise``."""

from collections.abc import Iterable
from dataclasses import dataclass

import jiwer
import numpy as np

from models.asr.transcripts import NORMALISER, normalise
from models.changes import Changes
from models.matters import ANYTHING, Matters
from models.parts import PartErrors
from models.records import Label, Transcript, require_kind


@dataclass(frozen=True)
class AsrMetrics:
    """Errors over all items together.

    ``wer`` and ``cer`` are edits per word and per character of the truth, spaces included, at least 0 and without an
    upper bound; where all truths are empty, they are the number of inserted words and characters. ``exact`` is the
    share of the ``n`` items without any edit. What is written without spaces, as Chinese, is one word: there ``cer`` is
    the figure to look at, and ``wer`` little more than the share of sentences with an edit.
    """

    wer: float
    cer: float
    exact: float
    n: int
    normaliser: str = NORMALISER

    @property
    def quality(self) -> float:
        """1 less the character error rate, in [0, 1]; higher is better."""
        return 1 - min(1.0, self.cer)


def measure(pairs: Iterable[tuple[Label, Label]]) -> AsrMetrics:
    """The error rates of (predicted, truth) pairs; 0 where there is nothing to get wrong.

    Raises:
        InvalidInput: a label is no transcript.
    """
    texts = [(text_of(predicted), text_of(truth)) for predicted, truth in pairs]
    truths, guesses = [truth for _, truth in texts], [guess for guess, _ in texts]
    words = jiwer.process_words(truths, guesses) if texts else None
    characters = jiwer.process_characters(truths, guesses) if texts else None
    return AsrMetrics(
        wer=_rate(words) if words else 0.0,
        cer=_rate(characters) if characters else 0.0,
        exact=sum(guess == truth for guess, truth in texts) / len(texts) if texts else 0.0,
        n=len(texts),
    )


def differs(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> bool:
    """Whether a person would change any word, or more of them than the rule allows."""
    said, spoken = text_of(predicted), text_of(truth)
    if said == spoken or not matters.wer:
        return said != spoken
    return _rate(jiwer.process_words([spoken], [said])) > matters.wer


def part_errors(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> PartErrors:
    """Which words were said differently or not at all, and how many are missing, by the fewest edits.

    Where the words cannot be told apart as the metric reads them (Chinese), an error is one of every word, and missing.
    """
    words = [normalise(word.text).split() for word in predicted.words] if isinstance(predicted, Transcript) else []
    said, spoken = text_of(predicted), text_of(truth)
    if " ".join(token for word in words for token in word) != said:
        return PartErrors(np.full(len(words), said != spoken), int(said != spoken), None)
    if not spoken or not said:
        wrong = np.array([bool(word) for word in words], np.bool_)
        return PartErrors(wrong, len(spoken.split()), ((),) * len(words))
    owner = [row for row, word in enumerate(words) for _ in word]
    wrong, missing, stands_for = np.zeros(len(words), np.bool_), 0, [list[int]() for _ in words]
    for edit in jiwer.process_words(spoken, said).alignments[0]:
        if edit.type == "delete":
            missing += edit.ref_end_idx - edit.ref_start_idx
        elif edit.type != "equal":
            wrong[owner[edit.hyp_start_idx : edit.hyp_end_idx]] = True
        ours_of, theirs_of = range(edit.hyp_start_idx, edit.hyp_end_idx), range(edit.ref_start_idx, edit.ref_end_idx)
        for ours, theirs in zip(ours_of, theirs_of, strict=False):  # as many of each, or none of one
            stands_for[owner[ours]].append(theirs)
    return PartErrors(wrong, missing, tuple(map(tuple, stands_for)))


def changes(shown: Label, given: Label) -> Changes:
    """The words that a person keeps, corrects, deletes and inserts, at the least."""
    said = jiwer.process_words([text_of(given)], [text_of(shown)])
    return Changes(kept=said.hits, altered=said.substitutions, removed=said.insertions, added=said.deletions)


def _rate(output: jiwer.WordOutput | jiwer.CharacterOutput) -> float:
    """Edits per unit of the truth; per inserted unit where the truths are all empty."""
    wrong = output.substitutions + output.deletions + output.insertions
    spoken = output.hits + output.substitutions + output.deletions
    return wrong / max(1, spoken)


def text_of(label: Label) -> str:
    """A transcript as it is compared.

    Raises:
        InvalidRecord: the label is of another kind.
    """
    return normalise(require_kind(label, Transcript).text)
