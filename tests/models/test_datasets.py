"""Each reader on a small corpus in the true on-disk format, on every way a line can be broken, and on real samples."""

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models.datasets import READERS, read
from models.errors import InvalidDataset, NotFound
from models.records import Box, Boxes, Item, Label, Lane, Lanes, Transcript
from tests.samples import SAMPLES, needs_samples


def write(path: Path, text: str | bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def photo(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def labels(spec: str) -> dict[str, Label]:
    return {item.id: label for item, label in read(spec)}


def expect_broken(spec: str, where: Path | str, line: int | str, message: str) -> None:
    """The reader must stop with ``file:line: message``."""
    with pytest.raises(InvalidDataset, match="^" + re.escape(f"{where}:{line}: {message}")):
        list(read(spec))


def coco(root: Path, **changes: Any) -> Path:
    photo(root / "images" / "a.jpg")
    photo(root / "images" / "sub" / "b.jpg")
    boxes = [[10, 8, 20.5, 16], [-5, 40, 30, 30], [64, 0, 5, 5], [3, 3, 0, 9], [0, 0, 64, 48]]
    annotations = [
        {"id": i, "image_id": 7, "category_id": 1, "bbox": box, "iscrowd": int(i == 4), "segmentation": [[1, 2]]}
        for i, box in enumerate(boxes)
    ]
    document = {
        "info": {},
        "images": [
            {"id": 9, "file_name": "sub/b.jpg", "width": 64, "height": 48},
            {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48},
        ],
        "categories": [{"id": 1, "name": "car", "supercategory": "vehicle"}],
        "annotations": annotations,
        **changes,
    }
    return write(root / "annotations" / "instances_val.json", json.dumps(document))


def test_coco_boxes_are_clipped_corners_and_crowds_and_nothings_are_left_out(tmp_path: Path) -> None:
    coco(tmp_path)
    expected = [
        (Item("images/sub/b.jpg", str(tmp_path / "images/sub/b.jpg")), Boxes(64, 48)),
        (
            Item("images/a.jpg", str(tmp_path / "images/a.jpg")),
            Boxes(64, 48, (Box((10, 8, 30.5, 24), "car"), Box((0, 40, 25, 48), "car"))),
        ),
    ]
    assert list(read(f"coco:{tmp_path}:val")) == expected
    assert list(read(f"coco:{tmp_path}")) == expected  # the only split


def test_coco_images_may_lie_in_a_folder_called_like_the_split(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "images").rename(tmp_path / "val")
    assert list(labels(f"coco:{tmp_path}:val")) == ["val/sub/b.jpg", "val/a.jpg"]


def test_coco_masks_are_not_kept_in_memory(tmp_path: Path) -> None:
    mask = [float(i) for i in range(20_000)]
    box = {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2], "segmentation": [mask]}
    coco(tmp_path, annotations=[box] * 40)
    tracemalloc.start()
    try:
        pairs = read(f"coco:{tmp_path}")
        next(pairs)
        assert tracemalloc.get_traced_memory()[0] < 10e6  # the masks would be 26 MB
    finally:
        tracemalloc.stop()


IMAGE = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
BOX = {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2]}


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"images": 3}, "1", "expected a list under 'images', got 3"),
        ({"annotations": [3]}, "annotations[0]", "expected an object, got 3"),
        ({"images": [IMAGE, IMAGE]}, "images[1].id", "expected a whole number that no other entry has, got 1"),
        ({"images": [{**IMAGE, "width": 0}]}, "images[0]", "expected width and height in whole pixels, got (0, 48)"),
        (
            {"images": [{**IMAGE, "file_name": 5}], "annotations": []},
            "images[0]",
            "expected a string under 'file_name'",
        ),
        (
            {"images": [{**IMAGE, "file_name": "no"}], "annotations": []},
            "images[0]",
            "expected a file that exists, got",
        ),
        ({"annotations": [{**BOX, "image_id": 8}]}, "annotations[0].image_id", "expected the id of an image, got 8"),
        (
            {"annotations": [BOX, {**BOX, "category_id": None}]},
            "annotations[1].category_id",
            "expected the id of a cat",
        ),
        (
            {"annotations": [{**BOX, "bbox": [1, 2, 3]}]},
            "annotations[0].bbox",
            "expected 4 numbers: x, y, width, height",
        ),
        ({"annotations": [{**BOX, "bbox": [1, 2, "3", 4]}]}, "annotations[0].bbox", "expected 4 numbers"),
        ({"annotations": [{**BOX, "bbox": [1, 2, float("nan"), 4]}]}, "annotations[0].bbox", "expected 4 numbers"),
        ({"annotations": [{**BOX, "bbox": [1, 2, -3, 4]}]}, "annotations[0].bbox", "expected width and height >= 0"),
    ],
)
def test_a_broken_coco_entry_is_named(tmp_path: Path, changes: dict[str, Any], where: str, message: str) -> None:
    file = coco(tmp_path, **changes)
    expect_broken(f"coco:{tmp_path}:val", file, where, message)


def test_a_coco_file_that_is_no_json_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "annotations" / "instances_val.json", '{\n "images": [\n  oops')
    expect_broken(f"coco:{tmp_path}", file, 3, "expected JSON, got 'Expecting value at column 3'")
    write(file, b'{"images": "\xff"}')
    expect_broken(f"coco:{tmp_path}", file, 1, "expected UTF-8 text")
    write(file, "[]")
    expect_broken(f"coco:{tmp_path}", file, 1, "expected a JSON object, got []")


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


def voc(root: Path, xml: str = VOC, names: str = "a\n") -> Path:
    photo(root / "JPEGImages" / "a.png")
    write(root / "ImageSets" / "Main" / "test.txt", names)
    return write(root / "Annotations" / "a.xml", xml)


def test_voc_corners_count_from_one_and_include_the_last_pixel(tmp_path: Path) -> None:
    voc(tmp_path)
    boxes = (Box((0, 0, 64, 48), "cell"), Box((4, 5, 5, 6), "dot"), Box((59.5, 0, 64, 20), "cell"))
    image = Item("JPEGImages/a.png", str(tmp_path / "JPEGImages" / "a.png"))
    assert list(read(f"voc:{tmp_path}:test")) == [(image, Boxes(64, 48, boxes))]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("</annotation>", "", 12, "expected XML, got 'no element found: line 12, column 0'"),
        ("<width>64</width>", "<width>x</width>", 1, "expected a whole number >= 1 in <size/width>, got 'x'"),
        ("<height>48</height>", "", 1, "expected a whole number >= 1 in <size/height>, got ''"),
        ("<name>dot</name>", "", 6, "expected a <name>, got ''"),
        ("<xmax>5</xmax>", "", 6, "expected xmin, ymin, xmax and ymax in <bndbox>, got ['5', '6', None, '6']"),
        ("<xmax>5</xmax>", "<xmax>b</xmax>", 6, "expected numbers in <bndbox>, got ['5', '6', 'b', '6']"),
        ("<xmin>60.5</xmin>", "<xmin>66</xmin>", 10, "expected a box inside 1..64, 1..48, got (66.0, 0.0, 70.0, 20.0)"),
    ],
)
def test_a_broken_voc_object_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in VOC
    file = voc(tmp_path, VOC.replace(old, new))
    expect_broken(f"voc:{tmp_path}", file, line, message)


def test_a_broken_voc_list_is_named_with_its_line(tmp_path: Path) -> None:
    voc(tmp_path, names="a\n\na -1\n")
    listing = tmp_path / "ImageSets" / "Main" / "test.txt"
    expect_broken(f"voc:{tmp_path}", listing, 3, "expected 1 column, the name of an image, got 'a -1'")
    write(listing, "a\nb\n")
    expect_broken(f"voc:{tmp_path}", listing, 2, f"expected a file that exists, got '{tmp_path}/Annotations/b.xml'")


def culane(root: Path, lanes: str, listing: str = "/driver_1/clip.MP4/00000.jpg\nimages/a.jpg\n") -> Path:
    photo(root / "driver_1" / "clip.MP4" / "00000.jpg", 1640, 590)
    write(root / "driver_1" / "clip.MP4" / "00000.lines.txt")
    photo(root / "images" / "a.jpg")
    write(root / "list" / "val.txt", listing)
    return write(root / "images" / "a.lines.txt", lanes)


def test_culane_takes_the_size_from_the_image_and_the_clip_from_the_folder(tmp_path: Path) -> None:
    culane(tmp_path, "-3.5 48 10 30 20 20.25 \n5 40 \n\n60 47 61 2\n")
    lanes = (Lane(((-3.5, 48), (10, 30), (20, 20.25))), Lane(((60, 47), (61, 2))))
    frame = tmp_path / "driver_1" / "clip.MP4" / "00000.jpg"
    assert list(read(f"culane:{tmp_path}:val")) == [
        (Item("driver_1/clip.MP4/00000.jpg", str(frame), "driver_1/clip.MP4"), Lanes(1640, 590)),
        (Item("images/a.jpg", str(tmp_path / "images" / "a.jpg")), Lanes(64, 48, lanes)),
    ]


@pytest.mark.parametrize(
    ("lanes", "line", "message"),
    [
        ("1 2 3 4\n1 2 3\n", 2, "expected finite numbers in pairs x y, got '1 2 3'"),
        ("1 2 x 4\n", 1, "expected numbers x y x y .., got '1 2 x 4'"),
        ("\n1 2 nan 4\n", 2, "expected finite numbers in pairs x y, got '1 2 nan 4'"),
    ],
)
def test_a_broken_culane_lane_is_named_with_its_line(tmp_path: Path, lanes: str, line: int, message: str) -> None:
    expect_broken(f"culane:{tmp_path}", culane(tmp_path, lanes), line, message)


def test_a_broken_culane_list_is_named_with_its_line(tmp_path: Path) -> None:
    culane(tmp_path, "", "images/a.jpg\nimages/a.jpg seg.png 1 1\n")
    listing = tmp_path / "list" / "val.txt"
    expect_broken(f"culane:{tmp_path}", listing, 2, "expected 1 column, the path of an image, got 'images/a.jpg seg")
    write(listing, "images/b.jpg\n")
    expect_broken(f"culane:{tmp_path}", listing, 1, f"expected a file that exists, got '{tmp_path}/images/b.jpg'")
    photo(tmp_path / "images" / "b.jpg")
    expect_broken(f"culane:{tmp_path}", listing, 1, f"expected a file that exists, got '{tmp_path}/images/b.lines.txt'")


FRAME: dict[str, Any] = {
    "raw_file": "clips/0313-1/60/20.jpg",
    "h_samples": [240, 250, 260],
    "lanes": [[-2, 632, 625], [-2, -2, -2], [-2, 7, -2], [0, 1, 2]],
}


def tusimple(root: Path, **changes: Any) -> Path:
    return write(root / "label_data_0313.json", json.dumps(FRAME) + "\n" + json.dumps({**FRAME, **changes}) + "\n")


def test_tusimple_lanes_without_their_images(tmp_path: Path) -> None:
    file = tusimple(tmp_path, raw_file="clips/0313-1/61/20.jpg", lanes=[])
    photo(tmp_path / "clips/0313-1/61/20.jpg", 640, 360)
    lanes = (Lane(((632, 250), (625, 260))), Lane(((0, 240), (1, 250), (2, 260))))
    first, second = list(read(f"tusimple:{file}"))
    path = tmp_path / "clips/0313-1/60/20.jpg"
    assert first == (Item("clips/0313-1/60/20.jpg", str(path), "clips/0313-1/60"), Lanes(1280, 720, lanes))
    assert second[1] == Lanes(640, 360)
    assert list(read(f"tusimple:{tmp_path}:0313")) == [first, second]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_file": None}, "expected a string under 'raw_file', got None"),
        ({"h_samples": "240"}, "expected whole numbers in h_samples, got '240'"),
        ({"lanes": {}}, "expected a list under 'lanes', got {}"),
        ({"lanes": [[-2, 632, 625], [1, 2]]}, "lanes[1]: expected 3 columns, one for each of h_samples, got 2"),
        ({"lanes": [[-2, 632, None]]}, "lanes[0]: expected whole numbers in lane, got [-2, 632, None]"),
    ],
)
def test_a_broken_tusimple_line_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = tusimple(tmp_path, **changes)
    expect_broken(f"tusimple:{file}", file, 2, message)


def commonvoice(root: Path, second: str) -> Path:
    write(root / "clips" / "a.mp3")
    write(root / "clips" / "b.mp3")
    header = "client_id\tpath\tsentence\tup_votes\n"
    return write(root / "dev.tsv", header + 's1\ta.mp3\t"Dobry\u2028dźeń", praji.\t2\n' + second)


def test_commonvoice_sentences_keep_their_quotes_and_speakers_are_groups(tmp_path: Path) -> None:
    commonvoice(tmp_path, "s2\tb.mp3\tHaj \t\r\n")
    assert list(read(f"commonvoice:{tmp_path}:dev")) == [
        (Item("clips/a.mp3", str(tmp_path / "clips/a.mp3"), "s1"), Transcript('"Dobry\u2028dźeń", praji.')),
        (Item("clips/b.mp3", str(tmp_path / "clips/b.mp3"), "s2"), Transcript("Haj")),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("s2\tb.mp3\tHaj\n", "expected 4 columns, got 3"),
        ("\tb.mp3\tHaj\t1\n", "expected values for client_id, path, sentence, got ('', 'b.mp3', 'Haj')"),
        ("s2\tb.mp3\t \t1\n", "expected values for client_id, path, sentence, got ('s2', 'b.mp3', '')"),
        ("s2\tc.mp3\tHaj\t1\n", "expected a file that exists, got '"),
    ],
)
def test_a_broken_commonvoice_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = commonvoice(tmp_path, line)
    expect_broken(f"commonvoice:{tmp_path}", file, 3, message)


def test_a_commonvoice_file_without_its_header_or_not_in_utf8_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "dev.tsv", "s1\ta.mp3\tDobry\n")
    expect_broken(f"commonvoice:{tmp_path}", file, 1, "expected a header with client_id, path, sentence between tabs")
    write(file)
    expect_broken(f"commonvoice:{tmp_path}", file, 1, "expected a header")
    write(file, "\ufeffclient_id\tpath\tsentence\n".encode() + b"s1\ta.mp3\t\xe4\n")  # with a byte order mark
    expect_broken(f"commonvoice:{tmp_path}", file, 2, "expected UTF-8 text, got b's1")


def nemo(root: Path, second: str) -> Path:
    write(root / "audio" / "a.ogg")
    first = {"audio_filepath": "audio/a.ogg", "duration": 1.5, "text": "数字", "speaker": "S28"}
    return write(root / "dev.jsonl", json.dumps(first) + "\n\n" + second)


def test_nemo_paths_are_relative_to_the_manifest_or_absolute(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "b.wav")
    second = json.dumps({"audio_filepath": str(elsewhere), "text": "", "offset": 0})
    file = nemo(tmp_path / "m", second)
    expected = [
        (Item("audio/a.ogg", str(tmp_path / "m/audio/a.ogg"), "S28"), Transcript("数字")),
        (Item(str(elsewhere), str(elsewhere)), Transcript("")),
    ]
    assert list(read(f"nemo:{file}")) == expected
    assert list(read(f"nemo:{tmp_path / 'm'}:dev")) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"audio_filepath": "audio/a.ogg", ', "expected a JSON object (Expecting property name enclosed in double"),
        ('["audio/a.ogg"]', "expected a JSON object, got ['audio/a.ogg']"),
        ('{"text": "x"}', "expected a string under 'audio_filepath', got None"),
        ('{"audio_filepath": "audio/a.ogg"}', "expected a string under 'text', got None"),
        ('{"audio_filepath": "b.ogg", "text": "x"}', "expected a file that exists, got '"),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "duration": -1}',
            "expected a duration in seconds > 0, got -1",
        ),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "duration": NaN}',
            "expected a duration in seconds > 0, got nan",
        ),
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "offset": 2.5}', "expected whole files (offset 0), got 2.5"),
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "speaker": 7}', "expected a string under 'speaker', got 7"),
    ],
)
def test_a_broken_nemo_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = nemo(tmp_path, line)
    expect_broken(f"nemo:{file}", file, 3, message)


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    stream = read(f"nemo:{nemo(tmp_path, 'broken')}")
    assert next(stream)[1] == Transcript("数字")
    with pytest.raises(InvalidDataset):
        next(stream)


def test_a_root_may_hold_colons(tmp_path: Path) -> None:
    root = tmp_path / "a:b"
    commonvoice(root, "")
    assert list(labels(f"commonvoice:{root}")) == list(labels(f"commonvoice:{root}:dev")) == ["clips/a.mp3"]


@pytest.mark.parametrize("spec", ["yolo:/data:val", "coco", "coco:", "", "/data/coco:val"])
def test_an_unknown_format_lists_the_known_ones(spec: str) -> None:
    known = "expected FORMAT:ROOT[:SPLIT], FORMAT one of coco, voc, culane, tusimple, commonvoice, nemo"
    with pytest.raises(InvalidDataset, match=re.escape(f"{known}, got {spec!r}")):
        read(spec)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_root_and_an_unknown_split_are_named_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"expected an existing file or folder, got .*/nowhere$"):
        read(f"{name}:{tmp_path}/nowhere:val")
    corpora: dict[str, Callable[[Path], Path]] = {
        "commonvoice": lambda r: commonvoice(r, ""),
        "nemo": lambda r: nemo(r, ""),
        "coco": coco,
        "voc": voc,
    }
    corpora |= {"culane": lambda r: culane(r, ""), "tusimple": tusimple}
    corpora[name](tmp_path)
    there = {"coco": "val", "voc": "test", "culane": "val", "tusimple": "0313", "commonvoice": "dev", "nemo": "dev"}
    with pytest.raises(NotFound, match=rf"expected one of the splits there \({there[name]}\), got other"):
        read(f"{name}:{tmp_path}:other")


def test_a_split_must_be_chosen_where_there_are_several(tmp_path: Path) -> None:
    coco(tmp_path)
    write(tmp_path / "annotations" / "instances_train.json", "{}")
    with pytest.raises(NotFound, match=r"annotations: expected one of the splits there \(train, val\), got no split"):
        read(f"coco:{tmp_path}")


def _parts(label: Label) -> int:
    match label:
        case Transcript(text):
            return len(text.split())
        case Boxes():
            return len(label.boxes)
        case Lanes():
            return len(label.lanes)


@needs_samples
@pytest.mark.parametrize(
    ("spec", "items", "parts", "groups"),
    [
        ("coco:detection/camvid:train", 367, 2364, 1),
        ("coco:detection/camvid:val", 101, 542, 1),
        ("voc:detection/bccd:trainval", 292, 3943, 1),
        ("voc:detection/bccd:test", 72, 945, 1),
        ("culane:lane/f1tenth:train", 93, 330, 1),
        ("culane:lane/f1tenth:val", 20, 68, 1),
        ("tusimple:lane/tusimple:0313", 2858, 10891, 2858),
        ("tusimple:lane/tusimple/label_data_0531.json", 358, 1118, 358),
        ("tusimple:lane/tusimple:0601", 410, 1786, 410),
        ("commonvoice:speech/commonvoice_hsb:train", 935, 8914, 11),
        ("commonvoice:speech/commonvoice_hsb:dev", 38, 237, 4),
        ("nemo:speech/dspspeech20:train", 2000, 2000, 25),
        ("nemo:speech/dspspeech20:dev", 240, 240, 3),
        ("nemo:speech/speech_commands:train", 3019, 3019, 150),
        ("nemo:speech/speech_commands:dev", 436, 436, 30),
        ("nemo:speech/speech_commands/noise.jsonl", 408, 0, 1),
        ("nemo:speech/fsdd:train", 2000, 2000, 4),
        ("nemo:speech/fsdd:test", 500, 500, 1),
        ("nemo:speech/aishell_sample", 500, 605, 1),
        ("nemo:speech/asterisk_en:all", 540, 3233, 1),
    ],
)
def test_real_samples_are_read_completely(spec: str, items: int, parts: int, groups: int) -> None:
    """``parts`` are boxes, lanes or words."""
    name, _, rest = spec.partition(":")
    pairs = list(read(f"{name}:{SAMPLES}/{rest}"))
    counts = [_parts(label) for _, label in pairs]
    assert (len(pairs), sum(counts), len({item.group for item, _ in pairs})) == (items, parts, groups)
    assert len({item.id for item, _ in pairs}) == items
