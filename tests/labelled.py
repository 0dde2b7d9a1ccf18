"""Small labelled data sets on disk, for the tiny versions: some labels agree with what those say, some do not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from models.records import Task

COUNT = 12


def data_set(folder: Path, task: Task, count: int = COUNT) -> str:
    """Writes ``count`` items, and gives their name as ``FORMAT:ROOT[:SPLIT]``; a third of the labels differ."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"asr": _clips, "detection": _pictures, "lane": _roads}[task](folder, count)


def _clips(folder: Path, count: int) -> str:
    """Clips of noise, in which the tiny recogniser hears "yes"; speakers in groups of three."""
    lines = []
    for index in range(count):
        noise = 0.1 * np.random.default_rng(index).standard_normal(8000 + 800 * index)
        soundfile.write(folder / f"{index}.wav", noise, 16000)
        text = ("yes", "yes", "no yes")[index % 3]
        lines.append({"audio_filepath": f"{index}.wav", "text": text, "speaker": f"speaker {index // 3}"})
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return f"nemo:{folder}/test.jsonl"


def _pictures(folder: Path, count: int) -> str:
    """Pictures of 120 x 90, in which the tiny detector finds a car from (10, 10) to (50, 50)."""
    (folder / "images").mkdir()
    (folder / "annotations").mkdir()
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for index in range(count):
        _noise(folder / "images" / f"{index}.png", index, (90, 120))
        images.append({"id": index, "file_name": f"{index}.png", "width": 120, "height": 90})
        boxes = [([10, 10, 40, 40], 1)] + [([70, 20, 30, 50], 2)] * (index % 3 == 2)
        for bbox, category in boxes:
            annotations.append({"id": len(annotations), "image_id": index, "bbox": bbox, "category_id": category})
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
    }
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(document), encoding="utf-8")
    return f"coco:{folder}:val"


def _roads(folder: Path, count: int) -> str:
    """Pictures of 256 x 128, in which the tiny lane model finds an upright line at x = 130."""
    (folder / "list").mkdir()
    for index in range(count):
        _noise(folder / f"{index}.png", index, (128, 256))
        x = 130 if index % 3 < 2 else 200
        (folder / f"{index}.lines.txt").write_text(" ".join(f"{x} {y}" for y in range(127, -1, -8)) + "\n")
    (folder / "list" / "val.txt").write_text("".join(f"/{index}.png\n" for index in range(count)), encoding="utf-8")
    return f"culane:{folder}:val"


def _noise(path: Path, seed: int, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
