"""What each task counts of every item gives the same figures as its metrics, over all items and over any sample."""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tasks
from models.asr.results import Results as Speech
from models.asr.results import marked
from models.detection.results import Results as Detection
from models.evaluate import Evaluation
from models.figures import Statistic, Statistics
from models.marks import CulaneImage, Ignored, KittiFrame, KittiObject, Mark, TusimpleFrame
from models.parts import nothing
from models.records import Box, Boxes, Item, Label, Lane, Lanes, Prediction, Task, Transcript, Word
from models.report.charts import Columns, Curves, Matrix, Mistake, Mistakes

WORDS = st.lists(st.sampled_from(["yes", "no", "left", "lift", "a"]), max_size=4).map(" ".join)
PLACES = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(4, 30), st.integers(4, 30))
BOXES = st.lists(st.tuples(PLACES, st.sampled_from(["car", "bus"])), max_size=4)
COLUMNS = st.lists(st.integers(10, 240), max_size=3, unique=True)
Pair = tuple[Prediction, Label]


def said(label: Label, faint: Sequence[Box] = ()) -> Prediction:
    return Prediction(label, 0.5, {}, (), tuple(faint))


def heard(guess: str, truth: str) -> Pair:
    return said(Transcript(guess)), Transcript(truth)


def sure(text: str, *confidences: float) -> Prediction:
    words = (Word(word, i, i + 1, sure) for i, (word, sure) in enumerate(zip(text.split(), confidences, strict=True)))
    return said(Transcript(text, tuple(words)))


def boxes(*places: tuple[tuple[int, int, int, int], str], confidences: Sequence[float] = ()) -> tuple[Box, ...]:
    sure = [*confidences, *[1.0] * len(places)]
    return tuple(Box((x, y, x + w, y + h), name, sure[i]) for i, ((x, y, w, h), name) in enumerate(places))


def lanes(columns: Sequence[int]) -> Lanes:
    return Lanes(
        256, 128, tuple(Lane(((float(x), 127.0), (float(x) + 8, 60.0), (float(x) + 10, 0.0))) for x in columns)
    )


@st.composite
def speech(draw: st.DrawFn) -> list[Pair]:
    return [heard(*pair) for pair in draw(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))]


@st.composite
def pictures(draw: st.DrawFn) -> list[Pair]:
    """Images with boxes handed out and faint ones, no two of one confidence: COCO breaks ties by order."""
    images = draw(st.lists(st.tuples(BOXES, BOXES, BOXES), min_size=1, max_size=5))
    count = sum(len(named) + len(faint) for named, faint, _ in images)
    random = draw(st.randoms(use_true_random=False))
    sure = iter(random.sample(range(1, 1000), count))
    pairs: list[Pair] = []
    for named, faint, truth in images:
        ours, weak = (boxes(*some, confidences=[next(sure) / 1000 for _ in some]) for some in (named, faint))
        pairs.append((said(Boxes(100, 100, ours), weak), Boxes(100, 100, boxes(*truth))))
    return pairs


@st.composite
def roads(draw: st.DrawFn) -> list[Pair]:
    images = draw(st.lists(st.tuples(COLUMNS, COLUMNS), min_size=1, max_size=5))
    return [(said(lanes(ours)), lanes(theirs)) for ours, theirs in images]


ANY: dict[Task, st.SearchStrategy[list[Pair]]] = {"asr": speech(), "detection": pictures(), "lane": roads()}


@st.composite
def left_out(draw: st.DrawFn) -> Ignored:
    objects, crowds = (boxes(*draw(BOXES)) for _ in range(2))
    return Ignored(objects, crowds)


@st.composite
def kitti_frames(draw: st.DrawFn) -> KittiFrame:
    kinds = st.sampled_from(["Car", "Van", "DontCare"])
    objects = [
        KittiObject(draw(kinds), (x, y, x + w, y + 2 * h), draw(st.sampled_from([0.0, 0.4])), draw(st.integers(0, 2)))
        for (x, y, w, h), _ in draw(BOXES)
    ]
    return KittiFrame(tuple(objects))


MARKS: dict[Task, st.SearchStrategy[Any]] = {
    "asr": st.none(),
    "detection": st.one_of(st.none(), left_out(), kitti_frames()),
    "lane": st.one_of(
        st.none(),
        st.builds(CulaneImage, dots=st.integers(0, 1)),
        st.integers(0, 200).map(lambda x: TusimpleFrame((60, 80, 100), ((x, x, -2),))),
    ),
}


def of_its_category(mark: Mark | None, truth: Label) -> Mark | None:
    """As in CULane, where cross roads have no lines at all and every other category has some."""
    if isinstance(mark, CulaneImage) and isinstance(truth, Lanes):
        return replace(mark, category="night" if truth.lanes or mark.dots else "cross")
    return mark


def results(task: Task, pairs: Sequence[Pair], marks: Sequence[Mark | None] = ()) -> tasks.Results:
    given_ = [marks] if any(marks) else []
    found: tasks.Results = tasks.results(task).Results([p for p, _ in pairs], [truth for _, truth in pairs], *given_)
    return found


def counted(found: tasks.Results) -> dict[str, list[int]]:
    return {name: counts.tolist() for name, counts in found.columns.items()}


def flat(statistics: Statistics) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    for name, value in statistics.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{part}": statistic for part, statistic in value.items()}
        else:
            found[name] = value
    return found


def marked_pairs(task: Task, data: st.DataObject) -> tuple[list[Pair], list[Mark | None]]:
    """Any predictions of some labels, and any marks of these."""
    pairs = data.draw(ANY[task])
    return pairs, [of_its_category(data.draw(MARKS[task]), truth) for _, truth in pairs]


@pytest.mark.parametrize("task", ANY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_sample_is_as_good_as_its_items_written_out(task: Task, data: st.DataObject) -> None:
    """Rows of a table against the results of the very items that they name, repeated as often."""
    pairs, marks = marked_pairs(task, data)
    rows = np.array(data.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=8)), np.intp)
    sampled = flat(results(task, pairs, marks).statistics())
    written_out = flat(results(task, [pairs[row] for row in rows], [marks[row] for row in rows]).statistics())
    for name, statistic in written_out.items():
        assert sampled[name](rows) == pytest.approx(statistic(np.arange(len(rows)))), name
    for name in set(sampled) - set(written_out):  # a category that the sample has none of
        assert sampled[name](rows) is None, name


@pytest.mark.parametrize("task", ANY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_measured_follows_from_the_labels_whatever_is_predicted(task: Task, data: st.DataObject) -> None:
    """So a threshold about a category that the labels do not have is refused before a model is asked."""
    pairs, marks = marked_pairs(task, data)
    silent = [(said(nothing(truth)), truth) for _, truth in pairs]
    assert list(flat(results(task, silent, marks).statistics())) == list(flat(results(task, pairs, marks).statistics()))


@pytest.mark.parametrize("task", ANY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_figures_are_those_of_the_metrics(task: Task, data: st.DataObject) -> None:
    pairs = [(Prediction(p.label, 0.5, {}, ()), truth) for p, truth in data.draw(ANY[task])]
    official = tasks.measure(task, [(p.label, truth) for p, truth in pairs])
    measured: dict[str, Any] = dict(official.values)
    assert results(task, pairs).quality == pytest.approx(official.quality)
    rows = np.arange(len(pairs))
    for name, statistic in flat(results(task, pairs).statistics()).items():
        if name in measured:
            value = statistic(rows)
            assert value is None or value == pytest.approx(measured[name]), name


@pytest.mark.parametrize("task", ANY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_something_is_to_change_exactly_where_a_person_would_change_it(task: Task, data: st.DataObject) -> None:
    pairs = data.draw(ANY[task])
    items = tuple(Item(str(i), str(i)) for i in range(len(pairs)))
    evaluation = Evaluation(task, items, tuple(truth for _, truth in pairs), tuple(p for p, _ in pairs))
    assert evaluation.errors.tolist() == [tasks.differs(task, p.label, truth) for p, truth in pairs]


@pytest.mark.parametrize("task", ANY)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_charts_can_be_drawn_of_anything(task: Task, data: st.DataObject) -> None:
    for chart in results(task, data.draw(ANY[task])).charts():
        assert chart.title
        assert chart.note
        if isinstance(chart, Columns):
            assert all(0 <= c.interval[0] <= c.share <= c.interval[1] <= 1 for c in chart.columns)


class TestSpeech:
    def test_edits_by_hand(self) -> None:
        found = Speech(
            *zip(*[heard("a b x d", "a b c"), heard("", "yes"), heard("No!", "no"), heard("hm", "")], strict=True)
        )
        assert {name: values.tolist() for name, values in found.columns.items()} == {
            "word_edits": [2, 1, 0, 1],
            "words": [3, 1, 1, 0],
            "character_edits": [3, 3, 0, 2],
            "characters": [5, 3, 2, 0],
        }
        assert found.statistics()["wer"](np.arange(4)) == 4 / 5  # type: ignore[operator]
        assert found.statistics()["exact"](np.arange(4)) == 1 / 4  # type: ignore[operator]

    def test_confidences_of_words_by_hand(self) -> None:
        """Three words, of which "x" is wrong: right at 0.9 and 0.6, wrong at 0.6. In bins of a fifteenth the first is
        0.1 too modest, and of the two at 0.6 half are right."""
        clips = [sure("a x", 0.9, 0.6), sure("b", 0.6)]
        found = Speech(clips, [Transcript("a c"), Transcript("b")]).statistics()
        figure = {name: found[name] for name in ("word_ece", "word_nce", "word_auroc")}
        both = np.arange(2)
        assert figure["word_ece"](both) == pytest.approx(0.1 / 3 + 0.1 * 2 / 3)  # type: ignore[operator]
        said = -(math.log(0.9) + math.log(0.4) + math.log(0.6)) / 3
        before = -(2 * math.log(2 / 3) + math.log(1 / 3)) / 3
        assert figure["word_nce"](both) == pytest.approx(1 - said / before)  # type: ignore[operator]
        assert figure["word_auroc"](both) == pytest.approx((1 + 1 / 2) / 2)  # type: ignore[operator]
        assert figure["word_ece"](np.array([1, 1])) == pytest.approx(0.4)  # type: ignore[operator]
        assert figure["word_nce"](np.array([1, 1])) is None  # type: ignore[operator]

    def test_a_model_without_words_says_nothing_of_them(self) -> None:
        found = Speech(*zip(*[heard("yes", "yes"), heard("", "no")], strict=True)).statistics()
        values = [found[name](np.arange(2)) for name in ("word_ece", "word_nce", "word_auroc")]  # type: ignore[operator]
        assert values == [None] * 3

    def test_mistakes_are_ranked(self) -> None:
        pairs = [heard("go", "no"), heard("go left", "no left"), heard("right", "left right"), heard("up", "up")]
        words, characters, lengths = Speech(*zip(*pairs, strict=True)).charts()
        assert isinstance(words, Mistakes)
        assert words.mistakes == (Mistake("no", "go", 2), Mistake("left", "", 1))
        assert isinstance(characters, Mistakes)
        assert characters.mistakes[0] == Mistake("n", "g", 2)
        assert isinstance(lengths, Columns)

    def test_words_that_differ_are_marked_on_both_sides(self) -> None:
        ours, theirs = marked("Yes, go up", "yes no up now")
        assert ours == [("yes", False), ("go", True), ("up", False)]
        assert theirs == [("yes", False), ("no", True), ("up", False), ("now", True)]


class TestDetection:
    def test_precision_by_hand(self) -> None:
        """Two cars; the surest box is right, the second wrong, the third, a faint one, right: AP 0.5 + 0.5 * 2/3."""
        place, other, nowhere = (0, 0, 10, 10), (50, 50, 10, 10), (80, 80, 10, 10)
        given = boxes((place, "car"), (nowhere, "car"), confidences=[0.9, 0.8])
        faint = boxes((other, "car"), confidences=[0.1])
        found = Detection(
            [said(Boxes(100, 100, given), faint)], [Boxes(100, 100, boxes((place, "car"), (other, "car")))]
        )
        values = {name: statistic(np.array([0])) for name, statistic in flat(found.statistics()).items()}
        ap = (51 + 50 * 2 / 3) / 101
        assert values == {
            "ap": pytest.approx(ap),
            "ap50": pytest.approx(ap),
            "ap75": pytest.approx(ap),
            "ap50_by_category.car": pytest.approx(ap),
            "voc_ap": pytest.approx((1 + 2 / 3) / 2),
            "voc_ap_by_category.car": pytest.approx((1 + 2 / 3) / 2),
            "f1": 0.5,
            "precision": 0.5,
            "recall": 0.5,
            "d_ece": pytest.approx((0.1 + 0.8) / 2),  # said 0.9 and is right; said 0.8 and is not
            "laece": pytest.approx((0.1 + 0.8) / 2),
        }
        assert found.quality == pytest.approx(ap)
        assert counted(found) == {"boxes_right": [1], "boxes_false": [1], "boxes_missed": [1]}

    def test_what_is_ignored_is_neither_false_nor_missed(self) -> None:
        """Of four boxes one is right, one lies on a hard object, one half in a crowd, and one less than half."""
        places = [(0, 0, 10, 10), (50, 50, 10, 10), (75, 0, 10, 10), (74, 20, 10, 10)]
        given = boxes(*((place, "car") for place in places), confidences=[0.6, 0.9, 0.8, 0.7])
        hidden = Ignored(boxes((places[1], "car")), boxes(((80, 0, 20, 100), "car")))
        truth = Boxes(100, 100, boxes((places[0], "car")))
        found = Detection([said(Boxes(100, 100, given))], [truth], [hidden])
        assert counted(found) == {"boxes_right": [1], "boxes_false": [1], "boxes_missed": [0]}
        values = {name: statistic(np.array([0])) for name, statistic in flat(found.statistics()).items()}
        assert (values["precision"], values["recall"]) == (0.5, 1)
        assert values["ap50"] == pytest.approx(0.5)
        assert values["voc_ap"] == pytest.approx(1 / 3)  # VOC knows no crowds: false, false, right
        assert values["d_ece"] == pytest.approx((0.7 + 0.4) / 2)
        evaluation = Evaluation(
            "detection", (Item("a", "a"),), (truth,), (said(Boxes(100, 100, given[:3])),), (hidden,)
        )
        assert evaluation.errors.tolist() == [False]

    def test_what_lies_in_a_region_of_kitti_that_does_not_count_is_not_false(self) -> None:
        """A region is a crowd of every category: a van and a pedestrian may lie in it, though only a car is labelled
        there, and one that lies in it by less than half is false. A region without pixels holds nothing."""
        places = [(0, 0, 10, 10), (80, 0, 10, 10), (80, 20, 10, 10), (74, 40, 10, 10)]
        given = boxes(*zip(places, ("Car", "Van", "Pedestrian", "Car"), strict=True), confidences=[0.6, 0.9, 0.8, 0.7])
        truth = Boxes(100, 100, boxes((places[0], "Car")))
        regions = ((80, 0, 100, 100), (70, 40, 70, 50))
        frame = KittiFrame(
            (KittiObject("Car", (0, 0, 10, 10), 0, 0), *(KittiObject("DontCare", each, -1, -1) for each in regions))
        )
        found = Detection([said(Boxes(100, 100, given))], [truth], [frame])
        assert counted(found) == {"boxes_right": [1], "boxes_false": [1], "boxes_missed": [0]}
        values = {name: statistic(np.array([0])) for name, statistic in flat(found.statistics()).items()}
        assert (values["precision"], values["recall"]) == (0.5, 1)
        assert values["ap50"] == pytest.approx(0.5)

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_average_precision_is_that_of_the_official_evaluator(self, data: st.DataObject) -> None:
        pairs = data.draw(pictures())
        crowds = [boxes(*data.draw(BOXES)) for _ in pairs]
        found = results("detection", pairs, [Ignored(crowds=some) for some in crowds]).statistics()
        official = coco(pairs, crowds)
        for name, value in official.items():
            statistic = found[name]
            assert callable(statistic)
            assert statistic(np.arange(len(pairs))) == (None if value == -1 else pytest.approx(value, abs=1e-9)), name

    def test_confusion_counts_whatever_the_category(self) -> None:
        place, other = (0, 0, 20, 20), (60, 60, 20, 20)
        given, truth = boxes((place, "bus"), (other, "car")), boxes((place, "car"))
        matrix = Detection([said(Boxes(100, 100, given))], [Boxes(100, 100, truth)]).charts()[1]
        assert isinstance(matrix, Matrix)
        assert matrix.rows == ("bus", "car", "(nothing)")
        assert matrix.counts == ((0, 0, 0), (1, 0, 0), (0, 1, 0))

    def test_many_categories_are_told_together(self) -> None:
        names = [f"kind {number:02}" for number in range(20)]
        truth = boxes(*[((4 * number, 0, 4, 8), name) for number, name in enumerate(names)], ((0, 50, 9, 9), "kind 19"))
        curves, matrix, *_ = Detection([said(Boxes(100, 100, truth[:20]))], [Boxes(100, 100, truth)]).charts()
        assert isinstance(curves, Curves)
        assert isinstance(matrix, Matrix)
        shown = (*names[:8], "kind 19")
        assert [curve.name for curve in curves.curves] == [
            f"{name} {0.505 if name == 'kind 19' else 1:.3f}" for name in shown
        ]
        assert matrix.rows == (*shown, "(others)", "(nothing)")
        assert matrix.counts[8] == (*[0] * 8, 1, 0, 1)
        assert matrix.counts[9] == (*[0] * 9, 11, 0)


def coco(pairs: Sequence[Pair], crowds: Sequence[Sequence[Box]]) -> dict[str, float]:
    """AP, AP50 and AP75 by pycocotools itself, through files as it wants them; -1 where nothing is to be found."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = ["bus", "car"]
    documents = []
    truths = [(*t.boxes, *some) for (_, t), some in zip(pairs, crowds, strict=True)]  # type: ignore[union-attr]
    for labels in (truths, [(*p.label.boxes, *p.faint) for p, _ in pairs]):  # type: ignore[union-attr]
        annotations = [
            {"image_id": i, "category_id": names.index(b.category), "score": b.confidence,
             "iscrowd": int(labels is truths and any(b is one for one in crowds[i])),
             "bbox": [b.xyxy[0], b.xyxy[1], b.xyxy[2] - b.xyxy[0], b.xyxy[3] - b.xyxy[1]],
             "area": math.prod((b.xyxy[2] - b.xyxy[0], b.xyxy[3] - b.xyxy[1]))}
            for i, some in enumerate(labels) for b in some
        ]  # fmt: skip
        documents.append([{**a, "id": number} for number, a in enumerate(annotations, 1)])
    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for annotations in documents:
            one = COCO()
            images, categories = [{"id": i} for i in range(len(pairs))], [{"id": i} for i in range(2)]
            one.dataset = {"images": images, "annotations": annotations, "categories": categories}
            one.createIndex()
            sets.append(one)
        evaluator = COCOeval(*sets, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return {"ap": evaluator.stats[0], "ap50": evaluator.stats[1], "ap75": evaluator.stats[2]}


def test_faint_boxes_are_judged_beside_those_handed_out() -> None:
    near, far = (0, 0, 10, 10), (50, 50, 10, 10)
    handed = boxes((near, "car"), (far, "bus"), confidences=(0.9, 0.8))
    faint = boxes((near, "car"), (far, "car"), confidences=(0.3, 0.2))
    truth = Boxes(100, 100, boxes((near, "car"), (far, "car")))
    found = Detection([said(Boxes(100, 100, handed), faint)], [truth]).rights()
    assert {name: (list(p), list(right)) for name, (p, right) in found.items()} == {
        "bus": ([0.8], [False]),
        "car": ([0.9, 0.3, 0.2], [True, False, True]),
    }


def test_boxes_that_do_not_count_tell_nothing_of_certainty() -> None:
    near, far, aside = (0, 0, 10, 10), (50, 50, 10, 10), (80, 80, 10, 10)
    handed = boxes((near, "car"), (far, "bus"), confidences=(0.9, 0.8))
    faint = boxes((far, "car"), (aside, "car"), confidences=(0.3, 0.2))
    truth, hidden = Boxes(100, 100, boxes((near, "car"))), Ignored(boxes((far, "car")), boxes((far, "bus")))
    found = Detection([said(Boxes(100, 100, handed), faint)], [truth], [hidden]).rights()
    assert {name: (list(p), list(right)) for name, (p, right) in found.items()} == {"car": ([0.9, 0.2], [True, False])}
