"""A written data set is there whole or not at all, and its media lie in it under names of their own."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.datasets import FORMATS, read, writer
from models.datasets.output import file_name, new_folder, number, place, token
from models.errors import InvalidInput, NotFound
from models.records import Box, Boxes, Item, Label, Lanes, Transcript
from tests.models.datasets.corpora import photo, put, sound

WRITTEN = [name for name, found in FORMATS.items() if found.write]
LABELS: dict[str, Label] = {"asr": Transcript("go"), "detection": Boxes(64, 48), "lane": Lanes(64, 48)}


def pairs(name: str, folder: Path, *ids: str) -> Iterator[tuple[Item, Label]]:
    task = FORMATS[name].task
    medium = sound(folder / "one.wav") if task == "asr" else photo(folder / "one.jpg")
    for item_id in ids:
        yield Item(item_id, str(medium)), LABELS[task]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_failure_midway_leaves_nothing(name: str, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stopping() -> Iterator[tuple[Item, Label]]:
        yield from pairs(name, tmp_path / "media", "a", "b")
        assert not (tmp_path / "out" / "deep").exists(), "not under its name before it is whole"
        raise Stopped

    with pytest.raises(Stopped):
        writer(name, FORMATS[name].task)(tmp_path / "out" / "deep", stopping())
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_a_folder_that_holds_something_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    kept = put(tmp_path / "out" / "kept.txt", "kept")
    with pytest.raises(InvalidInput, match="out: expected a new or an empty folder to write to, got one that holds"):
        writer(name, FORMATS[name].task)(tmp_path / "out", pairs(name, tmp_path, "a"))
    assert list((tmp_path / "out").iterdir()) == [kept]


@pytest.mark.parametrize("name", WRITTEN)
def test_two_items_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"out: expected items with names of their own, got two called a_b"):
        writer(name, FORMATS[name].task)(tmp_path / "out", pairs(name, tmp_path / "media", "a/b", "a b"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name in WRITTEN if FORMATS[name].read])
def test_names_stay_however_often_a_set_is_written(name: str, tmp_path: Path) -> None:
    """From the second time on: the first puts its folders into one word."""
    write = writer(name, FORMATS[name].task)
    group = "clips/driver 1/05.MP4"
    write(
        tmp_path / "0", ((replace(item, group=group), label) for item, label in pairs(name, tmp_path, f"{group}/7.jpg"))
    )
    read_back = [list(read(f"{name}:{tmp_path}/0"))]
    for times in (1, 2):
        write(tmp_path / str(times), read_back[-1])
        read_back.append(list(read(f"{name}:{tmp_path}/{times}")))
    ids = [[(item.id, item.group) for item, _ in found] for found in read_back]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0]) == 1


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as out:
        put(out / "a.txt")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.txt"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    put(tmp_path / "file")
    with (
        pytest.raises(InvalidInput, match=r"deep: expected a folder to write to, got Not a directory: "),
        new_folder(tmp_path / "file" / "deep"),
    ):
        pass


@pytest.mark.parametrize("name", ["nemo", "kaldi", "webvtt", "textgrid", "kitti"])
def test_half_of_a_surrogate_pair_in_a_label_is_one_clear_error(name: str, tmp_path: Path) -> None:
    half = Transcript("a\ud800") if FORMATS[name].task == "asr" else Boxes(64, 48, (Box((0, 0, 9, 9), "a\ud800"),))
    ((item, _),) = pairs(name, tmp_path / "media", "a")
    with pytest.raises(InvalidInput, match=r"out: expected labels that UTF-8 can hold, got '.*a\\ud800"):
        writer(name, FORMATS[name].task)(tmp_path / "out", [(item, half)])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("item_id", "name"),
    [
        ("images/a.jpg", "a"),
        ("clips/0313-1/60/20.jpg", "0313-1_60_20"),
        ("images/train/a.jpg", "a"),
        ("images/val/a.jpg", "val_a"),
        ("images/train", "images_train"),
        ("images", "images"),
        ("sub/images/a.jpg", "sub_images_a"),
        ("/data/clip 7.MP4/00000.JPEG", "data_clip_7.MP4_00000"),
        ("frame.0001-3fa9c2d1", "frame.0001-3fa9c2d1"),
        ("你好/数字.ogg", "你好_数字"),
        ("../../etc/passwd", "etc_passwd"),
        ("///", "_"),
        (".", "_"),
        ("x" * 300, "x" * 200),
        ("数" * 100, "数" * 66),
    ],
)
def test_an_id_becomes_one_word(item_id: str, name: str) -> None:
    assert file_name(Item(item_id, "a.jpg")) == name
    assert len(name.encode()) <= 200


def test_a_word_has_no_blanks() -> None:
    assert token(" a\tb\n") == "a_b"


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.5, "0.5"), (1 / 3, "0.3333333333"), (-2.0, "-2"), (123456.75, "123456.75")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_a_medium_is_linked_and_gets_the_suffix_that_its_bytes_call_for(tmp_path: Path) -> None:
    image, clip = photo(tmp_path / "a.png"), sound(tmp_path / "a.wav")
    bare = image.rename(tmp_path / "3fa9")
    assert place(Item("i", str(bare)), tmp_path / "out", "x") == tmp_path / "out" / "x.png"
    assert place(Item("i", str(clip)), tmp_path / "out", "x") == tmp_path / "out" / "x.wav"
    assert os.path.samefile(bare, tmp_path / "out" / "x.png")
    link = tmp_path / "link.png"
    link.symlink_to("3fa9")
    assert not place(Item("i", str(link)), tmp_path / "out", "y").is_symlink()
    with pytest.raises(NotFound, match=r"item i: expected its medium at gone\.jpg, got no such file"):
        place(Item("i", "gone.jpg"), tmp_path / "out", "z")


def test_where_no_link_can_be_the_medium_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    image = photo(tmp_path / "a.jpg")
    copy = place(Item("i", str(image)), tmp_path / "out", "x")
    assert copy.read_bytes() == image.read_bytes()
    assert not os.path.samefile(copy, image)
