"""Pascal VOC: corners from 1, every broken object named with its line, and written boxes read again."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from models.datasets import read, read_marked, voc
from models.errors import InvalidDataset
from models.marks import Ignored
from models.records import Box, Boxes, Item
from tests.models.datasets.corpora import expect_broken, labels, photo, put
from tests.models.datasets.round_trips import assert_same_boxes, box_sets, round_trip

VOC = """<annotation>
  <filename>a.png</filename>
  <size><width>64</width><height>48</height><depth>3</depth></size>
  <object><name>cell</name><difficult>0</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax></bndbox></object>
  <object><name>dot</name>
    <bndbox><xmin>5</xmin><ymin>6</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>
  <object><name>cell</name><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
  <object><name>cell</name><bndbox><xmin>60.5</xmin><ymin>0</ymin><xmax>70</xmax><ymax>20</ymax></bndbox></object>
</annotation>
"""


def corpus(root: Path, xml: str = VOC, names: str = "a\n") -> Path:
    photo(root / "JPEGImages" / "a.png")
    put(root / "ImageSets" / "Main" / "test.txt", names)
    return put(root / "Annotations" / "a.xml", xml)


def test_corners_count_from_one_and_include_the_last_pixel(tmp_path: Path) -> None:
    corpus(tmp_path)
    boxes = (Box((0, 0, 64, 48), "cell"), Box((4, 5, 5, 6), "dot"), Box((59.5, 0, 64, 20), "cell"))
    image = Item("JPEGImages/a.png", str(tmp_path / "JPEGImages" / "a.png"))
    assert list(read(f"voc:{tmp_path}:test")) == [(image, Boxes(64, 48, boxes))]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("</annotation>", "", 12, "expected XML, got 'no element found: line 12, column 0'"),
        ("<width>64</width>", "<width>x</width>", 1, "expected a whole number in <size/width>, got 'x'"),
        ("<width>64</width>", "<width>" + "9" * 5000 + "</width>", 1, "expected a whole number in <size/width>"),
        (
            "<annotation>",
            '<?xml version="1.0" encoding="gbk"?><annotation>',
            1,
            "expected XML in UTF-8, UTF-16 or an encoding of a byte a character, got 'multi-byte encodings are not",
        ),
        ("<annotation>", '<?xml version="1.0" encoding="abc"?><annotation>', 1, "expected XML in UTF-8, UTF-16 or"),
        ("<height>48</height>", "<height>-1</height>", 1, "expected a whole number in <size/height>, got '-1'"),
        ("<name>dot</name>", "", 6, "expected a <name>, got ''"),
        ("<xmax>5</xmax>", "", 6, "expected xmin, ymin, xmax and ymax in <bndbox>, got ['5', '6', None, '6']"),
        ("<xmax>5</xmax>", "<xmax>b</xmax>", 6, "expected numbers in <bndbox>, got ['5', '6', 'b', '6']"),
        ("<xmin>60.5</xmin>", "<xmin>66</xmin>", 10, "expected a box inside 1..64, 1..48, got (66.0, 0.0, 70.0, 20.0)"),
    ],
)
def test_a_broken_object_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in VOC
    file = corpus(tmp_path, VOC.replace(old, new))
    expect_broken(f"voc:{tmp_path}", file, line, message)


def test_the_line_of_a_broken_object_is_found_where_tags_are_written_otherwise(tmp_path: Path) -> None:
    file = corpus(tmp_path, VOC.replace("</annotation>", "<object/></annotation>"))
    expect_broken(f"voc:{tmp_path}", file, 11, "expected a <name>, got ''")
    text = VOC.replace("<xmax>5</xmax>", "<xmax>b</xmax>")
    file.write_bytes(f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16"))
    expect_broken(f"voc:{tmp_path}", file, 1, "expected numbers in <bndbox>, got ['5', '6', 'b', '6']")


def test_a_broken_list_is_named_with_its_line(tmp_path: Path) -> None:
    corpus(tmp_path, names="a\n\na -1\n")
    listing = tmp_path / "ImageSets" / "Main" / "test.txt"
    expect_broken(f"voc:{tmp_path}", listing, 3, "expected 1 column, the name of an image, got 'a -1'")
    put(listing, "a\nb\n")
    expect_broken(f"voc:{tmp_path}", listing, 2, f"expected a file that exists, got '{tmp_path}/JPEGImages/b.jpg'")


def test_an_image_without_a_file_shows_nothing_unless_none_has_one(tmp_path: Path) -> None:
    """As Datumaro writes none for it."""
    file = corpus(tmp_path, names="a\ndeep/b.1\nc 1\n")
    photo(tmp_path / "JPEGImages" / "deep" / "b.1.png")
    photo(tmp_path / "JPEGImages" / "c 1.jpg")
    found = labels(f"voc:{tmp_path}")
    assert found["JPEGImages/a.png"] != Boxes(64, 48)
    assert found["JPEGImages/deep/b.1.png"] == found["JPEGImages/c 1.jpg"] == Boxes(64, 48)
    file.unlink()
    listing = tmp_path / "ImageSets" / "Main" / "test.txt"
    expect_broken(f"voc:{tmp_path}", listing, "", "expected Annotations/*.xml for c 1, or for another image, got 'no")


@pytest.mark.parametrize(
    "size",
    [
        "",
        "<size/>",
        "<size><width>0</width><height>0</height><depth>3</depth></size>",
        "<size><width>64</width></size>",
    ],
)
def test_a_size_that_nobody_looked_up_is_the_pictures_own(tmp_path: Path, size: str) -> None:
    corpus(tmp_path)
    told = labels(f"voc:{tmp_path}")
    whole = "<size><width>64</width><height>48</height><depth>3</depth></size>"
    assert whole in VOC
    corpus(tmp_path, VOC.replace(whole, size))
    assert labels(f"voc:{tmp_path}") == told
    corpus(tmp_path, VOC.replace("<width>64<", "<width>64.0<"))
    assert labels(f"voc:{tmp_path}") == told


@pytest.mark.parametrize("said", ["a.jpg", "a.PNG", "photo", ""])
def test_a_picture_is_found_where_its_annotation_gives_another_suffix(tmp_path: Path, said: str) -> None:
    corpus(tmp_path, VOC.replace("a.png", said))
    assert list(labels(f"voc:{tmp_path}")) == ["JPEGImages/a.png"]
    (tmp_path / "JPEGImages" / "a.png").rename(tmp_path / "JPEGImages" / "a.JPG")
    assert list(labels(f"voc:{tmp_path}")) == ["JPEGImages/a.JPG"]


@pytest.mark.parametrize("line", ["photo of a 1", '"photo of a 1"'])
def test_names_may_hold_blanks(tmp_path: Path, line: str) -> None:
    """CVAT puts such names in quotes."""
    corpus(tmp_path, names=f"{line}\n")
    photo(tmp_path / "JPEGImages" / "photo of a 1.png")
    put(tmp_path / "Annotations" / "photo of a 1.xml", VOC)
    assert list(labels(f"voc:{tmp_path}")) == ["JPEGImages/photo of a 1.png"]


@settings(max_examples=30)
@given(box_sets())
def test_written_boxes_are_read_again(given_labels: list[Boxes]) -> None:
    for told, found in round_trip("voc", given_labels):
        assert_same_boxes(found, told)


def test_what_is_written_is_what_others_read(tmp_path: Path) -> None:
    image = photo(tmp_path / "a.png")
    label = Boxes(64, 48, (Box((0, 4, 64, 6.5), "R & D"),))
    voc.write(tmp_path / "out", [(Item("x/a.png", str(image)), label)])
    assert (tmp_path / "out" / "ImageSets" / "Main" / "train.txt").read_text() == "x_a\n"
    assert (tmp_path / "out" / "labelmap.txt").read_text() == "R & D:::\n"
    text = (tmp_path / "out" / "Annotations" / "x_a.xml").read_text()
    assert "<filename>x_a.png</filename>" in text
    assert "<size><width>64</width><height>48</height><depth>3</depth></size>" in text
    assert "<name>R &amp; D</name>" in text
    assert "<bndbox><xmin>1</xmin><ymin>5</ymin><xmax>64</xmax><ymax>6.5</ymax></bndbox>" in text


@pytest.mark.parametrize("category", ["a\x01b", " car"])
def test_a_category_that_xml_would_change_is_refused(tmp_path: Path, category: str) -> None:
    label = Boxes(64, 48, (Box((0, 0, 1, 1), category),))
    with pytest.raises(InvalidDataset, match="a: expected a category that XML keeps as it is, got"):
        voc.write(tmp_path / "out", [(Item("a", str(photo(tmp_path / "a.jpg"))), label)])
    assert not (tmp_path / "out").exists()


def test_difficult_objects_are_handed_on_apart(tmp_path: Path) -> None:
    corpus(tmp_path)
    ((item, label, mark),) = read_marked(f"voc:{tmp_path}:test")
    assert [(item, label)] == list(read(f"voc:{tmp_path}:test"))
    assert mark == Ignored(objects=(Box((0, 0, 9, 9), "cell"),))
