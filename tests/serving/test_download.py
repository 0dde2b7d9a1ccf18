"""Public data sets: fetched from a host of the test's own, interrupted, wrong, and gone."""

import errno
import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from models.datasets import read
from models.errors import InvalidInput, NotFound
from models.records import Transcript
from serving.download import Archive, Source, download, names, source


@dataclass
class Host:
    """Files by path; ``stop_at`` cuts the next answer short, ``ranges`` says whether it can go on in the middle."""

    files: dict[str, bytes] = field(default_factory=dict)
    stop_at: int | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    address: str = ""

    def archive(self, path: str, kind: str = "sha256") -> Archive:
        checksum = hashlib.new(kind, self.files[path]).hexdigest()
        return Archive(f"{self.address}/{path}", f"{kind}:{checksum}")


@pytest.fixture
def host() -> Iterator[Host]:
    told = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(told, self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def answer(told: Host, request: BaseHTTPRequestHandler) -> None:
    wanted = request.headers["Range"]
    told.asked.append(wanted)
    data = told.files.get(request.path.lstrip("/"))
    if data is None:
        request.send_error(404)
        return
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and told.ranges else 0
    if wanted and told.ranges and start >= len(data):
        request.send_error(416)
        return
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    request.send_header("Content-Length", str(len(data) - start))
    request.end_headers()
    end, told.stop_at = told.stop_at or len(data), None
    request.wfile.write(data[start:end])


def tar_gz(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return packed.getvalue()


DIGITS = {"digits/recordings/7_theo_0.wav": b"seven", "digits/recordings/3_theo_9.wav": b"three" * 9999}


def digits(host: Host) -> Source:
    host.files["v1.0.9.tar.gz"] = tar_gz(**DIGITS)
    return Source((host.archive("v1.0.9.tar.gz"),), source("fsdd").unpack, "fsdd:digits:test")


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def test_a_data_set_is_fetched_unpacked_and_read(host: Host, tmp_path: Path) -> None:
    spec = download(digits(host), tmp_path / "out")
    assert spec == f"fsdd:{tmp_path}/out/digits:test"
    assert [label for _, label in read(spec)] == [Transcript("seven")]
    assert files_in(tmp_path) == {f"out/{name}" for name in DIGITS}
    assert host.asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_fetch_goes_on_where_it_stopped(host: Host, tmp_path: Path, ranges: bool) -> None:
    host.ranges, host.stop_at = ranges, 100
    asked = digits(host)
    with pytest.raises(NotFound, match=r"gz: expected to fetch it, got .*; the same command goes on from here"):
        download(asked, tmp_path / "out")
    assert files_in(tmp_path) == {".out.fetched/v1.0.9.tar.gz.part"}
    assert (tmp_path / ".out.fetched" / "v1.0.9.tar.gz.part").read_bytes() == host.files["v1.0.9.tar.gz"][:100]
    download(asked, tmp_path / "out")
    assert files_in(tmp_path) == {f"out/{name}" for name in DIGITS}
    assert host.asked == [None, "bytes=100-"]


def test_what_came_whole_before_it_was_checked_is_not_fetched_again(host: Host, tmp_path: Path) -> None:
    asked = digits(host)
    (tmp_path / ".out.fetched").mkdir()
    (tmp_path / ".out.fetched" / "v1.0.9.tar.gz.part").write_bytes(host.files["v1.0.9.tar.gz"])
    download(asked, tmp_path / "out")
    assert host.asked == [f"bytes={len(host.files['v1.0.9.tar.gz'])}-"]
    assert files_in(tmp_path) == {f"out/{name}" for name in DIGITS}


def test_other_bytes_than_were_published_are_refused_and_thrown_away(host: Host, tmp_path: Path) -> None:
    asked = digits(host)
    whole = host.files["v1.0.9.tar.gz"]
    host.files["v1.0.9.tar.gz"] = whole[:-1] + b"?"
    with pytest.raises(InvalidInput, match=r"gz: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}; what"):
        download(asked, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    host.files["v1.0.9.tar.gz"] = whole
    download(asked, tmp_path / "out")
    assert files_in(tmp_path) == {f"out/{name}" for name in DIGITS}


def test_an_archive_that_was_checked_is_kept_until_all_have_come(host: Host, tmp_path: Path) -> None:
    host.files["labels.tar.gz"] = tar_gz(a=b"1")
    first = digits(host)
    second = Archive(f"{host.address}/labels.tar.gz", host.archive("labels.tar.gz").checksum)
    both = Source((*first.archives, second), first.unpack, first.spec)
    whole = host.files.pop("labels.tar.gz")
    with pytest.raises(NotFound, match=r"labels\.tar\.gz: expected to fetch it, got .*404"):
        download(both, tmp_path / "out")
    host.files["labels.tar.gz"] = whole
    download(both, tmp_path / "out")
    assert len(host.asked) == 3


def test_a_folder_that_holds_something_is_refused_before_anything_is_fetched(host: Host, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    with pytest.raises(InvalidInput, match="expected a new or an empty folder"):
        download(digits(host), tmp_path / "out")
    assert host.asked == []


def test_what_a_killed_one_had_unpacked_is_cleared_away(host: Host, tmp_path: Path) -> None:
    half = tmp_path / ".out.fetched" / "unpacked" / "digits"
    half.mkdir(parents=True)
    (half / "half").write_bytes(b"a part")
    download(digits(host), tmp_path / "out")
    assert files_in(tmp_path) == {f"out/{name}" for name in DIGITS}


def test_ctrl_c_says_that_the_same_command_goes_on(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, console = digits(host), Console(file=io.StringIO())

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.download._check", stopped)  # as it has come
    with pytest.raises(KeyboardInterrupt):
        download(asked, tmp_path / "out", console=console)
    assert "stopped; the same command goes on from here" in console.file.getvalue()  # type: ignore[attr-defined]
    assert files_in(tmp_path) == {".out.fetched/v1.0.9.tar.gz.part"}


def test_a_full_disk_is_told_and_what_came_is_kept(host: Host, tmp_path: Path) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InvalidInput, match=r"/out: expected a folder to write to, got No space left on device$"):
        download(replace(digits(host), unpack=full), tmp_path / "out")
    assert files_in(tmp_path) == {".out.fetched/v1.0.9.tar.gz"}


def test_without_a_network_there_is_one_clear_error(tmp_path: Path) -> None:
    nowhere = Source((Archive("http://127.0.0.1:1/a.tar.gz", "md5:0"),), lambda out: None, "fsdd:a")
    with pytest.raises(NotFound, match=r"http://127\.0\.0\.1:1/a\.tar\.gz: expected to fetch it, got .*refused"):
        download(nowhere, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match=r"data set: expected one of librispeech-dev-clean, .*, got 'mnist'"):
        source("mnist")


# -- the corpora themselves: archives in their layout, unpacked by the library that knows it


def from_host(host: Host, asked: Source, *archives: bytes) -> Source:
    """The same corpus from the test's host."""
    for archive, data in zip(asked.archives, archives, strict=True):
        host.files[archive.name] = data
    kinds = (archive.checksum.partition(":")[0] for archive in asked.archives)
    moved = tuple(host.archive(archive.name, kind) for archive, kind in zip(asked.archives, kinds, strict=True))
    return Source(moved, asked.unpack, asked.spec, asked.place)


def texts(spec: str) -> list[tuple[str | None, Transcript]]:
    return [(item.group, label) for item, label in read(spec) if isinstance(label, Transcript)]


@pytest.mark.parametrize("name", names())
def test_every_corpus_has_published_addresses_and_checksums(name: str) -> None:
    for archive in source(name).archives:
        kind, _, checksum = archive.checksum.partition(":")
        assert archive.url.startswith("http")
        assert len(bytes.fromhex(checksum)) == hashlib.new(kind).digest_size
        assert archive.name.endswith((".tar.gz", ".tgz", ".tar", ".zip"))


def test_librispeech_is_unpacked_as_it_is_read(host: Host, tmp_path: Path) -> None:
    chapter = "LibriSpeech/dev-clean/84/121/84-121"
    packed = tar_gz(**{f"{chapter}.trans.txt": b"84-121-0000 GO ON\n", f"{chapter}-0000.flac": b""})
    spec = download(from_host(host, source("librispeech-dev-clean"), packed), tmp_path / "out")
    assert texts(spec) == [("84", Transcript("GO ON"))]


def test_speech_commands_are_unpacked_as_they_are_read(host: Host, tmp_path: Path) -> None:
    packed = tar_gz(**{
        "./yes/0a_nohash_0.wav": b"", "./no/0b_nohash_0.wav": b"", "./validation_list.txt": b"no/0b_nohash_0.wav\n",
        "./testing_list.txt": b"", "./_background_noise_/hum.wav": b"",
    })  # fmt: skip
    spec = download(from_host(host, source("speechcommands"), packed), tmp_path / "out")
    assert texts(spec) == [("0a", Transcript("yes"))]


def test_fsdd_is_unpacked_as_it_is_read(host: Host, tmp_path: Path) -> None:
    packed = tar_gz(**{"free-spoken-digit-dataset-1.0.9/recordings/7_theo_9.wav": b""})
    assert texts(download(from_host(host, source("fsdd"), packed), tmp_path / "out")) == [("theo", Transcript("seven"))]


def test_aishells_speakers_are_archives_of_their_own(host: Host, tmp_path: Path) -> None:
    speaker = tar_gz(**{"train/S0002/BAC009S0002W0122.wav": b""})
    packed = tar_gz(**{
        "data_aishell/wav/S0002.tar.gz": speaker,
        "data_aishell/transcript/aishell_transcript_v0.8.txt": "BAC009S0002W0122 而 对\n".encode(),
    })  # fmt: skip
    spec = download(from_host(host, source("aishell"), packed), tmp_path / "out")
    assert texts(spec) == [("S0002", Transcript("而对"))]
    assert not list((tmp_path / "out").rglob("*.tar.gz"))


JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080001000101011100ffd9")


def test_kitti_comes_in_two_archives(host: Host, tmp_path: Path) -> None:
    packed = []
    for name, data in (("training/image_2/000000.jpg", JPEG), ("training/label_2/000000.txt", b"")):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr(name, data)
        packed.append(held.getvalue())
    spec = download(from_host(host, source("kitti"), *packed), tmp_path / "out")
    assert [item.id for item, _ in read(spec)] == ["training/image_2/000000.jpg"]


def test_voc_is_checked_by_its_library_too(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import voc  # type: ignore[import-untyped]

    root, size = "VOCdevkit/VOC2012", "<size><width>1</width><height>1</height></size>"
    packed = tar_gz(**{
        f"{root}/ImageSets/Main/train.txt": b"a\n", f"{root}/JPEGImages/a.jpg": JPEG,
        f"{root}/Annotations/a.xml": f"<annotation><filename>a.jpg</filename>{size}</annotation>".encode(),
    })  # fmt: skip
    asked = from_host(host, source("voc2012"), packed)
    monkeypatch.setitem(voc.DATASET_YEAR_DICT["2012"], "md5", hashlib.md5(packed).hexdigest())
    assert [item.id for item, _ in read(download(asked, tmp_path / "out"))] == ["JPEGImages/a.jpg"]
