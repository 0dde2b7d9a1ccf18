"""From what a version says to who must look, without a store: what is calibrated, what it costs, and what is gold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.records import Boxes, PreAnnotation, Transcript
from selection.calibration import Calibrator
from selection.cost import Costs, expected_seconds, parts_seconds
from selection.fitting import FittedCosts
from selection.kinds import MISSING, REST, Kind
from selection.parts import PartPromise, Plan
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.rules import About, Rule
from serving.deciding import Deciding
from serving.trust import Trust
from serving.weighing import KindPromise, Promise, Weighed
from tests.serving.work import answer, boxes, item_id

KEPT = Threshold(0.5, 0.02, 0.05, 300, 200, 0)
NONE = NoPromise("too few", 9)
DECIDING = Deciding(Costs(), gold_share=0.0, seed=0)
RARELY = Policy(audit_share=1e-9, calibration_share=1e-9)
UNSURE = Calibrator("logistic", 30, 10, ((-14.0, 0.0), (14.0, 0.1)))  # says about a half whatever the score
IDENTITY = Calibrator("identity", 0, 0)


def said(score: float, *confidences: float, names: tuple[str, ...] = ()) -> PreAnnotation:
    """An image with a box of each confidence; of each, one missed object is expected."""
    drawn = boxes(*(names or ("car",) * len(confidences)))
    sure = tuple(replace(box, confidence=one) for box, one in zip(drawn.boxes, confidences, strict=True))
    shown = answer(0, score=score, label=Boxes(640, 480, sure)).preannotation
    return replace(shown, features={"expected_missed": 1.0})


def decided(one: PreAnnotation, promise: Promise, policy: Policy = RARELY, **how: Any) -> Any:
    about = how.pop("about", About())
    return replace(DECIDING, **how).answer(one, about, Trust(IDENTITY, promise), policy)


def test_gold_is_drawn_whoever_is_audited() -> None:
    """Were both one draw, every gold item would be an audited one, and nothing else."""
    deciding = replace(DECIDING, gold_share=0.3)
    gold = np.array([deciding.is_gold(item_id(number)) for number in range(3000)])
    audited = np.array([deciding.draw(item_id(number)) < 0.3 for number in range(3000)])
    assert gold.mean() == pytest.approx(0.3, abs=0.03)
    assert gold[audited].mean() == pytest.approx(0.3, abs=0.05)


def test_people_are_told_calibrated_doubt_and_the_seconds_that_it_costs() -> None:
    one, twice = said(0.2, 0.9, 0.8), Costs(image_s=6.8, box_verify_s=3.4, box_adjust_s=7.0, box_draw_s=14.0)
    for costs in (None, FittedCosts(twice, 40)):
        told = DECIDING.answer(one, About(), Trust(UNSURE, NONE, costs), RARELY).preannotation.uncertainty
        assert told.score == 0.2
        assert told.p_error == pytest.approx(0.51, abs=0.02)
        of = costs.costs if costs else Costs()
        assert told.seconds == expected_seconds("detection", one.label, told.p_error, one.features, None, of)
    without = replace(one, features={"expected_missed": 0.0})
    told = DECIDING.answer(without, About(), Trust(UNSURE, NONE), RARELY).preannotation.uncertainty
    assert told.seconds == pytest.approx(3.4 + 2 * 1.7 + told.p_error * 3.5)  # more than the parts tell: 0.3 x 3.5


def test_a_rule_and_a_kind_decide_by_what_the_item_holds() -> None:
    kinds = Policy(audit_share=1e-9, kinds=(Kind("detection", category="car", name="cars"),))
    each = KindPromise(0.02, 0.05, {"cars": Weighed(KEPT), REST: Weighed(NONE)})
    car, bus = decided(said(0.1, 0.9), each, kinds), decided(said(0.1, 0.9, names=("bus",)), each, kinds)
    assert (car.decision.decision, bus.decision.decision) == ("accept", "review")
    assert car.decision.reason.startswith('it is of the kind "cars"; ')
    ruled = Policy(audit_share=1e-9, rules=(Rule("detection", category="car"),))
    assert decided(said(0.1, 0.9), KEPT, ruled).decision.decision == "review"
    assert decided(said(0.1, 0.9, names=("bus",)), KEPT, ruled).decision.decision == "accept"


class TestParts:
    OF_PARTS = replace(RARELY, promise_of="parts")

    def test_a_person_is_asked_for_the_seconds_of_the_doubtful_parts_alone(self) -> None:
        one = said(0.4, 0.9, 0.2, 0.8)
        found = decided(one, PartPromise(KEPT, NONE, 9), self.OF_PARTS)
        assert found.decision.parts == Plan((0, 2), (1,), True)
        seconds = parts_seconds("detection", one.label, [1], True, one.features, None, Costs())
        assert found.preannotation.uncertainty.seconds == seconds == 3.4 + 1.7 + 0.8 * 3.5 + 7.0

    def test_gold_and_what_has_no_parts_is_shown_whole_in_its_order(self) -> None:
        one, promise = said(0.4, 0.2, 0.9), PartPromise(KEPT, KEPT, 9)
        gold = decided(one, promise, self.OF_PARTS, gold_share=0.9999)
        assert (gold.decision.decision, gold.decision.parts) == ("review", None)
        assert gold.decision.reason.startswith("0 of 2 parts are within")
        whole = expected_seconds("detection", one.label, 0.4, one.features, None, Costs())
        assert gold.preannotation.uncertainty.seconds == whole
        heard = replace(one, task="asr", label=Transcript("go left and then right"), features={"expected_wer": 0.0})
        found = decided(heard, promise, self.OF_PARTS, about=About(duration_s=2.0)).decision
        assert (found.decision, found.parts) == ("review", None)

    def test_who_sees_all_of_it_is_asked_for_the_seconds_of_the_whole(self) -> None:
        promise, one = PartPromise(KEPT, NONE, 9), said(0.4, 0.9, 0.2)
        audited = decided(one, promise, replace(self.OF_PARTS, audit_share=0.9999))
        whole = expected_seconds("detection", one.label, 0.4, one.features, None, Costs())
        assert (audited.decision.decision, audited.decision.parts) == ("audit", None)
        assert audited.preannotation.uncertainty.seconds == whole
        wrong = replace(said(0.9, 0.6), features={"expected_missed": 0.0})  # its parts alone would be put right sooner
        assert decided(wrong, promise, self.OF_PARTS, gold_share=0.9999).decision.decision == "annotate"

    def test_kinds_of_parts_are_shown_whole_as_well(self) -> None:
        policy = replace(self.OF_PARTS, kinds=(Kind("detection", category="car", name="cars"),))
        each = {name: Weighed(KEPT, most=9, pool=9) for name in ("cars", REST, MISSING)}
        promise, one = KindPromise(0.02, 0.05, each, of_parts=True), said(0.4, 0.9, 0.2, names=("car", "bus"))
        open_, gold = (decided(one, promise, policy, gold_share=share) for share in (0.0, 0.9999))
        assert open_.decision.parts == Plan((0,), (1,), True)
        assert open_.decision.reason.startswith('of the kind "cars" 1 of 1 parts are within')
        assert gold.decision.parts is None
        assert gold.decision.reason.startswith('of the kind "cars" 0 of 1 parts are within')

    def test_what_is_missing_is_doubted_by_the_expected_number(self) -> None:
        sure = replace(said(0.9, 0.9), features={"expected_missed": 0.1})
        found = decided(sure, PartPromise(KEPT, KEPT, 9), self.OF_PARTS).decision
        assert (found.decision, found.parts) == ("accept", None)  # 1 - e^-0.1 is within 0.5


def test_what_somebody_chose_is_labelled_by_people_under_its_policy() -> None:
    found = decided(said(0.1, 0.9), KEPT, about=About(chosen=True)).decision
    assert (found.decision, found.policy) == ("review", RARELY.version)
    assert found.otherwise == "not chosen it would be accepted unseen"
    assert found.reason.startswith("chosen as gold, which people label; p_error 0.1 ")
    open_, chosen = (decided(said(0.9, 0.9), KEPT, about=About(chosen=one)) for one in (False, True))
    assert chosen == open_  # which people get anyway
    of_parts = replace(RARELY, promise_of="parts")
    whole = decided(said(0.4, 0.9, 0.2), PartPromise(KEPT, NONE, 9), of_parts, about=About(chosen=True)).decision
    assert (whole.decision, whole.parts) == ("review", None)
    drawn = DECIDING.answer(said(0.1, 0.9), About(chosen=True), Trust(IDENTITY, KEPT), Policy(), chance=0.0)
    assert drawn.decision.decision == "audit"


class TestAsIfOpen:
    def test_what_would_be_accepted_is_drawn_by_a_number_like_any_audits(self) -> None:
        policy = Policy(audit_share=0.01, calibration_share=0.3)
        for about in (About(), About(chosen=True)):
            found = DECIDING.as_if_open(said(0.1, 0.9), about, Trust(IDENTITY, KEPT), policy).decision
            assert found.decision == "audit"
        numbers = set()
        for number in range(50):
            one = replace(said(0.1, 0.9), item_id=item_id(number))
            found = DECIDING.as_if_open(one, About(), Trust(IDENTITY, KEPT), policy).decision
            numbers.add(found.otherwise)
            assert found.decision == "audit", number
        assert len(numbers) > 30  # "not drawn (its number is ..) it would be accepted unseen"

    def test_what_people_get_anyway_stays_as_it_is_gold_or_not(self) -> None:
        doubtful, trust = said(0.9, 0.9), Trust(IDENTITY, KEPT)
        for share in (0.0, 0.9999):
            deciding = replace(DECIDING, gold_share=share)
            assert deciding.as_if_open(doubtful, About(chosen=True), trust, RARELY).decision == deciding.answer(
                doubtful, About(), trust, RARELY
            ).decision  # fmt: skip

    def test_what_would_be_shown_in_parts_is_shown_whole(self) -> None:
        policy, trust = TestParts.OF_PARTS, Trust(IDENTITY, PartPromise(KEPT, NONE, 9))
        for share in (0.0, 0.9999):
            one = said(0.4, 0.9, 0.2)
            found = replace(DECIDING, gold_share=share).as_if_open(one, About(), trust, policy).decision
            assert (found.decision, found.parts) == ("audit", None)
            assert "1 of 2 parts are within" in found.reason
