"""Labels part by part: errors by hand, and what they must have in common with the judgement of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.parts import has_parts, tell_empty
from models.records import Box, Boxes, Label, Lane, Lanes, Task, Transcript
from models.tasks import differs, part_errors
from tests.small_labels import words


@pytest.mark.parametrize(
    ("said", "spoken", "wrong", "missing"),
    [
        ("the cat sat", "the cat sat", [0, 0, 0], 0),
        ("The cat, sat", "the cat sat.", [0, 0, 0], 0),
        ("the bat sat", "the cat sat", [0, 1, 0], 0),
        ("the cat cat sat", "the cat sat", [0, 0, 1, 0], 0),
        ("the sat", "the cat sat", [0, 0], 1),
        ("the bat", "the cat sat down", [0, 1], 2),
        ("", "go on", [], 2),
        ("go on", "", [1, 1], 0),
        ("- go", "go", [0, 0], 0),
        ("", "", [], 0),
        ("今天 好", "今天好", [0, 0], 0),
        ("今天 好", "今天", [1, 1], 1),
    ],
)
def test_words_by_hand(said: str, spoken: str, wrong: list[int], missing: int) -> None:
    errors = part_errors("asr", words(said), Transcript(spoken))
    assert (errors.wrong.tolist(), errors.missing) == ([bool(one) for one in wrong], missing)


def picture(*drawn: tuple[float, str]) -> Boxes:
    """Boxes of 10 x 10 px that begin at the given column."""
    return Boxes(100, 20, tuple(Box((x, 5, x + 10, 15), name) for x, name in drawn))


@pytest.mark.parametrize(
    ("said", "there", "wrong", "missing"),
    [
        ([(0, "car"), (30, "car")], [(30, "car"), (1, "car")], [0, 0], 0),
        ([(0, "car")], [(0, "bus")], [1], 0),  # wrongly named: whoever sees the box puts it right
        ([(0, "car")], [(6, "car")], [1], 0),  # badly placed, IoU 4/16
        ([(0, "car")], [(50, "car")], [1], 1),  # false, and one elsewhere missing
        ([(0, "car")], [(0, "car"), (50, "bus")], [0], 1),
        ([(0, "car"), (1, "car")], [(0, "car")], [0, 1], 0),  # one object twice
        ([(0, "car")], [(6, "car"), (0, "bus")], [1], 1),  # one wrong box stands for one object only
        ([], [(0, "car")], [], 1),
        ([], [], [], 0),
    ],
)
def test_boxes_by_hand(
    said: list[tuple[float, str]], there: list[tuple[float, str]], wrong: list[int], missing: int
) -> None:
    errors = part_errors("detection", picture(*said), picture(*there))
    assert (errors.wrong.tolist(), errors.missing) == ([bool(one) for one in wrong], missing)


def road(*columns: float) -> Lanes:
    return Lanes(512, 256, tuple(Lane(((x, 250.0), (x, 50.0))) for x in columns))


@pytest.mark.parametrize(
    ("said", "there", "wrong", "missing"),
    [
        ([100, 300], [302, 101], [0, 0], 0),
        ([100], [120], [1], 1),  # 20 px off stands for nothing
        ([100, 300], [300], [1, 0], 0),
        ([100], [100, 300], [0], 1),
        ([], [100], [], 1),
        ([100], [], [1], 0),
    ],
)
def test_lines_by_hand(said: list[float], there: list[float], wrong: list[int], missing: int) -> None:
    errors = part_errors("lane", road(*said), road(*there))
    assert (errors.wrong.tolist(), errors.missing) == ([bool(one) for one in wrong], missing)


def test_a_line_that_leaves_the_true_one_stands_for_it() -> None:
    bent = Lanes(512, 256, (Lane(((100.0, 250.0), (100.0, 150.0), (160.0, 50.0))),))
    errors = part_errors("lane", bent, road(100))
    assert (errors.wrong.tolist(), errors.missing) == ([True], 0)


@pytest.mark.parametrize(
    ("task", "said", "there", "stands_for"),
    [
        ("asr", words("the bat sat on"), Transcript("a the cat sat"), ((1,), (2,), (3,), ())),
        ("asr", words("e-mail me"), Transcript("e mail you"), ((0, 1), (2,))),
        ("asr", words("今天 好"), Transcript("今天"), None),
        ("asr", words("go on"), Transcript(""), ((), ())),
        ("detection", picture((0, "car"), (30, "car"), (80, "car")), picture((1, "car"), (60, "car"), (30, "bus")),
         ((0,), (2,), ())),
        ("lane", road(100, 300), road(302), ((), (0,))),
    ],
)  # fmt: skip
def test_what_each_part_stands_for_by_hand(task: Task, said: Label, there: Label, stands_for: object) -> None:
    assert part_errors(task, said, there).stands_for == stands_for


drawn = st.lists(st.tuples(st.integers(0, 90).map(float), st.sampled_from(["car", "bus"])), max_size=6)
spoken_words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(" ".join)


@given(drawn, drawn)
def test_boxes_are_right_as_a_whole_if_no_part_is_wrong_and_none_missing(
    said: list[tuple[float, str]], there: list[tuple[float, str]]
) -> None:
    errors = part_errors("detection", picture(*said), picture(*there))
    assert (bool(errors.wrong.any()) or errors.missing > 0) == differs("detection", picture(*said), picture(*there))
    assert len(said) - int(errors.wrong.sum()) + errors.missing <= len(there)


@given(spoken_words, spoken_words)
def test_words_are_right_as_a_whole_if_no_part_is_wrong_and_none_missing(said: str, spoken: str) -> None:
    errors = part_errors("asr", words(said), Transcript(spoken))
    assert (bool(errors.wrong.any()) or errors.missing > 0) == differs("asr", words(said), Transcript(spoken))


@given(st.lists(st.integers(0, 12).map(lambda x: 40.0 * x), max_size=5, unique=True),
       st.lists(st.integers(0, 12).map(lambda x: 40.0 * x), max_size=5, unique=True))  # fmt: skip
def test_lines_are_right_as_a_whole_if_no_part_is_wrong_and_none_missing(said: list[float], there: list[float]) -> None:
    errors = part_errors("lane", road(*said), road(*there))
    assert (bool(errors.wrong.any()) or errors.missing > 0) == differs("lane", road(*said), road(*there))


def test_a_text_without_words_has_no_parts() -> None:
    assert not has_parts(Transcript("go on"))
    assert all(has_parts(label) for label in (words("go on"), Transcript(""), picture(), road()))
    assert part_errors("asr", Transcript("go on"), Transcript("go on")).wrong.shape == (0,)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([Transcript("go")], None),
        ([Transcript("")], "nothing is labelled in 1 of 1 item"),
        ([picture(), picture((5, "car")), picture()], "nothing is labelled in 2 of 3 items"),
        ([Lanes(9, 9, (Lane(((1, 1), (2, 2))),)), Lanes(9, 9)], "nothing is labelled in 1 of 2 items"),
    ],
)
def test_items_in_which_nothing_is_labelled_are_told(labels: list[Label], told: str | None) -> None:
    assert tell_empty(labels) == told
