"""A promise for each kind of parts: a class of boxes has its own threshold, and loses it alone."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Box, Boxes
from selection.kinds import MISSING, REST, Kind
from selection.parts import PartPromise, Plan
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.rules import About
from serving.audits import Audits, Made
from serving.dry_run import dry_run
from serving.store.records import Audited
from serving.trust import Trust, holds, learn
from serving.weighing import KindPromise, Kinds, Pool, Terms, Weighed, weigh_checks
from tests.serving.served import eventually, serving
from tests.serving.test_audits import EASY, World
from tests.serving.test_kinds import TERMS, Street, stake
from tests.serving.work import START, after, answer, item_id, prediction

KINDS = (Kind("detection", "platelets", category="platelet"),)
CELLS = Policy(alpha=0.1, delta=0.3, promise_of="parts", kinds=KINDS)


def cells(*parts: tuple[str, float]) -> Boxes:
    """A box a part, (category, doubt) each, side by side."""
    return Boxes(640, 480, tuple(Box((20.0 * i, 5, 20.0 * i + 10, 15), name, 1 - doubt)
                                 for i, (name, doubt) in enumerate(parts)))  # fmt: skip


def audited(
    name: int, said: Boxes, wrong: Sequence[int] = (), lacking: bool = False, group: str | None = None
) -> Audited:
    """A checked image of which these parts were wrongly named, and whether one was missing."""
    truth = [replace(box, category="dust") if row in wrong else box for row, box in enumerate(said.boxes)]
    if lacking:
        truth.append(Box((600, 400, 620, 420), "cell"))
    shown = replace(answer(name, label=said).preannotation, features={"expected_missed": 0.0})
    found, at = replace(said, boxes=tuple(truth)), after(name)
    return Audited(item_id(name), About(group), 0.01, shown, found, name, after(-1), at, at, after(-1))


def boxes_of(one: Audited) -> tuple[Box, ...]:
    assert isinstance(one.answer.label, Boxes)
    return one.answer.label.boxes


def terms(checks: Sequence[Audited]) -> Terms:
    """Of platelets, the rest and what is missing, whose pools are what the checks hold."""
    boxes = [box for one in checks for box in boxes_of(one)]
    doubts = {kind: [1 - box.confidence for box in boxes if (box.category == "platelet") == (kind != REST)]
              for kind in ("platelets", REST)}  # fmt: skip
    pools = {kind: Pool(np.array(of, np.float64)) for kind, of in doubts.items()}
    pools[MISSING] = Pool(np.zeros(len(checks)))

    def kinds(one: Audited) -> tuple[str, ...]:
        return CELLS.kinds_of_parts("detection", one.answer.label, one.about)

    of_parts = Kinds(pools, lambda _: REST, kinds)
    return Terms("detection", 0.6, Pool(np.zeros(0)), CELLS.alpha, CELLS.delta, kinds=of_parts)


def promised(checks: Sequence[Audited], of: Terms | None = None) -> KindPromise:
    found = weigh_checks(checks, None, of or terms(checks), None).promise
    assert isinstance(found, KindPromise)
    return found


def test_by_hand() -> None:
    """A third of delta each: right cells become a promise when the stake is 1 / 0.1, two of an image as one
    observation; five of as many platelets are wrong."""
    needed = next(n for n in range(1, 99) if stake(n, 0, 0.1) >= 10)
    assert stake(needed, 5, 0.1) < 10
    image = cells(("cell", 0.25), ("platelet", 0.5), ("cell", 0.25))
    checks = [audited(i, image, wrong=(1,) if i < 5 else ()) for i in range(needed)]
    found = promised(checks)
    assert found.of(REST) == Threshold(0.25, 0.1, found.delta / 3, 2 * needed, 2 * needed, 0, needed)
    assert isinstance(found.of("platelets"), NoPromise)
    assert found.of(MISSING) == Threshold(0.0, 0.1, found.delta / 3, needed, needed, 0)
    assert (found.each[REST].most, found.each["platelets"].most) == (2, 1)
    assert found.parts_of(REST) == PartPromise(found.of(REST), found.of(MISSING), 2)
    short = promised(checks[1:])
    assert isinstance(short.of(REST), NoPromise)
    together = weigh_checks(checks, None, replace(terms(checks), kinds=None, pool=Pool(
        np.zeros(1), np.array([0.25, 0.25, 0.5]), np.zeros(1))), None).promise  # fmt: skip
    assert isinstance(together, PartPromise)
    assert isinstance(together.parts, NoPromise)  # those of all parts are too many


parts = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=3)
images = st.lists(st.tuples(parts, parts, st.booleans()), max_size=40)


def image_of(number: int, own: Any, others: Any, lacking: bool) -> Audited:
    both = [("platelet", doubt / 10) for doubt, _ in own] + [("cell", doubt / 10) for doubt, _ in others]
    return audited(number, cells(*both), [row for row, (_, wrong) in enumerate([*own, *others]) if wrong], lacking)


@given(images, st.data())
def test_parts_of_one_kind_never_change_the_promise_of_another(drawn: Any, data: Any) -> None:
    others = [data.draw(parts) for _ in drawn]
    first = [image_of(i, *one) for i, one in enumerate(drawn)]
    exchanged = zip(drawn, others, strict=True)
    second = [image_of(i, own, other, lacking) for i, ((own, _, lacking), other) in enumerate(exchanged)]
    found = [promised(checks).each for checks in (first, second)]
    assert found[0]["platelets"] == found[1]["platelets"]
    assert found[0][MISSING] == found[1][MISSING]


@given(images)
def test_where_all_parts_are_of_a_kind_it_is_promised_what_all_are_but_for_the_part_of_delta(drawn: Any) -> None:
    checks = [image_of(i, own, [], lacking) for i, (own, _, lacking) in enumerate(drawn)]
    of, doubts = terms(checks), [1 - box.confidence for one in checks for box in boxes_of(one)]
    whole = Pool(np.zeros(len(checks)), np.array(doubts, np.float64), np.zeros(len(checks)))
    alone = weigh_checks(checks, None, replace(of, kinds=None, delta=2 * of.delta / 3, pool=whole), None).promise
    assert isinstance(alone, PartPromise)
    found = promised(checks, of)
    assert (found.of("platelets"), found.of(MISSING)) == (alone.parts, alone.missing)


def test_what_weighing_goes_on_from_is_kept_of_each_kind() -> None:
    """Also where images come in slides, and are weighed at looks."""
    image = cells(("cell", 0.25), ("platelet", 0.5), ("cell", 0.25))
    for group in (None, "slide {}"):
        checks = [audited(i, image, group=group and group.format(i)) for i in range(90)]
        trust = learn(terms(checks), checks)
        assert isinstance(trust.promise, KindPromise)
        assert [(name, one.most, one.pool) for name, one in trust.promise.each.items()] == [
            ("platelets", 1, 90), (REST, 2, 180), (MISSING, 1, 90)
        ]  # fmt: skip
        assert all(holds(trust.promise, name) for name in trust.promise.each)
        assert Trust.from_json(*json.loads(json.dumps(trust.to_json()))) == trust
    told = trust.told()
    assert (told["of"], told["holds"], told["kinds"][REST]["most"]) == ("kinds of parts", True, 2)
    assert told["kinds"][MISSING]["told"].startswith("what is missing is not asked up to the doubt 0: 0 of the")


HELD = Threshold(0.5, 0.1, 0.1, 100, 90, 2)


def test_people_go_on_checking_all_items_alike_until_every_kind_that_there_is_has_a_promise() -> None:
    none, held = Weighed(NoPromise("too few"), pool=9), Weighed(HELD, pool=9, most=2)
    each = {"platelets": none, REST: held, MISSING: none}
    assert not holds(KindPromise(0.1, 0.3, each, of_parts=True).together)
    every = KindPromise(0.1, 0.3, {**each, "platelets": held}, of_parts=True)
    assert every.together == PartPromise(HELD, NoPromise("too few"), 2)
    nowhere = KindPromise(0.1, 0.3, {**each, "platelets": replace(none, pool=0)}, of_parts=True)
    assert nowhere.together.parts == HELD  # there are no platelets to check
    lost = nowhere.without("platelets", "withdrawn", START)
    assert not holds(lost.together)


def test_audits_watch_each_kind_by_its_share_of_an_image() -> None:
    each = {"platelets": Weighed(HELD), REST: Weighed(HELD, most=4), MISSING: Weighed(HELD)}
    promise = KindPromise(0.1, 0.3, each, of_parts=True)
    said = cells(("cell", 0.1), ("platelet", 0.1), ("cell", 0.9), ("cell", 0.2))
    audits = Audits(CELLS)
    audits.take("detection", [Made(promise, after(0))], [audited(1, said, (1, 2, 3), lacking=True)])
    told = audits.told()
    assert (told["platelets"]["judged"], told["platelets"]["errors"]) == (1, 1)
    assert (told[REST]["judged"], told[REST]["errors"]) == (0.5, 0.25)  # two of four, of which one was wrong
    assert (told[MISSING]["judged"], told[MISSING]["errors"]) == (1, 1)


# -- in the loop

CELL, PLATELET, DOUBTFUL = ("cell", 0.05), ("platelet", 0.1), ("cell", 0.6)
SAID, NO_PLATELETS = (replace(prediction(0.62, cells(*boxes)), features={"expected_missed": 0.0})
                      for boxes in ((CELL, PLATELET, DOUBTFUL), (CELL, DOUBTFUL)))  # fmt: skip


def test_a_class_of_boxes_loses_its_promise_alone(tmp_path: Path) -> None:
    here = World(tmp_path, **EASY, promise_of="parts", gold_share=0.0)
    here.loop.adopt(replace(here.loop.policies.default, kinds=KINDS), None, "ada")
    here.check(here.post(80, SAID), "cell", "platelet", "dust")
    assert here.learn()
    held = {name: kind["holds"] for name, kind in here.told()["kinds"].items()}
    assert held == dict.fromkeys(("platelets", REST, MISSING), True)
    plain, late = here.post(20, NO_PLATELETS), here.post(60, SAID)
    first = next(one for one in late if here.decision(one) == "review")
    said = here.loop.answered(first.id, "detection", "v1")
    assert said is not None
    assert said.decision.parts == Plan((0, 1), (2,), asked=False)
    assert said.decision.reason.startswith("of the rest 1 of 2 parts are within the accepted score 0.05 (alpha 20 %, ")
    assert '; of the kind "platelets" 1 of 1 parts are within the accepted score 0.1 (' in said.decision.reason
    here.check([*plain, first, *late[-20:]], "cell", "dust", decisions=("review",))  # people see the last box alone
    partly = [one for one in (*plain, first) if here.state(one) == "corrected"]
    assert len(partly) > 5
    before = here.loop.trust("v1")
    for one in late:
        if here.loop.trust("v1") == before:
            here.check([one], "cell", "dust", "dust")  # no platelet is one
    told = here.told()["kinds"]
    assert {name: told[name]["holds"] for name in told} == {"platelets": False, REST: True, MISSING: True}
    why = told["platelets"]["reason"]
    assert 'audited parts of the kind "platelets" were wrong in' in why
    assert 'everything of the kind "platelets" accepted since' in why
    assert here.state(first) == "preannotated"
    assert {here.state(one) for one in partly if one != first} == {"corrected"}  # nothing of them rests on it
    said = here.loop.answered(first.id, "detection", "v1")
    assert said is not None
    if said.decision.parts is not None:  # it was not drawn, though more are now
        assert said.decision.parts == Plan((0,), (1, 2), asked=False)
    assert 'of the kind "platelets" no part is accepted unseen yet: withdrawn at' in said.decision.reason
    title = dry_run(here.loop, "detection", here.loop.policies.of("detection")).title
    assert 'of the kind "platelets" nothing is accepted unseen yet: withdrawn, as audits found too many errors' in title
    assert "of the rest scores up to 0.05 are accepted unseen" in title


# -- over HTTP


def test_kinds_of_parts_are_promised_and_broken_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    terms = {**TERMS, "promise_of": "parts", "delta": 0.3}
    with serving(tmp_path, tasks=("detection",), uri_roots=(folder,), gold_share=0.0) as served:
        here = Street(served, folder)
        assert served.client.put("/v1/policy", json={"policy": terms}).status_code == 200
        here.register(60)
        here.check(wrong="")
        eventually(lambda: {one["holds"] for one in here.promise()["kinds"].values()} == {True})
        assert list(here.promise()["kinds"]) == ["known", REST, MISSING]
        here.register(40)
        assert {("hsb", "accepted"), ("de", "accepted")} <= here.states(since=60)
        eventually(lambda: not served.loop.due_for_calibration())
        monkeypatch.setattr(served.loop, "due_for_calibration", list)  # weighing shall not come before the audits
        here.check(wrong="hsb", until=lambda: not holds(served.loop.trust(served.version).promise, "known"))
        told = here.promise()
        assert told["of"] == "kinds of parts"
        assert (told["kinds"][REST]["holds"], told["kinds"][MISSING]["holds"]) == (True, True)
        assert 'audited parts of the kind "known" were wrong in' in told["kinds"]["known"]["reason"]
        here.register(20)
        assert ("hsb", "accepted") not in here.states(since=60)
        assert ("de", "accepted") in here.states(since=60)
        reasons = here.reasons("hsb", since=100)
        assert all('of the kind "known" no part is accepted unseen yet: withdrawn at' in one for one in reasons)
        page = served.client.get(f"/models/{served.version}").text
        assert "Accepts unseen: at most 30 % of accepted words, boxes or lines wrong, with 70 % confidence." in page
        assert "What is missing is not asked up to the doubt" in page
