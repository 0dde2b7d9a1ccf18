"""A version's folder: what is written is read back, what was changed is refused."""

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import InvalidInput, NotFound
from models.versions import (
    MANIFEST,
    ONNX,
    Version,
    file_sha256,
    ids_sha256,
    keep,
    read_version,
    version_name,
    write_manifest,
)
from tests.little_room import files_of_at_most


def made(folder: Path) -> Version:
    folder.mkdir(parents=True)
    (folder / ONNX).write_bytes(b"not a real graph, but real bytes")
    digest = file_sha256(folder / ONNX)
    version = Version(
        name=version_name("lane", digest),
        task="lane",
        folder=folder,
        parent="lane-000000000000",
        created_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        onnx_sha256=digest,
        data=("culane:somewhere:train",),
        training_ids_sha256=ids_sha256(["b", "a"]),
        settings={"width": 256},
        training={"epochs": 3},
        metrics={"quality": 0.5},
    )
    write_manifest(version, ["b", "a"])
    return version


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    version = made(tmp_path / "v")
    assert read_version(tmp_path / "v") == version
    assert version.training_ids() == {"a", "b"}


def test_the_name_follows_from_the_weights(tmp_path: Path) -> None:
    version = made(tmp_path / "v")
    assert version.name == f"lane-{version.onnx_sha256[:12]}"


def test_the_hash_of_ids_does_not_depend_on_their_order() -> None:
    assert ids_sha256(["a", "b"]) == ids_sha256(["b", "a"]) != ids_sha256(["a", "c"])


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    version = made(tmp_path / "v")
    version.onnx.write_bytes(b"other bytes")
    with pytest.raises(InvalidInput, match=r"model\.onnx: expected SHA-256 .*, got "):
        read_version(version.folder)


def test_an_empty_folder_is_no_version(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"expected a model version \(version\.json\)"):
        read_version(tmp_path)


def test_a_damaged_manifest_says_where(tmp_path: Path) -> None:
    version = made(tmp_path / "v")
    manifest = version.folder / MANIFEST
    values = json.loads(manifest.read_text(encoding="utf-8"))
    del values["parent"]
    manifest.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InvalidInput, match="expected the key 'parent'"):
        read_version(version.folder)
    manifest.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match="expected JSON"):
        read_version(version.folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "expected JSON, got"),
        ("[1]", r"expected an object, got \[1\]"),
        ({"created_at": "noon"}, "expected what a version tells of itself, got an error: Invalid isoformat string"),
        ({"data": 5}, "expected what a version tells of itself, got an error: 'int' object is not iterable"),
    ],
)
def test_a_manifest_of_other_things_is_refused(tmp_path: Path, text: str | dict[str, object], message: str) -> None:
    folder = made(tmp_path / "v").folder
    told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(text if isinstance(text, str) else json.dumps({**told, **text}), encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"version\.json: {message}"):
        read_version(folder)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    version = made(tmp_path / "v")
    version.onnx.unlink()
    with pytest.raises(NotFound, match=r"model\.onnx: expected the model's file"):
        read_version(version.folder)


def test_a_full_disk_is_told_in_a_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    version = made(tmp_path / "v")
    monkeypatch.setattr(os, "link", no_links)
    told = f"^{tmp_path}/kept: expected room for a version, got File too large; nothing of it is left there$"
    with pytest.raises(InvalidInput, match=told), files_of_at_most(10):
        keep(version, tmp_path / "kept")
    assert not [*(tmp_path / "kept").iterdir()]
    assert keep(version, tmp_path / "kept").name == version.name


def test_a_version_kept_twice_at_once_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version, kept = made(tmp_path / "starters"), tmp_path / "kept"

    def faster(work: Path, mode: int) -> None:
        monkeypatch.undo()
        keep(version, kept)
        work.chmod(mode)

    monkeypatch.setattr(Path, "chmod", faster)
    assert keep(version, kept) == read_version(kept / version.name)
    assert [path.name for path in kept.iterdir()] == [version.name]
