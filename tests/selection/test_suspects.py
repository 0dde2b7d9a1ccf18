"""Which labels are probably wrong: by hand for each task, then errors planted where the model is nearly perfect."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.planting import KINDS, plant
from models.asr.posterior import Heard
from models.detection.seen import Seen
from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, Prediction, Task, Transcript
from models.tasks import differs
from selection.suspects import Suspicion, suspicions, worst_first
from selection.suspects.boxes import SAME_AT, SAME_FROM, parts
from selection.suspects.rehearsal import _Judged, _weight

SEED = 3


def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def said(label: Label) -> Prediction:
    return Prediction(label, 0.1, {}, ())


def one(task: Task, label: Label, answer: object) -> Suspicion:
    return suspicions(task, [label], [answer], rng())[0]


# -- speech


def test_the_score_is_one_less_the_likelihood_ratio_by_symbols() -> None:
    found = one("asr", Transcript("yes"), Heard("no", -6.0, 3))
    assert found.score == pytest.approx(1 - np.exp(-2.0))
    assert found.reason == "the model hears “no” for “yes”, which it finds 400 times as likely"


def test_what_is_written_without_spaces_is_told_without_them() -> None:
    found = one("asr", Transcript("总工 go"), Heard("背景 go", -6.0, 3))
    assert found.reason.startswith("the model hears “背景” for “总工”, which")


@pytest.mark.parametrize(
    ("log_ratio", "told"),
    [(-0.4, "1.5"), (-11.7, "120,000"), (-13.81, "990,000"), (-14.0, "over a million"), (-9e9, "over a million")],
)
def test_a_reason_says_how_much_likelier_as_people_read_numbers(log_ratio: float, told: str) -> None:
    assert one("asr", Transcript("yes"), Heard("no", log_ratio, 3)).reason.endswith(f"finds {told} times as likely")


def test_the_heard_text_is_not_suspicious_however_it_is_written() -> None:
    assert one("asr", Transcript("Yes!"), Heard("yes", 0.0, 3)) == Suspicion(0.0)


@pytest.mark.parametrize(
    ("given", "heard", "reason"),
    [
        ("turn on", "turn it on", "“it” where the label has nothing"),
        ("turn it on", "turn on", "nothing for “it”"),
        ("", "yes", "“yes” where the label has nothing"),
        ("a b c d e f g h i", "a x c y e z g w i", "“x” for “b”, “y” for “d”, “z” for “f” and 1 more"),
        ("今天好", "今天坏", "“坏” for “好”"),
    ],
)
def test_a_reason_tells_the_words(given: str, heard: str, reason: str) -> None:
    assert reason in one("asr", Transcript(given), Heard(heard, -9.0, 9)).reason


def test_a_text_likelier_than_the_heard_one_is_not_suspicious() -> None:
    found = one("asr", Transcript("yes"), Heard("yet", 1.0, 3))
    assert (found.score, found.reason) == (0, "nothing speaks against this label")


# -- lanes


def upright(x: float, confidence: float = 1.0, std: float = 0.0) -> Lane:
    points = tuple((x, float(y)) for y in range(250, -1, -10))
    return Lane(points, (std,) * len(points), confidence)


def lanes(*some: Lane) -> Lanes:
    return Lanes(512, 256, some)


def test_a_line_where_the_model_sees_it_is_hardly_suspicious() -> None:
    found = one("lane", lanes(Lane(upright(100).points)), said(lanes(upright(100))))
    assert found.score == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("given", "predicted", "kind", "reason"),
    [
        ((), (100,), "overlooked", "the model sees a line from (100, 250) to (100, 0) (confidence 0.90), and 100 %"),
        ((100, 300), (100,), "spurious", "the model sees no line from (300, 250) to (300, 0)"),
        ((120,), (100,), "badly located", "the line from (120, 250) to (120, 0) is more than 20 px beside the one"),
        ((100.4,), (100,), "badly located", "is within 1 px of the one that the model sees"),
        ((100.6,), (100,), "badly located", "is more than 1 px beside the one that the model sees"),
    ],
)
def test_each_way_to_be_wrong(given: tuple[float, ...], predicted: tuple[float, ...], kind: str, reason: str) -> None:
    label = lanes(*(Lane(upright(x).points) for x in given))
    found = one("lane", label, said(lanes(*(upright(x, 0.9) for x in predicted))))
    assert found.findings[0].kind == kind
    assert reason in found.reason
    assert 0 < found.score < 1


def test_surprise_by_hand() -> None:
    """A line 8 px aside: at each of its places, 4 px apart, 8^2 / (2 * 6^2) nats, with deviation 8 px 8^2 / (2 * 10^2);
    of the line that nobody drew, of which the model is sure, the same."""
    label = lanes(Lane(upright(108).points))
    for std, nats in ((0.0, 64 / 72), (8.0, 64 / 200)):
        found = one("lane", label, said(lanes(upright(100, 1.0, std))))
        whole = 2**0.5 * nats * (len(range(0, 251, 4)) + 1)
        assert found.score == pytest.approx(whole / (whole + 50), rel=0.01)


def test_the_farther_the_worse_until_it_is_another_line() -> None:
    answer = said(lanes(upright(100)))
    scores = [one("lane", lanes(Lane(upright(100.0 + d).points)), answer).score for d in (0, 2, 4, 6, 8, 30, 60)]
    assert all(less < more for less, more in pairwise(scores[:5]))
    assert scores[-1] == scores[-2]


# -- boxes


def street(number: int) -> Boxes:
    """An image with a car and a person, at places that depend on its number."""
    x, y = 5.0 + 7 * (number % 13), 4.0 + 5 * (number % 11)
    return Boxes(320, 240, (Box((x, y, x + 60, y + 40), "car"), Box((x + 120, y + 60, x + 140, y + 120), "person")))


def seen(label: Boxes, number: int) -> Seen:
    """What a good detector says of it: every box a little off, with high confidence, and something faint."""
    source = np.random.default_rng(number)
    boxes = tuple(
        Box(tuple((np.array(box.xyxy) + source.uniform(0, 2, 4)).tolist()), box.category, source.uniform(0.8, 0.99))
        for box in label.boxes
    )
    faint = (Box((200.0, 10.0, 230.0, 30.0), "car", source.uniform(0.05, 0.25)),)
    return Seen(Prediction(Boxes(320, 240, boxes), 0.1, {}, (), faint), boxes + faint)


COUNT = 40
STREETS = [street(number) for number in range(COUNT)]
SEEN = [seen(label, number) for number, label in enumerate(STREETS)]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("box removed", "overlooked"),
        ("box added", "spurious"),
        ("box shifted", "badly located"),
        ("class swapped", "swapped"),
    ],
)
def test_an_error_among_good_labels_is_the_worst(kind: str, told: str) -> None:
    labels: list[Label] = list(STREETS)
    spoilt = plant("detection", kind, labels[7], STREETS, np.random.default_rng(1))
    assert spoilt is not None
    labels[7] = spoilt
    found = suspicions("detection", labels, SEEN, rng())
    ids = [f"{number:02}" for number in range(COUNT)]
    assert worst_first(found, ids)[0] == 7
    assert told in {one.kind for one in found[7].findings if one.score > 0.5}


def test_rare_categories_share_their_weights() -> None:
    """With more categories than have weights of their own, a renamed box is found all the same."""
    named = [
        replace(label, boxes=tuple(replace(box, category=f"{box.category} {number % 30}") for box in label.boxes))
        for number, label in enumerate(STREETS)
    ]
    answers = [seen(label, number) for number, label in enumerate(named)]
    labels = list(named)
    labels[7] = replace(labels[7], boxes=(replace(labels[7].boxes[0], category="person 3"), *labels[7].boxes[1:]))
    found = suspicions("detection", labels, answers, rng())
    assert worst_first(found, [f"{number:02}" for number in range(COUNT)])[0] == 7


def test_images_without_boxes_and_nothing_seen_are_not_suspicious() -> None:
    nothing = Boxes(320, 240)
    assert one("detection", nothing, Seen(said(nothing), ())) == Suspicion(0.0)


def test_a_single_image_is_judged_by_confidence_alone() -> None:
    found = one("detection", Boxes(320, 240), SEEN[0])
    assert isinstance(answer := SEEN[0].said.label, Boxes)
    assert found.score == pytest.approx(max(box.confidence for box in answer.boxes))


def test_a_given_box_has_the_support_of_what_was_considered_and_is_missing_from_the_answer() -> None:
    front, behind = Box((10, 10, 70, 50), "car", 0.9), Box((30, 10, 90, 50), "car", 0.4)
    label, elsewhere = Boxes(320, 240, (replace(behind, confidence=1.0),)), Box((200, 200, 220, 220), "car", 0.9)
    answer = Prediction(Boxes(320, 240, (front,)), 0.1, {}, ())
    of = [parts(label, Seen(answer, boxes), ["car"]) for boxes in ((front,), (front, behind), (front, elsewhere))]
    of_front = 0.9 * (0.5 - SAME_FROM) / (SAME_AT - SAME_FROM)  # their IoU is 0.5
    assert [one.support.item() for one in of] == pytest.approx([of_front, 0.4, of_front])
    assert [one.uncovered for one in of] == [(), (), ()]  # what is missing, the answer alone tells


def judged(*images: tuple[float, float]) -> _Judged:
    """Images with one given and one missing part each, which are wrong with these probabilities."""
    return _Judged([np.array([given]) for given, _ in images], [np.array([missing]) for _, missing in images])


def test_the_odds_of_an_image_are_those_of_its_worst_parts_together() -> None:
    one = _Judged([np.array([0.2, 0.5]), np.zeros(0)], [np.array([0.75, 0.5]), np.array([0.5])])
    assert one.odds(0.5).tolist() == pytest.approx([1 + 0.5 * 3, 0.5])


@pytest.mark.parametrize(
    ("usual", "wrong", "weight"),
    [
        # 9 w + 1/9 of every other label as it is, against 3/2 + w/9
        ([(0.1, 0.9), (0.1, 0.1)], [(0.6, 0.1)], 0.125),
        # 9 + w/9 against 1/9 + 3/2 w
        ([(0.9, 0.1), (0.1, 0.1)], [(0.1, 0.6)], 8.0),
        # 1/9 + w/9 against 1 + w: any would do
        ([(0.1, 0.1)], [(0.5, 0.5)], 1.0),
        ([(0.1, 0.1)], [], 1.0),
    ],
)
def test_missing_parts_count_by_what_brings_errors_above_labels_as_they_are(
    usual: list[tuple[float, float]], wrong: list[tuple[float, float]], weight: float
) -> None:
    assert _weight(judged(*usual * 50), judged(*wrong)) == weight


def test_the_same_seed_gives_the_same_scores() -> None:
    first, second = (suspicions("detection", STREETS, SEEN, rng()) for _ in range(2))
    assert first == second


# -- all


def test_ties_break_by_item_id() -> None:
    assert worst_first([Suspicion(0.2), Suspicion(0.5), Suspicion(0.2)], ["c", "b", "a"]) == [1, 2, 0]


def test_a_label_of_another_task_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"suspects\[0\]: expected Transcript, got Boxes"):
        suspicions("asr", [Boxes(1, 1)], [None], rng())


EXAMPLES: dict[Task, list[Label]] = {
    "asr": [Transcript("turn the light on"), Transcript("yes"), Transcript("no")],
    "detection": [*STREETS[:3]],
    "lane": [lanes(upright(100), upright(300)), lanes(upright(400))],
}


@pytest.mark.parametrize(("task", "kind"), [(task, kind) for task, kinds in KINDS.items() for kind in kinds])
def test_what_is_planted_is_an_error(task: Task, kind: str) -> None:
    """The benchmark's errors are errors by the rule of the task, whatever the draw."""
    for draw in range(20):
        label = EXAMPLES[task][draw % len(EXAMPLES[task])]
        spoilt = plant(task, kind, label, EXAMPLES[task], np.random.default_rng(draw))
        assert spoilt is not None
        assert differs(task, spoilt, label)
