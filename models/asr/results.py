"""What an evaluation tells of speech: edits of each clip, the metrics from them, and what is mistaken for what."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats
from models.asr.metrics import part_errors, text_of
from models.asr.transcripts import normalise
from models.figures import Meaning, Statistics
from models.records import Label, Prediction, Transcript
from models.reliability import Rows, auroc, ece, nce
from models.report.charts import Chart, Columns, Mistake, Mistakes, binned

METRICS = {
    "wer": Meaning("words to change, per word of the truth", "lower"),
    "cer": Meaning("characters to change, per character of the truth", "lower"),
    "exact": Meaning("share of clips without any edit", "higher"),
    "word_ece": Meaning("expected calibration error of the words' confidences", "lower"),
    "word_nce": Meaning(
        "share of the uncertainty about right and wrong words that their confidences take away", "higher"
    ),
    "word_auroc": Meaning("chance that a right word is more confident than a wrong one", "higher"),
}
MAX_PROBABILITY = "frame_probability"
MOST_MISTAKES = 12
SECONDS = (0, 0.5, 1, 2, 3, 4, 6, 8, 12, 20)


@dataclass(frozen=True)
class Results:
    """Clips as they were heard and as they are."""

    predictions: Sequence[Prediction]
    truths: Sequence[Label]

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Counts of each clip (n,), as they stand in ``items.parquet``."""
        words, characters = (_edits_and_units(aligned) for aligned in (self._words, self._characters))
        return {
            "word_edits": words[:, 0],
            "words": words[:, 1],
            "character_edits": characters[:, 0],
            "characters": characters[:, 1],
        }

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """Words that a person would have to change (n,)."""
        return self.columns["word_edits"]

    @property
    def quality(self) -> float:
        """1 less the character error rate, at least 0."""
        return 1 - min(1.0, _rate(self.columns, "character_edits", "characters", slice(None)))

    def statistics(self) -> Statistics:
        exact = np.array([said == truth for said, truth in self._texts])
        return {
            "wer": lambda rows: _rate(self.columns, "word_edits", "words", rows),
            "cer": lambda rows: _rate(self.columns, "character_edits", "characters", rows),
            "exact": lambda rows: float(exact[rows].mean()),
            "word_ece": partial(self._of_confidences, ece),
            "word_nce": partial(self._of_confidences, nce),
            "word_auroc": partial(self._of_confidences, auroc),
        }

    def charts(self) -> list[Chart]:
        seconds = [said.features.get("duration_s", 0.0) for said in self.predictions]
        wrong = [said != truth for said, truth in self._texts]
        lengths = binned(seconds, wrong, SECONDS)
        words, characters = _mistakes(self._words), _mistakes(self._characters)
        return [
            Mistakes("Words most often mistaken", "truth → what was heard", words),
            Mistakes("Characters most often mistaken", "truth → what was heard", characters),
            Columns("Error by length", "clips in which a person would change a word", "seconds", "wrong", lengths),
        ]

    def _of_confidences(self, figure: Callable[[Floats, Bools], float | None], rows: Rows) -> float | None:
        """A figure of doubt, of every word that was heard in a sample of clips; None where it has no meaning."""
        clip, doubts, wrong = self._doubted
        words = np.repeat(np.arange(len(clip)), np.bincount(rows, minlength=len(self.truths))[clip])
        return figure(doubts[words], wrong[words])

    @cached_property
    def _doubted(self) -> tuple[NDArray[np.intp], Floats, Bools]:
        """Of each word (w,) that was heard: the row of its clip, 1 less its confidence, whether it is wrong."""
        labels = [said.label for said in self.predictions]
        words = [label.words if isinstance(label, Transcript) else () for label in labels]
        wrong = [part_errors(label, truth).wrong for label, truth in zip(labels, self.truths, strict=True)]
        return (
            np.repeat(np.arange(len(words)), [len(each) for each in words]),
            np.array([1 - word.confidence for each in words for word in each], np.float64),
            np.concatenate([np.zeros(0, np.bool_), *wrong]),
        )

    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        """(said, truth) of each clip, in one way of writing."""
        return [(text_of(p.label), text_of(truth)) for p, truth in zip(self.predictions, self.truths, strict=True)]

    @cached_property
    def _words(self) -> jiwer.WordOutput:
        return jiwer.process_words([truth for _, truth in self._texts], [said for said, _ in self._texts])

    @cached_property
    def _characters(self) -> jiwer.CharacterOutput:
        return jiwer.process_characters([truth for _, truth in self._texts], [said for said, _ in self._texts])


def marked(said: str, truth: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """The words of both texts in one way of writing, each with whether it differs from the other text."""
    output = jiwer.process_words([normalise(truth)], [normalise(said)])
    ours, theirs = list[tuple[str, bool]](), list[tuple[str, bool]]()
    for reference, hypothesis, chunk in _chunks(output):
        ours += [(word, chunk != "equal") for word in hypothesis]
        theirs += [(word, chunk != "equal") for word in reference]
    return ours, theirs


def _rate(columns: Mapping[str, NDArray[Any]], edits: str, units: str, rows: Rows | slice) -> float:
    return float(columns[edits][rows].sum() / max(1, columns[units][rows].sum()))


def _chunks(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Iterator[tuple[list[str], list[str], str]]:
    """(truth, said, kind) of every stretch of every alignment."""
    for truth, said, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True):
        for chunk in chunks:
            kept = truth[chunk.ref_start_idx : chunk.ref_end_idx], said[chunk.hyp_start_idx : chunk.hyp_end_idx]
            yield *kept, chunk.type


def _edits_and_units(output: jiwer.WordOutput | jiwer.CharacterOutput) -> NDArray[np.int64]:
    """Edits, and words or characters of the truth, of each clip (n, 2)."""
    rows = []
    for truth, chunks in zip(output.references, output.alignments, strict=True):
        changed = [chunk for chunk in chunks if chunk.type != "equal"]
        sizes = ((c.ref_end_idx - c.ref_start_idx, c.hyp_end_idx - c.hyp_start_idx) for c in changed)
        rows.append((sum(max(size) for size in sizes), len(truth)))
    return np.array(rows, np.int64).reshape(-1, 2)


def _mistakes(output: jiwer.WordOutput | jiwer.CharacterOutput) -> tuple[Mistake, ...]:
    """The commonest, ties in the order of their letters; an inserted or deleted unit has nothing on one side."""
    counts = Counter[tuple[str, str]]()
    for truth, said, kind in _chunks(output):
        if kind != "equal":
            counts.update(zip_longest(truth, said, fillvalue=""))
    commonest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_MISTAKES]
    return tuple(Mistake(truth, said, count) for (truth, said), count in commonest)
