"""Several transcripts of one clip, aligned into slots that hold one word of each.

Words are compared in one way of writing; what stands in the result is the spelling that most people gave it.
Source: ROVER (Fiscus 1997), aligning one transcript after another.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from models.asr.transcripts import joined, normalise, units
from models.records import Transcript
from selection.consensus.dawid_skene import Verdict, Votes

NOTHING = ""


def questions(labels: Mapping[str, Transcript]) -> list[Votes]:
    """What each annotator (at least one) says in each slot, as they spell it; ``NOTHING`` where they say nothing."""
    people = sorted(labels)
    slots = [{people[0]: word} for word in units(labels[people[0]].text)]
    for number, person in enumerate(people[1:], 1):
        slots = _extended(slots, person, units(labels[person].text), people[:number])
    return [_spelled_alike(slot) for slot in slots]


def label(verdicts: Sequence[Verdict]) -> Transcript:
    """The transcript of the words that won."""
    return Transcript(joined([verdict.answer for verdict in verdicts if verdict.answer != NOTHING]))


def _extended(
    slots: Sequence[Mapping[str, str]], person: str, words: Sequence[str], before: Sequence[str]
) -> list[dict[str, str]]:
    """The slots with one more transcript, by the alignment with the fewest edits."""
    keys = [{_key(word) for word in slot.values()} for slot in slots]
    cost = _costs(keys, [_key(word) for word in words])
    extended = list[dict[str, str]]()
    i, j = len(slots), len(words)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (_key(words[j - 1]) not in keys[i - 1]):
            i, j = i - 1, j - 1
            extended.append({**slots[i], person: words[j]})
        elif i and cost[i, j] == cost[i - 1, j] + (NOTHING not in keys[i - 1]):
            i -= 1
            extended.append({**slots[i], person: NOTHING})
        else:
            j -= 1
            extended.append({**dict.fromkeys(before, NOTHING), person: words[j]})
    return extended[::-1]


def _costs(slots: Sequence[set[str]], words: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Fewest edits (1 + slots, 1 + words) between the first slots and the first words."""
    cost = np.zeros((len(slots) + 1, len(words) + 1), np.int64)
    cost[1:, 0] = np.cumsum([NOTHING not in slot for slot in slots])
    cost[0, 1:] = np.arange(1, len(words) + 1)
    for i, slot in enumerate(slots, 1):
        skip = NOTHING not in slot
        for j, word in enumerate(words, 1):
            cost[i, j] = min(cost[i - 1, j - 1] + (word not in slot), cost[i - 1, j] + skip, cost[i, j - 1] + 1)
    return cost


def _spelled_alike(slot: Mapping[str, str]) -> Votes:
    """The slot with every word in the spelling that most people who said it gave it."""
    spellings: dict[str, Counter[str]] = {}
    for word in slot.values():
        spellings.setdefault(_key(word), Counter())[word] += 1
    chosen = {key: min(some, key=lambda word: (-some[word], word)) for key, some in spellings.items()}
    return {person: chosen[_key(word)] for person, word in slot.items()}


def _key(word: str) -> str:
    return normalise(word) or word
