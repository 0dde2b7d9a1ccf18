"""Public data sets over the network: fetched, checked, unpacked, and then there whole or not at all.

Addresses, checksums and unpacking are those of torchaudio and torchvision where they have the corpus. The fetching is
not: theirs begins anew after every interruption.
"""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import Progress

from models.datasets.output import new_folder
from models.errors import InvalidInput, NotFound
from models.progress import progress_bar

_TIMEOUT_S = 30.0  # without a byte


@dataclass(frozen=True)
class Archive:
    """A file to fetch, and its checksum as ``sha256:..`` or ``md5:..``."""

    url: str
    checksum: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A corpus: its archives, where ``unpack(folder)`` wants them below that folder, and what comes of it.

    ``spec`` is ``FORMAT:ROOT[:SPLIT]`` with ROOT relative to the folder.
    """

    archives: tuple[Archive, ...]
    unpack: Callable[[Path], object]
    spec: str
    place: str = "."


def download(source: Source, out: Path, *, console: Console | None = None) -> str:
    """Makes the folder ``out`` with the corpus in it and returns the ``FORMAT:ROOT[:SPLIT]`` to read it by.

    What has come lies in ``.OUT.fetched`` beside it until all is unpacked, so that the same command goes on after an
    interruption.

    Raises:
        NotFound: the host cannot be reached, or does not have the file.
        InvalidInput: ``out`` is not empty or cannot be written, or the bytes are not those that were published.
    """
    out, console = out.absolute(), console or Console(stderr=True)
    fetched = out.parent / f".{out.name}.fetched"
    try:
        with new_folder(out, fetched / "unpacked") as folder:
            _fetch_all(source.archives, fetched, console)
            _unpack(source, fetched, folder)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        raise
    finally:
        with suppress(OSError):  # it holds something to go on from
            fetched.rmdir()
    shutil.rmtree(fetched)
    name, _, rest = source.spec.partition(":")
    return f"{name}:{out}/{rest}"


def _fetch_all(archives: tuple[Archive, ...], folder: Path, console: Console) -> None:
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_S) as client, progress_bar(console) as progress:
        for archive in archives:
            _fetch(client, archive, folder / archive.name, progress)


def _fetch(client: httpx.Client, archive: Archive, path: Path, progress: Progress) -> None:
    """Fetches what is still missing of a file; under its own name it is whole and right."""
    if path.is_file():
        return
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with client.stream("GET", archive.url, headers=asked) as response:
            if response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:  # there is more than we have
                _append(response.raise_for_status(), part, have, progress, archive.name)
    except httpx.HTTPError as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise NotFound(f"{archive.url}: expected to fetch it, got {why}; the same command goes on from here") from error
    _check(archive, part)
    part.rename(path)


def _append(response: httpx.Response, part: Path, have: int, progress: Progress, name: str) -> None:
    """Writes the rest behind what we have, or all of it anew where the host sends all."""
    goes_on = response.headers.get("content-range", "").startswith(f"bytes {have}-")
    have = have if goes_on else 0
    length = int(response.headers.get("content-length", 0))
    bar = progress.add_task(f"{name} (MB)", total=(have + length) / 1e6 if length else None, completed=have // 10**6)
    with part.open("ab" if goes_on else "wb") as file:
        for chunk in response.iter_raw():
            file.write(chunk)
            progress.advance(bar, len(chunk) / 1e6)


def _unpack(source: Source, fetched: Path, folder: Path) -> None:
    place = folder / source.place
    place.mkdir(parents=True, exist_ok=True)
    for archive in source.archives:
        (place / archive.name).symlink_to(fetched / archive.name)
    source.unpack(folder)
    for archive in source.archives:
        (place / archive.name).unlink()


def _check(archive: Archive, part: Path) -> None:
    kind, _, expected = archive.checksum.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        part.unlink()
        raise InvalidInput(f"{archive.url}: expected {kind} {expected}, got {found}; what came is thrown away")


def source(name: str) -> Source:
    """The corpus of that name; loads torch where a library of it knows the corpus.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    if name not in _SOURCES:
        raise NotFound(f"data set: expected one of {', '.join(_SOURCES)}, got {name!r}")
    return _SOURCES[name]()


def names() -> list[str]:
    """The corpora that can be fetched."""
    return list(_SOURCES)


def _librispeech(part: str) -> Source:
    from torchaudio.datasets import LIBRISPEECH, librispeech

    url = f"http://www.openslr.org/resources/12/{part}.tar.gz"
    archive = Archive(url, f"sha256:{librispeech._CHECKSUMS[url]}")
    return Source((archive,), lambda out: LIBRISPEECH(out, part, download=True), f"librispeech:LibriSpeech:{part}")


def _speechcommands() -> Source:
    from torchaudio.datasets import SPEECHCOMMANDS, speechcommands

    url = f"http://download.tensorflow.org/data/{speechcommands.URL}.tar.gz"
    archive = Archive(url, f"sha256:{speechcommands._CHECKSUMS[url]}")
    spec = f"speechcommands:{speechcommands.FOLDER_IN_ARCHIVE}/{speechcommands.URL}:training"
    return Source((archive,), lambda out: SPEECHCOMMANDS(out, download=True), spec)


def _voc(year: str, split: str) -> Source:
    from torchvision.datasets import VOCDetection, voc  # type: ignore[import-untyped]

    about = voc.DATASET_YEAR_DICT[f"{year}-test" if split == "test" else year]
    archive = Archive(about["url"], f"md5:{about['md5']}")
    spec = f"voc:{about['base_dir']}:{split}"
    return Source((archive,), lambda out: VOCDetection(out, year, split, download=True), spec)


def _kitti() -> Source:
    from torchvision.datasets import Kitti

    checksums = {  # torchvision has none; these are from tensorflow/datasets, url_checksums/kitti.txt
        "data_object_image_2.zip": "351c5a2aa0cd9238b50174a3a62b846bc5855da256b82a196431d60ff8d43617",
        "data_object_label_2.zip": "4efc76220d867e1c31bb980bbf8cbc02599f02a9cb4350effa98dbb04aaed880",
    }
    archives = tuple(Archive(Kitti.data_url + name, f"sha256:{checksums[name]}") for name in Kitti.resources)
    return Source(archives, lambda out: Kitti(out, download=True), "kitti:Kitti/raw", place="Kitti/raw")


def _fsdd() -> Source:
    """Checksum: tensorflow/datasets, datasets/spoken_digit/checksums.tsv."""
    archive = Archive(
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
        "sha256:8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    )
    return Source((archive,), lambda out: _extract(out / archive.name), "fsdd:free-spoken-digit-dataset-1.0.9:train")


def _aishell() -> Source:
    """Checksum: PaddlePaddle/PaddleSpeech, dataset/aishell/aishell.py. The archive holds one more for every speaker."""
    archive = Archive("https://www.openslr.org/resources/33/data_aishell.tgz", "md5:2f494334227864a8a8fec932999db9d8")

    def unpack(out: Path) -> None:
        _extract(out / archive.name)
        for speaker in sorted((out / "data_aishell" / "wav").glob("*.tar.gz")):
            _extract(speaker)
            speaker.unlink()

    return Source((archive,), unpack, "aishell:data_aishell:train")


def _extract(archive: Path) -> None:
    from torchvision.datasets.utils import extract_archive  # type: ignore[import-untyped]

    extract_archive(archive)


_PARTS = ("dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500")
_SOURCES: dict[str, Callable[[], Source]] = {
    **{f"librispeech-{part}": partial(_librispeech, part) for part in _PARTS},
    "speechcommands": _speechcommands,
    "fsdd": _fsdd,
    "aishell": _aishell,
    "voc2012": partial(_voc, "2012", "train"),
    "voc2007": partial(_voc, "2007", "train"),
    "voc2007-test": partial(_voc, "2007", "test"),
    "kitti": _kitti,
}
