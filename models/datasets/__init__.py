"""Data sets in their public on-disk formats, named ``FORMAT:ROOT[:SPLIT]``: this table says which there are.

SPLIT may be left out where there is only one. ROOT may hold colons: where the whole rest of the name exists on disk
it is the root; otherwise what follows its last colon is the split. What is written here is read again as
``FORMAT:ROOT``.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from models.datasets import (
    aishell,
    audiofolder,
    bdd100k,
    coco,
    commonvoice,
    culane,
    curvelanes,
    cvat,
    fsdd,
    kaldi,
    kitti,
    labelme,
    librispeech,
    mot,
    nemo,
    speechcommands,
    supervisely,
    textgrid,
    tusimple,
    voc,
    webvtt,
    yolo,
)
from models.errors import InvalidDataset, InvalidInput, NotFound
from models.marks import Mark
from models.records import Item, Label, Task

Reader: TypeAlias = Callable[[Path, str | None], Iterator[tuple[Item, Label]]]
MarkedReader: TypeAlias = Callable[[Path, str | None], Iterator[tuple[Item, Label, Mark]]]
Writer: TypeAlias = Callable[[Path, Iterable[tuple[Item, Any]]], None]  # the labels are those of the format's task


@dataclass(frozen=True)
class Format:
    """What a format labels, the files it consists of, and how it is read and written, where it is.

    ``group`` and ``language`` name what it says of an item's; the others say nothing. ``read_marked`` is there where
    the benchmark's own rules ask for more than labels.
    """

    task: Task
    layout: str
    read: Reader | None = None
    write: Writer | None = None
    read_marked: MarkedReader | None = None
    group: str = ""
    language: str = ""


_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")

FORMATS: dict[str, Format] = {
    "coco": Format(
        "detection",
        "annotations/instances_SPLIT.json; images/, images/SPLIT/ or SPLIT/; SPLIT/_annotations.coco.json; FILE.json",
        coco.read,
        coco.write,
        coco.read_marked,
    ),
    "voc": Format(
        "detection",
        "ImageSets/Main/SPLIT.txt, Annotations/*.xml, JPEGImages/; annotations/xmls/, images/; SPLIT/*.xml",
        voc.read,
        voc.write,
        voc.read_marked,
    ),
    "yolo": Format(
        "detection", "data.yaml, images/**, labels/**.txt; obj.data; obj.names; classes.txt", yolo.read, yolo.write
    ),
    "kitti": Format(
        "detection",
        "training/image_2/, training/label_2/*.txt; ImageSets/SPLIT.txt; data/, labels/*.txt",
        kitti.read,
        kitti.write,
        kitti.read_marked,
    ),
    "bdd100k": Format(
        "detection",
        "labels/det_20/det_SPLIT.json, images/100k/SPLIT/",
        bdd100k.read_boxes,
        read_marked=bdd100k.read_marked_boxes,
    ),
    "mot": Format(
        "detection",
        "SPLIT/SEQUENCE/gt/gt.txt, img1/, perhaps seqinfo.ini",
        mot.read,
        read_marked=mot.read_marked,
        group="sequence",
    ),
    "cvat": Format(
        "detection",
        "annotations.xml, SPLIT.xml or FILE.xml of CVAT for images 1.1 or for video 1.1; images/",
        cvat.read_boxes,
        group="video",
    ),
    "supervisely": Format("detection", "DATASET/img/, DATASET/ann/*.json", supervisely.read),
    "labelme": Format("detection", "IMAGE.json or SPLIT/IMAGE.json, beside each image or not", labelme.read),
    "culane": Format(
        "lane",
        "list/SPLIT.txt, and A.lines.txt beside each A.jpg",
        culane.read,
        culane.write,
        culane.read_marked,
        group="clip",
    ),
    "tusimple": Format(
        "lane",
        "FILE.json, label_data_SPLIT.json or test_label.json; clips/",
        tusimple.read,
        tusimple.write,
        tusimple.read_marked,
        group="clip",
    ),
    "curvelanes": Format("lane", "SPLIT/SPLIT.txt, SPLIT/images/, SPLIT/labels/*.lines.json", curvelanes.read),
    "bdd100k-lanes": Format("lane", "labels/lane/polygons/lane_SPLIT.json, images/100k/SPLIT/", bdd100k.read_lanes),
    "cvat-lanes": Format(
        "lane",
        "annotations.xml, SPLIT.xml or FILE.xml of CVAT for images 1.1 or for video 1.1; images/",
        cvat.read_lanes,
        group="video",
    ),
    "commonvoice": Format(
        "asr",
        "SPLIT.tsv, clips/; LANGUAGE/ with them; ss-corpus-LANGUAGE.tsv, audios/",
        commonvoice.read,
        group="speaker",
        language="locale",
    ),
    "librispeech": Format(
        "asr", "SPLIT/SPEAKER/CHAPTER/*.trans.txt and *.flac", librispeech.read, group="speaker", language="en"
    ),
    "aishell": Format(
        "asr",
        "transcript/aishell_transcript_v0.8.txt, wav/SPLIT/SPEAKER/*.wav",
        aishell.read,
        group="speaker",
        language="zh",
    ),
    "speechcommands": Format(
        "asr",
        "WORD/*.wav, validation_list.txt, testing_list.txt, _background_noise_/",
        speechcommands.read,
        group="speaker",
        language="en",
    ),
    "fsdd": Format("asr", "recordings/DIGIT_SPEAKER_NUMBER.wav", fsdd.read, group="speaker", language="en"),
    "audiofolder": Format(
        "asr",
        "metadata.csv or metadata.jsonl with file_name and transcription; or SPLIT/ with it",
        audiofolder.read,
        group="speaker_id or speaker",
        language="language, lang or locale",
    ),
    "nemo": Format(
        "asr",
        "FILE.jsonl, or SPLIT.jsonl or SPLIT.json",
        nemo.read,
        nemo.write,
        group="speaker",
        language="lang, language or source_lang",
    ),
    "kaldi": Format(
        "asr",
        "wav.scp, text, utt2spk, perhaps segments; or SPLIT/ with them",
        kaldi.read,
        kaldi.write,
        group="speaker",
        language="utt2lang",
    ),
    "webvtt": Format("asr", "ITEM.vtt", write=webvtt.write),
    "textgrid": Format("asr", "ITEM.TextGrid", write=textgrid.write),
}


def read(spec: str) -> Iterator[tuple[Item, Label]]:
    """The labelled items of ``FORMAT:ROOT[:SPLIT]``, in the order of the files, read as they are asked for.

    Raises:
        InvalidDataset: an unknown format at once; while reading, a broken line as ``file:line: expected .., got ..``.
        NotFound: no such root or split; the message lists the splits that are there.
    """
    reader, _, rest = _readable(spec)
    return reader(*_root_and_split(rest))


def read_marked(spec: str) -> Iterator[tuple[Item, Label, Mark | None]]:
    """The items of ``read``, each with what its data set says of it beside the label, where it says anything.

    Raises:
        InvalidDataset, NotFound: as ``read``.
    """
    _, known, rest = _readable(spec)
    if known.read_marked is None:
        return ((item, label, None) for item, label in read(spec))
    return ((item, label, mark) for item, label, mark in known.read_marked(*_root_and_split(rest)))


def task_of(spec: str) -> Task:
    """What ``FORMAT:ROOT[:SPLIT]`` labels.

    Raises:
        InvalidDataset: an unknown format.
    """
    return _readable(spec)[1].task


def require_task(verb: str, task: Task, specs: Iterable[str]) -> None:
    """Whether all of some data sets label what a task is about; ``verb`` is what they are wanted for.

    Raises:
        InvalidInput: naming one that does not.
        InvalidDataset: an unknown format.
    """
    for spec in specs:
        if (labelled := task_of(spec)) != task:
            raise InvalidInput(f"{verb} {task}: expected data with {task} labels, got {labelled}: {spec}")


def require_each_once(verb: str, task: Task, specs: Sequence[str]) -> None:
    """Whether no data set comes twice, however its path is written.

    Raises:
        InvalidInput: naming them all.
    """
    if len({_place(spec) for spec in specs}) < len(specs):
        raise InvalidInput(f"{verb} {task}: expected data sets, each once, got {', '.join(specs)}")


def writer(name: str, task: Task) -> Writer:
    """What writes labels of a task in a format: ``write(root, pairs)`` makes the folder ``root`` whole or not at all.

    Raises:
        InvalidInput: no such format, or one that holds other labels or is only read.
    """
    writers = {known: found.write for known, found in FORMATS.items() if found.task == task}
    write = writers.get(name)
    if write is None:
        possible = ", ".join(known for known, found in writers.items() if found)
        raise InvalidInput(f"format: expected one that {task} labels are written in ({possible}), got {name!r}")
    return write


def _readable(spec: str) -> tuple[Reader, Format, str]:
    """How a data set is read, its format, and its root with its split."""
    name, _, rest = spec.partition(":")
    found = FORMATS.get(name)
    if found is None or found.read is None or not rest:
        known = ", ".join(name for name, found in FORMATS.items() if found.read)
        raise InvalidDataset(f"data set: expected FORMAT:ROOT[:SPLIT], FORMAT one of {known}, got {spec!r}")
    return found.read, found, rest


def _place(spec: str) -> tuple[str, str, str | None]:
    name, _, rest = spec.partition(":")
    root, split = _parted(rest)
    return name, os.path.realpath(root), split


def _parted(rest: str) -> tuple[str, str | None]:
    rest = os.path.expanduser(rest)  # which a shell leaves to us behind a colon
    if os.path.exists(rest):
        return rest, None
    root, _, split = rest.rpartition(":")
    return root, split


def _root_and_split(rest: str) -> tuple[Path, str | None]:
    root, split = _parted(rest)
    if split == "" or not os.path.exists(root):
        raise NotFound(f"data set: expected an existing file or folder, got {root or rest}")
    if os.path.isfile(root) and root.lower().endswith(_PACKED):
        raise InvalidDataset(f"data set: expected a folder or a file of labels, got {root}: unpack it first")
    return Path(root).absolute(), split
