"""What checks of randomly drawn items teach about a version."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.records import Box, Boxes, PreAnnotation
from selection.calibration import IDENTITY, Calibrator
from selection.parts import PartPromise
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.rules import About
from serving.standing import fits
from serving.store.records import Audited, Calibration
from serving.trust import Trust, learn, untried
from serving.weighing import Pool, Terms, settled
from tests.serving.work import START, after, answer, boxes, item_id
from tests.tiny_versions import make_version

POOL = Pool(np.full(9, 0.3))
MADE = Calibration(1, 0.02, 0.05, {}, {}, 9, None, START)


def audited(name: int, group: str | None, draw: float, wrong: bool = False) -> Audited:
    said = answer(name, score=0.3, label=boxes("car")).preannotation
    return Audited(
        item_id(name), About(group), draw, said, boxes("bus" if wrong else "car"), 1, START, START, after(name), START
    )


def _learn(known: list[Audited], share: float = 1.0, before: Calibrator = IDENTITY) -> Trust:
    return learn(Terms("detection", share, POOL, alpha=0.2, delta=0.2), known, before)


def test_frames_of_one_clip_are_no_independent_evidence() -> None:
    frames = [audited(number, f"clip{number // 10}", 0.5) for number in range(60)]
    alone = [audited(number, None, 0.5) for number in range(60)]
    assert isinstance(_learn(frames).promise, NoPromise)
    assert isinstance(_learn(alone).promise, Threshold)
    many = _learn([audited(number, f"clip{number // 2}", 0.5) for number in range(88)]).promise
    assert isinstance(many, Threshold)
    assert (many.n, many.groups, many.errors) == (88, 44, 0)


def test_only_what_was_drawn_at_random_teaches() -> None:
    drawn, chosen = [audited(i, None, 0.1) for i in range(40)], [audited(40 + i, None, 0.3, True) for i in range(40)]
    trust = _learn(drawn + chosen, share=0.2)
    assert trust == _learn(drawn, share=0.2)
    assert isinstance(trust.promise, Threshold)
    assert isinstance(_learn(drawn + chosen, share=0.4).promise, NoPromise)


def test_few_checks_leave_the_score_as_it_is_and_many_bend_it() -> None:
    few = _learn([audited(i, None, 0.5) for i in range(29)])
    assert few.p_error(0.3, {}) == 0.3
    many = _learn([audited(i, None, 0.5) for i in range(60)])
    assert many.p_error(0.3, {}) < 0.1
    assert many.told()["calibrated_on"] == 60
    assert _learn([audited(1, None, 0.5)], before=many.calibrator).calibrator == many.calibrator


def test_what_was_learnt_survives_json(tmp_path: Path) -> None:
    learnt = _learn([audited(i, None, 0.5) for i in range(60)])
    fresh = untried(make_version(tmp_path, "detection"))
    for trust in (learnt, fresh):
        assert Trust.from_json(*trust.to_json()) == trust
    assert learnt.told()["holds"] is True
    assert fresh.told()["holds"] is False


def test_whether_groups_were_one_observation_is_a_term_in_stores_of_before_too() -> None:
    before, each = (replace(MADE, promise={name: value}) for name, value in (("groups", False), ("new_groups", False)))
    for kept, groups in ((MADE, True), (replace(MADE, promise={"groups": 44}), True), (before, False), (each, False)):
        assert [fits(kept, Policy(groups=asked)) for asked in (True, False)] == [groups, not groups]


def test_features_teach_where_they_tell_more_than_the_score() -> None:
    """Pictures of many boxes are wrong, and the score is the same for all."""
    many = [replace(audited(i, None, 0.5, wrong=i % 3 == 0), answer=_told(i, 9.0 if i % 3 == 0 else 1.0))
            for i in range(300)]  # fmt: skip
    trust = _learn(many)
    assert trust.calibrator.method == "boosted"
    assert trust.p_error(0.3, {"boxes": 9.0}) > 0.8
    assert trust.p_error(0.3, {"boxes": 1.0}) < 0.1
    assert trust.p_error(0.3, {"renamed": 1.0}) == trust.calibrator.p_error([0.3])[0]
    assert Trust.from_json(*json.loads(json.dumps(trust.to_json()))) == trust


def _told(name: int, count: float) -> PreAnnotation:
    return replace(answer(name, score=0.3, label=boxes("car")).preannotation, features={"boxes": count})


def test_parts_are_judged_one_by_one_and_what_is_missing_apart() -> None:
    """Pictures of two boxes: the second one, which the model doubts, is always wrong; one in ten lacks a box."""
    said = Boxes(640, 480, (Box((0, 5, 10, 15), "car", 0.95), Box((20, 5, 30, 15), "car", 0.4)))
    audits = [
        replace(
            audited(i, None, 0.5),
            answer=replace(answer(i, label=said).preannotation, features={"expected_missed": 2.0 * (i % 10 == 0)}),
            truth=boxes("car", "bus", *(["car"] if i % 10 == 0 else [])),
        )
        for i in range(200)
    ]
    pool = Pool.of_parts([one.answer for one in audits[:9]])
    assert pool.scores.tolist() == [0.5] * 9
    trust = learn(Terms("detection", 0.6, pool, alpha=0.1, delta=0.2), audits)
    held = trust.promise
    assert isinstance(held, PartPromise)
    assert isinstance(held.parts, Threshold)
    assert held.parts.threshold == pytest.approx(0.05)
    assert (held.parts.errors, held.most) == (0, 2)
    assert isinstance(held.missing, Threshold)
    assert (held.missing.threshold, held.missing.errors) == (0.0, 0)
    assert Trust.from_json(*json.loads(json.dumps(trust.to_json()))) == trust
    told = trust.told()
    assert (told["of"], told["holds"], told["most"], told["missing_part"]["n"]) == ("parts", True, 2, 200)
    assert not trust.without("of other terms", of_parts=True).holds


def test_growing_checks_in_groups_are_weighed_at_looks_that_share_one_delta() -> None:
    """Until twice as many checks are known what stood stands, whatever they found; alpha and delta are 20 %."""
    right = [audited(i, f"clip {i}", 0.1) for i in range(88)]
    wrong = [audited(i, f"clip {i}", 0.1, wrong=True) for i in range(88)]

    def weighed(checks: list[Audited], stood: Trust | None) -> Trust:
        return learn(Terms("detection", 0.6, POOL, alpha=0.2, delta=0.2), checks, stood=stood)

    few = weighed(right[:10], None)
    assert (few.holds, few.looked) == (False, 0)
    assert weighed(right[:10], weighed(right[:5], None)).promise == few.promise  # which says how many are known
    assert weighed([*right[:10], audited(88, None, 0.1)], None).looked == 1  # one of no group among those that have one
    first = weighed(wrong[:11], few)
    assert (first.holds, first.looked, first.told()["missing"]) == (False, 1, 11)
    assert first.told()["reason"].endswith("they are weighed again when 22 are known")
    waits = weighed(right[:21], first)
    assert (waits.holds, waits.looked, waits.told()["missing"]) == (False, 1, 1)
    second = weighed([*right[:22], *wrong[22:30]], waits)
    assert (second.holds, second.looked) == (True, 2)
    assert isinstance(second.promise, Threshold)
    assert (second.promise.delta, second.promise.n) == (0.2, 22)  # of all looks together, by what this one takes
    stands = weighed(wrong[:43], second)
    assert stands.promise == second.promise
    assert stands.calibrator.n == 43
    assert not weighed(wrong[:44], stands).holds
    assert weighed(right[:88], None).looked == 4
    assert Trust.from_json(*json.loads(json.dumps(second.to_json()))) == second


def test_the_first_look_at_parts_is_one_that_could_end_in_a_promise() -> None:
    """Parts and what is missing share delta: 14 right checks prove a rate of 20 % at 5 %, a quarter of it."""

    def weighed(n: int) -> Trust:
        checks = [
            replace(one, answer=replace(one.answer, features={"expected_missed": 0.1}))
            for one in (audited(i, f"clip {i}", 0.1) for i in range(n))
        ]
        pool = Pool.of_parts([one.answer for one in checks])
        return learn(Terms("detection", 0.6, pool, alpha=0.2, delta=0.2), checks)

    assert (weighed(13).looked, weighed(13).holds) == (0, False)
    found = weighed(14)
    assert (found.looked, found.holds) == (1, True)
    assert isinstance(found.promise, PartPromise)
    assert isinstance(found.promise.missing, Threshold)


def test_what_is_tested_stays_once_checks_could_make_a_promise() -> None:
    """8 right checks prove a rate of 20 % at delta 20 %; from then on the pool of that moment says what is tested."""

    def weighed(n: int, pool: float, stood: Trust | None) -> Trust:
        terms = Terms("detection", 0.6, Pool(np.full(9, pool)), alpha=0.2, delta=0.2)
        return learn(terms, [audited(i, None, 0.1) for i in range(n)], stood=stood)

    few = weighed(7, 0.1, None)
    assert (few.ladders, few.holds) == ((), False)
    first = weighed(8, 0.4, few)
    assert first.ladders[0].thresholds == (0.4,)
    assert Trust.from_json(*json.loads(json.dumps(first.to_json()))) == first
    later = weighed(20, 0.9, first)
    assert later.ladders == first.ladders
    assert isinstance(later.promise, Threshold)
    assert (later.promise.threshold, later.promise.n, later.promise.delta) == (0.4, 20, 0.2)


@pytest.mark.parametrize("group", [None, "clip"])
def test_checks_count_in_the_order_of_handing_out_up_to_the_first_that_is_not_settled(group: str | None) -> None:
    """The 30th was handed out before all others, the 20th after all; a wrong one waits for its second look."""
    handed = {29: 0, 19: 99}
    checks = [replace(audited(i, group and f"{group} {i}", 0.1, wrong=i == 25), handed_at=after(handed.get(i, i + 1)))
              for i in range(30)]  # fmt: skip
    terms = Terms("detection", 0.6, POOL, alpha=0.2, delta=0.2)
    assert [settled(checks, checks[2].place)[row].item_id for row in range(3)] == [item_id(i) for i in (29, 0, 1)]
    waits = learn(terms, checks, unsettled=checks[25].place)
    assert isinstance(waits.promise, Threshold)
    assert (waits.promise.n, waits.promise.errors, waits.waiting) == ((22, 0, 5) if group else (25, 0, 5))
    assert (learn(terms, checks).waiting, learn(terms, checks).behind, waits.behind) == (0, (), (None,))
    assert waits.calibrator.n == 30
