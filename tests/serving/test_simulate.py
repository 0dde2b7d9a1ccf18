"""The simulation: its annotator, what takes part, its arms on tiny versions, and that nothing stops it."""

import errno
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from rich.console import Console

from models import datasets
from models.errors import InvalidInput, NotFound
from models.records import Box, Boxes, Item, Lane, Lanes, Task, Transcript
from models.versions import CHECKPOINT, TRAINING_IDS, Version, write_manifest
from selection.policy import Policy
from selection.rules import Rule
from serving.loop import Loop
from serving.media_files import content_id
from serving.settings import Settings
from serving.simulate import Request, overview, simulate
from serving.simulation import page
from serving.simulation.arms import ARMS
from serving.simulation.document import ArmReport, SimulationReport, to_json
from serving.simulation.figures import estimate
from serving.simulation.person import Person
from serving.simulation.plan import Plan
from serving.simulation.pool import read_pool
from serving.simulation.rounds import Round, _Turn, turn
from serving.simulation.workshop import Workshop
from serving.store import Store
from tests.labelled import data_set
from tests.serving.work import settings
from tests.tiny_versions import NOW, make_version

SYSTEM = next(one for one in ARMS if one.name == "system")
SMALL: dict[str, Any] = {"rounds": 2, "seeds": 2, "epochs": 0, "mistakes": 0.0, "groups": False}


ONE = Transcript("one")


class TestPerson:
    LABELS = (
        Transcript("one two three"),
        Boxes(9, 9, (Box((0, 0, 2, 2), "car"), Box((4, 4, 8, 8), "bus"))),
        Lanes(9, 9, (Lane(((0, 0), (1, 9))), Lane(((5, 0), (5, 9))))),
    )

    @pytest.mark.parametrize("label", LABELS, ids=lambda label: type(label).__name__)
    def test_slips_at_the_set_rate_at_the_same_items_and_by_one_part(self, label: Any) -> None:
        person = Person(0.2, 3, ("one", "four"))
        said = [person.label(str(number), label) for number in range(1000)]
        slips = [one for one in said if one != label]
        assert 150 <= len(slips) <= 250
        assert said == [person.label(str(number), label) for number in range(1000)]
        assert all(len(parts(label)) - 1 <= len(parts(one)) <= len(parts(label)) for one in slips)

    def test_two_people_slip_at_different_items(self) -> None:
        slips = [{number for number in range(1000) if Person(0.1, 0, ("two",), name).label(str(number), ONE) != ONE}
                 for name in ("ada", "ben")]  # fmt: skip
        assert 1 <= len(slips[0] & slips[1]) <= 30
        assert len(slips[0] | slips[1]) > 150

    def test_mishears_a_word_as_another(self) -> None:
        heard = {Person(0.999, 0, ("one", "two")).label(str(number), Transcript("one")) for number in range(50)}
        assert heard == {Transcript("two")}

    def test_misses_nothing_where_nothing_is(self) -> None:
        assert Person(0.999).label("a", Boxes(9, 9)) == Boxes(9, 9)
        assert Person(0.999).label("a", Transcript("")) == Transcript("")

    def test_never_slips_unless_told(self) -> None:
        assert all(Person().label(str(number), self.LABELS[0]) == self.LABELS[0] for number in range(100))
        with pytest.raises(InvalidInput, match=r"expected a share of mistakes in \[0, 1\), got 1"):
            Person(1)


def parts(label: Any) -> Any:
    return label.text.split() if isinstance(label, Transcript) else getattr(label, "boxes", getattr(label, "lanes", ()))


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(tmp_path / "kept", database_url=f"sqlite:///{tmp_path}/store.db", calibration_share=0.5)


@pytest.fixture
def served(tmp_path: Path, chosen: Settings) -> Callable[..., tuple[Loop, Version]]:
    """A store in which a tiny version of the task serves."""

    def serve(task: Task, size: float = 32) -> tuple[Loop, Version]:
        loop, version = Loop.open(chosen), make_version(tmp_path / "versions", task, size=size)
        loop.versions.add(version.folder, "tester")
        loop.versions.promote(version.name, "tester", force=True)
        return loop, version

    return serve


def sound_s(item: Item) -> float:
    return float(soundfile.info(item.uri).duration)


# What the tiny versions say: "yes"; a car that is there, and never the bus; a line at 130.
FROM_NOTHING: dict[Task, Callable[[Item, Any], float]] = {
    "asr": lambda item, _: 5 * sound_s(item),
    "detection": lambda _, label: 3.4 + 7 * len(label.boxes),
    "lane": lambda _, label: 3.4 + 9.6 * len(label.lanes),
}
REVIEWED: dict[Task, Callable[[Item, Any], float]] = {
    "asr": lambda item, label: (1.8 if label.text == "yes" else 5) * sound_s(item),
    "detection": lambda _, label: 3.4 + 1.7 + 7 * (len(label.boxes) - 1),
    "lane": lambda _, label: 3.4 + 1.7 + (4.8 + 9.6) * (label.lanes[0].points[0][0] != 130),
}


def arm(report: SimulationReport, name: str) -> ArmReport:
    return next(one for one in report.arms if one.name == name)


class TestWhatTakesPart:
    def test_what_the_first_model_was_trained_on_is_left_out_and_counted(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, version = served("asr")
        data = data_set(tmp_path / "clips", "asr", 12)
        seen = [content_id(Path(item.uri)) for item, _ in list(datasets.read(data))[:4]]
        (version.folder / TRAINING_IDS).write_text("".join(f"{one}\n" for one in sorted(seen)))
        request = Request("asr", (data,), **SMALL)
        said = io.StringIO()
        report = simulate(
            request, loop, chosen, tmp_path / "out", NOW, console=Console(file=said, width=200), processes=1
        )
        assert (report.data[0].items, report.data[0].trained_on, report.n + report.held_out_n) == (8, 4, 8)
        left_out = "simulate asr: 4 items left out, on which the first model was trained"
        assert f"{left_out}; {report.n} items to label" in said.getvalue()
        assert f"{report.n} items" in (tmp_path / "out" / "report.html").read_text()

    def test_nothing_new_to_label_is_refused(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, version = served("asr")
        data = data_set(tmp_path / "clips", "asr", 3)
        seen = [content_id(Path(item.uri)) for item, _ in datasets.read(data)]
        (version.folder / TRAINING_IDS).write_text("".join(f"{one}\n" for one in seen))
        with pytest.raises(InvalidInput, match=r"expected items to label that the first model has not seen.*3 trained"):
            simulate(Request("asr", (data,), **SMALL), loop, chosen, tmp_path / "out", NOW, processes=1)

    def test_what_measures_is_not_labelled(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, _ = served("asr")
        data = data_set(tmp_path / "clips", "asr", 6)
        more = data_set(tmp_path / "more", "asr", 9)  # the same six and three others
        report = simulate(Request("asr", (more,), (data,), **SMALL), loop, chosen, tmp_path / "out", NOW, processes=1)
        assert (report.n, report.data[0].repeated, report.held_out_n) == (3, 6, 6)

    def test_data_of_another_task_and_versions_of_another_are_refused(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, version = served("lane")
        with pytest.raises(InvalidInput, match="expected data with asr labels, got lane"):
            simulate(Request("asr", ("culane:x",), **SMALL), loop, chosen, tmp_path / "out", NOW)
        with pytest.raises(NotFound, match=f"expected a version of that task, got {version.name}"):
            simulate(Request("asr", ("nemo:x",), model=version.name), loop, chosen, tmp_path / "out", NOW)
        with pytest.raises(InvalidInput, match="expected a version with a checkpoint to learn from"):
            simulate(Request("lane", ("culane:x",)), loop, chosen, tmp_path / "out", NOW)


class TestArms:
    @pytest.mark.parametrize("task", ["asr", "detection", "lane"])
    def test_people_label_the_whole_pool_in_the_seconds_of_the_costs(
        self, tmp_path: Path, served: Any, chosen: Settings, task: Task
    ) -> None:
        loop, _ = served(task)
        request = Request(task, (data_set(tmp_path / "pool", task, 12),), **SMALL)
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        pool = read_pool(task, request.data, (), frozenset(), None, groups=False).pairs
        for name, work in (("all-human", FROM_NOTHING), ("pre-annotation", REVIEWED), ("active", REVIEWED)):
            found, expected = arm(report, name), sum(work[task](item, label) for item, label in pool)
            assert found.human_hours.mean * 3600 == pytest.approx(expected)
            assert found.points[1].labelled.mean == round(len(pool) / 2) / len(pool)
            assert (found.points[-1].labelled.mean, found.labels_wrong.mean) == (1, 0)
        assert arm(report, "all-human").points[0].labels_wrong.mean == 1
        assert 0 < arm(report, "random").points[0].labels_wrong.mean < 0.6
        assert arm(report, "all-human").of_all_human == estimate([1.0, 1.0])

    def test_labels_are_accepted_under_a_promise_by_the_system_alone(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, _ = served("detection")
        lenient = chosen.model_copy(update={"alpha": 0.7})
        data = data_set(tmp_path / "pool", "detection", 130)
        report = simulate(Request("detection", (data,), **SMALL), loop, lenient, tmp_path / "out", NOW, processes=1)
        system, active = arm(report, "system"), arm(report, "active")
        assert active.points[-1].accepted.mean == 0
        assert system.points[-1].accepted.mean > 0.2
        assert system.points[-1].accepted.mean + system.points[-1].labelled.mean == pytest.approx(1)
        assert system.of_all_human.mean < active.of_all_human.mean
        for audit in system.audits:
            assert 0 < audit.wrong / audit.accepted < (audit.most_wrong or 0) < 0.7
        assert system.labels_wrong.mean == pytest.approx(sum(one.wrong for one in system.audits) / 2 / report.n)

    def test_a_version_with_a_known_ancestor_earns_a_promise_too(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, parent = served("detection")
        child = make_version(tmp_path / "child", "detection", size=33)
        write_manifest(replace(child, parent=parent.name), [])
        loop.versions.add(child.folder, "tester")
        lenient = chosen.model_copy(update={"alpha": 0.7})
        data = data_set(tmp_path / "pool", "detection", 130)
        request = Request("detection", (data,), **{**SMALL, "seeds": 1}, model=child.name)
        report = simulate(request, loop, lenient, tmp_path / "out", NOW, processes=1)
        assert arm(report, "system").points[-1].accepted.mean > 0.2

    def test_the_report_is_written_for_programs_and_for_people(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, version = served("detection")
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 12),), **SMALL)
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        assert json.loads((tmp_path / "out" / "report.json").read_text()) == to_json(report)
        told = (tmp_path / "out" / "report.html").read_text()
        assert version.name in told
        assert all(one.words in told for one in report.arms)
        assert told.count("<polyline") == 3 * len(report.arms)
        by_constant = {(one.constant, one.factor): one.of_all_human for one in report.sensitivity}
        assert {name for name, _ in by_constant} == {"image_s", "box_verify_s", "box_draw_s"}  # nothing was adjusted
        assert by_constant["box_verify_s", 0.5]["active"] < arm(report, "active").of_all_human.mean
        assert by_constant["box_verify_s", 1.5]["all-human"] == 1
        assert [row[0] for row in overview(report)[1]] == [one.name for one in report.arms]


KINDS = """
alpha = 0.7
calibration_share = 0.6
budget_s_per_day = 1
annotators = {ada = {tasks = []}}
checks_from = 2030-01-01T00:00:00Z
kinds = [{task = "detection", name = "cars", category = "car"}]
"""


def test_a_full_disk_is_told_with_what_is_kept(
    tmp_path: Path, served: Any, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    loop, _ = served("detection")
    monkeypatch.setattr("serving.simulate.turn", full)
    request = Request("detection", (data_set(tmp_path / "pool", "detection", 20),), **{**SMALL, "seeds": 1})
    told = rf"^{tmp_path}/out: expected room for a round, got No space left on device; those that are done"
    with pytest.raises(InvalidInput, match=told):
        simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)


class TestPolicy:
    def test_it_is_tried_in_the_arms_that_choose_and_the_others_stay_as_they_are(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        loop, _ = served("detection")
        (tmp_path / "p.toml").write_text(KINDS)
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 130),), **{**SMALL, "seeds": 1})
        without = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        tried = replace(request, policy=tmp_path / "p.toml")
        report = simulate(tried, loop, chosen, tmp_path / "out", NOW, processes=1)
        for name in ("all-human", "pre-annotation", "random"):
            assert arm(report, name) == arm(without, name)
        assert arm(without, "system").points[-1].accepted.mean == 0
        assert arm(report, "active").points[-1].accepted.mean == 0
        assert arm(report, "system").points[-1].accepted.mean > 0.2
        assert (report.terms["alpha"], report.terms["calibration_share"]) == (0.7, 0.6)
        assert "policy" not in without.terms
        work = {path.name: path for path in (tmp_path / "out").glob("work-*")}
        assert len(work) == 2
        told = [
            json.loads(path.read_text())["promise"] for path in (tmp_path / "out").glob("work-*/rounds/system-0/*/*")
        ]
        assert {one["of"] for one in told} == {"items", "kinds"}
        of_kinds = next(one for one in told if one["of"] == "kinds")
        assert {kind: one["holds"] for kind, one in of_kinds["kinds"].items()} == {"cars": True, "rest": False}

    def test_it_asks_for_language_and_group_where_groups_are_no_evidence_of_their_own_too(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        _, version = served("asr")
        file = Path(data_set(tmp_path / "pool", "asr", 12).removeprefix("nemo:"))
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        german = [{**line, "lang": "de"} if 3 <= number < 7 else line for number, line in enumerate(lines)]
        file.write_text("".join(json.dumps(line) + "\n" for line in german))
        held_out = data_set(tmp_path / "held-out", "asr", 3)
        pool = read_pool("asr", (f"nemo:{file}",), (held_out,), frozenset(), None, groups=False)
        policy = Policy(rules=(Rule("asr", language="de"), Rule("asr", group="speaker 3")))
        whole = Plan("asr", version, pool, chosen, (0.5, 1.0), 0, 1.0, 0.0, tmp_path / "work", policy=policy)
        plan = replace(whole, groups=False)
        turn(plan, SYSTEM, 0, 1)
        store = Store.open(f"sqlite:///{tmp_path}/work/rounds/system-0/1/store.db")
        adopted = store.policies.in_force("asr")
        assert adopted is not None
        assert adopted.terms["groups"] is False
        reasons = " ".join(one.decision.reason for one in store.items.latest(99))
        assert (reasons.count("the language 'de'"), reasons.count("the group 'speaker 3'")) == (4, 3)

    def test_a_wrong_file_is_told(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, _ = served("lane")
        request = Request("lane", (data_set(tmp_path / "pool", "lane", 12),), **SMALL, policy=tmp_path / "none.toml")
        with pytest.raises(NotFound, match=r"none.toml: expected a policy"):
            simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)


class TestFromNothing:
    def test_the_first_rounds_labels_make_the_first_model(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, _ = served("lane")
        request = Request(
            "lane", (data_set(tmp_path / "pool", "lane", 12),), **SMALL, from_nothing=True, first_epochs=1
        )
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        assert report.start is None
        people = arm(report, "all-human")
        for one in report.arms:
            assert one.points[0].labels_wrong.mean == 1
            assert one.points[1].labelled.mean == round(report.n / 2) / report.n
            assert one.points[1].human_hours == people.points[1].human_hours
            assert one.points[-1].labelled.mean == 1
        assert people.learnt[0].startswith("seed 0, round 1: the first model, of ")
        trained = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("work-*/trained/*.json")]
        assert len(trained) == len({one["version"] for one in trained}) == 2  # one a seed, for all arms
        assert "no model at first" in (tmp_path / "out" / "report.html").read_text()

    @pytest.mark.parametrize("other", [{"rounds": 1}, {"model": "lane-000000000000"}])
    def test_what_contradicts_it_is_refused(
        self, tmp_path: Path, served: Any, chosen: Settings, other: dict[str, Any]
    ) -> None:
        loop, _ = served("lane")
        request = Request("lane", ("culane:x",), **{**SMALL, **other}, from_nothing=True)
        with pytest.raises(InvalidInput, match="from nothing: expected no version and 2 rounds or more, got "):
            simulate(request, loop, chosen, tmp_path / "out", NOW)

    def test_a_sound_is_labelled_in_the_seconds_of_its_length(
        self, tmp_path: Path, served: Any, chosen: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop, version = served("asr")
        monkeypatch.setattr(Workshop, "trained", lambda *_: version)
        request = Request("asr", (data_set(tmp_path / "pool", "asr", 12),), **SMALL, from_nothing=True)
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        pool = read_pool("asr", request.data, (), frozenset(), None, groups=False).pairs
        expected = sum(FROM_NOTHING["asr"](item, label) for item, label in pool)
        assert arm(report, "all-human").human_hours.mean * 3600 == pytest.approx(expected)


class TestWork:
    def test_goes_on_where_it_was_stopped_and_adds_seeds_to_what_is_there(
        self, tmp_path: Path, served: Any, chosen: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop, _ = served("lane")
        request = Request("lane", (data_set(tmp_path / "pool", "lane", 12),), **{**SMALL, "seeds": 1})
        whole = simulate(request, loop, chosen, tmp_path / "whole", NOW, processes=1)
        turned = 0
        round_of = _Turn.round

        def stopped(self: _Turn) -> Round:
            nonlocal turned
            turned += 1
            if turned == 4:
                raise KeyboardInterrupt
            return round_of(self)

        monkeypatch.setattr(_Turn, "round", stopped)
        with pytest.raises(KeyboardInterrupt):
            simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        assert simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1) == whole
        assert turned == 4 + 10 - 3  # three rounds were there
        simulate(replace(request, seeds=2), loop, chosen, tmp_path / "out", NOW, processes=1)
        assert turned == 11 + 10

    def test_processes_come_to_the_same(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, _ = served("detection")
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 8),), **{**SMALL, "mistakes": 0.3})
        alone, together = (
            simulate(request, loop, chosen, tmp_path / f"{count}", NOW, processes=count) for count in (1, 2)
        )
        assert alone == together
        assert arm(alone, "active").labels_wrong.mean > 0

    def test_the_model_learns_and_is_promoted_and_arms_share_what_they_learn(
        self, tmp_path: Path, served: Any, chosen: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first version looks for the line at 200; the one that is learnt at 130, where two thirds are."""
        loop, start = served("lane", 49.5)
        (start.folder / CHECKPOINT).touch()
        better, asked = make_version(tmp_path / "better", "lane"), list[Any]()

        def trained(self: Workshop, first: Version, pairs: Any, epochs: int, seed: int) -> Version:
            asked.append((seed, tuple(item.id for item, _ in pairs)))
            assert (first.name, epochs) == (start.name, 3)
            return better

        monkeypatch.setattr(Workshop, "trained", trained)
        request = Request("lane", (data_set(tmp_path / "pool", "lane", 12),), **{**SMALL, "epochs": 3})
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        assert arm(report, "pre-annotation").learnt[0] == "seed 0, round 1: the first model goes on"
        assert arm(report, "random").points[1].model_quality.mean > arm(report, "random").points[0].model_quality.mean
        assert (len(asked), len(set(asked))) == (14, 6)  # a seed: two first rounds, and the last of all


class TestFigures:
    def test_the_interval_of_a_mean_over_seeds_by_hand(self) -> None:
        found = estimate([11.0, 12.0, 13.0])  # t of 2 degrees of freedom is 4.3027
        assert (found.low, found.high) == pytest.approx((12 - 4.3027 / 3**0.5, 12 + 4.3027 / 3**0.5), abs=1e-4)
        assert estimate([5.0]).low is None

    def test_no_interval_goes_where_no_figure_can_lie(self) -> None:
        few, most = estimate([0.0, 0.01], 1), estimate([0.95, 1.0], 1)  # t of 1 degree of freedom is 12.7062
        assert (few.low, few.high) == pytest.approx((0, 0.005 + 12.7062 * 0.005), abs=1e-4)
        assert (most.low, most.high) == pytest.approx((0.975 - 12.7062 * 0.025, 1), abs=1e-4)
        assert estimate([0.1, 2.0]).low == 0
        assert estimate([-0.5, 1.0], 1).low == -0.5  # the quality of a model that says more wrong than there is

    def test_hours_for_a_person(self) -> None:
        assert (page.hours(0.5), page.hours(2)) == ("30.0 min", "2.00 h")
