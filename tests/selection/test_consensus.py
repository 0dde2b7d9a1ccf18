"""Consensus of several annotators: by hand, then against a plain Dawid-Skene, then on people whose skill is known."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.records import Box, Boxes, Lane, Lanes, Transcript
from selection.consensus import agree, words
from selection.consensus.dawid_skene import RIGHT, STRENGTH, TOLERANCE, WRONG, judge
from selection.consensus.matching import alike

CAR = Box((10, 10, 50, 50), "car")


def said(**texts: str) -> dict[str, Transcript]:
    return {person: Transcript(text) for person, text in texts.items()}


def test_the_majority_wins() -> None:
    found = judge([{"ada": "yes", "bob": "yes", "cyd": "no"}])
    assert found.verdicts[0].answer == "yes"
    assert found.verdicts[0].agreement == pytest.approx(2 / 3)
    assert found.accuracy["cyd"] < found.accuracy["ada"]


def test_who_is_right_more_often_counts_for_more() -> None:
    """Bob and cyd guess: they agree with nobody. Where they happen to say the same against ada and eve, these win."""
    clear = [{"ada": a, "eve": a, "bob": b, "cyd": c} for a, b, c in ("xyz", "yzx", "zxy", "xzy", "yxz", "zyx") * 5]
    found = judge([*clear, {"ada": "x", "bob": "y", "cyd": "y"}])
    assert found.verdicts[-1].answer == "x"


def test_a_tie_goes_to_the_answer_that_sorts_first() -> None:
    assert judge([{"ada": "b", "bob": "a"}]).verdicts[0].answer == "a"


def plain(questions: Sequence[Mapping[str, str]], rounds: int = 100) -> list[dict[str, float]]:
    """The same model in loops over dictionaries."""
    people = sorted({p for votes in questions for p in votes})
    answers = sorted({a for votes in questions for a in votes.values()})
    posterior = [{a: sum(v == a for v in q.values()) / len(q) for a in set(q.values())} for q in questions]
    for _ in range(rounds):
        said_of = {}
        for p in people:
            mine = [(q[p], t) for q, t in zip(questions, posterior, strict=True) if p in q]
            accuracy = (sum(t[a] for a, t in mine) + RIGHT) / (len(mine) + RIGHT + WRONG)
            for true in answers:
                row = sum(t.get(true, 0) for _, t in mine)
                for a in answers:
                    expected = accuracy if a == true else (1 - accuracy) / max(1, len(answers) - 1)
                    seen = sum(t.get(true, 0) for b, t in mine if b == a)
                    said_of[p, true, a] = (seen + STRENGTH * expected) / (row + STRENGTH)
        total = sum(1 + sum(t.get(a, 0) for t in posterior) for a in answers)
        often = {a: (1 + sum(t.get(a, 0) for t in posterior)) / total for a in answers}
        before, posterior = posterior, []
        for q in questions:
            weight = {a: often[a] * math.prod(said_of[p, a, b] for p, b in q.items()) for a in set(q.values())}
            posterior.append({a: w / sum(weight.values()) for a, w in weight.items()})
        change = max(abs(t[a] - s[a]) for s, t in zip(before, posterior, strict=True) for a in t)
        if change < TOLERANCE:
            break
    return posterior


votes = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), min_size=1)


@given(st.lists(votes, min_size=1, max_size=8))
def test_it_is_the_plain_algorithm(questions: list[dict[str, str]]) -> None:
    slow = plain(questions)
    for verdict, posterior in zip(judge(questions).verdicts, slow, strict=True):
        assert verdict.probability == pytest.approx(max(posterior.values()), abs=1e-3)
        assert posterior[verdict.answer] == pytest.approx(max(posterior.values()), abs=1e-3)


def test_it_finds_out_how_good_people_are_and_beats_the_majority() -> None:
    """Two careful people among five: the majority is often wrong, the consensus less often."""
    rng = np.random.default_rng(0)
    skill = {"ada": 0.95, "bob": 0.9, "cyd": 0.4, "dan": 0.4, "eve": 0.4}
    truth = rng.integers(0, 5, 400)
    questions = [
        {p: str(t if rng.random() < a else (t + rng.integers(1, 5)) % 5) for p, a in skill.items()} for t in truth
    ]
    found = judge(questions)
    right = np.mean([v.answer == str(t) for v, t in zip(found.verdicts, truth, strict=True)])
    most = [Counter(sorted(q.values())).most_common(1)[0][0] for q in questions]
    majority = np.mean([a == str(t) for a, t in zip(most, truth, strict=True)])
    assert right > majority + 0.05
    for person, accuracy in skill.items():
        assert found.accuracy[person] == pytest.approx(accuracy, abs=0.08)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"ada": "turn the light on", "bob": "turn light on", "cyd": "turn the light off"}, "turn the light on"),
        ({"ada": "go now", "bob": "please go now", "cyd": "please go"}, "please go now"),
        ({"ada": "", "bob": "", "cyd": "yes"}, ""),
        ({"ada": "Dobry dźeń.", "bob": "dobry dźeń", "cyd": "dobry dźeń"}, "dobry dźeń"),
        ({"ada": "今天天气好", "bob": "今天天汽好", "cyd": "今天天气很好"}, "今天天气好"),
        ({"ada": "打开 light 灯", "bob": "打开 light 灯", "cyd": "light"}, "打开 light 灯"),
    ],
)
def test_words_that_most_people_say(texts: dict[str, str], expected: str) -> None:
    assert agree("asr", [said(**texts)]).items[0].label == Transcript(expected)


def test_agreement_of_words_is_the_share_that_says_the_winning_one() -> None:
    found = agree("asr", [said(ada="turn left", bob="turn left", cyd="turn right")])
    assert found.items[0].agreement == pytest.approx((1 + 2 / 3) / 2)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=5), min_size=1, max_size=4))
def test_what_all_say_is_the_consensus(texts: list[list[str]]) -> None:
    """Each text of each of three people: their consensus is that text, with full agreement."""
    items = [said(ada=" ".join(t), bob=" ".join(t), cyd=" ".join(t)) for t in texts]
    for spoken, agreed in zip(texts, agree("asr", items).items, strict=True):
        assert agreed.label == Transcript(" ".join(spoken))
        assert agreed.agreement == 1


def fewest_edits(slots: Sequence[set[str]], spoken: Sequence[str]) -> int:
    """By the definition: leave a slot out (free where somebody said nothing), add a word, or say one of the slot's."""
    if not slots or not spoken:
        return sum(words.NOTHING not in slot for slot in slots) + len(spoken)
    return min(
        fewest_edits(slots[:-1], spoken[:-1]) + (spoken[-1] not in slots[-1]),
        fewest_edits(slots[:-1], spoken) + (words.NOTHING not in slots[-1]),
        fewest_edits(slots, spoken[:-1]) + 1,
    )


@given(
    st.lists(st.sets(st.sampled_from(["a", "b", "c", words.NOTHING]), min_size=1), max_size=5),
    st.lists(st.sampled_from(["a", "b", "d"]), max_size=5),
)
def test_words_are_aligned_with_the_fewest_edits(slots: list[set[str]], spoken: list[str]) -> None:
    costs = words._costs(slots, spoken)
    for i, j in product(range(len(slots) + 1), range(len(spoken) + 1)):
        assert costs[i, j] == fewest_edits(slots[:i], spoken[:j])


def test_texts_too_long_to_be_aligned_are_compared_word_by_word() -> None:
    """A table of their edits would take 160 GB."""
    text = "a b " * 100_000
    found = words.questions({"ada": Transcript(text + "c"), "bob": Transcript(text), "cyd": Transcript("x " + text)})
    assert len(found) == 200_001
    assert (found[0], found[1]) == ({"ada": "a", "bob": "a", "cyd": "x"}, {"ada": "b", "bob": "b", "cyd": "a"})
    assert found[-1] == {"ada": "c", "bob": "", "cyd": "b"}


def boxes(*given: Box) -> Boxes:
    return Boxes(200, 100, given)


def test_boxes_are_fused_by_the_median_of_their_sides() -> None:
    shifted = [Box((10 + d, 10, 50 + d, 50), "car") for d in (0, 2, 7)]
    found = agree("detection", [dict(zip("abc", map(boxes, shifted), strict=True))])
    (box,) = found.items[0].label.boxes  # type: ignore[union-attr]
    assert box.xyxy == (12, 10, 52, 50)
    assert box.category == "car"
    assert found.items[0].agreement == pytest.approx((1 + 38 / 42 + 35 / 45) / 3)


def test_a_box_that_one_of_three_drew_is_left_out() -> None:
    extra = Box((100, 10, 150, 50), "car")
    found = agree("detection", [{"ada": boxes(CAR), "bob": boxes(CAR), "cyd": boxes(CAR, extra)}])
    assert found.items[0].label == boxes(CAR)
    assert found.items[0].agreement == pytest.approx((1 + 2 / 3) / 2)


def test_the_name_that_most_gave_wins_and_its_boxes_count() -> None:
    bus = Box((10, 10, 60, 50), "bus")
    found = agree("detection", [{"ada": boxes(CAR), "bob": boxes(CAR), "cyd": boxes(bus)}])
    assert found.items[0].label == boxes(CAR)


def test_nobody_says_anything() -> None:
    assert agree("detection", [{"ada": boxes(), "bob": boxes()}]).items[0].label == boxes()
    assert agree("lane", [{"ada": Lanes(64, 32), "bob": Lanes(64, 32)}]).items[0].agreement == 1


def test_shapes_of_one_owner_never_join() -> None:
    similarity = np.ones((3, 3))
    assert alike(similarity, ["ada", "ada", "bob"], 0.5) == [[0, 2], [1]]


def upright(x: float, top: float = 0) -> Lane:
    return Lane(tuple((x, float(y)) for y in range(250, int(top) - 1, -10)))


def test_lines_are_fused_by_their_median() -> None:
    drawn = {name: Lanes(512, 256, (upright(x),)) for name, x in (("ada", 100), ("bob", 103), ("cyd", 107))}
    found = agree("lane", [drawn])
    (lane,) = found.items[0].label.lanes  # type: ignore[union-attr]
    assert {x for x, _ in lane.points} == {103}
    assert found.items[0].agreement == 1


def test_a_line_longer_than_the_others_keeps_its_end() -> None:
    drawn = {name: Lanes(512, 256, (upright(100, top),)) for name, top in (("ada", 100), ("bob", 100), ("cyd", 50))}
    (lane,) = agree("lane", [drawn]).items[0].label.lanes  # type: ignore[union-attr]
    assert all(x == 100 for x, _ in lane.points)


def test_lines_apart_are_two_and_the_lonely_one_goes() -> None:
    both = Lanes(512, 256, (upright(100), upright(300)))
    drawn = {"ada": both, "bob": both, "cyd": Lanes(512, 256, (upright(100), upright(400)))}
    lanes = agree("lane", [drawn]).items[0].label.lanes  # type: ignore[union-attr]
    assert [lane.points[0][0] for lane in lanes] == [100, 300]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, "at least one Boxes"),
        ({"ada": Transcript("x")}, "at least one Boxes"),
        ({"ada": boxes(), "bob": Boxes(10, 10)}, "one image"),
    ],
)
def test_what_is_no_choice_is_refused(labels: dict[str, Boxes], expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        agree("detection", [labels])
