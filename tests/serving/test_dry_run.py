"""What another policy would do: decided from the store, and nothing in it changes."""

from pathlib import Path

import pytest

from serving.dry_run import dry_run
from serving.loop import Loop
from serving.policies import read_policy
from tests.serving.test_loop_versions import decision, post, work_off
from tests.serving.work import Clock, new_loop, serve

NOW = {"alpha": 0.2, "delta": 0.2, "calibration_share": 0.5, "audit_share": 0.1}


@pytest.fixture
def known(tmp_path: Path) -> Loop:
    """A loop with 150 checked items, a third of them wrong, and as many open ones."""
    loop = new_loop(tmp_path, None, **NOW)
    serve(loop, tmp_path)
    items = [post(loop, i, score=i / 300) for i in range(300)]
    work_off(loop, items, wrong=lambda i: i >= 200)
    return loop


def policy(folder: Path, text: str) -> Path:
    path = folder / "p.toml"
    path.write_text(text)
    return path


def test_what_it_says_is_what_the_loop_then_does(known: Loop) -> None:
    loop = known
    items = [post(loop, f"more {i}", i / 300) for i in range(300)]
    before = {item.id: decision(loop, item) for item in items}
    outcome = dry_run(loop, "detection", loop.policies.default)
    assert {item.id: decision(loop, item) for item in items} == before
    assert not loop.trust("v1").holds
    counts = loop.store.items.counts("detection", Clock().now)
    assert sum(outcome.items.values()) == counts["preannotated"]
    loop.recalibrate("v1", "tester")
    assert loop.store.items.counts("detection", Clock().now)["accepted"] == outcome.items["accept"] > 0
    assert "accept" not in outcome.seconds
    assert outcome.total_s == pytest.approx(outcome.seconds["review"] + outcome.seconds.get("audit", 0))
    assert "is within the accepted score" in outcome.examples["accept"]
    assert outcome.otherwise["accept"].endswith("it would be reviewed")


def test_each_kind_is_told_in_a_line(known: Loop, tmp_path: Path) -> None:
    loop = known
    kinds = 'kinds = [{task = "detection", name = "cars", category = "car"}]'
    tried = dry_run(loop, "detection", read_policy(policy(tmp_path, kinds), loop.policies.default))
    version, cars, rest = tried.title.split("\n")
    assert version == f"{tried.policy}:"
    assert cars.startswith('of the kind "cars" scores up to 0.')
    assert rest.startswith("of the rest nothing is accepted unseen yet: 0 random checks are weighed")
    assert tried.rows()[0][3].startswith('it is of the kind "cars"; p_error')


def test_a_stricter_policy_accepts_less_and_costs_more(known: Loop, tmp_path: Path) -> None:
    loop = known
    strict = read_policy(policy(tmp_path, "alpha = 0.05\nbudget_s_per_day = 3600\n"), loop.policies.default)
    now = dry_run(loop, "detection", loop.policies.default)
    then = dry_run(loop, "detection", strict)
    assert strict.version.startswith("policy-")
    assert strict.budget_s_per_day == 3600
    assert then.items.get("accept", 0) < now.items["accept"]
    assert then.total_s > now.total_s
    assert loop.policies.of("detection").alpha == 0.2
