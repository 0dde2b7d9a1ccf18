"""Lane networks that others made: masks and anchors become the lines that were in the picture."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models import tasks
from models.arrays import Floats
from models.declaring import build, plain
from models.errors import InvalidInput
from models.importing import check_sane, embed
from models.lane import heads
from models.lane.declaration import Declaration, declare
from models.lane.tracing import trace
from models.picture_input import PictureInput
from models.records import Lane, Lanes
from tests import foreign_lanes as foreign
from tests.foreign_lanes import HEIGHT, WIDTH

Points = list[tuple[float, float]]


def imported(path: Path, made: Path, given: Mapping[str, Any] | None = None) -> tasks.Runtime:
    embed(made, path, {"task": "lane", "declaration": plain(declare(made, given or {}))})
    return tasks.load_runtime("lane", path, threads=1)


def road(lines: list[Points], size: tuple[int, int], thick: int = 5) -> NDArray[np.uint8]:
    """White lines on black."""
    image = Image.new("RGB", size)
    for line in lines:
        ImageDraw.Draw(image).line(line, "white", thick, joint="curve")
    return np.asarray(image)


def lanes(runtime: tasks.Runtime, image: NDArray[np.uint8]) -> list[Lane]:
    label = runtime.predict(image).label
    assert isinstance(label, Lanes)
    return sorted(label.lanes, key=lambda lane: lane.points[0][0] + lane.points[-1][0])


def farthest(lane: Lane, line: Points) -> float:
    """The largest distance in pixels of a lane's points from a line."""
    start, end = np.array(line[:-1]), np.array(line[1:])
    worst = 0.0
    for point in np.array(lane.points):
        along = ((point - start) * (end - start)).sum(1) / ((end - start) ** 2).sum(1)
        nearest = start + along.clip(0, 1)[:, None] * (end - start)
        worst = max(worst, float(np.hypot(*(nearest - point).T).min()))
    return worst


ROAD: list[Points] = [[(20, 95), (70, 20)], [(80, 95), (80, 20)], [(150, 95), (95, 20)]]


@pytest.mark.parametrize(
    ("channels", "activation"),
    [(2, "softmax"), (1, "sigmoid"), (1, "none"), (5, "softmax"), (2, "argmax"), (5, "argmax")],
)
def test_a_mask_becomes_its_lines(tmp_path: Path, channels: int, activation: str) -> None:
    """What makes probabilities of the values is seen from them; whole numbers are classes."""
    made = foreign.segmenter(tmp_path / "made.onnx", channels, activation)
    assert declare(made, {}).activation == ("none" if activation == "argmax" else activation)
    runtime = imported(tmp_path / "it.onnx", made)
    check_sane("lane", runtime, "it")
    found = lanes(runtime, road(ROAD, (WIDTH, HEIGHT)))
    assert len(found) == 3
    for lane, line in zip(found, ROAD, strict=True):
        assert farthest(lane, line) < 2.5
        heights = [y for _, y in lane.points]
        assert min(heights) < 26
        assert max(heights) > 88
        assert lane.confidence > 0.9


def test_a_softmax_is_the_same_within_the_network_as_after_it(tmp_path: Path) -> None:
    """A pixel that is torn between two lines is on one."""
    logits = np.array([0.0, 1.0, 1.0])[:, None, None] * np.ones((3, 4, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    after = heads.probability(logits, "softmax", (1, 2))
    assert after[0, 0] == pytest.approx(2 * np.e / (1 + 2 * np.e))
    assert heads.probability(shares, "none", (1, 2)) == pytest.approx(after)
    assert heads.probability(shares * [[[1]], [[1]], [[0.5]]], "none", (1, 2))[0, 0] == pytest.approx(shares[1, 0, 0])
    rounded = shares.copy()
    rounded[:, 0, 0] = (0.9, 0.06, 0.01)  # one pixel of sixteen hundred is off
    many = np.concatenate([rounded, *[shares] * 99], axis=1)
    assert heads.probability(many, "none", (1, 2))[1, 1] == pytest.approx(after[0, 0])
    found = lanes(imported(tmp_path / "it.onnx", foreign.segmenter(tmp_path / "made.onnx", 5, "shares")),
                  road(ROAD, (WIDTH, HEIGHT)))  # fmt: skip
    assert len(found) == 3


@pytest.mark.parametrize(("kind", "missing"), [("apart", "lanes"), ("raw", "lanes, activation")])
def test_channels_without_a_background_are_declared(tmp_path: Path, kind: str, missing: str) -> None:
    """As of networks that were trained for several labels a pixel: a first line would be dropped in silence."""
    made = foreign.segmenter(tmp_path / "made.onnx", 2, kind)
    with pytest.raises(InvalidInput, match=f"{missing}: expected to be declared for mask"):
        declare(made, {})
    if kind == "raw":
        with pytest.raises(InvalidInput, match="activation: expected to be declared"):
            declare(made, {"lanes": [1]})
        with pytest.raises(InvalidInput, match="lanes: expected to be declared"):
            declare(made, {"activation": "sigmoid"})
    given = {"lanes": [1]} if kind == "apart" else {"lanes": [1], "activation": "sigmoid"}
    assert len(lanes(imported(tmp_path / "it.onnx", made, given), road(ROAD, (WIDTH, HEIGHT)))) == 3


@pytest.mark.parametrize(
    "how",
    [{"resize": "letterbox"}, {"resize": "corner"}, {"resize": "stretch"}, {"resize": "stretch", "crop_top": 0.25}],
)
def test_lines_come_back_to_pixels_of_the_image(tmp_path: Path, how: Mapping[str, Any]) -> None:
    made = foreign.segmenter(tmp_path / "made.onnx")
    runtime = imported(tmp_path / "it.onnx", made, {"input": how})
    line: Points = [(100, 299), (140, 120)]
    found = lanes(runtime, road([line], (300, 300), thick=9))
    assert len(found) == 1
    assert farthest(found[0], line) < 4
    assert max(y for _, y in found[0].points) > 280


class TestMasks:
    def test_a_line_that_narrows_is_as_sure_far_away_as_near(self) -> None:
        mask = np.zeros((240, 320))
        for row in range(40, 240):
            half = 1 + (row - 40) // 25
            middle = 160 - (row - 40) // 4
            mask[row, middle - half : middle + half + 1] = 0.95
        lines = trace(*heads.ridges(mask), heads.RIDGE)
        assert len(lines) == 1
        assert lines[0].existence[1:-1].min() > 0.8  # the very ends run into nothing
        expected = 160 - (lines[0].points[:, 1] * 2.5 - 40) / 4
        assert np.abs(lines[0].points[:, 0] * 2.5 - expected).max() < 4

    def test_level_and_steep_lines_are_both_followed(self) -> None:
        mask = np.zeros((120, 160))
        mask[58:63, 10:150] = 1
        heat, directions = heads.ridges(mask)
        assert heat[48, 60] > 0.9  # cells of 1.25 pixels
        assert directions[:, 48, 60] == pytest.approx((1, 0), abs=0.05)  # twice 0 degrees
        upright, turned = heads.ridges(mask.T)
        assert upright.shape == (160, 120)
        assert turned[:, 80, 60] == pytest.approx((-1, 0), abs=0.05)  # twice 90 degrees

    def test_a_faint_line_is_an_unsure_one(self) -> None:
        mask = np.zeros((64, 128))
        mask[:, 60:65] = 0.45
        lines = trace(*heads.ridges(mask), heads.RIDGE)
        assert [round(float(line.existence.mean()), 1) for line in lines] == [0.4] or len(lines) == 1
        assert lines[0].existence.mean() == pytest.approx(0.45, abs=0.08)

    def test_an_empty_mask_has_no_line(self) -> None:
        heat, _ = heads.ridges(np.zeros((64, 128)))
        assert not heat.any()

    def test_what_is_no_probability_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="activation: expected sigmoid or softmax for values from -3 to 4"):
            heads.probability(np.array([[[-3.0, 4.0]]]), "none", [0])
        with pytest.raises(InvalidInput, match="expected finite values"):
            heads.probability(np.full((1, 2, 2), np.nan), "sigmoid", [0])

    def test_channels_of_lines_add_up(self) -> None:
        logits = np.log(np.array([0.5, 0.2, 0.3])).reshape(3, 1, 1)
        assert heads.probability(logits, "softmax", [1, 2])[0, 0] == pytest.approx(0.5)
        assert heads.probability(np.zeros((2, 1, 1)), "sigmoid", [0, 1])[0, 0] == 0.5

    def test_bars_are_cut_off_by_hand(self) -> None:
        mask = np.arange(64.0).reshape(8, 8)
        _, placement = PictureInput(16, 16, "letterbox").read(np.zeros((50, 100, 3), np.uint8))
        assert heads.over_image(mask, placement, (16, 16), (100, 50)).tolist() == mask[2:6].tolist()
        _, placement = PictureInput(16, 16, crop_top=0.5).read(np.zeros((50, 100, 3), np.uint8))
        whole = heads.over_image(mask, placement, (16, 16), (100, 50))
        assert whole.shape == (16, 8)
        assert not whole[:8].any()
        assert (whole[8:] == mask).all()


class TestRowAnchors:
    ROWS = 56

    def places(self, start: int, step: float, first: int = 10) -> list[int | None]:
        """A lane from row ``first`` down, ``step`` cells a row."""
        return [None if row < first else round(start + step * (row - first)) for row in range(self.ROWS)]

    def test_lanes_lie_where_their_cells_are(self, tmp_path: Path) -> None:
        """Cell c of 100 is the picture's width times (c + 0.5) / 99; row r of TuSimple's lies at (64 + 4 r) / 288."""
        none: list[int | None] = [None] * self.ROWS
        given = [self.places(50, -0.6), self.places(55, 0.5), none, none]
        runtime = imported(tmp_path / "it.onnx", foreign.ufld(tmp_path / "made.onnx", given))
        check_sane("lane", runtime, "it")
        found = lanes(runtime, np.zeros((720, 1280, 3), np.uint8))
        assert len(found) == 2
        for lane, cells in zip(found, given, strict=False):
            rows = [round((y / 720 * 288 - 64) / 4) for _, y in lane.points]
            assert rows[0] == 10
            assert rows[-1] == self.ROWS - 1
            for (x, y), row in zip(lane.points, rows, strict=True):
                cell = cells[row]
                assert cell is not None
                assert x == pytest.approx(1280 * (cell + 0.5) / 99, abs=0.01)
                assert y == pytest.approx(720 * (64 + 4 * row) / 288, abs=0.01)
            assert lane.confidence > 0.99

    def test_doubt_is_the_spread_over_cells_and_the_chance_of_no_line(self) -> None:
        logits = np.full((11, 4, 1), -20.0)
        logits[[3, 5], :, 0] = np.log(0.4)
        logits[10, :, 0] = np.log(0.2)
        lines = heads.row_anchors(logits, [0.2, 0.4, 0.6, 0.8], (128, 72))
        (line,) = lines.traces
        assert line.existence == pytest.approx(np.full(4, 0.8))
        assert line.std == pytest.approx(np.full(4, 128 / 9 * np.sqrt(1 + 1 / 12)))  # half at 3.5, half at 5.5
        assert line.points[:, 0] == pytest.approx(128 / 9 * 4.5 - 0.5)
        assert lines.missed == 0

    def test_a_lane_that_is_likely_not_there_may_have_been_missed(self) -> None:
        logits = np.full((11, 4, 1), -20.0)
        logits[3], logits[10] = np.log(0.3), np.log(0.7)
        lines = heads.row_anchors(logits, [0.2, 0.4, 0.6, 0.8], (128, 72))
        assert not lines.traces
        assert lines.missed == pytest.approx(0.3)


class TestHybridAnchors:
    def outputs(self) -> dict[str, Floats]:
        """Lane 1 upright at cell 40 of 100 in all 56 rows, lane 3 level at cell 70 of 100 in all 41 columns."""
        loc_row, loc_col = np.full((1, 100, 56, 4), -9.0), np.full((1, 100, 41, 4), -9.0)
        loc_row[0, 40, :, 1] = loc_col[0, 70, :, 3] = 9.0
        exist_row, exist_col = np.zeros((1, 2, 56, 4)), np.zeros((1, 2, 41, 4))
        exist_row[0, 0], exist_col[0, 0] = 5.0, 5.0
        exist_row[0, :, :, 1] = exist_col[0, :, :, 3] = np.array([0.0, 5.0])[:, None]
        return {"loc_row": loc_row, "loc_col": loc_col, "exist_row": exist_row, "exist_col": exist_col}

    def test_steep_lanes_come_from_rows_and_level_ones_from_columns(self, tmp_path: Path) -> None:
        made = foreign.ufld_v2(tmp_path / "made.onnx", self.outputs(), (800, 320))
        with pytest.raises(InvalidInput, match=r"input\.crop_top: expected the share that .*, got none"):
            declare(made, {})
        told = declare(made, {"input": {"crop_top": 0.2}})
        assert told.rows[0] == pytest.approx(160 / 720)
        runtime = imported(tmp_path / "it.onnx", made, {"input": {"crop_top": 0.2}})
        steep, level = lanes(runtime, np.zeros((720, 1280, 3), np.uint8))
        assert {round(x, 1) for x, _ in steep.points} == {round(1280 * 40.5 / 99, 1)}
        assert steep.points[0][1] == pytest.approx(160)
        assert steep.points[-1][1] == pytest.approx(710)
        assert {round(y, 1) for _, y in level.points} == {round(720 * 70.5 / 99, 1)}
        assert [level.points[0][0], level.points[-1][0]] == pytest.approx([0, 1280])

    @pytest.mark.parametrize("given", [{"row_lanes": [4]}, {"row_lanes": [-1]}, {"column_lanes": [0, 9]}])
    def test_lanes_that_the_outputs_have_not_are_refused(self, tmp_path: Path, given: Mapping[str, Any]) -> None:
        made = foreign.ufld_v2(tmp_path / "made.onnx", self.outputs(), (800, 320))
        with pytest.raises(InvalidInput, match=r"row_lanes, column_lanes: expected lanes from 0 to 3, as loc_.* says"):
            declare(made, {"input": {"crop_top": 0.2}, **given})

    def test_lanes_of_another_number_are_declared(self, tmp_path: Path) -> None:
        """UFLDv2's network for CurveLanes has ten lanes, each in rows and in columns, and rows from 0.4 down."""
        shapes = {
            "loc_row": (200, 72, 10),
            "loc_col": (100, 81, 10),
            "exist_row": (2, 72, 10),
            "exist_col": (2, 81, 10),
        }
        outputs = {name: np.zeros((1, *shape)) for name, shape in shapes.items()}
        made = foreign.ufld_v2(tmp_path / "made.onnx", outputs, (1600, 800))
        cut, every = {"input": {"crop_top": 0.2}}, list(range(10))
        message = r"rows, row_lanes, column_lanes: .* lanes are not 4, got none for loc_row \(1x200x72x10\)"
        with pytest.raises(InvalidInput, match=message):
            declare(made, cut)
        with pytest.raises(InvalidInput, match=r"^rows: expected to be declared"):
            declare(made, {**cut, "row_lanes": every, "column_lanes": every})
        rows = np.linspace(0.4, 1, 72).tolist()
        told = declare(made, {**cut, "row_lanes": every, "column_lanes": every, "rows": rows})
        assert (told.row_lanes, told.rows[0]) == (tuple(every), 0.4)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"exist_row": "exist_col"}, r"outputs.exist_row: expected 2x56x4 beside places 100x56x4, got 2x41x4"),
            ({"exist_col": "loc_col"}, r"outputs.exist_col: expected 2x41x4 beside places 100x41x4, got 100x41x4"),
        ],
    )
    def test_existence_of_other_anchors_is_refused(
        self, tmp_path: Path, given: Mapping[str, str], message: str
    ) -> None:
        made = foreign.ufld_v2(tmp_path / "made.onnx", self.outputs(), (800, 320))
        runtime = imported(tmp_path / "it.onnx", made, {"input": {"crop_top": 0.2}, "outputs": given})
        with pytest.raises(InvalidInput, match=message):
            runtime.predict(np.zeros((72, 128, 3), np.uint8))

    @pytest.mark.parametrize("role", range(4))
    def test_outputs_that_are_no_numbers_are_refused(self, role: int) -> None:
        shapes = [(9, 3, 4), (2, 3, 4), (9, 3, 4), (2, 3, 4)]
        outputs = [np.full(shape, np.nan if i == role else 1.0) for i, shape in enumerate(shapes)]
        rows, columns = (outputs[0], outputs[1]), (outputs[2], outputs[3])
        with pytest.raises(InvalidInput, match="expected finite values from the network, got NaN or infinity"):
            heads.hybrid_anchors(rows, columns, [0, 0.5, 1], [0, 0.5, 1], ((1,), (0,)), (1280, 720))
        with pytest.raises(InvalidInput, match="expected finite values from the network, got NaN or infinity"):
            heads.row_anchors(outputs[role], [0, 0.5, 1], (1280, 720))

    def test_places_are_read_from_three_cells_alone(self) -> None:
        rows = np.full((100, 56, 4), 0.0)
        rows[40:43, :, 1] = np.log([1.0, 2.0, 1.0])[:, None] + 5
        exists = np.zeros((2, 56, 4))
        exists[1] = 9.0
        none = (np.zeros((10, 3, 4)), np.zeros((2, 3, 4)))
        heights = np.linspace(0.2, 1, 56).tolist()
        lines = heads.hybrid_anchors((rows, exists), none, heights, [0, 0.5, 1], ((1,), ()), (1280, 720))
        assert lines.traces[0].points[:, 0] == pytest.approx(128 * 41.5 / 99 - 0.5)


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (foreign.segmenter, {"lanes": [2]}, r"lanes: expected channels from 0 to 1, as mask \(1x2x96x160\) says, got"),
        (foreign.segmenter, {"input": {"height": 100}}, "input.height: expected 96, as images .* says, got 100"),
        (foreign.segmenter, {"outputs": {"mask": "ll"}}, "outputs: expected one of mask .*, got 'll'"),
        (
            lambda path: foreign.constant(path, {"boxes": np.zeros((1, 252, 6))}, (160, 96)),
            {},
            "outputs.mask: expected the proportions of the picture, 160x96, got a mask of 6x252; .* lists of points",
        ),
        (
            lambda path: foreign.constant(
                path, {"pred_logits": np.zeros((1, 7, 2)), "pred_curves": np.zeros((1, 7, 8))}, (640, 360)
            ),
            {},
            r"head: expected .* for outputs pred_logits \(1x7x2\), .*, got none that the file tells; curves .* LSTR",
        ),
        (foreign.segmenter, {"input": 3}, "input: expected a table, got 3"),
        (foreign.segmenter, {"head": ["segmentation"]}, "head: expected one of segmentation, .*, got "),
        (foreign.segmenter, {"head": "keypoints"}, "head: expected one of segmentation, .*, got 'keypoints'"),
        (foreign.segmenter, {"rows": [0.4, 0.5]}, "rows: expected nothing for head segmentation, .*, got .0.4, 0.5"),
        (foreign.segmenter, {"lanes": [1, 1]}, r"lanes: expected different ones, got \(1, 1\)"),
        (foreign.segmenter, {"head": "row-anchor"}, "rows: expected the heights of 96 row anchors to be declared"),
        (
            lambda path: foreign.ufld(path, [[0] * 18]),
            {"rows": [0.1, 0.2]},
            "rows: expected 18 anchors, as output .*, got 2",
        ),
        (lambda path: foreign.ufld(path, [[0] * 18]), {"rows": [2.0] * 18}, "rows: expected different shares"),
        (
            lambda path: foreign.ufld(path, [[0] * 18]),
            {"input": {"resize": "letterbox"}},
            "input.resize: expected 'stretch' for head row-anchor, got 'letterbox'",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_was_found(
    tmp_path: Path, make: Callable[[Path], Path], given: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        declare(make(tmp_path / "it.onnx"), given)


def test_a_declaration_goes_through_json_unchanged(tmp_path: Path) -> None:
    told = declare(foreign.ufld(tmp_path / "it.onnx", [[0] * 18]), {})
    assert told.rows == pytest.approx(np.array(heads.usual_rows(18)))
    assert told.input.mean == (0.485, 0.456, 0.406)
    assert build(Declaration, plain(told)) == told
