"""What annotation tools and official archives call and place otherwise than a format's own description."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.datasets import read, read_marked
from models.errors import NotFound
from models.marks import Ignored
from models.records import Box, Boxes, Lane, Lanes, Transcript
from tests.models.datasets.corpora import expect_broken, labels, photo, put, sound

CAR = Boxes(64, 48, (Box((16, 12, 48, 36), "car"),))
EMPTY = Boxes(64, 48)


def coco(*names: str, first: int = 1, **more: Any) -> str:
    """A document of those pictures, the first with a car."""
    images = [{"id": i, "file_name": name, "width": 64, "height": 48, **more} for i, name in enumerate(names, first)]
    car = {"id": 1, "image_id": first, "category_id": 1, "bbox": [16, 12, 32, 24], "area": 768, "segmentation": []}
    categories = [{"id": 0, "name": "things", "supercategory": "none"}, {"id": 1, "name": "car"}]
    return json.dumps({"info": {}, "images": images, "annotations": [car | {"iscrowd": 0}], "categories": categories})


class TestCoco:
    def test_roboflow_puts_its_document_beside_the_images_of_a_split(self, tmp_path: Path) -> None:
        for split, name in (("train", "a_jpg.rf.1.jpg"), ("valid", "b_jpg.rf.2.jpg")):
            photo(tmp_path / split / name)
            extra = {"extra": {"name": "a.jpg"}, "license": 1}
            put(tmp_path / split / "_annotations.coco.json", coco(name, first=0, **extra))
        put(tmp_path / "README.roboflow.txt")
        assert labels(f"coco:{tmp_path}:train") == {"train/a_jpg.rf.1.jpg": CAR}
        assert labels(f"coco:{tmp_path}/valid/_annotations.coco.json") == {"b_jpg.rf.2.jpg": CAR}
        with pytest.raises(NotFound, match=r"expected one of the splits there \(train, valid\), got no split"):
            read(f"coco:{tmp_path}")

    @pytest.mark.parametrize(
        ("file", "image", "name"),
        [
            ("result.json", "images/1a2b-a.jpg", "images/1a2b-a.jpg"),  # Label Studio
            ("result.json", "images/1a2b-a.jpg", "1a2b-a.jpg"),
            ("labels.json", "data/a.jpg", "a.jpg"),  # FiftyOne
            ("annotations/instances.json", "images/a.jpg", "a.jpg"),  # Supervisely
            ("annotations/instances_default.json", "images/sub/a.jpg", "sub/a.jpg"),  # CVAT
            ("annotations/instances_default.json", "images/default/a.jpg", "a.jpg"),
            ("annotations/instances_val2017.json", "val2017/a.jpg", "a.jpg"),  # the official archives
            ("annotations/instances_val2017.json", "val2017/a.jpg", "val2017/a.jpg"),
        ],
    )
    def test_a_file_may_be_named_whose_images_lie_where_tools_put_them(
        self, tmp_path: Path, file: str, image: str, name: str
    ) -> None:
        photo(tmp_path / image)
        put(tmp_path / file, coco(name))
        assert labels(f"coco:{tmp_path / file}") == {image: CAR}
        if file.startswith("annotations/"):
            assert labels(f"coco:{tmp_path}") == {image: CAR}

    def test_of_two_images_of_one_name_the_nearer_to_what_was_named_counts(self, tmp_path: Path) -> None:
        file = put(tmp_path / "annotations" / "instances_train.json", coco("a.jpg"))
        for folder in ("images", "data", "train"):
            photo(tmp_path / folder / "a.jpg")
        assert labels(f"coco:{file}") == labels(f"coco:{tmp_path}") == {"images/a.jpg": CAR}
        photo(tmp_path / "a.jpg")
        assert labels(f"coco:{file}") == {"a.jpg": CAR}
        assert labels(f"coco:{tmp_path}") == {"images/a.jpg": CAR}

    @pytest.mark.parametrize(
        ("file", "image"),
        [
            ("labels.json", "data/a.jpg"),  # FiftyOne
            ("result.json", "images/a.jpg"),  # Label Studio
            ("_annotations.coco.json", "a.jpg"),  # a split of Roboflow's
            ("annotations/train.json", "train/a.jpg"),
            ("annotations/train.json", "images/a.jpg"),
        ],
    )
    def test_the_only_document_of_a_folder_need_not_be_named(self, tmp_path: Path, file: str, image: str) -> None:
        photo(tmp_path / image)
        put(tmp_path / file, coco("a.jpg"))
        name = Path(file).stem
        assert labels(f"coco:{tmp_path}") == labels(f"coco:{tmp_path}:{name}") == {image: CAR}
        put((tmp_path / file).with_name("other.json"), "{}")
        assert labels(f"coco:{tmp_path}:{name}") == {image: CAR}
        with pytest.raises(NotFound, match=rf"expected one of the splits there \(.*{name}.*\), got no split"):
            read(f"coco:{tmp_path}")

    @pytest.mark.parametrize("size", [{"width": 0, "height": 0}, {"width": None, "height": None}, {"width": 0}])
    def test_a_size_that_nobody_looked_up_is_the_pictures_own(self, tmp_path: Path, size: dict[str, Any]) -> None:
        photo(tmp_path / "images" / "a.jpg")
        put(tmp_path / "annotations" / "instances_val.json", coco("a.jpg", **size))
        assert labels(f"coco:{tmp_path}:val") == {"images/a.jpg": CAR}

    def test_ids_may_be_text(self, tmp_path: Path) -> None:
        """As in COCO Camera Traps; "1" is not 1."""
        photo(tmp_path / "images" / "a.jpg")
        photo(tmp_path / "images" / "b.jpg")
        document = json.loads(coco("a.jpg", "b.jpg"))
        for image, identity in zip(document["images"], ("5998cfa4-23d2", "1"), strict=True):
            image["id"] = identity
        document["annotations"][0] |= {"id": "x", "image_id": "5998cfa4-23d2"}
        file = put(tmp_path / "boxes.json", json.dumps(document))
        assert labels(f"coco:{file}") == {"images/a.jpg": CAR, "images/b.jpg": EMPTY}
        document["annotations"][0]["image_id"] = 1
        put(file, json.dumps(document))
        expect_broken(f"coco:{file}", f"{file}:annotations[0].image_id", "", "expected the id of an image, got 1")

    def test_paths_may_be_those_of_windows(self, tmp_path: Path) -> None:
        photo(tmp_path / "images" / "1a2b-a.jpg")
        put(tmp_path / "result.json", coco("images\\1a2b-a.jpg"))
        assert labels(f"coco:{tmp_path}/result.json") == {"images/1a2b-a.jpg": CAR}


def voc(path: Path, name: str = "a.jpg", folder: str = "") -> None:
    box = "<bndbox><xmin>17.0</xmin><ymin>13.0</ymin><xmax>48.0</xmax><ymax>36.0</ymax></bndbox>"
    told = f"<object><name>car</name><pose>Unspecified</pose><truncated>Unspecified</truncated>{box}</object>"
    size = "<size><width>64</width><height>48</height><depth>3</depth></size>"
    put(path, f"<annotation><folder>{folder}</folder><filename>{name}</filename>{size}{told}</annotation>")


class TestVoc:
    def test_roboflow_puts_each_file_beside_its_image(self, tmp_path: Path) -> None:
        for split in ("train", "valid"):
            photo(tmp_path / split / "a_png.rf.1.jpg")
            voc(tmp_path / split / "a_png.rf.1.xml", "a_png.rf.1.jpg")
        assert labels(f"voc:{tmp_path}:valid") == {"valid/a_png.rf.1.jpg": CAR}
        assert labels(f"voc:{tmp_path}/train") == {"a_png.rf.1.jpg": CAR}
        with pytest.raises(NotFound, match=r"expected one of the splits there \(train, valid\), got no split"):
            read(f"voc:{tmp_path}")

    @pytest.mark.parametrize(
        ("annotations", "images"),
        [
            ("Annotations", "images"),
            ("labels", "data"),
            ("Annotations", "JPEGImages"),
            ("Annotations/deep", "images/deep"),
            ("annotations/xmls", "images"),  # the Oxford-IIIT Pet Dataset
            ("annotations", "images"),  # many archives on Kaggle
            ("Annotations", "Images"),
            ("annotations/train", "images/train"),
        ],
    )
    def test_lists_may_be_missing(self, tmp_path: Path, annotations: str, images: str) -> None:
        """As Label Studio, FiftyOne and many scripts leave them out."""
        photo(tmp_path / images / "a b.PNG")
        voc(tmp_path / annotations / "a b.xml", "a b.PNG")
        assert labels(f"voc:{tmp_path}") == {f"{images}/a b.PNG": CAR}
        (tmp_path / images / "a b.PNG").unlink()
        file = tmp_path / annotations / "a b.xml"
        expect_broken(f"voc:{tmp_path}", file, "", "expected a file that exists, got")

    def test_a_link_to_a_folder_above_it_is_not_followed(self, tmp_path: Path) -> None:
        for place in ("Annotations", "train"):
            photo(tmp_path / place / "a.jpg")
            voc(tmp_path / place / "a.xml")
            (tmp_path / place / "again").symlink_to("..")
        (tmp_path / "self").symlink_to(".")
        assert labels(f"voc:{tmp_path}") == {"Annotations/a.jpg": CAR}
        assert labels(f"voc:{tmp_path}:train") == {"train/a.jpg": CAR}

    def test_a_split_may_be_a_folder_of_the_annotations(self, tmp_path: Path) -> None:
        for name in ("train/a", "val/b"):
            photo(tmp_path / "images" / f"{name}.jpg")
            voc(tmp_path / "annotations" / f"{name}.xml")
        assert labels(f"voc:{tmp_path}:val") == {"images/val/b.jpg": CAR}
        assert len(labels(f"voc:{tmp_path}")) == 2
        with pytest.raises(NotFound, match="expected one of the splits there"):
            read(f"voc:{tmp_path}:test")
        photo(tmp_path / "val" / "c.jpg")
        voc(tmp_path / "val" / "c.xml")
        assert labels(f"voc:{tmp_path}:val") == {"val/c.jpg": CAR}  # what is nearer

    @pytest.mark.parametrize("name", ["annotations", "Annotations"])
    def test_the_folder_of_the_annotations_may_be_named(self, tmp_path: Path, name: str) -> None:
        for file in (tmp_path / name / "a.xml", tmp_path / "train" / "b.xml"):
            photo(file.with_suffix(".jpg"))
            voc(file)
        assert labels(f"voc:{tmp_path}:{name}") == labels(f"voc:{tmp_path}") == {f"{name}/a.jpg": CAR}
        assert labels(f"voc:{tmp_path}:train") == {"train/b.jpg": CAR}

    def test_files_in_the_root_and_in_folders_are_not_mixed(self, tmp_path: Path) -> None:
        for name in ("a", "train/b", "valid/c"):
            photo(tmp_path / f"{name}.jpg")
            voc(tmp_path / f"{name}.xml")
        with pytest.raises(NotFound, match=r"expected one of the splits there \(\., train, valid\), got no split"):
            read(f"voc:{tmp_path}")
        assert labels(f"voc:{tmp_path}:.") == {"a.jpg": CAR}
        assert labels(f"voc:{tmp_path}:train") == {"train/b.jpg": CAR}
        for name in ("train", "valid"):
            (tmp_path / name).rename(tmp_path / f".{name}")
        put(tmp_path / "__MACOSX" / "._a.xml", b"\0\5\x16\7")
        put(tmp_path / "._a.xml", b"\0\5\x16\7")
        photo(tmp_path / "deep" / "below" / "d.jpg")
        voc(tmp_path / "deep" / "below" / "d.xml")
        assert labels(f"voc:{tmp_path}") == {"a.jpg": CAR, "deep/below/d.jpg": CAR}

    def test_cvat_calls_its_split_default(self, tmp_path: Path) -> None:
        photo(tmp_path / "JPEGImages" / "frame_000000.PNG")
        voc(tmp_path / "Annotations" / "frame_000000.xml", "frame_000000.PNG")
        put(tmp_path / "ImageSets" / "Main" / "default.txt", "frame_000000\n")
        put(tmp_path / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:1,2,3::\n")
        assert labels(f"voc:{tmp_path}") == {"JPEGImages/frame_000000.PNG": CAR}


LINE = "0 0.5 0.5 0.5 0.5\n"


class TestYolo:
    def test_cvat_writes_what_darknet_reads(self, tmp_path: Path) -> None:
        put(tmp_path / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
        put(tmp_path / "obj.names", "car\nbus\n")
        put(tmp_path / "train.txt", "data/obj_train_data/a.PNG\ndata/obj_train_data/b.PNG\n")
        photo(tmp_path / "obj_train_data" / "a.PNG")
        photo(tmp_path / "obj_train_data" / "b.PNG")
        put(tmp_path / "obj_train_data" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"obj_train_data/a.PNG": CAR, "obj_train_data/b.PNG": EMPTY}
        file = put(tmp_path / "obj.data", "classes\n")
        with pytest.raises(ValueError, match=rf"^{file}:1: expected NAME = VALUE, got 'classes'"):
            read(f"yolo:{tmp_path}")

    def test_labels_beside_their_images_are_found_wherever_the_folder_lies(self, tmp_path: Path) -> None:
        root = tmp_path / "images" / "task"
        put(root / "obj.data", "train = data/train.txt\nnames = data/obj.names\n")
        put(root / "obj.names", "car\nbus\n")
        put(root / "train.txt", "data/obj_train_data/a.jpg\n")
        photo(root / "obj_train_data" / "a.jpg")
        put(root / "obj_train_data" / "a.txt", LINE)
        assert labels(f"yolo:{root}") == {"obj_train_data/a.jpg": CAR}

    def test_label_studio_has_its_classes_in_a_text_file(self, tmp_path: Path) -> None:
        put(tmp_path / "classes.txt", "car\nbus\n")
        put(tmp_path / "notes.json", "{}")
        photo(tmp_path / "images" / "1a2b-a.jpg")
        put(tmp_path / "labels" / "1a2b-a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"images/1a2b-a.jpg": CAR}
        put(tmp_path / "classes.txt", "car\n\nbus\n")
        with pytest.raises(ValueError, match="expected a name for each class, got 'none for 1'"):
            read(f"yolo:{tmp_path}")

    @pytest.mark.parametrize("name", ["classes.txt", "_darknet.labels"])
    def test_labelimg_and_roboflow_have_classes_among_the_images(self, tmp_path: Path, name: str) -> None:
        put(tmp_path / name, "car\nbus\n")
        photo(tmp_path / "a.jpg")
        photo(tmp_path / "b.jpg")
        put(tmp_path / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"a.jpg": CAR, "b.jpg": EMPTY}

    @pytest.mark.parametrize("named", ["", "/labels/classes.txt"])
    def test_labelimg_saves_classes_among_the_labels(self, tmp_path: Path, named: str) -> None:
        put(tmp_path / "labels" / "classes.txt", "car\nbus\n")
        photo(tmp_path / "images" / "a.jpg")
        photo(tmp_path / "images" / "b.jpg")
        put(tmp_path / "labels" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}{named}") == {"images/a.jpg": CAR, "images/b.jpg": EMPTY}
        file = put(tmp_path / "labels" / "a.txt", "2 0.5 0.5 0.5 0.5\n")
        expect_broken(f"yolo:{tmp_path}{named}", file, 1, "expected a class that has a name, one of 0, 1, got")

    @pytest.mark.parametrize("classes", ["classes.txt", "labels/classes.txt"])
    def test_a_split_is_no_more_than_the_folder_of_its_name(self, tmp_path: Path, classes: str) -> None:
        put(tmp_path / classes, "car\n")
        for name in ("train/a", "val/b"):
            photo(tmp_path / "images" / f"{name}.jpg")
            put(tmp_path / "labels" / f"{name}.txt", LINE)
        assert labels(f"yolo:{tmp_path}:train") == {"images/train/a.jpg": CAR}
        assert labels(f"yolo:{tmp_path}:val") == {"images/val/b.jpg": CAR}
        assert len(labels(f"yolo:{tmp_path}")) == 2
        with pytest.raises(NotFound, match=r"expected one of the splits there \(train, val\), got test"):
            read(f"yolo:{tmp_path}:test")

    def test_boxes_that_were_rounded_to_nothing_are_left_out(self, tmp_path: Path) -> None:
        put(tmp_path / "data.yaml", "names: [car, bus]\ntrain: images\n")
        photo(tmp_path / "images" / "a.jpg")
        put(tmp_path / "labels" / "a.txt", f"1 0.500000 0.500000 0.000000 0.100000\n{LINE}")
        assert labels(f"yolo:{tmp_path}") == {"images/a.jpg": CAR}

    def test_fiftyone_calls_its_file_otherwise(self, tmp_path: Path) -> None:
        put(tmp_path / "dataset.yaml", "names:\n  0: car\npath: /where/it/was\nval: ./images/val/\n")
        photo(tmp_path / "images" / "val" / "a.jpg")
        put(tmp_path / "labels" / "val" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"images/val/a.jpg": CAR}

    def test_fiftyone_writes_for_yolov4_names_alone(self, tmp_path: Path) -> None:
        put(tmp_path / "obj.names", "car\nbus")
        put(tmp_path / "images.txt", "data/a.jpg\n")
        photo(tmp_path / "data" / "a.jpg")
        put(tmp_path / "data" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"data/a.jpg": CAR}

    @pytest.mark.parametrize("images", ["images", "images/train", "."])
    def test_supervision_names_no_split(self, tmp_path: Path, images: str) -> None:
        put(tmp_path / "data.yaml", "nc: 2\nnames: [car, bus]\n")
        photo(tmp_path / images / "a.jpg")
        put(tmp_path / images.replace("images", "labels") / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {str(Path(images, "a.jpg")): CAR}
        assert labels(f"yolo:{tmp_path}:train") == {str(Path(images, "a.jpg")): CAR}
        with pytest.raises(NotFound, match=r"expected one of the splits there \(train\), got val"):
            read(f"yolo:{tmp_path}:val")

    @pytest.mark.parametrize("valid", ["valid", "val"])
    def test_lists_beside_darknets_names_are_splits(self, tmp_path: Path, valid: str) -> None:
        put(tmp_path / "obj.names", "car\n")
        for name, split in (("a", "train"), ("b", valid)):
            put(tmp_path / f"{split}.txt", f"data/obj_{split}_data/{name}.jpg\n")
            photo(tmp_path / f"obj_{split}_data" / f"{name}.jpg")
            put(tmp_path / f"obj_{split}_data" / f"{name}.txt", LINE)
        assert labels(f"yolo:{tmp_path}:train") == {"obj_train_data/a.jpg": CAR}
        assert labels(f"yolo:{tmp_path}:val") == {f"obj_{valid}_data/b.jpg": CAR}
        with pytest.raises(NotFound, match=r"expected one of the splits there \(train, val\), got no split"):
            read(f"yolo:{tmp_path}")

    def test_numbers_of_names_may_be_text(self, tmp_path: Path) -> None:
        put(tmp_path / "data.yaml", "names: {'0': car, '1': bus}\ntrain: images\n")
        photo(tmp_path / "images" / "a.jpg")
        put(tmp_path / "labels" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"images/a.jpg": CAR}

    def test_lists_of_cvat_name_images_below_data(self, tmp_path: Path) -> None:
        put(tmp_path / "data.yaml", "names:\n  0: car\npath: .\ntrain: train.txt\n")
        put(tmp_path / "train.txt", "data/images/train/a.jpg\n")
        photo(tmp_path / "images" / "train" / "a.jpg")
        put(tmp_path / "labels" / "train" / "a.txt", LINE)
        assert labels(f"yolo:{tmp_path}") == {"images/train/a.jpg": CAR}


class TestMot:
    def test_cvat_tells_classes_and_no_size(self, tmp_path: Path) -> None:
        root = tmp_path / "task"
        photo(root / "img1" / "000001.PNG")
        photo(root / "img1" / "000002.PNG")
        put(root / "gt" / "labels.txt", "bus\ncar\n")
        file = put(root / "gt" / "gt.txt", "1,1,16.0,12.0,32.0,24.0,1,2,0.1\n2,1,16,12,32,24,0,1,1.0\n")
        assert labels(f"mot:{root}") == {"img1/000001.PNG": CAR, "img1/000002.PNG": EMPTY}
        assert list(labels(f"mot:{tmp_path}")) == [f"task/img1/00000{n}.PNG" for n in (1, 2)]
        (_, _, mark) = list(read_marked(f"mot:{root}"))[1]
        assert mark == Ignored(objects=(Box((16, 12, 48, 36), "bus"),))
        put(file, "1,1,16,12,32,24,1,3,1\n")
        expect_broken(f"mot:{root}", file, 1, "expected a class from 1 to 2, as labels.txt has them, got '3'")
        put(file, "3,1,16,12,32,24,1,2,1\n")
        expect_broken(f"mot:{root}", file, 1, f"expected a frame with a picture in {root / 'img1'}, got '3'")

    @pytest.mark.parametrize(
        ("first", "second", "frames"),
        [("frame_000000.PNG", "frame_000005.PNG", (1, 2)), ("deep/a b.jpg", "street.jpg", (1, 2)),
         ("000000.jpg", "000007.jpg", (0, 7))],
    )  # fmt: skip
    def test_pictures_of_cvat_keep_their_names(
        self, tmp_path: Path, first: str, second: str, frames: tuple[int, int]
    ) -> None:
        photo(tmp_path / "img1" / first)
        photo(tmp_path / "img1" / second)
        put(tmp_path / "gt" / "labels.txt", "car\nbus")
        put(tmp_path / "gt" / "gt.txt", f"{frames[1]},1,16,12,32,24,1,1,1\n{frames[0]},1,0,0,8,8,0,2,1\n")
        assert labels(f"mot:{tmp_path}") == {f"img1/{first}": EMPTY, f"img1/{second}": CAR}

    def test_two_pictures_of_a_frame_are_told_apart_by_nothing(self, tmp_path: Path) -> None:
        put(tmp_path / "gt" / "gt.txt", "2,1,16,12,32,24,1,1,1\n")
        for name in ("2.jpg", "a.jpg"):
            photo(tmp_path / "img1" / name)
        file = tmp_path / "img1" / "a.jpg"
        expect_broken(f"mot:{tmp_path}", file, "", "expected the only picture of a frame, got 'another one of 2'")

    def test_dancetrack_has_eight_digits_in_its_pictures(self, tmp_path: Path) -> None:
        root = tmp_path / "train" / "dancetrack0001"
        put(root / "seqinfo.ini", "[Sequence]\nname=a\nimDir=img1\nseqLength=1\nimWidth=64\nimHeight=48\nimExt=.jpg\n")
        put(root / "gt" / "gt.txt", "1,1,17,13,32,24,1,1,1\n")
        photo(root / "img1" / "00000001.jpg")
        assert list(labels(f"mot:{tmp_path}:train")) == ["train/dancetrack0001/img1/00000001.jpg"]

    def test_a_benchmark_without_its_information_is_measured(self, tmp_path: Path) -> None:
        photo(tmp_path / "train" / "TUD-Campus" / "img1" / "000001.jpg")
        put(tmp_path / "train" / "TUD-Campus" / "gt" / "gt.txt", "1,1,17,13,32,24,1,-1,-1,-1\n")
        found = labels(f"mot:{tmp_path}:train")
        assert found == {"train/TUD-Campus/img1/000001.jpg": Boxes(64, 48, (Box((16, 12, 48, 36), "pedestrian"),))}
        (tmp_path / "train" / "TUD-Campus" / "img1" / "000001.jpg").unlink()
        folder = tmp_path / "train" / "TUD-Campus"
        expect_broken(f"mot:{tmp_path}:train", folder, "", "expected seqinfo.ini, or pictures in img1/, got 'neither'")


def test_kitti_of_cvat_is_a_folder_default(tmp_path: Path) -> None:
    photo(tmp_path / "default" / "image_2" / "a.png")
    put(tmp_path / "default" / "label_2" / "a.txt", "car 0.0 0 0.0 16 12 48 36 0 0 0 0 0 0 0\n")
    assert labels(f"kitti:{tmp_path}") == labels(f"kitti:{tmp_path}:default") == {"default/image_2/a.png": CAR}
    photo(tmp_path / "training" / "image_2" / "deep" / "b.png")
    put(tmp_path / "training" / "label_2" / "deep" / "b.txt")
    assert labels(f"kitti:{tmp_path}") == {"training/image_2/deep/b.png": EMPTY}
    assert labels(f"kitti:{tmp_path}:default") == {"default/image_2/a.png": CAR}


def test_kitti_of_fiftyone_has_folders_of_its_own(tmp_path: Path) -> None:
    line = "car 0 0 0 16 12 48 36 0 0 0 0 0 0 0"
    photo(tmp_path / "data" / "a.b.jpg")
    photo(tmp_path / "data" / "deep" / "c.jpg")
    photo(tmp_path / "data" / "unlabelled.jpg")
    put(tmp_path / "labels" / "a.b.txt", line)
    file = put(tmp_path / "labels" / "deep" / "c.txt")
    assert labels(f"kitti:{tmp_path}") == {"data/a.b.jpg": CAR, "data/deep/c.jpg": EMPTY}
    put(file, f"{line}\ncar 0 0\n")
    expect_broken(f"kitti:{tmp_path}", file, 2, "expected 15 columns, or 16 with a score, got 'car 0 0'")
    (tmp_path / "data" / "deep" / "c.jpg").unlink()
    expect_broken(f"kitti:{tmp_path}", file, "", "expected a file that exists, got")
    with pytest.raises(NotFound, match="expected one of the splits there"):
        read(f"kitti:{tmp_path}:train")


def test_the_test_of_tusimple_is_a_file_of_its_own(tmp_path: Path) -> None:
    frame = {"lanes": [[-2, 10, 20]], "h_samples": [10, 20, 30], "raw_file": "clips/0530/1/20.jpg"}
    put(tmp_path / "test_label.json", json.dumps(frame) + "\n")
    put(tmp_path / "test_tasks_0627.json", json.dumps(frame | {"lanes": [], "run_time": 0}) + "\n")
    photo(tmp_path / "clips" / "0530" / "1" / "20.jpg", 1280, 720)
    wanted = {"clips/0530/1/20.jpg": Lanes(1280, 720, (Lane(((10, 20), (20, 30))),))}
    assert labels(f"tusimple:{tmp_path}") == labels(f"tusimple:{tmp_path}:test") == wanted
    put(tmp_path / "label_data_0531.json", json.dumps(frame | {"lanes": []}) + "\n")
    assert labels(f"tusimple:{tmp_path}") == {"clips/0530/1/20.jpg": Lanes(1280, 720)}
    assert labels(f"tusimple:{tmp_path}:test") == wanted


def test_what_macos_leaves_beside_files_is_no_split(tmp_path: Path) -> None:
    put(tmp_path / "train.jsonl", json.dumps({"audio_filepath": str(sound(tmp_path / "a.wav")), "text": "x"}))
    put(tmp_path / "._train.jsonl", b"\0\5\x16\7")
    assert list(labels(f"nemo:{tmp_path}")) == ["a.wav"]


def test_curvelanes_as_its_archive_has_it(tmp_path: Path) -> None:
    root = tmp_path / "Curvelanes"
    for split in ("train", "valid"):
        photo(root / split / "images" / "0a1b.jpg")
        lines = {"Lines": [[{"y": "47.0", "x": "1.5"}, {"y": "10.0", "x": "20.5"}]]}
        put(root / split / "labels" / "0a1b.lines.json", json.dumps(lines))
        put(root / split / f"{split}.txt", "images/0a1b.jpg\n")
    photo(root / "test" / "images" / "0c.jpg")
    assert labels(f"curvelanes:{root}:valid") == {
        "valid/images/0a1b.jpg": Lanes(64, 48, (Lane(((1.5, 47), (20.5, 10))),))
    }


def test_common_voice_since_its_seventeenth_release(tmp_path: Path) -> None:
    columns = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant"
    row = ["s1", "common_voice_en_1.mp3", "9f", 'It\'s "so".', "", "2", "0", "", "", "", "", "en", ""]
    put(tmp_path / "train.tsv", "\t".join([*columns.split(), "locale", "segment"]) + "\n" + "\t".join(row) + "\n")
    put(tmp_path / "clip_durations.tsv", "clip\tduration[ms]\ncommon_voice_en_1.mp3\t500\n")
    sound(tmp_path / "clips" / "one.wav").rename(tmp_path / "clips" / "common_voice_en_1.mp3")
    ((item, label),) = read(f"commonvoice:{tmp_path}:train")
    assert (item.id, item.group, item.language) == ("clips/common_voice_en_1.mp3", "s1", "en")
    assert label == Transcript('It\'s "so".')
