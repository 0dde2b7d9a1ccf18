"""What a person may name as media: folders, globs, files and manifests."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import InvalidInput, NotFound
from serving.sources import Entry, find_media

JPEG, WAV = b"\xff\xd8\xff\xe0 and more", b"RIFF\0\0\0\0WAVE"


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def names(root: Path, entries: list[Entry]) -> list[str]:
    return [entry.path.relative_to(root).as_posix() for entry in entries]


FILES = {
    "b.JPG": b"",  # broken, but meant to be an image
    "a/z.webp": b"x",
    "a/no-suffix": JPEG,
    "a/notes.txt": b"text",
    "a/labels.json": b"{}",
    "A.wav": WAV,
    "a/c.opus": b"",
    "sound.bin": WAV,
    ".hidden/d.png": JPEG,
    "._b.JPG": b"resource fork",
}


def test_a_folder_gives_the_media_of_the_task_at_any_depth(tmp_path: Path) -> None:
    root = folder(tmp_path, FILES)
    os.mkfifo(root / "pipe.wav")
    assert names(root, find_media("detection", str(root))) == ["b.JPG", "a/no-suffix", "a/z.webp"]
    assert find_media("lane", str(root)) == find_media("detection", str(root))
    assert names(root, find_media("asr", str(root))) == ["A.wav", "sound.bin", "a/c.opus"]
    entry = find_media("asr", str(root))[0]
    assert entry == Entry(str(root / "A.wav"), root / "A.wav")


def test_media_in_formats_that_are_not_read_are_kept_to_be_reported(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.BMP": b"BM", "b.tif": b"II*", "c.heic": b"", "d.m4a": b"", "e.aiff": b"FORM"})
    assert names(root, find_media("lane", str(root))) == ["a.BMP", "b.tif", "c.heic"]
    assert names(root, find_media("asr", str(root))) == ["d.m4a", "e.aiff"]


def test_a_relative_source_gives_absolute_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "media", FILES)
    monkeypatch.chdir(tmp_path)
    assert find_media("asr", "media") == find_media("asr", "media/") == find_media("asr", str(root))
    assert [entry.uri for entry in find_media("asr", "media/*.wav")] == [str(root / "A.wav")]


def test_a_glob_gives_every_file_it_matches(tmp_path: Path) -> None:
    root = folder(tmp_path, FILES)
    assert names(root, find_media("asr", f"{root}/a/*")) == ["a/c.opus", "a/labels.json", "a/no-suffix", "a/notes.txt",
                                                             "a/z.webp"]  # fmt: skip
    assert names(root, find_media("lane", f"{root}/**/*.webp")) == ["a/z.webp"]
    (root / "[1].wav").write_bytes(WAV)
    assert names(root, find_media("asr", f"{root}/[1].wav")) == ["[1].wav"]  # what exists is no pattern


def test_one_file_is_itself_whatever_its_kind(tmp_path: Path) -> None:
    root = folder(tmp_path, FILES)
    for name in ("A.wav", "a/no-suffix", "b.JPG"):
        assert names(root, find_media("asr", str(root / name))) == [name]


def manifest(root: Path, *lines: str) -> str:
    path = root / "list" / "items.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_manifest_keeps_its_order_its_names_and_its_groups(tmp_path: Path) -> None:
    there = tmp_path / "there.wav"
    lines = ['{"uri": "z.wav", "group": "s1"}', "", '{"uri": "../a.wav"}', json.dumps({"uri": str(there)})]
    source = manifest(tmp_path, *lines, '{"uri": "z.wav"}')
    assert find_media("asr", source) == [
        Entry("z.wav", tmp_path / "list" / "z.wav", "s1"),
        Entry("../a.wav", tmp_path / "list" / "../a.wav"),
        Entry(str(there), there),
    ]


def test_a_manifest_says_of_each_medium_what_is_spoken_in_it_and_when_it_is_due(tmp_path: Path) -> None:
    lines = '{"uri": "a.wav", "language": "hsb"}', '{"uri": "b.wav", "due": "2026-12-01T13:00+01:00", "group": null}'
    first, second = find_media("asr", manifest(tmp_path, *lines))
    assert (first.language, first.due) == ("hsb", None)
    assert (second.language, second.due) == (None, datetime(2026, 12, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.wav", r"expected a JSON object, got b'a\.wav\\n'"),
        ('["a.wav"]', r"expected an object with 'uri' and perhaps 'group', 'language' and 'due', got \['a\.wav'\]"),
        (
            '{"uri": "a.wav", "text": "x"}',
            "expected an object with 'uri' and perhaps 'group', 'language' and 'due', got {",
        ),
        ('{"group": "a"}', "expected a path under 'uri', got None"),
        ('{"uri": ""}', "expected a path under 'uri', got ''"),
        ('{"uri": "http://example.org/a.wav"}', "expected a path under 'uri', got 'http"),
        ('{"uri": "a\\u0000b.wav"}', r"expected a path under 'uri', got 'a\\x00b\.wav'"),
        ('{"uri": "a\\ud800b.wav"}', r"expected a path under 'uri', got 'a\\ud800b\.wav'"),
        ('{"uri": "a.wav", "group": 7}', "expected a string under 'group', got 7"),
        ('{"uri": "a.wav", "language": ["en"]}', r"expected a string under 'language', got \['en'\]"),
        ('{"uri": "a.wav", "due": 7}', "due: expected a time with its zone such as 2026-12-01T12:00Z, got '7'"),
        ('{"uri": "\\u00', "expected a JSON object, got"),
        ("[" * 100_000, "expected a JSON object, got"),
    ],
)
def test_a_broken_line_of_a_manifest_is_named(tmp_path: Path, line: str, message: str) -> None:
    source = manifest(tmp_path, '{"uri": "a.wav"}', line)
    with pytest.raises(InvalidInput, match=rf"items\.jsonl:2: {message}"):
        find_media("asr", source)


def test_a_source_without_media_is_an_error(tmp_path: Path) -> None:
    folder(tmp_path, {"notes.txt": b""})
    with pytest.raises(NotFound, match="expected a folder, a file, a glob or a manifest, got no such path"):
        find_media("asr", str(tmp_path / "nowhere"))
    for source in (tmp_path, tmp_path / "*.wav", tmp_path / "notes.txt"):
        with pytest.raises(NotFound, match="expected media for asr, got none"):
            find_media("asr", str(source))
