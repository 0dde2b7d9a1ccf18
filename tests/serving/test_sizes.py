"""A label has the size of its item's picture, whoever sends it; where that cannot be told any more, it is taken."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.errors import InvalidInput
from models.media import image_size
from models.records import Boxes, Correction, Item, Lanes
from serving import sizes
from serving.loop import Registration, utc_now
from serving.media_files import content_id
from serving.simulation.pool import read_pool
from tests.serving.served import Served, picture, serving

RIGHT, WRONG = Boxes(120, 90), Boxes(240, 180)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A deployment of which no item is gold by chance."""
    with serving(tmp_path, tasks=("detection", "lane"), gold_share=0) as running:
        yield running


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The media whose size was looked up."""
    looked: list[Path] = []

    def look(path: Path) -> tuple[int, int]:
        looked.append(path)
        return image_size(path)

    monkeypatch.setattr(sizes, "image_size", look)
    return looked


def of(item_id: str, label: Boxes | Lanes, annotator: str = "ada") -> Correction:
    task = "detection" if isinstance(label, Boxes) else "lane"
    return Correction(item_id, task, label, annotator, 1.0, "test", utc_now())  # type: ignore[arg-type]


def registered(served: Served, file: Path) -> str:
    """The item of a file that no version is asked about."""
    served.deployment.background.close()
    served.loop.register([Registration(str(file), "detection", file)], "tester")
    return content_id(file)


def labels(served: Served, item_id: str) -> list[dict[str, Any]]:
    return list(served.loop.history(item_id)["corrections"])


def test_over_http_a_label_of_another_size_is_refused_and_nothing_is_kept(served: Served, looks: list[Path]) -> None:
    for task, kind in (("detection", "boxes"), ("lane", "lanes")):
        item_id = served.client.post(f"/v1/{task}/annotate", content=picture(1)).json()["item_id"]
        (held,) = served.client.get(f"/v1/queue/{task}?annotator=ada").json()["items"]
        body = {"task": task, "annotator": "ada", "seconds": 1, "lease_id": held["lease_id"]}
        for width, height in ((240, 180), (90, 120)):
            label = {"width": width, "height": height, kind: []}
            answer = served.client.post(f"/v1/items/{item_id}/correction", json=body | {"label": label})
            assert (answer.status_code, answer.json()["error"]) == (422, {
                "code": "invalid_input",
                "message": f"item {item_id}: expected a label of 120x90 pixels, as its picture has, got "
                           f"{width}x{height}",
            })  # fmt: skip
        assert [one for one in labels(served, item_id) if one["task"] == task] == []
        label = {"width": 120, "height": 90, kind: []}
        taken = served.client.post(f"/v1/items/{item_id}/correction", json=body | {"label": label})
        assert taken.status_code == 200, taken.text
    assert looks == []  # the versions that answered saw the picture


def test_known_labels_are_refused_and_choose_nothing(served: Served) -> None:
    item_id = served.client.post("/v1/detection/annotate", content=picture(1)).json()["item_id"]
    body = {"task": "detection", "label": {"width": 90, "height": 120, "boxes": []}}
    answer = served.client.put(f"/v1/items/{item_id}/gold", json=body)
    assert answer.status_code == 422
    assert "expected a label of 120x90 pixels, as its picture has, got 90x120" in answer.json()["error"]["message"]
    assert served.loop.store.gold.chosen("detection") == frozenset()
    assert labels(served, item_id) == []


def test_of_a_data_set_what_does_not_fit_is_left_out(served: Served, tmp_path: Path) -> None:
    served.deployment.background.close()
    files = [tmp_path / f"{shade}.png" for shade in (1, 2)]
    for shade, file in enumerate(files):
        file.write_bytes(picture(shade))
    pairs = [(Item(file.name, str(file)), label) for file, label in zip(files, (WRONG, RIGHT), strict=True)]
    brought = served.loop.gold.bring("detection", pairs, "coco:right", "boss")
    why = f"{files[0]}: expected a label of 120x90 pixels, as its picture has, got 240x180"
    assert (brought.labels, brought.choice.new, brought.failed) == (1, 1, ((str(files[0]), why),))
    assert served.loop.store.gold.chosen("detection") == {content_id(files[1])}
    assert [item.uri for item in served.loop.pending("detection", 9)] == [str(files[1])]  # the other is no item


def test_without_an_answer_the_medium_says_its_size_and_is_looked_at_once(
    served: Served, tmp_path: Path, looks: list[Path]
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture(1))
    item_id = registered(served, file)
    for _ in range(2):
        with pytest.raises(InvalidInput, match=f"item {item_id}: expected a label of 120x90 pixels"):
            served.loop.correct(of(item_id, WRONG), None, "tester")
    served.loop.correct(of(item_id, RIGHT), None, "tester")
    assert len(labels(served, item_id)) == 1
    assert looks == [file]


def test_a_photo_has_the_size_in_which_people_see_it(served: Served, tmp_path: Path) -> None:
    exif, data = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(np.zeros((90, 120, 3), np.uint8)).save(data, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(data.getvalue())
    item_id = registered(served, tmp_path / "a.jpg")
    with pytest.raises(InvalidInput, match="expected a label of 90x120 pixels"):
        served.loop.correct(of(item_id, RIGHT), None, "tester")
    served.loop.correct(of(item_id, Boxes(90, 120)), None, "tester")


@pytest.mark.parametrize("there", [None, picture(2, 240, 200), b"no picture"], ids=["gone", "changed", "broken"])
def test_where_the_medium_cannot_be_read_what_a_version_saw_counts_or_else_nothing(
    served: Served, tmp_path: Path, there: bytes | None
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture(1))
    item_id = registered(served, file)
    file.unlink() if there is None else file.write_bytes(there)
    served.loop.correct(of(item_id, WRONG), None, "tester")  # nobody can tell any more
    file.write_bytes(picture(1))
    served.deployment.annotator.registered("detection", served.loop.item(item_id), "tester")
    file.unlink() if there is None else file.write_bytes(there)
    with pytest.raises(InvalidInput, match="expected a label of 120x90 pixels"):
        served.loop.correct(of(item_id, WRONG, "bob"), None, "tester")
    served.loop.correct(of(item_id, RIGHT, "bob"), None, "tester")
    assert [one["annotator"] for one in labels(served, item_id)] == ["ada", "bob"]


def test_what_one_task_saw_holds_for_another(served: Served, looks: list[Path]) -> None:
    item_id = served.client.post("/v1/lane/annotate", content=picture(1)).json()["item_id"]
    served.loop.register([Registration("a", "detection", picture(1))], "tester")
    with pytest.raises(InvalidInput, match="expected a label of 120x90 pixels"):
        served.loop.correct(of(item_id, WRONG), None, "tester")
    assert looks == []


def test_a_simulation_begins_with_labels_that_fit(tmp_path: Path) -> None:
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images/1.png").write_bytes(picture(1))
    for width, expected in ((120, "that the first model has not seen"), (240, "expected a label of 120x90 pixels")):
        image = {"id": 1, "file_name": "1.png", "width": width, "height": 90}
        document = {"images": [image], "annotations": [], "categories": []}
        (tmp_path / "annotations/instances_val.json").write_text(json.dumps(document))
        with pytest.raises(InvalidInput, match=expected):
            read_pool("detection", [f"coco:{tmp_path}:val"], [], frozenset(), None, True)
