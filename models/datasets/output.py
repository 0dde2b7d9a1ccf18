"""What every writer shares: a folder that appears whole or not at all, and the media in it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from models.errors import InvalidInput, NotFound
from models.media import HEAD_BYTES, media_type
from models.recordings import cut, stretch
from models.records import Item

SPLIT = "train"  # what every written data set calls its one split

_SUFFIXES = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "audio/wav": (".wav",),
    "audio/flac": (".flac",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/mpeg": (".mp3",),
}
_MEDIA = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
_FOLDERS = (  # where data sets have their media, the deeper ones first
    ("images", SPLIT),
    ("training", "image_2"),
    *((folder,) for folder in ("images", "JPEGImages", "audio", "clips", "recordings")),
)
_LONGEST_NAME = 200  # bytes; file systems allow 255


@contextmanager
def new_folder(root: Path, unfinished: Path | None = None) -> Iterator[Path]:
    """A hidden folder to write into, which takes the name ``root`` when the block ends; a failure leaves nothing.

    Where ``unfinished`` names it, what a killed process left there is cleared away first.

    Raises:
        InvalidInput: ``root`` is there and not empty, or cannot be written; two items share a name; or a label holds
            half of a surrogate pair.
    """
    root = root.absolute()
    unfinished = unfinished or root.parent / f".{root.name}.{uuid4().hex}"
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise InvalidInput(f"{root}: expected a new or an empty folder to write to, got one that holds something")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
        os.replace(unfinished, root)
    except FileExistsError as error:
        name = Path(error.filename2 or error.filename).name
        raise InvalidInput(f"{root}: expected items with names of their own, got two called {name}") from error
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{root}: expected labels that UTF-8 can hold, got {error.object!r:.200}") from error
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""  # a full disk names none
        raise InvalidInput(f"{root}: expected a folder to write to, got {error.strerror}{where}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def token(text: str) -> str:
    """The text as one word for file names and columns: whatever is no letter, digit, ``-``, ``_`` or ``.`` is ``_``."""
    word = re.sub(r"[^\w.-]+", "_", text).strip("_.") or "_"
    return word.encode()[-_LONGEST_NAME:].decode(errors="ignore")


def file_name(item: Item) -> str:
    """What the files of an item are called, without a suffix: its id as one word, but for a folder of all media."""
    return _stem(_apart(item.id))


def names_in(group: str, item: Item) -> tuple[str, str]:
    """What the folder of an item's group is called, and in it the item's files: neither says again where it lies."""
    within = item.id.removeprefix(f"{group}/")
    return token(str(_apart(group))), _stem(_apart(item.id) if within == item.id else PurePosixPath(within))


def _stem(path: PurePosixPath) -> str:
    return token(str(path.with_suffix("") if path.suffix.lower() in _MEDIA else path))


def _apart(path: str) -> PurePosixPath:
    """A path without the folder of all media."""
    parts = PurePosixPath(path).parts
    depth = next((len(folder) for folder in _FOLDERS if parts[: len(folder)] == folder), 0)
    return PurePosixPath(*parts[depth:]) if depth < len(parts) else PurePosixPath(path)


def place(item: Item, folder: Path, name: str) -> Path:
    """Puts the item's medium into ``folder``, as another link to the same file or, where that cannot be, as a copy; a
    stretch of a recording is cut out.

    Raises:
        NotFound: its uri names no file.
        UnreadableMedia, TooLarge: a stretch that cannot be cut.
        FileExistsError: there is a medium of that name.
    """
    if found := stretch(item.uri):
        return _put(cut(found), folder / f"{name}.wav")
    source = Path(item.uri)
    if not source.is_file():
        raise NotFound(f"item {item.id}: expected its medium at {item.uri}, got no such file")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (name + suffix_of(source))
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
    return target


def _put(data: bytes, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        file.write(data)
    return target


def suffix_of(path: Path) -> str:
    """The file's own suffix where it is one of a medium; otherwise the one that its first bytes call for."""
    if path.suffix.lower() in _MEDIA:
        return path.suffix.lower()
    with path.open("rb") as file:
        kind = media_type(file.read(HEAD_BYTES))
    return _SUFFIXES[kind][0] if kind else path.suffix


def number(value: float) -> str:
    """A coordinate as text: ten digits at most, and whole numbers without a point."""
    return f"{value:.10g}"
