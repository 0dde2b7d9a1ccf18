"""The pages that evaluations and simulations leave behind, in a real browser: nothing that keeps people out, nothing
cut off without a sign, and words where there is nothing to draw."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from models.evaluate import Evaluation
from models.records import Box, Boxes, Item, Prediction, Transcript
from models.report import page as evaluated
from models.report.charts import Columns, Curve, Curves, Matrix, share_column
from models.report.judged import judge
from serving.simulation import page as simulated
from serving.simulation.document import ArmReport, Audit, Estimate, Sensitivity, SimulationReport
from serving.simulation.document import Point as State
from serving.simulation.pool import Source
from tests.models.test_report import run, scores
from tests.serving.browser import DESK, PHONE, faults
from tests.serving.served import picture, sound

LONG = [
    f"long_vehicle_with_{what}_and_more_of_a_name" for what in ("trailer", "ladder", "crane", "plough", "tank", "box")
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def evaluation(folder: Path, names: list[str]) -> str:
    """The page of a detector that mistakes some of ``names`` for the next one, and sees nothing where there is none."""
    report = run(folder, "detection")
    truths = [Boxes(120, 90, tuple(Box((4, 4, 40, 40), name) for name in [one])) for one in names] or [
        Boxes(120, 90)
    ] * 3
    answers = tuple(Prediction(one, 0.5, {}, ()) for one in [*truths[:3], *truths[4:], *truths[3:4]])
    (folder / "seen.png").write_bytes(picture())
    items = tuple(Item(f"item {row}", str(folder / "seen.png")) for row in range(len(truths)))
    return evaluated.render(report, judge(report.model, Evaluation("detection", items, tuple(truths), answers), scores))


def simulation() -> str:
    """The page of a simulation with two ways of working."""
    one = Estimate(0.5, 0.4, 0.6, 2)
    point = State(0, one, one, one, one, one, one, one)
    arms = [
        ArmReport(
            name, "what it does, in words", (point, point), one, one, one, one, one, (Audit(1, 9, 1, 0.4),), ("a",)
        )
        for name in ("all-human", "system")
    ]
    known: dict[str, Any] = {"terms": {"alpha": 0.02}, "quality": "the F1", "costs": {}, "costs_from": "assumptions"}
    dear = Sensitivity("image_s", 0.5, 1.0, {"all-human": 1.0, "system": 0.5})
    sources = (Source("coco:/data/" + "deep/" * 20, 9, 0, 0),)
    return simulated.render(
        SimulationReport("detection", NOW, "detection-1", False, sources, (), 9, 2, 3, 2, (0.5,), 1, 1.0, 0.01, "items",
                         **known, arms=tuple(arms), sensitivity=(dear,))
    )  # fmt: skip


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Page]:
    """A browser without a service."""
    visitor = chromium.new_context(viewport=DESK)
    yield visitor.new_page()
    visitor.close()


@pytest.mark.parametrize("kind", ["evaluation", "simulation"])
def test_a_report_has_no_fault_in_any_look(reader: Page, tmp_path: Path, kind: str) -> None:
    reader.set_content(evaluation(tmp_path, LONG) if kind == "evaluation" else simulation())
    found = []
    for size in (DESK, PHONE):
        reader.set_viewport_size(size)
        for scheme in ("light", "dark"):
            reader.emulate_media(color_scheme=scheme)
            found += faults(reader)
        assert reader.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert found == []


def test_a_long_name_pushes_no_figure_out_of_sight(reader: Page, tmp_path: Path) -> None:
    report, name = run(tmp_path, "detection"), "x" * 300
    named = replace(
        report,
        metrics={**report.metrics, "ap50_by_category": {name: 0.5}},
        intervals={**report.intervals, "ap50_by_category": {name: (0.4, 0.6)}},
    )
    item, nothing = Item("item", str(tmp_path / "seen.png")), Boxes(120, 90)
    Path(item.uri).write_bytes(picture())
    said = Evaluation("detection", (item,), (nothing,), (Prediction(nothing, 0.5, {}, ()),))
    reader.set_content(evaluated.render(named, judge(report.model, said, scores)))
    region = reader.get_by_role("region", name="Metrics", exact=True)
    assert region.evaluate("at => at.scrollWidth <= at.clientWidth")
    assert region.get_by_text(name).evaluate("at => at.scrollWidth <= at.clientWidth")


def test_what_scrolls_throws_a_shadow_where_it_goes_on(reader: Page, tmp_path: Path) -> None:
    reader.set_content(evaluation(tmp_path, LONG))
    table = reader.get_by_role("region", name="Confusion")
    assert table.evaluate("at => at.scrollWidth > at.clientWidth")
    before = shade_at_the_edge(table)
    table.evaluate("at => at.scrollLeft = at.scrollWidth")
    assert shade_at_the_edge(table) > before + 10  # nothing lies beyond it now
    expect(table.get_by_role("rowheader").first).to_be_in_viewport()


def shade_at_the_edge(table: Any) -> float:
    """How light the empty last pixel of a table's head is, in [0, 255]."""
    picture = Image.open(io.BytesIO(table.screenshot())).convert("L")
    return float(np.asarray(picture)[2, -1])


def test_texts_from_right_to_left_turn_nothing_around_them(reader: Page, tmp_path: Path) -> None:
    report = run(tmp_path, "asr")
    (tmp_path / "heard.wav").write_bytes(sound(1))
    item, truth = Item("item", str(tmp_path / "heard.wav")), Transcript("مرحبا بكم!")
    answers = (Prediction(Transcript("مرحبا لكم!"), 0.5, {}, ()),)
    judged = judge(report.model, Evaluation("asr", (item,), (truth,), answers), scores)
    reader.set_content(evaluated.render(report, judged))
    shown = reader.locator(".texts bdi").evaluate_all("all => all.map((at) => getComputedStyle(at).direction)")
    assert shown == ["rtl"] * 4  # the worst and the most doubtful


def test_a_chart_of_nothing_says_so(reader: Page, tmp_path: Path) -> None:
    reader.set_content(evaluation(tmp_path, []))
    for name in ("Precision and recall", "Confusion", "Missed by size"):
        expect(reader.locator("figure", has_text=name)).to_contain_text("There is nothing to draw yet.")


@pytest.mark.parametrize(
    ("chart", "empty"),
    [
        (Curves("", "", "", ""), True),
        (Curves("", "", "", "", (Curve("a", ()),)), True),
        (Curves("", "", "", "", (Curve("a", ((0, 0),)),)), False),
        (Columns("", "", "", "", ()), True),
        (Columns("", "", "", "", (share_column("a", 0, 1),)), False),
        (Matrix("", "", ("a", "b"), ("a", "b"), ((0, 0), (0, 0))), True),
        (Matrix("", "", ("a", "b"), ("a", "b"), ((0, 0), (0, 1))), False),
    ],
)
def test_what_is_empty(chart: Curves | Columns | Matrix, empty: bool) -> None:
    assert chart.is_empty is empty
