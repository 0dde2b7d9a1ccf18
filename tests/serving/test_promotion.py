"""May a candidate replace the version that serves? The rule by hand, and what is a fault of the version."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import NotFound, PrelabelError, Refused, UnreadableMedia
from models.records import Box, Boxes, Item
from models.versions import ONNX
from serving.promotion import Broken, Pairs, compared, quality_of
from serving.store.records import Comparison, StoredVersion
from tests.serving.served import picture
from tests.serving.work import START, boxes, item
from tests.tiny_versions import make_version

CANDIDATE, SERVING = (
    StoredVersion(name, "detection", Path(name), None, name, {}, START, "candidate", None) for name in ("new", "old")
)
PAIRS: Pairs = [(item(0), boxes("car")), (item(1), boxes("bus"))]


def by(candidate: float, serving: float, force: bool = False) -> Comparison:
    """The comparison of a candidate and a serving version of these qualities."""
    return compared(CANDIDATE, SERVING, PAIRS, lambda one, _: candidate if one is CANDIDATE else serving, force)


def test_the_figures_are_those_of_the_candidate_and_then_of_what_serves() -> None:
    figures = "quality 0.7500 against 0.5000 of old on 2 gold items"
    assert by(0.75, 0.5) == Comparison(0.75, 0.5, 2, figures)
    assert by(0.5, 0.5).quality == 0.5  # as good is good enough


@pytest.mark.parametrize("worse", [0.4999, math.nan])
def test_a_worse_candidate_and_one_without_a_figure_need_force(worse: float) -> None:
    with pytest.raises(Refused, match=f"expected it to be no worse, got quality {worse:.4f} against 0.5000 of old"):
        by(worse, 0.5)
    assert by(worse, 0.5, force=True).previous_quality == 0.5


def test_without_gold_items_or_a_comparison() -> None:
    assert compared(CANDIDATE, SERVING, [], lambda *_: 0.5, False).note.startswith("no gold items")
    with pytest.raises(Refused, match="expected a comparison with old, got none"):
        compared(CANDIDATE, SERVING, PAIRS, None, False)
    assert compared(CANDIDATE, SERVING, PAIRS, None, True) == Comparison(note="forced, without a comparison")


def stored(folder: Path, broken: bool = False) -> StoredVersion:
    version = make_version(folder, "detection", broken=broken)
    return replace(CANDIDATE, name=version.name, folder=version.folder)


def labelled(file: Path) -> Pairs:
    return [(Item("a", str(file)), Boxes(120, 90, (Box((8, 8, 40, 40), "car"),)))]


def test_quality_is_measured_with_the_versions_own_model(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    assert quality_of(stored(tmp_path), labelled(tmp_path / "a.png")) == pytest.approx(1)


@pytest.mark.parametrize(("medium", "expected"), [(None, NotFound), (b"no picture", UnreadableMedia)])
def test_a_medium_that_cannot_be_read_is_no_fault_of_the_version(
    tmp_path: Path, medium: bytes | None, expected: type[PrelabelError]
) -> None:
    if medium is not None:
        (tmp_path / "a.png").write_bytes(medium)
    with pytest.raises(expected, match=r"a\.png"):
        quality_of(stored(tmp_path), labelled(tmp_path / "a.png"))


def test_a_model_that_is_none_or_gone_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    version = stored(tmp_path, broken=True)
    with pytest.raises(Broken, match=f"expected {version.name} to load and to answer"):
        quality_of(version, labelled(tmp_path / "a.png"))
    (version.folder / ONNX).unlink()
    with pytest.raises(NotFound, match="expected the model of"):
        quality_of(version, labelled(tmp_path / "a.png"))
