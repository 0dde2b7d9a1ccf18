"""prelabel as CVAT's functions: shapes on frames in the words of its serverless contract, and shapes that follow."""

import base64
import http.client
import io
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from models.actors import FIGURES
from models.arrays import Floats
from models.detection.overlap import pairwise_iou
from models.records import Box
from models.scenery import backdrop, developed, paint_ground
from models.streets import own_road
from models.versions import starters
from serving.cvat.nuclio import HANDLER
from serving.following import Corners, State, followed
from serving.loop import utc_now
from serving.media_files import content_id
from serving.tokens import make_token
from tests.serving.processes import free_port
from tests.serving.served import Served, listening, picture, refusing_first, serving

CAR = {"confidence": "0.9000", "label": "car", "type": "rectangle", "points": [10.0, 10.0, 50.0, 50.0]}


CONTEXT = SimpleNamespace(Response=lambda **told: told)
EVENT = SimpleNamespace(body={"image": base64.b64encode(picture()).decode(), "threshold": 0.5})


def handler_of(served: Served) -> Any:
    """What the description says is to run in nuclio."""
    described = served.client.get("/cvat/detection").json()
    module: dict[str, Any] = {"__name__": "handler"}
    exec(base64.b64decode(described["spec"]["build"]["functionSourceCode"]), module)
    return module["handler"]


def clock(slept: list[float]) -> SimpleNamespace:
    """Time as the handler knows it, in which sleep takes none."""
    return SimpleNamespace(monotonic=time.monotonic, sleep=slept.append)


def ask(served: Served, where: str = "detection", image: bytes | None = None, **more: Any) -> Any:
    body = {"image": base64.b64encode(picture() if image is None else image).decode(), **more}
    return served.client.post(f"/cvat/{where}", json=body)


class TestDetector:
    def test_a_frame_gets_its_rectangles_and_is_an_item_from_then_on(self, served: Served) -> None:
        (shape,) = ask(served).json()
        assert shape == CAR | {"points": [pytest.approx(value) for value in CAR["points"]]}
        answer = served.loop.answered(content_id(picture()), "detection", served.version)
        assert answer is not None
        assert ask(served).json() == [shape]
        queue = served.client.get("/v1/queue/detection").json()
        assert [one["item_id"] for one in queue["items"]] == [answer.preannotation.item_id]

    def test_lanes_are_polylines_from_pixel_to_pixel(self, served: Served) -> None:
        (shape,) = ask(served, "lane").json()
        assert (shape["type"], shape["label"]) == ("polyline", "lane")
        assert len(shape["points"]) >= 4
        assert len(shape["points"]) % 2 == 0
        assert all(55 < x < 65 for x in shape["points"][::2])  # 32 of 64 cells of 120 pixels

    def test_only_what_is_as_sure_as_the_threshold(self, served: Served) -> None:
        assert len(ask(served, threshold=0.8).json()) == 1
        assert ask(served, threshold=0.95).json() == []
        assert len(ask(served, threshold=None).json()) == 1

    def test_labels_are_the_models_own_or_aliases_or_refused_with_both_lists(self, tmp_path: Path) -> None:
        with serving(tmp_path, cvat_labels={"Auto": "car", "tram": "tram"}) as served:
            assert [shape["label"] for shape in ask(served).json()] == ["Auto"]
            assert [shape["label"] for shape in ask(served, labels=["car"]).json()] == ["car"]
            assert ask(served, labels=["tram"]).json() == []
            refused = ask(served, labels=["car", "cow"])
            assert refused.status_code == 422
            says = "expected labels of the model, car, or aliases in PRELABEL_CVAT_LABELS, got cow among car, cow"
            assert says in refused.json()["error"]["message"]
            assert [shape["label"] for shape in ask(served, "lane", labels=["Fahrbahn"]).json()] == ["Fahrbahn"]

    @pytest.mark.parametrize(
        ("body", "status", "says"),
        [
            ({"image": "no base64"}, 422, "image: expected base64, got"),
            ({"image": base64.b64encode(b"no picture").decode()}, 422, "expected a JPEG, PNG or WebP image"),
            ({}, 422, "image: Field required"),
            ({"image": "", "threshold": 2}, 422, "threshold: Input should be less than or equal to 1"),
        ],
    )
    def test_what_is_no_frame_is_refused(self, served: Served, body: dict[str, Any], status: int, says: str) -> None:
        answer = served.client.post("/cvat/detection", json=body)
        assert answer.status_code == status
        assert says in answer.json()["error"]["message"]

    def test_speech_is_nothing_for_cvat(self, served: Served) -> None:
        for answer in (ask(served, "asr"), served.client.get("/cvat/asr"), served.client.get("/cvat/ocr")):
            assert answer.status_code == 404

    def test_the_description_of_the_api_leads_to_every_part(self, served: Served) -> None:
        schema = served.client.get("/openapi.json").json()
        named = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(schema))
        assert "components/schemas/State" in named
        for name in named:
            reduce(lambda part, key: part[key], name.split("/"), schema)

    def test_a_token_needs_the_scope_to_annotate(self, served: Served) -> None:
        for scope, status in (("annotate", 200), ("correct", 403)):
            secret = make_token(served.loop.store, f"cvat-{scope}", (scope,), "tester", utc_now())
            for path in ("detection", "detection/tracker"):
                body = {"image": base64.b64encode(picture()).decode(), "shapes": []}
                answer = served.client.post(f"/cvat/{path}", json=body, headers={"Authorization": f"Bearer {secret}"})
                assert answer.status_code == status
        assert served.client.post("/cvat/detection", json={}).status_code == 401


class TestNuclio:
    def test_the_description_says_what_cvat_reads(self, served: Served) -> None:
        described = yaml.safe_load(served.client.get("/cvat/detection/function.yaml").text)
        assert described == served.client.get("/cvat/detection").json()
        annotations = described["metadata"]["annotations"]
        assert annotations["type"] == "detector"
        assert json.loads(annotations["spec"]) == [{"id": 0, "name": "car", "type": "rectangle"}]
        assert described["spec"]["runtime"] == "python:3.11"
        assert described["spec"]["env"][0]["value"] == "http://127.0.0.1:3000/cvat/detection"
        assert base64.b64decode(described["spec"]["build"]["functionSourceCode"]) == HANDLER.read_bytes()
        lanes = served.client.get("/cvat/lane").json()["metadata"]["annotations"]
        assert json.loads(lanes["spec"]) == [{"id": 0, "name": "lane", "type": "polyline"}]
        tracker = yaml.safe_load(served.client.get("/cvat/detection/tracker/function.yaml").text)
        assert tracker["metadata"]["annotations"]["type"] == "tracker"

    def test_the_handler_of_the_description_passes_question_token_and_answer_on(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler = handler_of(served)
        secret = make_token(served.loop.store, "nuclio", ("annotate",), "tester", utc_now())
        with listening(served) as url:
            monkeypatch.setenv("PRELABEL_FUNCTION", f"{url}/cvat/detection")
            monkeypatch.setenv("PRELABEL_TOKEN", secret)
            told = handler(CONTEXT, EVENT)
            assert told["status_code"] == 200
            assert [shape["label"] for shape in json.loads(told["body"])] == ["car"]
            monkeypatch.setenv("PRELABEL_TOKEN", "wrong")
            told = handler(CONTEXT, EVENT)
            assert told["status_code"] == 401
            assert "Bearer TOKEN" in json.loads(told["body"])["error"]["message"]

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_handler_asks_again_when_prelabel_is_too_busy_and_no_longer_than_cvat_waits(
        self, served: Served, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        handler, slept = handler_of(served), list[float]()
        told: list[str | None] = ["7", None, "Fri, 01 Jan 2100 00:00:00 GMT", "0"]
        monkeypatch.setattr(urllib.request, "urlopen", refusing_first(told, status))
        monkeypatch.setitem(handler.__globals__, "time", clock(slept))
        with listening(served) as url:
            monkeypatch.setenv("PRELABEL_FUNCTION", f"{url}/cvat/detection")
            assert handler(CONTEXT, EVENT)["status_code"] == 200
            assert slept == [7, 4, 8, 0]
            told += ["1"] * 5
            assert (handler(CONTEXT, EVENT)["status_code"], told, slept[4:]) == (status, [], [1, 1, 1, 1])
            told += ["300"]
            assert (handler(CONTEXT, EVENT)["status_code"], told, slept[8:]) == (status, [], [])

    def test_the_handler_asks_again_when_an_answer_ends_in_the_middle(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler, answered, slept = handler_of(served), urllib.request.urlopen, list[float]()

        def breaking_off(asked: Any, **how: Any) -> Any:
            if slept:
                return answered(asked, **how)
            raise http.client.IncompleteRead(b"[{", 98)

        monkeypatch.setattr(urllib.request, "urlopen", breaking_off)
        monkeypatch.setitem(handler.__globals__, "time", clock(slept))
        with listening(served) as url:
            monkeypatch.setenv("PRELABEL_FUNCTION", f"{url}/cvat/detection")
            assert (handler(CONTEXT, EVENT)["status_code"], slept) == (200, [2])

    def test_the_handler_waits_for_a_restart_and_says_so_when_nothing_answers(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler, slept = handler_of(served), list[float]()
        monkeypatch.setenv("PRELABEL_FUNCTION", f"http://127.0.0.1:{free_port()}/cvat/detection")
        monkeypatch.setitem(handler.__globals__, "time", clock(slept))
        told = handler(CONTEXT, EVENT)
        assert (told["status_code"], slept) == (503, [2, 4, 8, 16])
        assert "expected prelabel to answer" in json.loads(told["body"])["error"]["message"]


def box(x: float, category: str = "car", side: float = 10) -> Box:
    return Box((x, 0, x + side, 10), category)


def known(*states: State) -> list[tuple[str | None, int]]:
    return [(state.category, state.missed) for state in states]


class TestTracker:
    def test_a_drawn_shape_stays_and_learns_what_it_is_around(self) -> None:
        shapes, states = followed([(1, 0, 11, 10)], [None], [box(0)])
        assert shapes == [(1, 0, 11, 10)]
        assert states == [State("car", box=(1, 0, 11, 10))]

    def test_a_shape_takes_the_box_that_overlaps_it_and_none_twice(self) -> None:
        shapes, states = followed([(0, 0, 10, 10), (6, 0, 16, 10)], [State("car")] * 2, [box(3), box(8)])
        assert shapes == [box(3).xyxy, box(8).xyxy]
        shapes, states = followed([(0, 0, 10, 10), (6, 0, 16, 10)], [State("car")] * 2, [box(1)])
        assert shapes == [box(1).xyxy, (6, 0, 16, 10)]
        assert [state.box for state in states] == shapes
        assert [state.missed for state in states] == [0, 1]

    def test_its_own_category_comes_first_and_another_is_better_than_none(self) -> None:
        boxes = [box(0, "person"), box(3)]
        assert followed([(0, 0, 10, 10)], [State("car")], boxes)[0] == [box(3).xyxy]
        shapes, states = followed([(0, 0, 10, 10)], [State("car")], boxes[:1])
        assert (shapes, known(*states)) == ([box(0).xyxy], [("car", 0)])
        assert known(*followed([(0, 0, 10, 10)], [State()], boxes)[1]) == [("person", 0)]

    def test_what_finds_nothing_stays_and_says_for_how_long(self) -> None:
        shape: Corners = (0, 0, 10, 10)
        shapes, states = [shape], [State("car")]
        for missed in (1, 2):
            shapes, states = followed(shapes, states, [box(9)])
            assert (shapes, known(*states)) == ([shape], [("car", missed)])
        assert known(*followed(shapes, states, [box(1)])[1]) == [("car", 0)]
        assert followed([], [], [box(1)]) == ([], [])
        assert followed([shape], [None], []) == ([shape], [State(box=shape)])

    def test_a_faint_box_is_taken_where_it_overlaps_more_and_well(self) -> None:
        shapes: list[Corners] = [(0, 0, 10, 10), (30, 0, 40, 10)]
        moved, states = followed(shapes, [State("car")] * 2, [box(1)], [box(3), box(32), box(35)])
        assert moved == [box(1).xyxy, box(32).xyxy]
        assert known(*states) == [("car", 0), ("car", 0)]
        assert followed(shapes[:1], [State("car")], [box(3)], [box(1)])[0] == [box(1).xyxy]
        assert known(*followed(shapes[:1], [State("car")], [], [box(5)])[1]) == [("car", 1)]

    def test_over_http_states_come_back_as_they_were_given(self, served: Served) -> None:
        near = [[12, 12, 52, 52], [90, 60, 110, 80]]
        first = ask(served, "detection/tracker", shapes=near).json()
        assert first["shapes"] == near
        assert [(state["category"], state["missed"]) for state in first["states"]] == [("car", 0), (None, 0)]
        second = ask(served, "detection/tracker", **first).json()
        assert second["shapes"] == [[pytest.approx(value) for value in (10, 10, 50, 50)], near[1]]
        assert [state["missed"] for state in second["states"]] == [0, 1]
        refused = ask(served, "detection/tracker", shapes=[[1, 2, 3]])
        assert refused.status_code == 422
        assert "Field required" in refused.json()["error"]["message"]

    def test_states_alone_are_enough_and_shapes_with_types_come_back_with_them(self, served: Served) -> None:
        drawn = {"type": "rectangle", "points": [12, 12, 52, 52]}
        first = ask(served, "detection/tracker", shapes=[drawn]).json()
        assert first["shapes"] == [drawn]
        second = ask(served, "detection/tracker", states=first["states"]).json()
        assert second["shapes"] == [{"type": "rectangle", "points": [pytest.approx(v) for v in (10, 10, 50, 50)]}]
        third = ask(served, "detection/tracker", states=second["states"]).json()
        assert third["shapes"] == second["shapes"]
        refused = ask(served, "detection/tracker", states=[{"category": "car"}])
        assert "expected a shape or a box for each" in refused.json()["error"]["message"]

    @pytest.mark.parametrize("seed", [2, 4])
    def test_boxes_follow_a_moving_scene_with_the_real_detector(self, tmp_path: Path, seed: int) -> None:
        """A car that comes nearer, and one that changes its lane."""
        with serving(tmp_path, tasks=()) as served:
            starter = next(version for version in starters() if version.task == "detection")
            served.loop.versions.add(starter.folder, "tester")
            served.loop.versions.promote(starter.name, "tester", force=True)
            served.deployment.live.refresh()
            frames = list(moving_scene(seed, 10))
            drawn = frames[0][1]
            told: Any = {"shapes": drawn.tolist(), "states": []}
            for image, truth in frames:
                told = ask(served, "detection/tracker", image, **told).json()
                overlap = np.diag(pairwise_iou(np.array(told["shapes"]), truth))
                assert (overlap > 0.3).all(), (overlap, told["states"])
            assert (overlap > 0.4).all()
            assert [state["category"] for state in told["states"]] == ["car", "car"]
            assert np.diag(pairwise_iou(drawn, frames[-1][1])).max() < 0.3  # who had stood still would be far off


def moving_scene(seed: int, count: int) -> Iterator[tuple[bytes, Floats]]:
    """PNG frames, and the boxes (2, 4) on each."""
    rng = np.random.default_rng(seed)
    street = own_road(rng, 480, 360, 3)
    canvas = backdrop(rng, street)
    paint_ground(rng, street, canvas)
    tiles = [FIGURES["car"](rng) for _ in range(2)]
    begin = np.array([[60, 180, 130, 240], [330, 190, 420, 260]], np.float64)
    end = np.array([[40, 185, 170, 295], [230, 195, 310, 258]], np.float64)
    for step in np.linspace(0, 1, count):
        boxes = np.round(begin + step * (end - begin))
        frame = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
        for tile, (x1, y1, x2, y2) in zip(tiles, boxes.astype(int).tolist(), strict=True):
            car = tile.resize((x2 - x1, y2 - y1))
            frame.paste(car.convert("RGB"), (x1, y1), car.getchannel("A"))
        file = io.BytesIO()
        Image.fromarray(developed(np.random.default_rng(1), np.asarray(frame) / 255)).save(file, "PNG")
        yield file.getvalue(), boxes
