"""A video of Label Studio: objects are tracked into sequences, and what people make of them comes back by still."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.records import Box, Boxes, PreAnnotation, Uncertainty
from selection.routing import Decision
from serving.label_studio.config import View, view
from serving.label_studio.corrections import Reconciled
from serving.label_studio.ordering import behind_head
from serving.label_studio.sequences import boxes_at, regions_of_video
from serving.store.records import Answer
from serving.store.studio import Film
from tests.movies import brightening, movie
from tests.serving.fake_studio import FakeStudio
from tests.serving.served import Served, serving
from tests.serving.test_label_studio import predict, settled, tell

VIDEO = """<View><Labels name="kind" toName="video"><Label value="car"/></Labels>
<Video name="video" value="$video" framerate="25"/><VideoRectangle name="box" toName="video"/></View>"""
SIZE = 200, 100


def shown(config: str = VIDEO, **aliases: str) -> View:
    return view(config, "detection", ["car", "person"], aliases)


def regions(boxes: dict[int, list[Box]], frames: int = 100, project: View | None = None) -> list[dict[str, Any]]:
    answers = {
        number: Answer(PreAnnotation("item", "detection", "v1", Boxes(*SIZE, tuple(there)),
                                     Uncertainty(0.3, 8.2, number / 1000), {}), Decision("review", "because"))
        for number, there in boxes.items()
    }  # fmt: skip
    film = Film("uri", 25, frames, frames / 25, tuple((number, "item") for number in boxes))
    return regions_of_video(film, answers, project or shown())


def car(x: float, y: float = 10, category: str = "car") -> Box:
    return Box((x, y, x + 40, y + 20), category, 0.8)


def keys(region: dict[str, Any]) -> list[tuple[int, bool, float]]:
    return [(key["frame"], key["enabled"], key["x"]) for key in region["value"]["sequence"]]


class TestConfig:
    def test_the_control_takes_its_labels_from_those_beside_it(self) -> None:
        control = shown().control
        assert (control.kind, control.from_name, control.to_name, control.key) == (
            "VideoRectangle", "box", "video", "video")  # fmt: skip
        assert (control.labels, control.labels_name) == (("car",), "kind")

    @pytest.mark.parametrize(
        ("attribute", "data", "rate"),
        [('framerate="25"', {}, 25), ("", {}, 24), ('framerate="0.04"', {}, 25), ('framerate="$fps"', {"fps": 30}, 30)],
    )
    def test_frames_are_counted_at_the_rate_of_the_configuration(
        self, attribute: str, data: dict[str, Any], rate: float
    ) -> None:
        assert shown(VIDEO.replace('framerate="25"', attribute)).control.frames_per_s(data) == pytest.approx(rate)

    @pytest.mark.parametrize("wrong", ["many", "0", "-1", "nan", "inf"])
    def test_a_rate_that_is_none_is_refused_with_the_configuration(self, wrong: str) -> None:
        with pytest.raises(InvalidInput, match="label_config: expected a framerate above 0, got"):
            shown(VIDEO.replace("25", wrong))

    @pytest.mark.parametrize("data", [{}, {"fps": "many"}, {"fps": 0}])
    def test_a_rate_that_a_tasks_data_does_not_tell_is_refused_with_the_task(self, data: dict[str, Any]) -> None:
        control = shown(VIDEO.replace("25", "$fps")).control
        with pytest.raises(InvalidInput, match="label_config: expected a framerate above 0, got"):
            control.frames_per_s(data)

    def test_without_labels_it_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="expected Labels on 'video' for VideoRectangle 'box', got none"):
            shown(VIDEO.replace("<Label ", "<Other "))


class TestSequences:
    def test_an_even_movement_needs_two_key_frames_and_the_last_one_ends_it(self) -> None:
        (region,) = regions({1: [car(0)], 6: [car(10)], 11: [car(20)], 16: []})
        assert keys(region) == [(1, True, 0), (11, False, 10)]
        assert region["value"]["labels"] == ["car"]
        assert (region["value"]["framesCount"], region["value"]["duration"]) == (100, 4)
        assert region["value"]["sequence"][1] == {"frame": 11, "enabled": False, "time": 11 / 25, "x": 10, "y": 10,
                                                  "width": 20, "height": 20, "rotation": 0}  # fmt: skip
        assert (region["type"], region["from_name"], region["to_name"]) == ("videorectangle", "box", "video")
        assert region["score"] == 0.8
        assert region["meta"]["text"][0].startswith("frame 11: p_error 0.30")

    def test_what_is_there_to_the_end_is_not_ended(self) -> None:
        (region,) = regions({1: [], 6: [car(10)], 11: [car(10)]})
        assert keys(region) == [(6, True, 5), (11, True, 5)]

    def test_a_turn_has_a_key_frame(self) -> None:
        (region,) = regions({1: [car(0)], 6: [car(20)], 11: [car(40)], 16: [car(20)], 21: [car(0)]})
        assert [frame for frame, _, _ in keys(region)] == [1, 11, 21]

    def test_two_objects_two_regions_and_none_for_what_the_project_does_not_ask_for(self) -> None:
        drawn = regions({1: [car(0), car(100), car(0, 60, "person")], 6: [car(98), car(2)]})
        assert [keys(one) for one in drawn] == [[(1, True, 0), (6, True, 1)], [(1, True, 50), (6, True, 49)]]

    def test_unseen_for_a_moment_it_is_the_same_and_unseen_for_long_another(self) -> None:
        numbers = list(range(1, 60, 5))
        for gap, objects in ((5, 1), (6, 2)):
            boxes = {number: [car(0)] if row == 0 or row > gap else [] for row, number in enumerate(numbers)}
            assert len(regions(boxes)) == objects

    def test_of_a_moment_that_is_one_still_long(self) -> None:
        (region,) = regions({1: [], 6: [car(10)], 11: []})
        assert keys(region) == [(6, False, 5)]
        assert [len(boxes_at([region], shown(), number, SIZE).boxes) for number in (5, 6, 7)] == [0, 1, 0]


def sequence(*keys: tuple[int, bool, float], rotation: float = 0) -> list[dict[str, Any]]:
    return [{"id": "a", "from_name": "box", "to_name": "video", "type": "videorectangle", "value": {
        "labels": ["car"], "sequence": [{"frame": frame, "enabled": enabled, "x": x, "y": 10, "width": 20, "height": 20,
                                         "rotation": rotation} for frame, enabled, x in keys]}}]  # fmt: skip


class TestBack:
    def test_between_key_frames_it_moves_evenly_and_after_a_disabled_one_it_is_gone(self) -> None:
        drawn = sequence((5, True, 0), (15, False, 10), (30, True, 50))
        found = {number: boxes_at(drawn, shown(), number, SIZE).boxes for number in (1, 5, 10, 15, 16, 29, 30, 99)}
        left = {number: [box.xyxy[0] for box in boxes] for number, boxes in found.items()}
        assert left == {1: [], 5: [0], 10: [10], 15: [20], 16: [], 29: [], 30: [100], 99: [100]}
        assert found[10][0] == Box((10, 10, 50, 30), "car")

    def test_a_turned_rectangle_is_the_upright_box_around_it(self) -> None:
        """A quarter about its first corner at (100, 10): 40 wide and 20 high becomes 20 wide and 40 high."""
        (box,) = boxes_at(sequence((1, True, 50), rotation=90), shown(), 1, SIZE).boxes
        assert box.xyxy == pytest.approx((80, 10, 100, 50))

    def test_the_label_may_stand_in_a_result_beside_it(self) -> None:
        drawn = sequence((1, True, 0))
        del drawn[0]["value"]["labels"]
        assert boxes_at(drawn, shown(), 1, SIZE).boxes == ()
        drawn.append(
            {"id": "a", "from_name": "kind", "to_name": "video", "type": "labels", "value": {"labels": ["car"]}}
        )
        assert [box.category for box in boxes_at(drawn, shown(), 1, SIZE).boxes] == ["car"]

    @pytest.mark.parametrize("change", [{"sequence": 3}, {"sequence": [{}]}, {}, {"labels": ["cow"]}])
    def test_what_is_not_as_label_studio_writes_it_is_refused(self, change: dict[str, Any]) -> None:
        drawn = sequence((1, True, 0))
        drawn[0]["value"] = {**({} if not change else drawn[0]["value"]), "labels": ["car"], **change}
        with pytest.raises(InvalidInput, match="annotation: expected"):
            boxes_at(drawn, shown(), 1, SIZE)

    @given(st.lists(st.lists(st.integers(0, 160), max_size=3), min_size=1, max_size=12))
    def test_what_nobody_changes_comes_back_near_what_was_seen(self, lefts: list[list[int]]) -> None:
        boxes = {1 + 5 * row: [car(left) for left in there] for row, there in enumerate(lefts)}
        drawn = regions(boxes)
        for number, there in boxes.items():
            again = boxes_at(drawn, shown(), number, SIZE).boxes
            for box in there:
                assert max(overlap(box, one) for one in again) >= 0.9 - 1e-6


def overlap(one: Box, other: Box) -> float:
    (a, b, c, d), (e, f, g, h) = one.xyxy, other.xyxy
    both = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
    return both / ((c - a) * (d - b) + (g - e) * (h - f) - both)


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(VIDEO)


@pytest.fixture
def joined(tmp_path: Path, studio: FakeStudio) -> Iterator[Served]:
    with serving(tmp_path, tasks=("detection",), studio=studio.client()) as running:
        yield running


def plain(frames: int = 12) -> list[NDArray[np.uint8]]:
    return brightening(frames, 120, 90)


class TestRound:
    def test_a_task_gets_one_prediction_and_its_stills_are_items_of_one_group(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        task = studio.add_task("a.mp4", movie(plain()), "video")
        (result,) = predict(joined, task, config=VIDEO)
        assert result["model_version"] == joined.version
        (region,) = result["result"]  # the car that the detector sees on every picture
        assert [key["frame"] for key in region["value"]["sequence"]] == [1, 11]
        assert (region["value"]["framesCount"], region["value"]["duration"]) == (12, pytest.approx(0.48))
        film = joined.loop.store.studio.film("detection", 1, "/data/upload/1/a.mp4", 25)
        assert film is not None
        items = [joined.loop.item(item_id) for _, item_id in film.stills]
        assert [item.uri.rpartition("#")[2] for item in items] == ["frame=1", "frame=6", "frame=11"]
        assert len({item.group for item in items}) == 1
        assert items[0].group.endswith("/data/upload/1/a.mp4")  # type: ignore[union-attr]
        places = [behind_head(answer, joined.loop, joined.deployment.settings) for item in items
                  if (answer := joined.loop.answered(item.id, "detection", joined.version))]  # fmt: skip
        assert result["score"] == min(places)
        studio.media.clear()
        assert predict(joined, task, config=VIDEO) == [result]  # what is known is not fetched again

    def test_an_annotation_is_a_correction_of_each_still_with_its_share_of_the_seconds(
        self, joined: Served, studio: FakeStudio
    ) -> None:
        task = studio.add_task("a.mp4", movie(plain()), "video")
        task["data"]["group"] = "tuesday"
        drawn = sequence((1, True, 10), (6, False, 20))
        tell(joined, studio.event("ANNOTATION_CREATED", studio.annotate(task, drawn, lead_time=12.0)))
        settled(joined)
        film = joined.loop.store.studio.film("detection", 1, "/data/upload/1/a.mp4", 25)
        assert film is not None
        given = [joined.loop.history(item_id)["corrections"] for _, item_id in film.stills]
        assert [[one["seconds"] for one in corrections] for corrections in given] == [[4], [4], [4]]
        assert [[box["xyxy"][0] for box in corrections[0]["label"]["boxes"]] for corrections in given] == [
            [12],
            [24],
            [],
        ]
        assert {joined.loop.item(item_id).group for _, item_id in film.stills} == {"tuesday"}
        corrections = joined.deployment.corrections
        assert studio.reconciled(corrections) == Reconciled(known=1)
        task["annotations"].clear()
        assert studio.reconciled(corrections) == Reconciled(withdrawn=1)
        assert list(joined.loop.store.queue.corrected("detection")) == []

    def test_a_broken_video_costs_the_other_tasks_nothing(self, joined: Served, studio: FakeStudio) -> None:
        good, broken = (studio.add_task(f"{name}.mp4", data, "video") for name, data in (
            ("a", movie(plain())), ("b", movie(plain())[:500])))  # fmt: skip
        results = predict(joined, broken, good, config=VIDEO)
        assert [len(one["result"]) for one in results] == [0, 1]
        assert "expected a whole video, got a broken one" in results[0]["error"]
