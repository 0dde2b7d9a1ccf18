"""Posted media are whole under their name, or not there."""

from pathlib import Path

import pytest

from models.errors import InvalidInput, NotFound
from models.records import Item
from serving.errors import StoreAway
from serving.media_files import MediaFiles, content_id


def test_a_medium_is_kept_once_under_its_hash(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media")
    item_id = files.save(b"photo")
    assert item_id == files.save(b"photo") == content_id(b"photo")
    assert files.path(Item(item_id, "anything")).read_bytes() == b"photo"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_medium_that_is_not_kept_is_found_by_its_uri(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media")
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"photo")
    item = Item(content_id(file), str(file))
    assert files.path(item) == file
    assert files.unchanged(item) == item
    file.write_bytes(b"changed")
    with pytest.raises(InvalidInput, match="the file was changed"):
        files.unchanged(item)
    with pytest.raises(NotFound, match="expected its medium at http://somewhere"):
        files.path(Item("0" * 64, "http://somewhere"))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreAway, match=f"{tmp_path}: No space left"):
        MediaFiles(tmp_path).save(b"photo")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_a_power_cut_left_short_is_written_again(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path)
    item_id = files.save(b"photo")
    kept = files.path(Item(item_id, "anything"))
    kept.write_bytes(b"")
    files.save(b"photo")
    assert kept.read_bytes() == b"photo"
