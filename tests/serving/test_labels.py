"""Labels out: corrections and, where asked, what was accepted; and one data set written anew as another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from models.datasets import read
from models.errors import InvalidInput, NotFound
from models.records import Boxes, Item, PreAnnotation, Uncertainty
from selection.routing import Decision
from serving.labels import convert, export
from serving.loop import Loop, Registration
from serving.media_files import MediaFiles, content_id
from serving.store import Store
from serving.store.records import Answer
from tests.serving.work import START, boxes, correction, settings, version_folder


def photo(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (shade, 0, 0)).save(path)
    return path


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """Three photos: the first and the posted second corrected, the third accepted unseen, a fourth only waiting."""
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    files = MediaFiles(tmp_path / "media")
    loop = Loop(store, files, settings(tmp_path / "data"), lambda: START)
    loop.versions.add(version_folder(tmp_path / "versions", "v1"), "tester")
    store.versions.promote_first("v1", "tester", START)
    for name, shade in (("street.0001", 1), ("accepted", 3), ("waiting", 4)):
        path = photo(tmp_path / "photos" / f"{name}.png", shade)
        loop.register([Registration(str(path), "detection", path, "clip")], "tester")
    data = photo(tmp_path / "posted.jpg", 2).read_bytes()
    posted = Item(files.save(data), f"posted:{content_id(data)}")
    store.items.register([(posted, "detection", 0.5)], "tester", START)
    for item_id, category in ((content_id(tmp_path / "photos" / "street.0001.png"), "car"), (posted.id, "bus")):
        loop.correct(replace(correction("x", category), item_id=item_id), None, "tester")
    for name, decision in (("street.0001", "accept"), ("accepted", "accept"), ("waiting", "review")):
        answer(store, loop.item(content_id(tmp_path / "photos" / f"{name}.png")), decision)
    yield loop
    store.close()


def answer(store: Store, item: Item, decision: str) -> None:
    doubt = Uncertainty(p_error=0.01, seconds=1.0, score=0.01)
    said = PreAnnotation(item.id, "detection", "v1", boxes("van"), doubt)
    store.items.save(item, Answer(said, Decision(decision, "because")), 0.9, None, "tester", START)  # type: ignore[arg-type]


def written(folder: Path) -> dict[str, tuple[str, ...]]:
    """The categories in each written image."""
    found = {}
    for item, label in read(f"coco:{folder}"):
        assert isinstance(label, Boxes)
        found[item.id] = tuple(box.category for box in label.boxes)
    return found


def test_corrections_are_written_under_names_that_people_know(loop: Loop, tmp_path: Path) -> None:
    assert export(loop, "detection", "coco", tmp_path / "out") == 2
    street = content_id(tmp_path / "photos" / "street.0001.png")
    posted = content_id(tmp_path / "posted.jpg")
    assert written(tmp_path / "out") == {
        f"images/street.0001-{street[:12]}.png": ("car",),
        f"images/{posted}.jpg": ("bus",),
    }


def test_what_was_accepted_is_written_when_asked_for(loop: Loop, tmp_path: Path) -> None:
    assert export(loop, "detection", "coco", tmp_path / "out", accepted=True) == 3
    accepted = content_id(tmp_path / "photos" / "accepted.png")
    assert written(tmp_path / "out")[f"images/accepted-{accepted[:12]}.png"] == ("van",)


def test_another_task_has_no_labels_and_another_format_does_not_hold_them(loop: Loop, tmp_path: Path) -> None:
    assert export(loop, "lane", "culane", tmp_path / "none") == 0
    with pytest.raises(InvalidInput, match=r"format: expected one that detection labels are written in \(coco, voc, "):
        export(loop, "detection", "culane", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_medium_that_is_gone_or_changed_stops_the_export_and_nothing_is_left(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "street.0001.png"
    path.write_bytes(b"changed")
    with pytest.raises(InvalidInput, match="the file was changed"):
        export(loop, "detection", "coco", tmp_path / "out")
    path.unlink()
    with pytest.raises(NotFound, match="expected its medium at"):
        export(loop, "detection", "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_set_is_written_anew_as_another(loop: Loop, tmp_path: Path) -> None:
    export(loop, "detection", "coco", tmp_path / "coco")
    assert convert(f"coco:{tmp_path}/coco", "yolo", tmp_path / "yolo") == 2
    labels = [label for _, label in read(f"yolo:{tmp_path}/yolo")]
    assert sorted(box.category for label in labels if isinstance(label, Boxes) for box in label.boxes) == ["bus", "car"]
    with pytest.raises(InvalidInput, match="expected one that detection labels are written in"):
        convert(f"coco:{tmp_path}/coco", "nemo", tmp_path / "nemo")
