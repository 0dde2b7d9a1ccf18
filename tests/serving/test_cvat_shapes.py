"""Labels become CVAT's shapes and come back as they were; what it draws beside them is understood or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, Task
from serving.cvat.shapes import Drawn, drawn_on, label_of, shapes_of
from serving.label_names import LANE, Names

CARS = Names({"Auto": "car", "person": "person"}, {"car": "Auto", "person": "person"})
LINES = Names({"Strip": LANE, "kerb": "kerb"}, {LANE: "Strip", "kerb": "kerb"})
NUMBERS = {1: "Auto", 2: "Strip"}


def back(task: Task, label: Label, names: Names) -> Label:
    """As CVAT keeps it, and gives it back."""
    numbers = dict(enumerate(names.to_category))
    ids = {name: number for number, name in numbers.items()}
    kept = [{"type": one["type"], "frame": 4, "label_id": ids[one["label"]], "points": one["points"]}
            for one in shapes_of(label, names, 0)]  # fmt: skip
    drawn = drawn_on({"shapes": kept, "tracks": []}, numbers, 9)
    return label_of(task, drawn[4], names, (label.width, label.height))  # type: ignore[union-attr]


sides = st.integers(0, 99)
spans = st.tuples(sides, sides).filter(lambda pair: pair[0] < pair[1])


@given(st.lists(st.tuples(spans, spans, st.sampled_from(["car", "person"]))))
def test_boxes_come_back(found: list[tuple[tuple[int, int], tuple[int, int], str]]) -> None:
    boxes = tuple(Box((float(x1), float(y1), float(x2), float(y2)), name) for (x1, x2), (y1, y2), name in found)
    assert back("detection", Boxes(100, 100, boxes), CARS) == Boxes(100, 100, boxes)


@given(st.lists(st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=2, max_size=9)))
def test_lanes_come_back(found: list[list[tuple[float, float]]]) -> None:
    lanes = Lanes(100, 100, tuple(Lane(tuple(points)) for points in found))
    assert back("lane", lanes, LINES) == lanes


@pytest.mark.parametrize(
    ("rotation", "box"),
    [
        (0, (20, 40, 60, 60)),
        (90, (30, 30, 50, 70)),
        (180, (20, 40, 60, 60)),
        (45, (18.787, 28.787, 61.213, 71.213)),  # half of (40 + 20) / sqrt(2) about (40, 50)
    ],
)
def test_a_turned_rectangle_is_the_upright_box_around_it(rotation: float, box: tuple[float, ...]) -> None:
    drawn = Drawn("rectangle", "Auto", (20, 40, 60, 60), rotation)
    label = label_of("detection", [drawn], CARS, (100, 100))
    assert isinstance(label, Boxes)
    assert label.boxes[0].xyxy == pytest.approx(box, abs=1e-3)


def test_what_is_outside_the_picture_is_cut_off_and_what_is_wholly_so_is_none() -> None:
    drawn = [Drawn("rectangle", "Auto", (-5, 90, 10, 120)), Drawn("rectangle", "Auto", (-5, 0, 0, 9))]
    assert label_of("detection", drawn, CARS, (100, 100)) == Boxes(100, 100, (Box((0, 90, 10, 100), "car"),))


def test_only_shapes_of_the_tasks_kind_tell_its_labels() -> None:
    line, other = Drawn("polyline", "Strip", (1, 2, 3, 4)), Drawn("polyline", "kerb", (1, 2, 3, 4))
    assert label_of("lane", [line, other], LINES, (9, 9)) == Lanes(9, 9, (Lane(((1, 2), (3, 4))),))
    assert label_of("detection", [line, Drawn("mask", "sky", (1, 2))], CARS, (9, 9)) == Boxes(9, 9)
    for kind in ("mask", "polygon", "cuboid", "ellipse", "points", "skeleton", "polyline"):
        with pytest.raises(InvalidInput, match=f"expected a rectangle for label 'Auto', got a {kind}"):
            label_of("detection", [Drawn(kind, "Auto", (1, 2, 3, 4))], CARS, (9, 9))
    with pytest.raises(InvalidInput, match="expected a polyline for label 'Strip', got a polygon"):
        label_of("lane", [Drawn("polygon", "Strip", (1, 2, 3, 4, 5, 6))], LINES, (9, 9))


def key(frame: int, points: tuple[float, ...], **more: Any) -> dict[str, Any]:
    return {"type": "rectangle", "frame": frame, "points": points, "outside": False, "rotation": 0.0, **more}


def tracked(*keys: dict[str, Any], last: int = 5) -> dict[int, tuple[tuple[float, ...], float]]:
    found = drawn_on({"shapes": [], "tracks": [{"label_id": 1, "shapes": list(keys)}]}, NUMBERS, last)
    return {frame: (drawn.points, drawn.rotation) for frame, (drawn,) in found.items()}


class TestTracks:
    def test_sides_go_evenly_from_keyframe_to_keyframe_and_stay_after_the_last(self) -> None:
        assert tracked(key(3, (3, 0, 4, 1)), key(1, (1, 0, 2, 1)), last=4) == {
            1: ((1, 0, 2, 1), 0), 2: ((2, 0, 3, 1), 0), 3: ((3, 0, 4, 1), 0), 4: ((3, 0, 4, 1), 0),
        }  # fmt: skip

    def test_what_has_left_the_picture_is_on_no_frame_until_it_is_back(self) -> None:
        keys = key(0, (0, 0, 1, 1)), key(2, (2, 0, 3, 1), outside=True), key(4, (9, 0, 10, 1))
        assert sorted(tracked(*keys)) == [0, 1, 4, 5]
        assert tracked(*keys)[1] == ((1, 0, 2, 1), 0)

    def test_an_angle_goes_the_shorter_way_round(self) -> None:
        turned = tracked(key(0, (0, 0, 1, 1), rotation=350), key(2, (0, 0, 1, 1), rotation=10), last=2)
        assert turned[1][1] % 360 == 0

    def test_keyframes_beyond_the_job_are_not_of_it(self) -> None:
        assert sorted(tracked(key(0, (0, 0, 1, 1)), key(9, (9, 0, 10, 1)), last=2)) == [0, 1, 2]

    def test_a_keyframe_on_a_deleted_frame_does_not_count(self) -> None:
        keys = [key(0, (0, 0, 1, 1)), key(2, (50, 50, 60, 60)), key(4, (4, 0, 5, 1)), key(5, (), outside=True)]
        track = {"shapes": [], "tracks": [{"label_id": 1, "shapes": keys}]}
        found = drawn_on(track, NUMBERS, 6, {2, 5})
        assert [found[frame][0].points for frame in (1, 3, 6)] == [(1, 0, 2, 1), (3, 0, 4, 1), (4, 0, 5, 1)]
        assert drawn_on(track, NUMBERS, 6, {0, 2, 4, 5}) == {}

    def test_a_tracked_line_moves_too(self) -> None:
        lines = [key(0, (0, 0, 0, 10), type="polyline"), key(4, (8, 0, 8, 5, 8, 10), type="polyline")]
        assert tracked(*lines)[2] == ((4, 0, 4, 2.5, 4, 10), 0)
        assert tracked(lines[0], key(4, (8, 8, 8, 8), type="polyline"))[2] == ((0, 0, 0, 10), 0)  # of no length

    def test_what_is_not_as_cvat_writes_it_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="expected them as CVAT writes them, got KeyError"):
            drawn_on({"shapes": [{"frame": 0, "label_id": 99}], "tracks": []}, NUMBERS, 1)
