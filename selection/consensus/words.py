"""Several transcripts of one clip, aligned into slots that hold one word of each.

Words are compared in one way of writing; what stands in the result is the spelling that most people gave it.
Source: ROVER (Fiscus 1997), aligning one transcript after another.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np

from models.asr.transcripts import joined, normalise, units
from models.records import Transcript
from selection.consensus.dawid_skene import Verdict, Votes

NOTHING = ""
MOST_CELLS = 36_000_000  # of the table of edits, four bytes each: more words than anybody says in ten minutes, squared


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
    """The slots with one more transcript, by the alignment with the fewest edits; where that would take more than there
    is of memory, one word after the other."""
    nobody = dict.fromkeys(before, NOTHING)
    if len(slots) * len(words) > MOST_CELLS:
        return [
            {**(slot or nobody), person: word or NOTHING} for slot, word in zip_longest(slots, words, fillvalue=None)
        ]
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
            extended.append({**nobody, person: words[j]})
    return extended[::-1]


def _costs(slots: Sequence[set[str]], words: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Fewest edits (1 + slots, 1 + words) between the first slots and the first words, row by row: what a row costs
    without words that nobody said before, and then the least of that and of one more such word each."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(word, []).append(place)
    added = np.arange(len(words) + 1, dtype=np.int32)
    cost = np.empty((len(slots) + 1, len(words) + 1), np.int32)
    cost[0] = added
    for above, row, slot in zip(cost, cost[1:], slots, strict=False):
        other = np.ones(len(words), np.int32)
        other[[place for word in slot for place in places.get(word, ())]] = 0
        np.add(above, NOTHING not in slot, out=row)
        np.minimum(row[1:], above[:-1] + other, out=row[1:])
        np.minimum.accumulate(row - added, out=row)
        row += added
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
