"""A promise for each kind of items: weighed on its own checks, used for its own items, audited and withdrawn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.evidence import BETS
from selection.kinds import REST, Kind
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.routing import standing_of
from selection.rules import About
from serving.audits import Audits, Made
from serving.dry_run import dry_run
from serving.media_files import content_id
from serving.standing import fits
from serving.store.records import Audited
from serving.trust import Trust, holds, learn
from serving.weighing import KindPromise, Kinds, Pool, Terms, Weighed, weigh_checks
from tests.serving.served import Served, eventually, picture, serving
from tests.serving.test_loop_versions import EASY, Build, build, decision, post, work_off
from tests.serving.test_webhooks import Receiver, receiver
from tests.serving.work import START, after, answer, boxes, item_id

__all__ = ["build", "receiver"]

CARS = Policy(alpha=0.1, delta=0.2, kinds=(Kind("detection", "cars", category="car"),))


def audited(name: int, category: str, score: float = 0.3, wrong: bool = False, group: str | None = None) -> Audited:
    said = answer(name, score=score, label=boxes(category)).preannotation
    truth = boxes("tram" if wrong else category)
    return Audited(item_id(name), About(group), 0.01, said, truth, name, after(-1), after(name), after(name), after(-1))


def terms(cars: Any = (0.3,), rest: Any = (0.3,), delta: float = CARS.delta) -> Terms:
    """Of two kinds, cars and the rest, with a pool of scores each."""
    pools = {"cars": Pool(np.array(cars)), REST: Pool(np.array(rest))}

    def kind(check: Audited) -> str:
        return CARS.kind_of("detection", check.answer.label, check.about) or REST

    return Terms("detection", 0.6, Pool(np.array([*cars, *rest])), CARS.alpha, delta, kinds=Kinds(pools, kind))


def promised(checks: list[Audited], of: Terms) -> KindPromise:
    found = weigh_checks(checks, None, of, None).promise
    assert isinstance(found, KindPromise)
    return found


def stake(right: int, wrong: int, alpha: float) -> float:
    bets = [(share, (1 - rate) / (1 - alpha)) for rate, share in BETS]
    return sum(share * (1 + bet * alpha) ** right * (1 - bet * (1 - alpha)) ** wrong for share, bet in bets)


def test_by_hand() -> None:
    """Half of delta each: right cars become a promise when the stake is 1 / 0.1; five of as many buses are wrong."""
    needed = next(n for n in range(1, 99) if stake(n, 0, 0.1) >= 10)
    assert stake(needed, 5, 0.1) < 10
    checks = [audited(2 * i, "car") for i in range(needed)]
    checks += [audited(2 * i + 1, "bus", wrong=i < 5) for i in range(needed)]
    found = promised(checks, terms())
    assert found.of("cars") == Threshold(0.3, 0.1, 0.1, needed, needed, 0)
    assert isinstance(found.of(REST), NoPromise)
    assert standing_of(REST, found.of(REST)).startswith(
        f"of the rest nothing is accepted unseen yet: 5 of the {needed} most certain checked labels were wrong"
    )
    one_less = promised(checks[1:], terms())
    assert one_less.of("cars") == NoPromise(
        f"{needed - 1} random checks are weighed, at least {needed} are needed", missing=1
    )
    together = weigh_checks(checks, None, replace(terms(), kinds=None), None).promise
    assert isinstance(together, NoPromise)  # five of all are too many


scores = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=150)
pools = st.lists(st.integers(0, 20), min_size=1, max_size=40).map(lambda some: [one / 20 for one in some])


def checks_of(category: str, drawn: list[tuple[int, int]]) -> list[Audited]:
    """Of scores in twentieths, wrong where a digit is 0."""
    return [audited(2 * i + (category == "car"), category, score / 20, digit == 0)
            for i, (score, digit) in enumerate(drawn)]  # fmt: skip


@given(scores, scores, scores, pools, pools, pools)
def test_items_of_one_kind_never_change_the_promise_of_another(
    cars: Any, buses: Any, others: Any, pool: Any, rest: Any, other: Any
) -> None:
    first = promised(checks_of("car", cars) + checks_of("bus", buses), terms(pool, rest))
    second = promised(checks_of("car", cars) + checks_of("bus", others), terms(pool, other))
    assert first.of("cars") == second.of("cars")


@given(scores, pools)
def test_a_kind_of_everything_is_promised_what_all_are_but_for_the_part_of_delta(cars: Any, pool: Any) -> None:
    checks = checks_of("car", cars)
    alone = weigh_checks(checks, None, replace(terms(pool, [], delta=0.1), kinds=None), None)
    assert promised(checks, terms(pool, [], delta=0.2)).each["cars"] == alone


def test_what_weighing_goes_on_from_is_kept_of_each_kind() -> None:
    """Cars alone; buses come in clips, and are weighed at looks."""
    checks = [audited(2 * i, "car") for i in range(40)]
    checks += [audited(2 * i + 1, "bus", group=f"clip {i}") for i in range(60)]
    trust = learn(terms([0.3], [0.4]), checks)
    assert isinstance(trust.promise, KindPromise)
    cars, rest = trust.promise.each["cars"], trust.promise.each[REST]
    assert (len(cars.ladders), cars.looked, len(rest.ladders), rest.looked > 0) == (1, 0, 0, True)
    assert Trust.from_json(*json.loads(json.dumps(trust.to_json()))) == trust
    later = learn(terms([0.9], [0.4]), checks, stood=trust)
    assert isinstance(later.promise, KindPromise)
    assert later.promise.each["cars"].ladders == cars.ladders
    waits = learn(terms(), checks, unsettled=checks[3].place)
    assert waits.waiting == len(checks) - 3 - 3  # those before it, by turns a car and a bus
    told = trust.told()
    assert (told["of"], told["holds"], told["kinds"]["cars"]["holds"]) == ("kinds", True, True)
    assert told["kinds"]["cars"]["told"].startswith('of the kind "cars" scores up to 0.3 are accepted unseen: 0 of')
    assert not trust.without("withdrawn").holds


def test_audits_watch_each_kind_and_a_bad_one_does_not_hide_behind_a_good_one() -> None:
    held = Threshold(0.5, 0.1, 0.1, 100, 90, 2)
    of_each = KindPromise(0.1, 0.2, {"cars": Weighed(held), REST: Weighed(replace(held, threshold=0.9))})
    checks = [audited(i, "car", 0.4) for i in range(1, 300)]
    checks += [audited(i, "bus", 0.8, wrong=i % 3 == 0) for i in range(300, 330)]
    checks += [audited(i, "car", 0.8, wrong=True) for i in range(330, 340)]  # above the threshold of its kind
    audits = Audits(CARS)
    audits.take("detection", [Made(of_each, START)], checks)
    told = audits.told()
    assert [(name, told[name]["n"], told[name]["errors"]) for name in told] == [("cars", 299, 0), (REST, 30, 10)]
    assert audits.broken is not None
    assert audits.broken[0] == REST
    together = Audits(replace(CARS, kinds=()))
    together.take("detection", [Made(replace(held, threshold=0.9), START)], checks[:-10])
    assert together.broken is None  # of all audits too few are wrong


def test_a_promise_for_other_kinds_is_not_used_and_one_of_before_there_were_any_is(build: Build) -> None:
    loop = build(**EASY)
    work_off(loop, [post(loop, i, 0.01) for i in range(90)], wrong=lambda i: False)
    assert loop.recalibrate("v1", "worker").holds
    kept = loop.store.versions.calibrations("v1")[-1]
    assert kept.promise["kinds"] == []
    kept = replace(kept, promise={name: value for name, value in kept.promise.items() if name != "kinds"})
    assert fits(kept, loop.policies.default)
    loop.adopt(replace(loop.policies.default, kinds=CARS.kinds), None, "ada")
    assert not fits(kept, loop.policies.of("detection"))
    assert not loop.trust("v1").holds
    assert decision(loop, post(loop, "sure", 0.01)) != "accept"
    trust = loop.recalibrate("v1", "worker")
    assert isinstance(trust.promise, KindPromise)
    assert loop.trust("v1") == trust
    assert "accept" in {decision(loop, post(loop, f"car {i}", 0.01)) for i in range(20)}
    assert "accept" not in {decision(loop, post(loop, f"bus {i}", 0.01, label=boxes("bus"))) for i in range(20)}


# -- over HTTP

TERMS = {"alpha": 0.3, "delta": 0.2, "calibration_share": 1.0, "audit_share": 0.5,
         "kinds": [{"task": "detection", "name": "known", "language": "hsb"}]}  # fmt: skip


class Street:
    """A service with pictures in two languages, and people who check them."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served, self.client, self.folder = served, served.client, folder
        self.languages: dict[str, str] = {}

    def register(self, n: int) -> None:
        lines = []
        for number in range(len(self.languages), len(self.languages) + n):
            path = self.folder / f"{number}.png"
            path.write_bytes(picture(number % 250, 120 + number // 250))
            self.languages[str(path)] = "hsb" if number % 2 else "de"
            lines.append({"uri": str(path), "task": "detection", "language": self.languages[str(path)]})
        assert self.client.post("/v1/items", json=lines).json()["new"] == n
        eventually(lambda: not self.served.loop.pending("detection", 1))

    def check(self, wrong: str, until: Callable[[], bool] = lambda: False) -> None:
        """Works off what people are handed, and finds every label of a language wrong."""
        while not until() and (handed := self.client.get("/v1/queue/detection?annotator=ada").json()["items"]):
            one = handed[0]
            label = {**one["label"], "boxes": []} if self.languages[one["uri"]] == wrong else one["label"]
            body = {"task": "detection", "label": label, "annotator": "ada", "seconds": 1}
            assert self.client.post(f"/v1/items/{one['item_id']}/correction", json=body).status_code in (200, 201)

    def promise(self) -> dict[str, Any]:
        return dict(self.client.get("/v1/report").json()["tasks"]["detection"]["promise"])

    def states(self, since: int = 0) -> set[tuple[str, str]]:
        """The (language, state) that there are from that picture on."""
        new = list(self.languages)[since:]
        return {(self.languages[uri], self.told(uri)["tasks"][0]["state"]) for uri in new}

    def reasons(self, language: str, since: int) -> list[str]:
        """Why pictures in a language, from that one on, go where they go."""
        new = list(self.languages)[since:]
        return [self.told(uri)["preannotations"][-1]["reason"] for uri in new if self.languages[uri] == language]

    def told(self, uri: str) -> Any:
        return self.client.get(f"/v1/items/{content_id(Path(uri).read_bytes())}").json()


def test_audits_break_the_promise_of_one_kind_and_the_other_goes_on(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    with serving(tmp_path, tasks=("detection",), uri_roots=(folder,)) as served:
        here = Street(served, folder)
        asked = {"url": receiver.url, "events": ["promise.withdrawn"]}
        assert served.client.post("/v1/webhooks", json=asked).status_code == 200
        assert served.client.put("/v1/policy", json={"policy": TERMS}).status_code == 200
        here.register(80)
        here.check(wrong="")
        eventually(lambda: {one["holds"] for one in here.promise()["kinds"].values()} == {True})
        here.register(40)
        here.check(wrong="")
        assert {("hsb", "accepted"), ("de", "accepted")} <= here.states(since=80)
        here.register(20)
        here.check(wrong="")  # good audits of what was answered later vouch for all of that
        here.register(40)
        eventually(lambda: not served.loop.due_for_calibration())
        monkeypatch.setattr(served.loop, "due_for_calibration", list)  # weighing shall not come before the audits
        here.check(wrong="hsb", until=lambda: not holds(served.loop.trust(served.version).promise, "known"))
        told = here.promise()
        assert (told["holds"], told["kinds"]["rest"]["holds"]) == (True, True)
        assert list(told["audits"]) == ["rest"]
        why = told["kinds"]["known"]["reason"]
        assert re.fullmatch(
            r'withdrawn at .*: \d+ of \d+ audited labels of the kind "known" were wrong in \d+ audits, which proves a '
            r'rate above alpha 30 %; everything of the kind "known" accepted since .* is queued again',
            why,
        )
        assert ("hsb", "accepted") not in here.states(since=140)
        assert {("hsb", "accepted"), ("de", "accepted")} <= here.states()
        assert ("de", "accepted") in here.states(since=140)
        eventually(lambda: bool(receiver.messages))
        (message,) = receiver.messages
        assert message["type"] == "promise.withdrawn"
        assert (message["data"]["kind"], message["data"]["reason"]) == ("known", why)
        here.register(20)
        assert ("hsb", "accepted") not in here.states(since=180)
        assert ("de", "accepted") in here.states(since=180)
        assert all("unseen yet: withdrawn at" in one for one in here.reasons("hsb", since=180))
        page = served.client.get(f"/models/{served.version}", headers={"Accept-Language": "zh"}).text
        assert "类别“known”中目前不免检接受任何标签：已于" in page
        assert "其余条目中免检接受分数不超过" in page
        page = served.client.get("/").text
        assert "Promises of kinds are withdrawn: audits found too many errors." in page
        page = served.client.get(f"/models/{served.version}").text
        assert "Of the kind &#34;known&#34; nothing is accepted unseen yet: withdrawn at" in page
        assert "Of the rest scores up to" in page
        tried = dry_run(served.loop, "detection", served.loop.policies.of("detection")).title
        assert 'of the kind "known" nothing is accepted unseen yet: withdrawn, as audits found too many' in tried
        monkeypatch.undo()
        while not here.promise()["kinds"]["known"]["holds"]:  # until it is earned anew, from checks since then
            assert len(here.languages) < 500
            here.register(20)
            here.check(wrong="")
