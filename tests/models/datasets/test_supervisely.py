"""Supervisely: figures become boxes, and every broken one is named."""

import base64
import json
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from models.datasets import read
from models.errors import NotFound, UnreadableMedia
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, parts, photo, put


def figure(kind: str = "rectangle", title: str = "car", **told: Any) -> dict[str, Any]:
    common = {"id": 7, "classId": 3, "labelerLogin": "ada", "tags": [], "description": ""}
    return {**common, "geometryType": kind, "classTitle": title, **told}


def outline(*points: list[float]) -> dict[str, Any]:
    return {"points": {"exterior": list(points), "interior": []}}


def bitmap(width: int, height: int, *origin: int, margin: int = 0, mode: str = "1", cut: int = 0) -> dict[str, Any]:
    """A mask of so many pixels, with so many empty ones around it, in a PNG that lacks its last bytes."""
    packed = BytesIO()
    mask = Image.new("1", (width, height), 1)
    mask = ImageOps.expand(mask, margin).convert("P" if mode == "P" else "L")
    if mode == "RGBA":  # black, and seen all the same
        mask = Image.merge("RGBA", [Image.new("L", mask.size)] * 3 + [mask])
    mask.save(packed, "PNG", **({"transparency": 0} if mode == "P" else {}))
    png = packed.getvalue()
    data = base64.b64encode(zlib.compress(png[: len(png) - cut])).decode()
    return {"bitmap": {"data": data, "origin": list(origin)}}


CAR = figure(**outline([10, 8], [29, 23]))


def project(root: Path, *figures: Any, dataset: str = "ds0", labelled: str = "a.jpg.json") -> Path:
    put(root / "meta.json", json.dumps({"classes": [{"title": "car", "shape": "rectangle"}], "tags": []}))
    photo(root / dataset / "img" / "a.jpg")
    document = {"description": "", "tags": [], "size": {"height": 48, "width": 64}, "objects": list(figures)}
    return put(root / dataset / "ann" / labelled, json.dumps(document))


@pytest.mark.parametrize(
    ("told", "xyxy"),
    [
        (CAR, (10, 8, 30, 24)),  # the last pixels belong to it
        (figure(**outline([29, 23], [10, 8])), (10, 8, 30, 24)),
        (figure(**outline([10.5, 8.0], [29.25, 23.0])), (10.5, 8, 29.25, 23)),
        (figure("polygon", **outline([60, 2], [70, 9], [50, 4])), (50, 2, 64, 10)),
        (figure("bitmap", **bitmap(5, 3, 7, 9)), (7, 9, 12, 12)),
        (figure("bitmap", **bitmap(5, 3, 7, 9, margin=2)), (9, 11, 14, 14)),  # what is empty is no part of it
        (figure("bitmap", **bitmap(5, 3, 7, 9, margin=2, mode="P")), (9, 11, 14, 14)),
        (figure("bitmap", **bitmap(5, 3, 7, 9, margin=2, mode="RGBA")), (9, 11, 14, 14)),
    ],
)
def test_figures_become_the_boxes_around_them(
    tmp_path: Path, told: dict[str, Any], xyxy: tuple[float, float, float, float]
) -> None:
    project(tmp_path, figure("polyline", **outline([1, 2], [3, 4])), told, figure("point", **outline([1, 2])))
    image = tmp_path / "ds0" / "img" / "a.jpg"
    expected = [(Item("ds0/img/a.jpg", str(image)), Boxes(64, 48, (Box(xyxy, "car"),)))]
    assert list(read(f"supervisely:{tmp_path}")) == list(read(f"supervisely:{tmp_path}:ds0")) == expected
    assert list(labels(f"supervisely:{tmp_path}/ds0")) == ["img/a.jpg"]


def test_a_dataset_is_a_split(tmp_path: Path) -> None:
    project(tmp_path, CAR, dataset="train")
    project(tmp_path, dataset="val")
    assert labels(f"supervisely:{tmp_path}:val") == {"val/img/a.jpg": Boxes(64, 48)}
    with pytest.raises(NotFound, match=r"expected one of the splits there \(train, val\), got no split"):
        read(f"supervisely:{tmp_path}")


def test_a_dataset_within_another_is_apart_from_it(tmp_path: Path) -> None:
    project(tmp_path, CAR, dataset="town")
    project(tmp_path, dataset="town/datasets/night/datasets/rain")
    with pytest.raises(NotFound, match=r"there \(town, town/datasets/night/datasets/rain\), got no split"):
        read(f"supervisely:{tmp_path}")
    assert list(labels(f"supervisely:{tmp_path}:town")) == ["town/img/a.jpg"]
    rain = "town/datasets/night/datasets/rain"
    assert list(labels(f"supervisely:{tmp_path}:{rain}")) == [f"{rain}/img/a.jpg"]


def test_files_may_be_called_as_the_first_versions_did(tmp_path: Path) -> None:
    project(tmp_path, CAR, labelled="a.json")
    assert labels(f"supervisely:{tmp_path}") == {"ds0/img/a.jpg": Boxes(64, 48, (Box((10, 8, 30, 24), "car"),))}


def test_an_image_whose_name_is_the_beginning_of_anothers_keeps_its_labels(tmp_path: Path) -> None:
    project(tmp_path, CAR)
    photo(tmp_path / "ds0" / "img" / "a.jpg.png")
    put(tmp_path / "ds0" / "ann" / "a.jpg.png.json", json.dumps({"objects": []}))
    assert [parts(label) for label in labels(f"supervisely:{tmp_path}").values()] == [1, 0]


def test_a_mask_in_which_nothing_is_drawn_covers_nothing(tmp_path: Path) -> None:
    project(tmp_path, figure("bitmap", **bitmap(0, 0, 7, 9, margin=2)))
    assert labels(f"supervisely:{tmp_path}") == {"ds0/img/a.jpg": Boxes(64, 48)}


def test_a_mask_that_is_cut_off_is_named(tmp_path: Path) -> None:
    file = project(tmp_path, figure("bitmap", **bitmap(5, 3, 7, 9, cut=30)))
    with pytest.raises(UnreadableMedia, match=rf"^{file}:objects\[0\]: expected a whole image/png file"):
        list(read(f"supervisely:{tmp_path}"))


def test_an_image_without_its_file_is_named(tmp_path: Path) -> None:
    project(tmp_path, CAR).unlink()
    expect_broken(f"supervisely:{tmp_path}", tmp_path / "ds0" / "img" / "a.jpg", "", "expected a file that exists, got")


OUTLINE = "expected two points or more, [x, y], in points.exterior, got "


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (7, "expected an object, got 7"),
        (figure(kind=7), "expected a string under 'geometryType', got 7"),  # type: ignore[arg-type]
        (figure(), f"{OUTLINE}None"),
        (figure(points=[]), f"{OUTLINE}[]"),
        (figure(**outline([1, 2])), f"{OUTLINE}[[1, 2]]"),
        (figure(**outline([1, 2], [3])), f"{OUTLINE}[[1, 2], [3]]"),
        (figure(**outline([1, 2], [3, "4"])), f"{OUTLINE}[1, 2, 3, '4']"),  # type: ignore[list-item]
        (figure("bitmap"), "expected [x, y] in bitmap.origin, got None"),
        (figure("bitmap", bitmap={"data": "x", "origin": [1, "2"]}), "expected [x, y] in bitmap.origin, got [1, '2']"),
        (figure("bitmap", bitmap={"data": "x", "origin": [1, 2]}), "expected a packed PNG in bitmap.data, got 'x'"),
    ],
)
def test_a_broken_figure_is_named(tmp_path: Path, told: Any, message: str) -> None:
    file = project(tmp_path, CAR, told)
    expect_broken(f"supervisely:{tmp_path}", f"{file}:objects[1]", "", message)


def test_a_class_without_a_title_is_named(tmp_path: Path) -> None:
    file = project(tmp_path, {**CAR, "classTitle": " "})
    expect_broken(f"supervisely:{tmp_path}", f"{file}:objects[0].classTitle", "", "expected a class, got ''")
