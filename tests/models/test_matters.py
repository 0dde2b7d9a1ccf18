"""What matters: the same two labels under other rules, by hand."""

import pytest

from models.errors import InvalidInput
from models.matters import Matters
from models.records import Box, Boxes, Label, Lane, Lanes, Task, Transcript
from models.tasks import differs, part_errors
from tests.small_labels import words


def box(x: float, name: str = "car") -> Boxes:
    return Boxes(100, 20, (Box((x, 5, x + 10, 15), name),))


def road(x: float) -> Lanes:
    return Lanes(512, 256, (Lane(((x, 250.0), (x, 50.0))),))


@pytest.mark.parametrize(
    ("task", "said", "truth", "matters", "wrong"),
    [
        ("asr", words("a b c x"), Transcript("a b c d"), Matters(), True),
        ("asr", words("a b c x"), Transcript("a b c d"), Matters(wer=0.25), False),
        ("asr", words("a b c x"), Transcript("a b c d"), Matters(wer=0.24), True),
        ("asr", words("a"), Transcript(""), Matters(wer=0.5), True),
        ("detection", box(0), box(3), Matters(), False),  # IoU 7/13
        ("detection", box(0), box(3), Matters(iou=0.6), True),
        ("detection", box(0), box(5), Matters(), True),  # IoU 5/15
        ("detection", box(0), box(5), Matters(iou=0.3), False),
        ("detection", box(0), box(0, "bus"), Matters(), True),
        ("detection", box(0), box(0, "bus"), Matters(category=False), False),
        ("lane", road(100), road(106), Matters(), False),
        ("lane", road(100), road(106), Matters(lane_px=5), True),
        ("lane", road(100), road(112), Matters(lane_px=14), False),
    ],
)
def test_rules_by_hand(task: Task, said: Label, truth: Label, matters: Matters, wrong: bool) -> None:
    assert differs(task, said, truth, matters) == wrong
    if task != "asr":  # one word is right or wrong under any rule
        assert bool(part_errors(task, said, truth, matters).wrong.any()) == wrong


def test_a_rule_says_what_it_is() -> None:
    assert [Matters().told(task) for task in ("asr", "detection", "lane")] == [
        "any word",
        "an object missed, a box false, placed below IoU 0.5 or wrongly named",
        "a line missed, false, or off by more than 8 px of 512",
    ]
    assert Matters(wer=0.1).told("asr") == "word errors above 10 %"
    assert "named" not in Matters(category=False).told("detection")


@pytest.mark.parametrize("values", [{"wer": 1.0}, {"iou": 0.0}, {"lane_px": float("nan")}])
def test_a_rule_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="matters: expected 0 <= wer < 1"):
        Matters(**values)  # type: ignore[arg-type]
