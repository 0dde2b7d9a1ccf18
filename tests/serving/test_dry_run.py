"""What another policy would do: decided from the store, and nothing in it changes."""

from pathlib import Path
from typing import Any

import pytest

from models.errors import InvalidInput, NotFound
from serving.dry_run import POLICY, dry_run, read_policy
from serving.loop import Loop
from serving.media_files import MediaFiles
from serving.settings import Settings
from serving.store import Store
from tests.serving.test_loop_versions import add, decision, post, work_off
from tests.serving.work import Clock, settings

NOW = {"alpha": 0.2, "delta": 0.2, "calibration_share": 0.5, "audit_share": 0.1}


@pytest.fixture
def known(tmp_path: Path) -> tuple[Loop, Settings]:
    """A loop with 150 checked items, a third of them wrong, and as many open ones."""
    chosen = settings(tmp_path / "data", **NOW)
    loop = Loop(Store.open(f"sqlite:///{tmp_path}/store.db"), MediaFiles(tmp_path / "media"), chosen, Clock())
    add(loop, tmp_path, "v1")
    loop.promote("v1", "tester")
    items = [post(loop, i, score=i / 300) for i in range(300)]
    work_off(loop, items, wrong=lambda i: i >= 200)
    return loop, chosen


def policy(folder: Path, text: str) -> Path:
    path = folder / "p.toml"
    path.write_text(text)
    return path


def test_what_it_says_is_what_the_loop_then_does(known: tuple[Loop, Settings]) -> None:
    loop, chosen = known
    items = [post(loop, f"more {i}", i / 300) for i in range(300)]
    before = {item.id: decision(loop, item) for item in items}
    outcome = dry_run(loop.store, chosen, "detection", "settings", Clock())
    assert {item.id: decision(loop, item) for item in items} == before
    assert not loop.trust("v1").holds
    counts = loop.store.items.counts("detection", Clock().now)
    assert sum(outcome.items.values()) == counts["preannotated"]
    loop.recalibrate("v1", "tester")
    assert loop.store.items.counts("detection", Clock().now)["accepted"] == outcome.items["accept"] > 0
    assert "accept" not in outcome.seconds
    assert outcome.total_s == pytest.approx(outcome.seconds["review"] + outcome.seconds.get("audit", 0))
    assert "is within the accepted score" in outcome.examples["accept"]


def test_a_stricter_policy_accepts_less_and_costs_more(known: tuple[Loop, Settings], tmp_path: Path) -> None:
    loop, chosen = known
    strict = read_policy(policy(tmp_path, "alpha = 0.05\nbudget_s_per_day = 3600\n"), chosen)
    now = dry_run(loop.store, chosen, "detection", "settings", Clock())
    then = dry_run(loop.store, strict.over(chosen), "detection", strict.version, Clock())
    assert strict.version.startswith("policy-")
    assert strict.budget_s_per_day == 3600
    assert then.items.get("accept", 0) < now.items["accept"]
    assert then.total_s > now.total_s
    assert chosen.alpha == 0.2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alpha = 2.0", r"p.toml: .*alpha"),
        ("alpha = ", "p.toml: expected TOML"),
        ("host = 'x'", "p.toml: expected alpha, delta, .*, got 'host'"),
        ("budget_s_per_day = 0", "budget_s_per_day: expected seconds above 0, got 0"),
        ("budget_s_per_day = 'long'", "budget_s_per_day: expected seconds above 0, got 'long'"),
    ],
)
def test_a_broken_policy_is_refused(known: tuple[Loop, Settings], tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_policy(policy(tmp_path, text), known[1])
    with pytest.raises(NotFound, match="expected a policy"):
        read_policy(tmp_path / "none.toml", known[1])


def test_every_line_of_a_policy_is_a_setting_and_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    fields: dict[str, Any] = dict(Settings.model_fields)
    assert set(POLICY) <= set(fields)
    assert all(f"\n{name} = " in readme for name in POLICY)
