"""Policies: read from TOML, adopted in the store, in force from the next decision on."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from models.errors import InvalidInput, NotFound
from models.records import TASKS, Task
from selection.policy import KEYS, Policy
from selection.routing import DRAWN
from serving.loop import Loop, Registration
from serving.policies import default_policy, json_schema, parse_policy, read_policy, to_json
from serving.settings import Settings
from tests.serving.served import eventually, picture, serving
from tests.serving.test_loop_versions import EASY, Build, build, correct, decision, post, work_off
from tests.serving.work import Clock, after, boxes

__all__ = ["build"]

DEFAULT = Policy()


def test_a_policy_is_named_by_its_terms_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("# stricter\nalpha = 0.01\n")
    first = read_policy(path, DEFAULT)
    path.write_text("delta = 0.05   # as before\n\nalpha = 0.010\n")
    assert read_policy(path, DEFAULT) == first
    assert read_policy(path, DEFAULT).version == first.version != DEFAULT.version
    assert first.version.startswith("policy-")
    assert parse_policy(to_json(first), "again", Policy(alpha=0.5)) == first


def test_the_settings_are_the_policy_by_default() -> None:
    chosen = Settings.model_validate({"alpha": 0.1, "matters_iou": 0.7, "promise_of": "parts"})
    policy = default_policy(chosen)
    assert (policy.alpha, policy.matters_iou, policy.of_parts) == (0.1, 0.7, True)
    assert policy.matters == chosen.matters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alpha = 2.0", r"p.toml: alpha: expected a number in \[1e-06, 1\), got 2.0"),
        ("delta = 'often'", "p.toml: delta: .*valid number.*, got 'often'"),
        ("audit_share = 0", r"p.toml: audit_share: expected a share in \(0, 1\], got 0.0"),
        ("promise_of = 'wholes'", "p.toml: promise_of: .*'items' or 'parts', got 'wholes'"),
        ("matters_iou = 0", "p.toml: matters: expected .*0 < iou <= 1"),
        ("alpha = ", "p.toml: expected TOML"),
        ("host = 'x'", "p.toml: expected alpha, delta, .*, got 'host'"),
        ("budget_s_per_day = 0", "p.toml: budget_s_per_day: expected seconds above 0, at most 1e\\+09, got 0.0"),
        ("checks_from = 2026-01-01T00:00:00", "p.toml: checks_from: expected a time with its zone, got '2026"),
        (
            "checks_from = '20261201'",
            "p.toml: checks_from: expected a time such as 2026-12-01T12:00:00Z, got '20261201'",
        ),
        ("checks_from = 9999-12-31T23:59:59-14:00", "p.toml: checks_from: expected a time from year 1 to 9999 of UTC"),
        ("deadlines = [{group = 'a', by = 0001-01-01T00:00:00+14:00}]", "p.toml: deadlines: by: expected a time from"),
        ("alpha = " + "1" * 5000, "p.toml: expected TOML, got an error: Exceeds the limit"),
        ("alpha = " + "[" * 5000, "p.toml: expected TOML, got an error: maximum recursion depth"),
        ("rules = [{task = 'asr', text = 'a{9999999999}'}]", "p.toml: rules: text: expected a regular expression"),
        ("rules = [{category = 'car'}]", "p.toml: rules.0.task: .*required"),
        ("rules = [{task = 'asr', colour = 'red'}]", "p.toml: rules.0.colour: expected no key beside task, .*, got"),
        ("rules = [{task = 'asr', category = 'car'}]", "p.toml: rules: expected category in rules of detection alone"),
        ("budget_s_per_day = 'long'", "p.toml: budget_s_per_day: .*valid number.*, got 'long'"),
    ],
)
def test_a_broken_policy_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text("\ufeff" + text, encoding="utf-8")  # as some editors begin a file
    with pytest.raises(InvalidInput, match=said):
        read_policy(path, DEFAULT)
    with pytest.raises(NotFound, match="expected a policy"):
        read_policy(tmp_path / "none.toml", DEFAULT)


@pytest.mark.parametrize(
    "terms",
    [
        {"alpha": 1.0},
        {"alpha": 1e-9},
        {"delta": 0},
        {"audit_share": 0},
        {"calibration_share": 1.1},
        {"planted_share": 1},
        {"planted_share": -0.1},
        {"matters_wer": 1},
        {"matters_iou": 0},
        {"matters_lane_px": 513},
        {"budget_s_per_day": 0},
        {"budget_s_per_day": 2e9},
        {"rules": [{"task": "asr", "confidence_below": 0}]},
        {"kinds": [{"task": "asr", "name": "a", "more_than": -1}]},
        {"strategies": []},
        {"strategies": [{"name": "random", "share": 1.5}]},
    ],
)
def test_the_published_schema_refuses_what_a_policy_refuses(terms: dict[str, Any]) -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    with pytest.raises(InvalidInput):
        parse_policy(terms, "p", DEFAULT)
    assert not schema.is_valid(terms)
    assert schema.is_valid(to_json(DEFAULT))


def test_every_term_of_a_policy_is_documented() -> None:
    told = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    assert [name for name in KEYS if f"`{name}`" not in told] == []


def test_each_decision_names_the_policy_that_was_in_force(build: Build) -> None:
    loop = build(**EASY)
    before = post(loop, "before", 0.5)
    strict = Policy(alpha=0.1, delta=0.2, calibration_share=0.5, audit_share=0.1)
    loop.adopt(strict, "asr", "ada")
    assert policy_of(loop, post(loop, "of another task", 0.5)) == loop.policies.default.version
    adopted = loop.adopt(strict, None, "ada")
    after = post(loop, "after", 0.5)
    assert [policy_of(loop, item) for item in (before, after)] == [loop.policies.default.version, strict.version]
    assert [version.name for version in loop.due_for_calibration()] == ["v1"]
    loop.recalibrate("v1", "worker")
    assert policy_of(loop, before) == strict.version
    assert loop.due_for_calibration() == []
    assert (adopted.actor, adopted.version) == ("ada", strict.version)
    assert [one.task for one in loop.policies.history()] == ["asr", None]
    assert loop.report()["tasks"]["detection"]["promise"]["policy"] == strict.version


def test_the_last_adoption_counts_for_a_task_and_for_all(build: Build) -> None:
    loop = build(**EASY)
    adoptions: tuple[tuple[Task | None, float], ...] = (("asr", 0.3), (None, 0.4), ("lane", 0.5))
    for task, alpha in adoptions:
        loop.adopt(Policy(alpha=alpha), task, "ada")
    assert [loop.policies.of(task).alpha for task in TASKS] == [0.4, 0.4, 0.5]
    assert build(alpha=0.9).policies.of("detection").alpha == 0.4


def test_the_smallest_share_of_a_time_is_that_of_any_policy_then_in_force(build: Build) -> None:
    loop = build(calibration_share=0.5)
    adoptions: tuple[tuple[float, Task | None, float], ...] = (
        (10, "detection", 0.2), (20, "asr", 0.1), (30, None, 0.9), (40, "detection", 0.4), (39, "detection", 0.7)
    )  # fmt: skip
    for at, task, share in adoptions:
        loop.policies.adopt(Policy(calibration_share=share), task, "ada", after(at))
    shares = loop.policies.shares("detection")
    times = {(0, 9): 0.5, (0, 10): 0.2, (9, 50): 0.2, (10, 11): 0.2, (11, 30): 0.2, (30, 39): 0.9, (35, 45): 0.4,
             (40, 41): 0.7, (50, 60): 0.7, (60, 50): 0.7, (29, 35): 0.2}  # fmt: skip
    assert {time: shares.smallest(*map(after, time)) for time in times} == times
    assert loop.policies.shares("asr").smallest(after(25), after(31)) == 0.1
    assert loop.policies.shares("lane").smallest(after(0), after(60)) == 0.5
    assert build(calibration_share=0.3).policies.shares("lane").smallest(after(0), after(29)) == 0.3


def test_shares_of_the_settings_count_from_one_start_of_the_service_to_the_next(build: Build) -> None:
    for at, share in ((0, 0.2), (10, 0.2), (20, 0.5), (40, 0.1), (50, 0.6)):
        build(calibration_share=share).policies.begin("settings", after(at))
    loop = build(calibration_share=0.6)
    loop.policies.adopt(Policy(calibration_share=0.7), "asr", "ada", after(45))
    lane, asr = loop.policies.shares("lane"), loop.policies.shares("asr")
    times = {(0, 19): 0.2, (5, 25): 0.2, (20, 39): 0.5, (20, 60): 0.1, (50, 60): 0.6}
    assert {time: lane.smallest(*map(after, time)) for time in times} == times
    assert asr.smallest(after(20), after(44)) == 0.1
    assert asr.smallest(after(46), after(60)) == 0.7
    kept = [one for one in loop.store.changes.page(99) if one.verb == "set"]
    assert [one.detail for one in kept] == [{"to": share} for share in (0.6, 0.1, 0.5, 0.2)]


def test_each_start_of_the_service_notes_a_share_that_is_new(tmp_path: Path) -> None:
    for share in (0.2, 0.2, 0.4):
        with serving(tmp_path, tasks=(), calibration_share=share) as served:
            kept, shares = served.loop.store.policies.shares_set(), served.loop.policies.shares("asr")
    assert [to for _, to in kept] == [0.2, 0.4]
    assert shares.smallest(*(at for at, _ in kept)) == 0.2


def test_a_promise_for_other_terms_is_not_used(build: Build) -> None:
    loop = build(**EASY)
    work_off(loop, [post(loop, i, i / 300) for i in range(300)], wrong=lambda i: i >= 200)
    loop.recalibrate("v1", "worker")
    assert loop.trust("v1").holds
    terms = to_json(loop.policies.default)
    loop.adopt(parse_policy({"alpha": 0.001}, "p", loop.policies.default), None, "ada")
    assert not loop.trust("v1").holds
    assert decision(loop, post(loop, "sure", 0.001)) != "accept"
    loop.adopt(parse_policy(terms, "p", loop.policies.default), None, "ada")
    assert loop.trust("v1").holds


RULED = {"rules": [{"task": "detection", "category": "bus"}, {"task": "detection", "group": "batch-*"}]}


def test_what_a_rule_catches_is_reviewed_and_no_evidence(build: Build) -> None:
    """Buses are always right and cars never doubted by chance: without buses there are too few checks to promise."""
    loop = build(**EASY)
    items = [post(loop, i, 0.01, label=boxes("bus" if i % 10 else "car")) for i in range(60)]
    for i, item in enumerate(items):
        if decision(loop, item) in DRAWN:
            correct(loop, item, "bus" if i % 10 else "car")
    assert loop.recalibrate("v1", "worker").holds
    assert "accept" in {decision(loop, item) for item in items}
    loop.adopt(parse_policy(RULED, "p", loop.policies.default), None, "ada")
    assert decision(loop, post(loop, "a bus", 0.01, label=boxes("bus"))) in ("review", *DRAWN)
    assert not loop.trust("v1").holds  # it was made with buses
    trust = loop.recalibrate("v1", "worker")
    assert not trust.holds
    assert trust.told()["calibrated_on"] == 0


def test_a_rule_knows_what_an_item_was_registered_with(build: Build, tmp_path: Path) -> None:
    loop = build(**EASY)
    work_off(loop, [post(loop, i, 0.01) for i in range(60)], wrong=lambda i: False)
    loop.adopt(parse_policy(RULED, "p", loop.policies.default), None, "ada")
    assert loop.recalibrate("v1", "worker").holds
    for i in range(20):
        (tmp_path / f"{i}.jpg").write_bytes(f"more {i}".encode())
        registration = Registration(str(tmp_path / f"{i}.jpg"), "detection", tmp_path / f"{i}.jpg", "batch-7")
        loop.register([registration], "tester")
    caught = {decision(loop, post(loop, f"more {i}", 0.01)) for i in range(20)}
    free = {decision(loop, post(loop, f"others {i}", 0.01)) for i in range(20)}
    assert "review" in caught
    assert "accept" not in caught
    assert "accept" in free


def test_checks_of_before_may_not_count(build: Build) -> None:
    loop = build(**EASY)
    work_off(loop, [post(loop, i, 0.01) for i in range(60)], wrong=lambda i: False)
    assert loop.recalibrate("v1", "worker").holds
    later = parse_policy({"checks_from": after(1).isoformat()}, "p", loop.policies.default)
    loop.adopt(later, None, "ada")
    assert not loop.recalibrate("v1", "worker").holds
    assert loop.policies.of("detection").checks_from == after(1)


def policy_of(loop: Loop, item: Any) -> str | None:
    answer = loop.answered(item.id, "detection", "v1")
    assert answer is not None
    return answer.decision.policy


def test_a_service_follows_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",)) as served:
        client = served.client
        first = client.post("/v1/detection/annotate", content=picture(1)).json()
        shown = client.get("/v1/policy").json()["tasks"]["detection"]
        assert shown["version"] == first["route"]["policy"]
        assert (shown["adopted_by"], shown["adopted_at"]) == (None, None)
        answer = client.put("/v1/policy", json={"policy": {"alpha": 0.01, "calibration_share": 1.0}})
        adopted = answer.json()["tasks"]["detection"]
        assert answer.status_code == 200
        assert (adopted["policy"]["alpha"], adopted["adopted_by"]) == (0.01, "local")
        second = client.post("/v1/detection/annotate", content=picture(2)).json()
        assert second["route"]["policy"] == adopted["version"] != shown["version"]
        assert second["route"]["decision"] == "calibrate"  # all of them are checked now

        def decided_anew() -> bool:
            history = client.get(f"/v1/items/{first['item_id']}").json()
            return [one["policy"] for one in history["preannotations"]] == [adopted["version"]]

        eventually(decided_anew)
        refused = client.put("/v1/policy", json={"policy": {"alpha": 7}})
        assert (refused.status_code, "alpha: expected" in refused.text) == (422, True)
        assert client.get("/v1/policy").json()["tasks"]["detection"]["version"] == adopted["version"]


def test_only_an_admin_adopts(tmp_path: Path) -> None:
    from serving.tokens import make_token

    with serving(tmp_path, tasks=()) as served:
        looks = make_token(served.loop.store, "ada", ["promote"], "cli", Clock().now)
        rules = make_token(served.loop.store, "bob", ["admin"], "cli", Clock().now)
        body = {"policy": {"alpha": 0.01}, "task": "asr"}
        answers = [
            served.client.put("/v1/policy", json=body, headers={"Authorization": f"Bearer {secret}"})
            for secret in (looks, rules)
        ]
        assert [answer.status_code for answer in answers] == [403, 200]
        tasks = answers[1].json()["tasks"]
        assert (tasks["asr"]["adopted_by"], tasks["lane"]["adopted_by"]) == ("bob", None)


def test_the_command_adopts_shows_and_tells_of_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from serving.cli import app

    db, path = f"sqlite:///{tmp_path}/store.db", tmp_path / "p.toml"
    path.write_text('alpha = 0.01\nbudget_s_per_day = 3600\n[[rules]]\ntask = "asr"\ntext = "dźeń"\n')

    def prelabel(*words: str) -> str:
        app([*words, "--db", db], standalone_mode=False)
        return capsys.readouterr().out

    assert "as the settings say" in prelabel("policy", "show", "--task", "asr")
    version = prelabel("policy", "adopt", str(path)).split()[0]
    shown = prelabel("policy", "show", "--task", "lane")
    assert f"lane: {version}, adopted by cli" in shown
    again = tmp_path / "again.toml"
    again.write_text(shown.split("UTC", 1)[1])
    assert read_policy(again, Policy(delta=0.5)).version == version
    assert prelabel("policy", "history").count(version) == 1
