"""When words sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.asr.timing import when_they_sound
from models.media import SAMPLE_RATE, Waveform
from models.records import Word


def clip(*parts: tuple[float, float]) -> Waveform:
    """(seconds, loudness) one after the other: a hum of 200 Hz."""
    seconds = sum(length for length, _ in parts)
    hum = np.sin(2 * np.pi * 200 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    loudness = np.repeat([one for _, one in parts], [round(length * SAMPLE_RATE) for length, _ in parts])
    wave: Waveform = (hum * loudness).astype(np.float32)
    return wave


SPOKEN = clip((0.3, 0.001), (0.2, 0.5), (0.2, 0.001), (0.2, 0.05), (0.1, 0.0))  # a loud word, then a soft one


@pytest.mark.parametrize(
    ("aligned", "sounds"),
    [
        ((0.0, 0.55), (0.3, 0.5)),
        ((0.35, 0.45), (0.35, 0.45)),  # never outward
        ((0.55, 1.0), (0.7, 0.9)),  # each word by its own loudness
        ((0.0, 0.2), (0.0, 0.2)),  # nothing but the same quiet
        ((0.9, 1.0), (0.9, 1.0)),  # nothing at all
        ((0.304, 0.304), (0.304, 0.304)),
        ((2.0, 3.0), (2.0, 3.0)),
    ],
)
def test_a_word_ends_where_it_is_quiet(aligned: tuple[float, float], sounds: tuple[float, float]) -> None:
    (word,) = when_they_sound([Word("hum", *aligned, 0.5)], SPOKEN)
    assert (word.start_s, word.end_s) == pytest.approx(sounds)
    assert (word.text, word.confidence) == ("hum", 0.5)


@given(st.lists(st.floats(0, 1.2), min_size=2, max_size=8).map(sorted))
def test_times_only_move_inward_and_stay_in_order(times: list[float]) -> None:
    words = [Word("w", start_s, end_s) for start_s, end_s in zip(times[::2], times[1::2], strict=False)]
    for before, after in zip(words, when_they_sound(words, SPOKEN), strict=True):
        assert before.start_s <= after.start_s <= after.end_s <= before.end_s
