"""Small corpora of every format in the true on-disk layout, of as many items as a test wants."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from models.datasets import read
from models.errors import InvalidDataset
from models.records import Boxes, Label, Lanes, Transcript


def put(path: Path, text: str | bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def photo(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def sound(path: Path, seconds: float = 0.5, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * rate), np.float32), rate)
    return path


def labels(spec: str) -> dict[str, Label]:
    return {item.id: label for item, label in read(spec)}


def expect_broken(spec: str, where: Path | str, line: int | str, message: str) -> None:
    """The reader must stop with ``file:line: message``, or ``file: message`` where the file itself is wrong."""
    place = f"{where}:{line}" if line else where
    with pytest.raises(InvalidDataset, match="^" + re.escape(f"{place}: {message}")):
        list(read(spec))


def parts(label: Label) -> int:
    """How many boxes, lanes or words there are."""
    match label:
        case Transcript(text):
            return len(text.split())
        case Boxes():
            return len(label.boxes)
        case Lanes():
            return len(label.lanes)


class Copies:
    """The same medium under many names, as links to one file."""

    def __init__(self, first: Path) -> None:
        self._first = first

    def at(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._first, path)


def _images(root: Path) -> Copies:
    return Copies(photo(root.with_name(f"{root.name}.one.jpg")))


def _sounds(root: Path) -> Copies:
    return Copies(sound(root.with_name(f"{root.name}.one.wav")))


def coco(root: Path, n: int) -> str:
    copies = _images(root)
    images, annotations = [], []
    for i in range(n):
        copies.at(root / "images" / f"{i}.jpg")
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48})
        mask = [[float(k) for k in range(40)]]
        annotations += [
            {"id": 2 * i + k, "image_id": n - 1 - i, "category_id": 1, "bbox": [k, 1, 9, 9], "segmentation": mask}
            for k in range(2)
        ]
    document = {"annotations": annotations, "images": images, "categories": [{"id": 1, "name": "car"}]}
    put(root / "annotations" / "instances_train.json", json.dumps(document))
    return "train"


def voc(root: Path, n: int) -> str:
    copies = _images(root)
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    size = "<size><width>64</width><height>48</height><depth>3</depth></size>"
    for i in range(n):
        copies.at(root / "JPEGImages" / f"{i}.jpg")
        objects = f"<object><name>car</name>{box}</object>"
        put(root / "Annotations" / f"{i}.xml", f"<annotation><filename>{i}.jpg</filename>{size}{objects}</annotation>")
    put(root / "ImageSets" / "Main" / "train.txt", "".join(f"{i}\n" for i in range(n)))
    return "train"


def voc_beside(root: Path, n: int) -> str:
    """Each file beside its image, as Roboflow has them."""
    voc(root / "lists", n)
    (root / "lists" / "JPEGImages").rename(root / "train")
    for file in (root / "lists" / "Annotations").iterdir():
        file.rename(root / "train" / file.name)
    (root / "lists" / "ImageSets").rename(root.with_name(f"{root.name}.lists"))
    return "train"


def coco_beside(root: Path, n: int) -> str:
    """The document among its images."""
    coco(root.with_name(f"{root.name}.apart"), n)
    (root.with_name(f"{root.name}.apart") / "images").rename(root)
    (root.with_name(f"{root.name}.apart") / "annotations" / "instances_train.json").rename(root / "labels.json")
    return "labels"


def yolo(root: Path, n: int) -> str:
    copies = _images(root)
    for i in range(n):
        copies.at(root / "images" / "train" / f"{i}.jpg")
        put(root / "labels" / "train" / f"{i}.txt", "0 0.5 0.5 0.25 0.5\n")
    put(root / "data.yaml", "train: images/train\nnames: [car]\n")
    return "train"


def kitti(root: Path, n: int) -> str:
    copies = _images(root)
    for i in range(n):
        copies.at(root / "training" / "image_2" / f"{i:06d}.jpg")
        put(root / "training" / "label_2" / f"{i:06d}.txt", f"Car 0 0 -1.5 1 1 9 9 {'1 ' * 6}0\n")
    return "training"


def bdd100k(root: Path, n: int) -> str:
    copies, frames = _images(root), []
    for i in range(n):
        copies.at(root / "images" / "100k" / "train" / f"{i}.jpg")
        box = {"category": "car", "box2d": {"x1": 1.0, "y1": 1.0, "x2": 8.0, "y2": 8.0}}
        lane = {
            "category": "lane/single white",
            "attributes": {"laneDirection": "parallel"},
            "poly2d": [{"vertices": [[1.0, 40.0], [9.0, 4.0]], "types": "LL", "closed": False}],
        }
        frames.append({"name": f"{i}.jpg", "labels": [box, lane]})
    put(root / "labels" / "bdd100k_labels_images_train.json", json.dumps(frames))
    return "train"


def mot(root: Path, n: int) -> str:
    copies, sequence = _images(root), root / "train" / "MOT20-01"
    for i in range(1, n + 1):
        copies.at(sequence / "img1" / f"{i:06d}.jpg")
    put(sequence / "gt" / "gt.txt", "".join(f"{i},1,2,2,8,8,1,1,1\n" for i in range(1, n + 1)))
    put(sequence / "seqinfo.ini", f"[Sequence]\nseqLength={n}\nimWidth=64\nimHeight=48\n")
    return "train"


def cvat(root: Path, n: int) -> str:
    copies = _images(root)
    box = '<box label="car" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="9.00" ybr="9.50" z_order="0"></box>'
    line = '<polyline label="lane" source="manual" occluded="0" points="1.00,40.00;9.00,4.00" z_order="0"></polyline>'
    images = []
    for i in range(n):
        copies.at(root / "images" / f"{i}.jpg")
        images.append(f'  <image id="{i}" name="{i}.jpg" width="64" height="48">\n    {box}\n    {line}\n  </image>\n')
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    put(root / "annotations.xml", f"{head}{''.join(images)}</annotations>\n")
    return "default"


def cvat_video(root: Path, n: int) -> str:
    """One track through all frames, and a line in each."""
    copies, boxes, lines = _images(root), [], []
    for i in range(n):
        copies.at(root / "images" / f"frame_{i:06d}.jpg")
        boxes.append(f'<box frame="{i}" outside="0" xtl="1.00" ytl="2.00" xbr="9.00" ybr="9.50" z_order="0"></box>\n')
        line = f'<polyline frame="{i}" outside="0" points="1.00,40.00;9.00,4.00"></polyline>\n'
        lines.append(f'<track id="{i}" label="lane">{line}</track>\n')
    track = f'<track id="{n}" label="car">{"".join(boxes)}</track>\n'
    put(root / "annotations.xml", f"<annotations>{''.join(lines)}{track}</annotations>\n")
    return "default"


def supervisely(root: Path, n: int) -> str:
    copies, points = _images(root), {"exterior": [[1, 1], [8, 8]], "interior": []}
    car = {"id": 1, "classTitle": "car", "geometryType": "rectangle", "points": points, "tags": []}
    for i in range(n):
        copies.at(root / "ds0" / "img" / f"{i}.jpg")
        document = {"size": {"height": 48, "width": 64}, "objects": [car], "tags": []}
        put(root / "ds0" / "ann" / f"{i}.jpg.json", json.dumps(document))
    put(root / "meta.json", json.dumps({"classes": [{"title": "car", "shape": "rectangle"}], "tags": []}))
    return "ds0"


def labelme(root: Path, n: int) -> str:
    copies, shape = _images(root), {"label": "car", "points": [[9, 9.5], [1, 2]], "shape_type": "rectangle"}
    for i in range(n):
        copies.at(root / "train" / f"{i}.jpg")
        document = {"shapes": [shape], "imagePath": f"{i}.jpg", "imageHeight": 48, "imageWidth": 64}
        put(root / "train" / f"{i}.json", json.dumps(document, indent=2))
    return "train"


def culane(root: Path, n: int) -> str:
    copies = _images(root)
    for i in range(n):
        copies.at(root / "one.MP4" / f"{i}.jpg")
        put(root / "one.MP4" / f"{i}.lines.txt", "1 40 9 4\n")
    put(root / "list" / "train.txt", "".join(f"/one.MP4/{i}.jpg\n" for i in range(n)))
    return "train"


def tusimple(root: Path, n: int) -> str:
    frames = ({"lanes": [[-2, 7, 9]], "h_samples": [240, 250, 260], "raw_file": f"clips/{i}/20.jpg"} for i in range(n))
    put(root / "label_data_train.json", "".join(json.dumps(frame) + "\n" for frame in frames))
    return "train"


def curvelanes(root: Path, n: int) -> str:
    copies = _images(root)
    lines = {"Lines": [[{"y": "40", "x": "1"}, {"y": "4.5", "x": "9"}]]}
    for i in range(n):
        copies.at(root / "train" / "images" / f"{i}.jpg")
        put(root / "train" / "labels" / f"{i}.lines.json", json.dumps(lines))
    put(root / "train" / "train.txt", "".join(f"images/{i}.jpg\n" for i in range(n)))
    return "train"


def commonvoice(root: Path, n: int) -> str:
    rows = "".join(f"s\t{i}.mp3\tHaj\thsb\n" for i in range(n))
    for i in range(n):
        put(root / "clips" / f"{i}.mp3")
    put(root / "train.tsv", f"client_id\tpath\tsentence\tlocale\n{rows}")
    return "train"


def librispeech(root: Path, n: int) -> str:
    chapter = root / "dev-clean" / "84" / "121123"
    put(chapter / "84-121123.trans.txt", "".join(f"84-121123-{i:04d} GO ON\n" for i in range(n)))
    for i in range(n):
        put(chapter / f"84-121123-{i:04d}.flac")
    return "dev-clean"


def aishell(root: Path, n: int) -> str:
    names = [f"BAC009S0002W{i:04d}" for i in range(n)]
    put(root / "transcript" / "aishell_transcript_v0.8.txt", "".join(f"{name} 而 对 楼市\n" for name in names))
    for name in names:
        put(root / "wav" / "train" / "S0002" / f"{name}.wav")
    return "train"


def speechcommands(root: Path, n: int) -> str:
    for i in range(n):
        put(root / "yes" / f"{i:08x}_nohash_0.wav")
        put(root / "no" / f"{i:08x}_nohash_0.wav")
    put(root / "validation_list.txt", "".join(f"no/{i:08x}_nohash_0.wav\n" for i in range(n)))
    put(root / "testing_list.txt")
    return "training"


def fsdd(root: Path, n: int) -> str:
    for i in range(n):
        put(root / "recordings" / f"{i % 10}_theo_{5 + i // 10}.wav")
    return "train"


def audiofolder(root: Path, n: int) -> str:
    for i in range(n):
        put(root / "train" / f"{i}.wav")
    rows = "".join(f"{i}.wav,go on,s,en\n" for i in range(n))
    put(root / "train" / "metadata.csv", f"file_name,transcription,speaker_id,language\n{rows}")
    return "train"


def nemo(root: Path, n: int) -> str:
    for i in range(n):
        put(root / "audio" / f"{i}.ogg")
    lines = ({"audio_filepath": f"audio/{i}.ogg", "text": "go", "speaker": "s", "lang": "en"} for i in range(n))
    put(root / "train.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return "train"


def kaldi(root: Path, n: int) -> str:
    for i in range(n):
        put(root / "train" / f"{i}.wav")
    for name, value in (("wav.scp", "{}.wav"), ("text", "go on"), ("utt2spk", "s"), ("utt2lang", "en")):
        put(root / "train" / name, "".join(f"s-{i:06d} {value.format(i)}\n" for i in range(n)))
    return "train"


def nemo_stretches(root: Path, n: int) -> str:
    """Two stretches of each recording, the two apart from each other."""
    copies = _sounds(root)
    for i in range(0, n, 2):
        copies.at(root / "audio" / f"{i}.wav")
    places = [(i, 0.0) for i in range(0, n, 2)] + [(i, 0.25) for i in range(0, n, 2)]
    lines = ({"audio_filepath": f"audio/{i}.wav", "offset": at, "duration": 0.2, "text": "go"} for i, at in places)
    put(root / "train.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return "train"


def kaldi_segments(root: Path, n: int) -> str:
    """Two stretches of each recording, the two apart from each other."""
    copies = _sounds(root)
    for i in range(0, n, 2):
        copies.at(root / "train" / f"{i}.wav")
    put(root / "train" / "wav.scp", "".join(f"r{i:06d} {i}.wav\n" for i in range(0, n, 2)))
    places = [(i, "0 0.25") for i in range(0, n, 2)] + [(i, "0.25 -1") for i in range(0, n, 2)]
    for name, values in (
        ("segments", [f"r{i:06d} {times}" for i, times in places]),
        ("text", n * ["go on"]),
        ("utt2spk", n * ["s"]),
    ):
        put(root / "train" / name, "".join(f"s-{i:06d} {value}\n" for i, value in enumerate(values)))
    return "train"


STRETCHES: dict[str, Callable[[Path, int], str]] = {"nemo": nemo_stretches, "kaldi": kaldi_segments}
"""As ``CORPORA``, where items are stretches of longer recordings; n is even."""

VARIANTS: list[tuple[str, Callable[[Path, int], str]]] = [
    ("coco", coco_beside),
    ("voc", voc_beside),
    ("cvat", cvat_video),
]
"""Formats with other layouts of theirs."""

CORPORA: dict[str, Callable[[Path, int], str]] = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "kitti": kitti,
    "bdd100k": bdd100k,
    "bdd100k-lanes": bdd100k,
    "mot": mot,
    "cvat": cvat,
    "cvat-lanes": cvat,
    "supervisely": supervisely,
    "labelme": labelme,
    "culane": culane,
    "tusimple": tusimple,
    "curvelanes": curvelanes,
    "commonvoice": commonvoice,
    "librispeech": librispeech,
    "aishell": aishell,
    "speechcommands": speechcommands,
    "fsdd": fsdd,
    "audiofolder": audiofolder,
    "nemo": nemo,
    "kaldi": kaldi,
}
"""Each makes a corpus of n items below a folder and returns the split they are in."""
