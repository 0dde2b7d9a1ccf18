"""What a person changes in a shown label: tables worked by hand, then that it agrees with what counts as an error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import tasks
from models.changes import Changes
from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, Task, Transcript

TRUE = (Box((0, 0, 40, 40), "car"), Box((60, 60, 90, 90), "bus"))


def boxes(*parts: Box) -> Boxes:
    return Boxes(100, 100, parts)


def upright(*places: float) -> Lanes:
    return Lanes(512, 256, tuple(Lane(((x, 255.0), (x, 0.0))) for x in places))


@pytest.mark.parametrize(
    ("shown", "given", "expected"),
    [
        ("", "", Changes()),
        ("one two", "one two", Changes(kept=2)),
        ("one two", "one three", Changes(kept=1, altered=1)),
        ("one two", "two", Changes(kept=1, removed=1)),
        ("", "one two", Changes(added=2)),
        ("one two", "", Changes(removed=2)),
    ],
)
def test_words(shown: str, given: str, expected: Changes) -> None:
    assert tasks.changes("asr", Transcript(shown), Transcript(given)) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (boxes(), Changes(added=2)),
        (boxes(*TRUE), Changes(kept=2)),
        (boxes(TRUE[0], Box((60, 60, 90, 90), "car")), Changes(kept=1, altered=1)),  # renamed
        (boxes(TRUE[1], Box((20, 0, 60, 40), "car")), Changes(kept=1, altered=1)),  # moved: IoU 1/3
        (boxes(*TRUE, Box((0, 0, 40, 39), "car")), Changes(kept=2, removed=1)),  # seen twice
        (boxes(TRUE[0], Box((0, 60, 20, 90), "bus")), Changes(kept=1, removed=1, added=1)),  # somewhere else
    ],
)
def test_boxes(shown: Boxes, expected: Changes) -> None:
    assert tasks.changes("detection", shown, boxes(*TRUE)) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (upright(), Changes(added=2)),
        (upright(404, 97), Changes(kept=2)),  # within 8 px
        (upright(100, 300), Changes(kept=1, removed=1, added=1)),
        (upright(100, 400, 250), Changes(kept=2, removed=1)),
        (  # right for half its length
            Lanes(512, 256, (*upright(100).lanes, Lane(((400.0, 255.0), (400.0, 128.0), (480.0, 0.0))))),
            Changes(kept=1, altered=1),
        ),
    ],
)
def test_lines(shown: Lanes, expected: Changes) -> None:
    assert tasks.changes("lane", shown, upright(100, 400)) == expected


WORDS = st.lists(st.sampled_from("abc"), max_size=5).map(lambda words: Transcript(" ".join(words)))
SOME = st.lists(
    st.builds(
        lambda x, y, category: Box((x, y, x + 20.0, y + 20.0), category),
        st.integers(0, 8).map(lambda at: at * 10.0),
        st.integers(0, 8).map(lambda at: at * 10.0),
        st.sampled_from(["car", "bus"]),
    ),
    max_size=5,
).map(lambda parts: boxes(*parts))
LINES = st.lists(st.integers(1, 12).map(lambda at: at * 40.0), max_size=4, unique=True).map(lambda at: upright(*at))


@pytest.mark.parametrize(("task", "labels"), [("asr", WORDS), ("detection", SOME), ("lane", LINES)])
def test_whoever_changes_nothing_was_shown_no_error_and_every_part_is_counted(task: Task, labels: Any) -> None:
    @given(labels, labels)
    def holds(shown: Any, given: Any) -> None:
        found = tasks.changes(task, shown, given)
        assert bool(found.altered + found.removed + found.added) == tasks.differs(task, shown, given)
        assert (found.shown, found.given) == (parts(shown), parts(given))

    holds()


def parts(label: Label) -> int:
    match label:
        case Transcript():
            return len(label.text.split())
        case Boxes():
            return len(label.boxes)
        case Lanes():
            return len(label.lanes)


def test_counts_are_counts() -> None:
    with pytest.raises(InvalidInput, match="expected counts of at least 0"):
        Changes(kept=-1)
