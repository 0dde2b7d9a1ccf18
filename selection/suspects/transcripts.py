"""Transcripts that are probably wrong: what the model hears is far likelier to it than the text that was given."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from math import exp

from models.asr.posterior import Heard
from models.asr.transcripts import joined, normalise, units
from models.records import Transcript
from selection.suspects.findings import Finding, Suspicion

MOST_CHANGES = 3  # that a reason tells
MANY = 1e6  # times as likely, above which nobody wants the number


def suspicions(labels: Sequence[Transcript], heard: Sequence[Heard]) -> list[Suspicion]:
    """One suspicion a label: 1 - (likelihood of the given text / that of the heard one) ^ (1 / symbols).

    The root makes long and short texts comparable: a model that is unsure of every symbol says little by a small ratio.
    """
    return [_suspicion(normalise(label.text), one) for label, one in zip(labels, heard, strict=True)]


def _suspicion(given: str, heard: Heard) -> Suspicion:
    if given == heard.text:
        return Suspicion(0.0)
    score = 1 - exp(min(0.0, heard.log_ratio / heard.symbols))
    return Suspicion(score, (Finding("misheard", score, f"{_changes(given, heard.text)}{_odds(heard.log_ratio)}"),))


def _changes(given: str, heard: str) -> str:
    ours, theirs = units(given), units(heard)
    told = []
    for what, i, j, k, m in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        label, sound = joined(ours[i:j]), joined(theirs[k:m])
        if what == "replace":
            told.append(f"“{sound}” for “{label}”")
        elif what == "delete":
            told.append(f"nothing for “{label}”")
        elif what == "insert":
            told.append(f"“{sound}” where the label has nothing")
    more = f" and {len(told) - MOST_CHANGES} more" if len(told) > MOST_CHANGES else ""
    return f"the model hears {', '.join(told[:MOST_CHANGES])}{more}"


def _odds(log_ratio: float) -> str:
    ratio = float(f"{exp(min(20.0, max(0.0, -log_ratio))):.2g}")
    return f", which it finds {f'{ratio:,g}' if ratio < MANY else 'over a million'} times as likely"
