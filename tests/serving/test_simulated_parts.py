"""The simulation where parts are accepted one by one: what a person makes of them, by hand, and whole runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import datasets, scenes
from models.errors import InvalidInput, NotFound
from models.evaluate import read_item
from models.records import Boxes, Correction, Label, Task, Transcript
from models.tasks import load_runtime
from models.versions import Version
from selection.cost import Costs
from selection.parts import Plan
from serving.loop import Loop, Registration
from serving.settings import Settings
from serving.simulate import Request, simulate, starter
from serving.simulation.document import ArmReport, SimulationReport
from serving.simulation.person import Person
from tests.labelled import data_set
from tests.serving.work import settings
from tests.small_labels import boxes, lines, words
from tests.tiny_versions import NOW, make_version

SMALL: dict[str, Any] = {"rounds": 2, "seeds": 1, "epochs": 0, "mistakes": 0.0, "groups": False}


class TestMended:
    @pytest.mark.parametrize(
        ("task", "said", "truth", "plan", "given"),
        [
            # accepted stays wherever it is, shown becomes what is there, and what is missing is drawn where it is asked
            ("detection", boxes(6, 20, 44), boxes(0, 21, 40, 80), Plan((0,), (1, 2), True), boxes(6, 21, 40, 80)),
            ("detection", boxes(6, 20, 44), boxes(0, 21, 40, 80), Plan((0,), (1, 2), False), boxes(6, 21, 40)),
            ("detection", boxes(0, 30), boxes(0), Plan((), (0, 1), False), boxes(0)),
            ("detection", boxes(0, 30), boxes(0), Plan((1,), (0,), True), boxes(0, 30)),  # false, and nobody looked
            ("lane", lines(100, 204), lines(101, 200, 300), Plan((0,), (1,), True), lines(100, 200, 300)),
            ("asr", words("one too four"), words("one two three four five"), Plan((0, 1), (2,), True),
             Transcript("one too three four five")),
            ("asr", words("one too four"), words("one two three four five"), Plan((0,), (1, 2), False),
             Transcript("one two four")),
            ("asr", words("今天 好"), Transcript("今天"), Plan((0,), (1,), True), Transcript("今天")),
        ],
    )  # fmt: skip
    def test_by_hand(self, task: Task, said: Label, truth: Label, plan: Plan, given: Label) -> None:
        made = Person().mended(task, "a", truth, said, plan)
        parts = (sorted(getattr(one, "boxes", getattr(one, "lanes", ())), key=repr) for one in (made, given))
        assert next(parts) == next(parts)
        assert getattr(made, "text", None) == getattr(given, "text", None)

    def test_slips_overlook_what_is_missing_and_spare_what_is_accepted(self) -> None:
        """Of three true boxes a slip overlooks one: one that is accepted, one that is shown, or one to be drawn."""
        said, truth, plan = boxes(0, 20), boxes(0, 20, 60), Plan((0,), (1,), True)
        made = {Person(0.999).mended("detection", f"{number}", truth, said, plan) for number in range(60)}
        assert made == {boxes(0, 20, 60), boxes(0, 60), boxes(0, 20)}


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    database = f"sqlite:///{tmp_path}/store.db"
    return settings(tmp_path / "kept", database_url=database, calibration_share=0.5, promise_of="parts")


@pytest.fixture
def served(tmp_path: Path, chosen: Settings) -> Callable[[Task], tuple[Loop, Version]]:
    def serve(task: Task) -> tuple[Loop, Version]:
        loop, version = Loop.open(chosen), make_version(tmp_path / "versions", task)
        loop.versions.add(version.folder, "tester")
        loop.versions.promote(version.name, "tester", force=True)
        return loop, version

    return serve


def arm(report: SimulationReport, name: str) -> ArmReport:
    return next(one for one in report.arms if one.name == name)


def seconds(report: SimulationReport, name: str) -> float:
    return arm(report, name).human_hours.mean * 3600


class TestRuns:
    def test_certified_boxes_cost_no_check_and_what_is_missing_is_drawn(
        self, tmp_path: Path, served: Any, chosen: Settings
    ) -> None:
        """Every picture has the one box that the model says; a third lacks a bus, too many to leave the question."""
        loop, _ = served("detection")
        terms = chosen.model_copy(update={"alpha": 0.1, "delta": 0.2})
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 130),), **SMALL)
        report = simulate(request, loop, terms, tmp_path / "out", NOW, processes=1)
        (audit,) = arm(report, "system").audits
        assert 10 < audit.accepted < report.n
        assert (audit.wrong, audit.unasked, audit.most_lacking) == (0, 0, None)
        assert arm(report, "system").labels_wrong.mean == 0
        assert seconds(report, "active") - seconds(report, "system") == pytest.approx(1.7 * audit.accepted)
        assert seconds(report, "active") == pytest.approx(seconds(report, "pre-annotation"))
        assert (report.promise_of, report.terms["promise_of"]) == ("parts", "parts")
        told = (tmp_path / "out" / "report.html").read_text()
        assert "Parts accepted unseen" in told
        assert "a promise of parts" in told

    def test_wrong_certified_lines_stay_and_count(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        """A third of the roads has its one line elsewhere, where nobody looks: at this alpha all is accepted."""
        loop, _ = served("lane")
        terms = chosen.model_copy(update={"alpha": 0.7})
        request = Request("lane", (data_set(tmp_path / "pool", "lane", 130),), **SMALL)
        report = simulate(request, loop, terms, tmp_path / "out", NOW, processes=1)
        (audit,) = arm(report, "system").audits
        assert audit.accepted == audit.unasked > 10  # a line an item
        assert 0 < audit.wrong == audit.lacking < audit.accepted
        assert audit.wrong / audit.accepted < (audit.most_wrong or 0) < 0.7
        assert arm(report, "system").labels_wrong.mean == pytest.approx(audit.wrong / report.n)

    def test_rendered_scenes(self, tmp_path: Path, chosen: Settings) -> None:
        drawn = (scenes.render(np.random.default_rng([7, number]), 192, 96) for number in range(60))
        scenes.write(tmp_path / "roads", drawn)
        terms = chosen.model_copy(update={"alpha": 0.7, "delta": 0.8, "calibration_share": 0.7})
        request = Request("lane", (f"culane:{tmp_path}/roads:train",), model=starter("lane"), **SMALL)
        report = simulate(request, Loop.open(terms), terms, tmp_path / "out", NOW, processes=1)
        (audit,) = arm(report, "system").audits
        assert audit.accepted > 5
        assert arm(report, "active").labels_wrong.mean == 0
        assert arm(report, "system").labels_wrong.mean * report.n <= audit.wrong + audit.lacking
        assert (arm(report, "system").labels_wrong.mean > 0) == (audit.wrong + audit.lacking > 0)
        assert seconds(report, "system") < seconds(report, "active") < seconds(report, "all-human")


class TestCosts:
    def test_of_a_file(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        loop, _ = served("detection")
        (tmp_path / "costs.json").write_text(json.dumps({"image_s": 10, "box_draw_s": 20}))
        data = data_set(tmp_path / "pool", "detection", 6)
        request = Request("detection", (data,), costs=tmp_path / "costs.json", **SMALL)
        report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
        pool = [label for _, label in datasets.read(data)]
        expected = sum(10 + 20 * len(label.boxes) for label in pool if isinstance(label, Boxes)) / len(pool)
        assert report.costs["box_draw_s"] == 20
        assert report.costs_from == str(tmp_path / "costs.json")
        assert seconds(report, "all-human") / report.n == pytest.approx(expected, rel=0.2)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[]", "expected an object with some of image_s, "),
            ('{"box_s": 1}', r"got \{'box_s': 1\}"),
            ('{"image_s": true}', "image_s: expected a number, got True"),
            ('{"image_s": 0}', "Costs.image_s: expected a finite number > 0, got 0"),
            ("{", "expected JSON, got"),
        ],
    )
    def test_of_a_bad_file(self, tmp_path: Path, served: Any, chosen: Settings, text: str, expected: str) -> None:
        loop, _ = served("detection")
        (tmp_path / "costs.json").write_text(text)
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 6),), **SMALL)
        with pytest.raises(InvalidInput, match=expected):
            simulate(replace(request, costs=tmp_path / "costs.json"), loop, chosen, tmp_path / "out", NOW)
        with pytest.raises(NotFound, match="expected constants of the cost model, got No such file"):
            simulate(replace(request, costs=tmp_path / "none.json"), loop, chosen, tmp_path / "out", NOW)

    def test_fitted_to_what_people_took(self, tmp_path: Path, served: Any, chosen: Settings) -> None:
        """People who needed twice the seconds that are assumed."""
        loop, version = served("detection")
        known = {Path(item.uri): label for item, label in datasets.read(data_set(tmp_path / "known", "detection", 60))}
        loop.register((Registration(str(path), "detection", path, None) for path in known), "tester")
        runtime = load_runtime("detection", version.onnx, 1)
        for item in loop.pending("detection", 100):
            loop.record("detection", item, None, runtime.predict(read_item("detection", item)), version.name, None, "t")
        for work in loop.lease("detection", 60, "ada", "tester"):
            label = known[Path(work.item.uri)]
            took = 2 * (3.4 + 1.7 + 7 * (len(label.boxes) - 1))  # type: ignore[union-attr]
            loop.correct(Correction(work.item.id, "detection", label, "ada", took, "t", NOW, version.name), None, "t")
        fitted = loop.recalibrate(version.name, "tester").costs
        assert fitted is not None
        data = data_set(tmp_path / "pool", "detection", 66)  # the same, and six others
        report = simulate(Request("detection", (data,), **SMALL), loop, chosen, tmp_path / "out", NOW, processes=1)
        assert report.costs_from == "fitted to the seconds of 60 corrections"
        assert Costs(**report.costs) == fitted.costs
        assert seconds(report, "pre-annotation") > 1.5 * report.n * (3.4 + 1.7)
