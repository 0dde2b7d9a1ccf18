"""CVAT for images 1.1: one XML file of boxes and lines, every broken element named with its line."""

from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
from models.records import Box, Boxes, Item, Lane, Lanes
from tests.models.datasets.corpora import expect_broken, labels, photo, put

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task><id>7</id><name>roads</name><size>2</size><mode>annotation</mode><source>a box & more</source></task>
    <dumped>2026-11-27 10:00:00.000000+00:00</dumped>
  </meta>
""".replace(" & ", " &amp; ")
FIRST = """  <image id="0" name="deep/a b.png" width="64" height="48">
    <box label="car" source="manual" occluded="0" xtl="10.50" ytl="4.00" xbr="70.00" ybr="20.00" z_order="0">
      <attribute name="parked">false</attribute>
    </box>
    <box label="bus" source="manual" occluded="0" xtl="20.00" ytl="20.00" xbr="40.00" ybr="30.00" rotation="90.00">
    </box>
    <box label="car" source="manual" occluded="0" xtl="64.00" ytl="4.00" xbr="70.00" ybr="20.00" z_order="0">
    </box>
    <polygon label="sign" source="manual" occluded="0" points="1.00,2.00;5.00,1.00;3.00,9.00" z_order="0">
    </polygon>
    <polyline label="lane" source="manual" occluded="0" points="1.50,48.00;20.00,-1.00" z_order="0">
    </polyline>
    <points label="nose" source="manual" occluded="0" points="1.00,2.00" z_order="0"></points>
    <tag label="sunny" source="manual"></tag>
  </image>
"""
SECOND = '  <image id="1" name="frame_000001">\n  </image>\n'


def corpus(root: Path, images: str = FIRST + SECOND) -> Path:
    photo(root / "images" / "deep" / "a b.png")
    photo(root / "images" / "frame_000001.PNG")
    return put(root / "annotations.xml", f"{HEAD}{images}</annotations>\n")


BOXES = Boxes(
    64, 48, (Box((10.5, 4, 64, 20), "car"), Box((25, 15, 35, 35), "bus"), Box((1, 1, 5, 9), "sign"))
)  # fmt: skip
LANES = Lanes(64, 48, (Lane(((1.5, 48), (20, -1))),))


def test_an_image_has_its_boxes_and_its_lines(tmp_path: Path) -> None:
    file = corpus(tmp_path)
    (item, boxes), (_, none) = read(f"cvat:{tmp_path}")
    assert item == Item("images/deep/a b.png", str(tmp_path / "images/deep/a b.png"))
    assert isinstance(boxes, Boxes)
    assert [box.category for box in boxes.boxes] == [box.category for box in BOXES.boxes]
    for found, told in zip(boxes.boxes, BOXES.boxes, strict=True):
        assert found.xyxy == pytest.approx(told.xyxy)
    assert none == Boxes(64, 48)
    assert labels(f"cvat-lanes:{file}") == {item.id: LANES, "images/frame_000001.PNG": Lanes(64, 48)}


def test_a_split_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    """As Datumaro writes them, with all images in one folder."""
    names = {"train": "Füße/ä b.jpg", "val": "v1.2.a.jpg"}
    for split, name in names.items():
        photo(tmp_path / "images" / name)
        put(tmp_path / f"{split}.xml", f'{HEAD}<image id="0" name="{name}"/></annotations>')
    assert labels(f"cvat:{tmp_path}:train") == {"images/Füße/ä b.jpg": Boxes(64, 48)}
    assert labels(f"cvat:{tmp_path}/val.xml") == {"images/v1.2.a.jpg": Boxes(64, 48)}
    with pytest.raises(NotFound, match=r"expected one of the splits there \(train, val\), got no split"):
        read(f"cvat:{tmp_path}")
    (tmp_path / "val.xml").rename(tmp_path / "annotations.xml")
    assert labels(f"cvat:{tmp_path}") == {"images/v1.2.a.jpg": Boxes(64, 48)}


def test_fiftyone_has_its_images_below_data(tmp_path: Path) -> None:
    photo(tmp_path / "data" / "deep" / "a b.jpg")
    put(tmp_path / "labels.xml", f'{HEAD}<image id="0" name="deep/a b.jpg"/></annotations>')
    assert labels(f"cvat:{tmp_path}") == {"data/deep/a b.jpg": Boxes(64, 48)}
    assert labels(f"cvat:{tmp_path}:labels") == labels(f"cvat:{tmp_path}:default") == labels(f"cvat:{tmp_path}")


@pytest.mark.parametrize("place", ["images/{}", "images/train/{}", "train/{}", "{}"])
def test_subsets_of_a_project_are_splits(tmp_path: Path, place: str) -> None:
    names = {"a.jpg": "train", "b.jpg": "val", "c.jpg": ""}
    images = "".join(f'<image id="0" name="{name}" subset="{subset}"/>\n' for name, subset in names.items())
    put(tmp_path / "annotations.xml", f"{HEAD}{images}</annotations>")
    photo(tmp_path / place.format("a.jpg"))
    assert labels(f"cvat:{tmp_path}:train") == {place.format("a.jpg"): Boxes(64, 48)}
    with pytest.raises(NotFound, match=r"expected one of the splits there \(default, train, val\), got no split"):
        read(f"cvat:{tmp_path}")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("</annotations>", "", 26, "expected XML, got 'no element found: line 26, column 0'"),
        ('encoding="utf-8"', 'encoding="gbk"', 1, "expected XML in UTF-8, UTF-16 or an encoding of a byte a character"),
        ('xtl="10.50"', 'xtl="b"', 9, "expected numbers in xtl, ytl, xbr, ybr, got ['b', '4.00', '70.00', '20.00']"),
        ('xtl="10.50"', 'xtl="71"', 9, "expected xtl <= xbr and ytl <= ybr, got [71.0, 4.0, 70.0, 20.0]"),
        ('xtl="20.00" ', "", 12, "expected numbers in xtl, ytl, xbr, ybr, got ['', '20.00', '40.00', '30.00']"),
        ('rotation="90.00"', 'rotation="x"', 12, "expected degrees in rotation, got ['x']"),
        ('label="bus" ', "", 12, "expected a label, got None"),
        ('label="bus"', 'label=" "', 12, "expected a label, got ' '"),
        ("5.00,1.00;", "5.00;", 16, "expected two points or more, x,y;x,y, got '1.00,2.00;5.00;3.00,9.00'"),
        ('width="64"', 'width="6.5"', 8, "expected width and height in whole pixels, got ['6.5', '48']"),
        ('width="64"', 'width="-64"', 8, "expected width and height in whole pixels, got ['-64', '48']"),
        ('name="frame_000001"', "", 23, "expected a name, got None"),
        ("frame_000001", "frame_000002", 23, "expected a file that exists, got '"),
    ],
)
def test_a_broken_element_is_named(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    file = corpus(tmp_path, FIRST + SECOND)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    expect_broken(f"cvat:{tmp_path}", file, line, message)


@pytest.mark.parametrize(("points", "message"), [("1,2", "two points or more"), ("1,2;x,4", "numbers in points")])
def test_a_broken_line_is_named(tmp_path: Path, points: str, message: str) -> None:
    file = corpus(tmp_path)
    file.write_text(file.read_text().replace("1.50,48.00;20.00,-1.00", points))
    expect_broken(f"cvat-lanes:{tmp_path}", file, 18, f"expected {message}")


@pytest.mark.parametrize(
    ("shape", "xyxy"),
    [
        ('<mask label="car" rle="3, 4, 1" left="10" top="5" width="4" height="2" z_order="0">', (10, 5, 14, 7)),
        ('<ellipse label="car" cx="20.00" cy="20.00" rx="8.00" ry="4.00">', (12, 16, 28, 24)),
        ('<ellipse label="car" cx="20.00" cy="20.00" rx="8.00" ry="4.00" rotation="90.00">', (16, 12, 24, 28)),
        (
            '<ellipse label="car" cx="20.00" cy="20.00" rx="8.00" ry="4.00" rotation="45.00">',
            (20 - 40**0.5, 20 - 40**0.5, 20 + 40**0.5, 20 + 40**0.5),  # half of each side: the root of (8² + 4²) / 2
        ),
    ],
)
def test_masks_and_ellipses_are_the_boxes_around_them(
    tmp_path: Path, shape: str, xyxy: tuple[float, float, float, float]
) -> None:
    kind = shape[1:].split()[0]
    corpus(tmp_path, SECOND.replace("  </image>", f"{shape}</{kind}></image>"))
    ((_, label),) = read(f"cvat:{tmp_path}")
    assert isinstance(label, Boxes)
    (box,) = label.boxes
    assert box.category == "car"
    assert box.xyxy == pytest.approx(xyxy)


def test_a_document_without_images_and_tracks_is_refused(tmp_path: Path) -> None:
    file = corpus(tmp_path, "")
    expect_broken(f"cvat:{tmp_path}", file, 1, "expected an <image> or a <track>, as CVAT for images 1.1 or video 1.1")


def test_images_come_before_the_end_of_the_document_is_read(tmp_path: Path) -> None:
    file = corpus(tmp_path)
    stream = read(f"cvat:{tmp_path}")
    text = file.read_text()
    file.write_text(text.replace("</annotations>", " " * 9000 + "<broken"))
    assert next(stream)[0].id == "images/deep/a b.png"
