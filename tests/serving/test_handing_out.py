"""Who gets what next, by the policy in force: skills, the mix of strategies, deadlines, the budget of a day."""

import socket
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from models.records import Item
from selection.policy import Policy
from selection.routing import DRAWN
from serving.intake import Registration
from serving.media_files import content_id
from serving.policies import parse_policy
from tests.serving.browser import listening
from tests.serving.served import eventually, picture, serving
from tests.serving.work import START, Clock, boxes, correction, new_loop, prediction, serve


class Desk:
    """A loop with a clock, whose items are told by name."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.clock, self.names = Clock(), dict[str, str]()
        self.loop = new_loop(folder, self.clock, **{"calibration_share": 0.001, **values})
        serve(self.loop, folder)

    def post(self, name: str, score: float = 0.5, *categories: str, **known: Any) -> None:
        item = Item(content_id(name.encode()), f"{name}.jpg", **known)
        self.names[item.id] = name
        said = prediction(score, boxes(*categories) if categories else None)
        self.loop.record("detection", item, name.encode(), said, "v1", None, "poster")

    def adopt(self, **terms: Any) -> Policy:
        policy = parse_policy(terms, "p", self.loop.policies.default)
        self.loop.adopt(policy, None, "ada")
        return policy

    def lease(self, limit: int = 9, annotator: str = "ada") -> list[str]:
        self.clock.forward(1)
        return [self.names[one.item.id] for one in self.loop.lease("detection", limit, annotator, "tester")]

    def correct(self, name: str, seconds: float) -> None:
        given = replace(correction(name, "car"), item_id=content_id(name.encode()), seconds=seconds)
        self.loop.correct(given, None, "tester")

    def why(self, annotator: str = "ada") -> tuple[str, float | None]:
        nothing = self.loop.why_nothing("detection", annotator)
        return nothing.reason, nothing.retry_after_s


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_people_get_what_they_can_do_and_hear_why_they_get_nothing(desk: Desk) -> None:
    desk.post("sorbian", language="hsb")
    desk.post("german", language="de")
    desk.post("unknown")
    desk.post("bus", 0.5, "bus", "car", language="hsb")
    skills = {"languages": ["hsb"], "categories": ["car"]}
    desk.adopt(annotators={"ada": skills, "bob": {"tasks": ["asr"]}})
    assert desk.lease(9, "bob") == []
    assert desk.why("bob") == ("bob does tasks asr; 4 items of detection wait for others", None)
    assert sorted(desk.lease(9, "ada")) == ["sorbian", "unknown"]
    assert desk.lease(9, "ada") == []
    reason = "nothing that ada can do (languages hsb; categories car) is open; 2 items of detection wait for others"
    assert desk.why("ada") == (reason, None)
    one = desk.lease(1, "eve")
    assert desk.why("bob") == ("bob does tasks asr; 1 item of detection waits for others", None)
    assert sorted([*one, *desk.lease(9, "eve")]) == ["bus", "german"]
    assert desk.why("eve") == ("nothing is open; others hold 2 items of detection", None), "ada does"
    assert desk.why("ada") == ("nothing is open", None), "of what others hold, she can do nothing"
    desk.clock.forward(3600)
    assert desk.why("eve") == ("nothing is open", None), "their leases have ended"


def test_who_gets_nothing_hears_of_what_the_model_is_still_to_see(desk: Desk) -> None:
    desk.loop.register([Registration(f"{n}.jpg", "detection", picture(n)) for n in range(2)], "poster")
    assert desk.why("ada") == ("nothing is open; 2 items of detection wait for the model", None)


LANGUAGES, CATEGORIES = ["de", "hsb", "en"], ["car", "bus", "van"]
some = st.none() | st.sets(st.sampled_from(LANGUAGES)).map(sorted)
kinds = st.none() | st.sets(st.sampled_from(CATEGORIES)).map(sorted)
media = st.tuples(st.none() | st.sampled_from(LANGUAGES), st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=3))


@examples(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(media, min_size=1, max_size=8), some, kinds)
def test_skills_are_never_violated_and_keep_nothing_back(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any], languages: list[str] | None, names: list[str] | None
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"), audit_share=0.5)
    for number, (language, categories) in enumerate(found):
        desk.post(str(number), 0.5, *categories, language=language)
    skills = {"languages": languages, "categories": names}
    desk.adopt(annotators={"ada": {name: value for name, value in skills.items() if value is not None}})
    able = [
        str(number)
        for number, (language, categories) in enumerate(found)
        if (languages is None or language is None or language in languages)
        and (names is None or set(categories) <= set(names))
    ]
    assert sorted(desk.lease(20)) == sorted(able)
    desk.loop.store.close()


def test_strategies_share_the_queue(desk: Desk) -> None:
    """Uncertainty takes the doubtful from above; what chance picks lies anywhere."""
    for number in range(400):
        desk.post(str(number), number / 400)
    desk.adopt(strategies=[{"name": "uncertainty", "share": 0.75}, {"name": "random", "share": 0.25}])
    taken = [name for _ in range(20) for name in desk.lease(4)]
    assert len(taken) == len(set(taken)) == 80
    assert sum(int(name) >= 320 for name in taken) >= 60  # 60 by doubt, and those that chance finds there
    assert sum(int(name) < 320 for name in taken) == pytest.approx(16, abs=6)
    one_by_one = Counter(int(name) >= 300 for _ in range(60) for name in desk.lease(1))
    assert one_by_one[False] == pytest.approx(15, abs=12)


def test_what_is_due_goes_first_where_the_budget_would_not_reach_it(desk: Desk) -> None:
    for number in range(40):
        desk.post(f"sure {number}", 0.01, group="batch-7")
        desk.post(f"doubtful {number}", 0.9)
    tomorrow = START + timedelta(days=1)
    deadlines = [{"group": "batch-7", "by": (tomorrow + timedelta(hours=2)).isoformat()}]
    assert desk.adopt(budget_s_per_day=1e6, deadlines=deadlines).budget_s_per_day == 1e6
    assert all(name.startswith("doubtful") for name in desk.lease(5))  # all will be done today
    desk.adopt(budget_s_per_day=100, deadlines=deadlines)
    assert all(name.startswith("sure") for name in desk.lease(5))
    desk.adopt(deadlines=deadlines)
    assert all(name.startswith("doubtful") for name in desk.lease(5))  # due later than in a day
    desk.clock.forward(3 * 3600)
    assert all(name.startswith("sure") for name in desk.lease(5))


def test_a_day_has_so_many_seconds_but_what_is_due_is_handed_out(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        desk.post(name, 0.5)
    desk.post("due", 0.5, group="g")
    desk.adopt(budget_s_per_day=60)
    desk.correct("a", 59)
    assert len(desk.lease(1)) == 1
    desk.correct("b", 2)
    assert desk.lease(9) == []
    reason, wait = desk.why()
    assert reason == "today's 60 human seconds are used up; more is handed out from 2026-01-02 00:00 UTC on"
    assert wait == pytest.approx(12 * 3600, abs=60)
    desk.adopt(budget_s_per_day=60, deadlines=[{"group": "g", "by": (START + timedelta(hours=5)).isoformat()}])
    assert desk.lease(9, "bob") in ([], ["due"])  # who had it first holds it
    desk.clock.forward(12 * 3600)
    assert desk.lease(9)


def test_audits_keep_their_places_in_a_mix(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), calibration_share=0.5) as served:
        for shade in range(40):
            served.client.post("/v1/detection/annotate", content=picture(shade))
        mix = [{"name": "k-center", "share": 0.5}, {"name": "random", "share": 0.5}]
        served.client.put("/v1/policy", json={"policy": {"strategies": mix}})
        handed = served.client.get("/v1/queue/detection?limit=12&annotator=ada").json()
        assert handed["reason"] is None
        drawn = [one for one in handed["items"] if one["route"]["decision"] in DRAWN]
        assert len(handed["items"]) == 12
        assert 6 <= len(drawn) <= 7
        served.client.put("/v1/policy", json={"policy": {"budget_s_per_day": 1}})
        sent = {"task": "detection", "label": handed["items"][0]["label"], "annotator": "ada", "seconds": 3}
        item = handed["items"][0]["item_id"]
        assert served.client.post(f"/v1/items/{item}/correction", json=sent).status_code == 200
        empty = served.client.get("/v1/queue/detection?annotator=ada")
        assert empty.json()["items"] == []
        assert "today's 1 human seconds are used up" in empty.json()["reason"]
        assert 0 < int(empty.headers["Retry-After"]) <= 86400


def test_over_http_a_person_says_how_many_seconds_they_have(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=["detection"]) as served:
        for shade in range(8):
            served.client.post("/v1/detection/annotate", content=picture(shade))
        usual = served.client.get("/v1/queue/detection?annotator=bob").json()["items"][0]["uncertainty"]["seconds"]
        path = "/v1/queue/detection?annotator=ada&seconds="
        held = served.client.get(f"{path}{3.5 * usual}").json()["items"]
        assert len(held) == 3
        assert sum(one["uncertainty"]["seconds"] for one in held) <= 3.5 * usual
        assert len(served.client.get(f"{path}{3.5 * usual}&limit=1").json()["items"]) == 1
        nothing = served.client.get(f"{path}{usual / 2}").json()
        assert nothing["items"] == []
        assert nothing["reason"] == (
            f"nothing that takes at most {usual / 2:g} s is open for ada; 3 items of detection wait for others"
        )
        assert served.client.get(f"{path}0").status_code == 422


def test_who_leaves_before_they_are_told_holds_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=["detection"]) as served, listening(served.app) as base:
        item = httpx.post(f"{base}/v1/detection/annotate", content=picture()).json()["item_id"]
        inside, place = served.deployment.admission, urlsplit(base)
        with closing(sqlite3.connect(tmp_path / "store.db")) as busy:
            busy.execute("BEGIN IMMEDIATE")  # so that nothing can be leased yet
            with socket.create_connection((place.hostname, place.port), timeout=10) as ada:
                ada.sendall(b"GET /v1/queue/detection?annotator=ada HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                eventually(lambda: inside.inside == 1)
                sleep(0.3)  # it waits for the store
            busy.rollback()
        eventually(lambda: inside.inside == 0)
        (next_one,) = httpx.get(f"{base}/v1/queue/detection?annotator=ada").json()["items"]
        assert next_one["item_id"] == item
