"""What every reader shares: which file holds a split, numbered lines, and the error that names one of them."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from models.datasets.shelf import Shelf
from models.errors import InvalidDataset, NotFound, UnreadableMedia
from models.recordings import Stretch, recording
from models.records import LARGEST, Box, Pixels, Seconds

# What pictures are called, also in formats that are not read here: those are refused by name, none is passed over.
PICTURES = (
    ".jpg", ".jpeg", ".png", ".webp", ".mpo", ".bmp", ".tif", ".tiff", ".dng", ".pfm", ".heic", ".heif", ".avif",
    ".jp2", ".gif",
)  # fmt: skip


def broken(where: str, expected: str, got: object) -> NoReturn:
    """Raises the one error of all readers. ``where`` is ``file:line`` or the place within the file."""
    text = repr(got)
    raise InvalidDataset(f"{where}: expected {expected}, got {text if len(text) <= 200 else text[:200] + '…'}")


def split_file(folder: Path, prefix: str, split: str | None, suffix: str) -> tuple[Path, str]:
    """The file ``folder/<prefix><split><suffix>`` and its split; without a name, the only one there is. Hidden ones are
    none.

    Raises:
        NotFound: no such split, or none named where there are several; the message lists them.
    """
    splits = splits_in(folder, prefix, suffix)
    chosen = chosen_split(folder, splits, split, f"{prefix}*{suffix}")
    return folder / f"{prefix}{chosen}{suffix}", chosen


def splits_in(folder: Path, prefix: str, suffix: str) -> list[str]:
    """What stands between ``prefix`` and ``suffix`` in the names of a folder's files, in order; none where there is no
    such folder. It may hold any number of others, as media."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries if not entry.name.startswith("."))
        found = [name for name in names if name.startswith(prefix) and name.endswith(suffix)]
    return [name.removeprefix(prefix).removesuffix(suffix) for name in sorted(found)]


def chosen_split(folder: Path, splits: Sequence[str], split: str | None, wanted: str) -> str:
    """The split of that name; without a name, the only one there is. ``wanted`` says what makes a split.

    Raises:
        NotFound: no such split, or none named where there are several; the message lists them.
    """
    chosen = splits[0] if split is None and len(splits) == 1 else split
    if chosen is None or chosen not in splits:
        known = ", ".join(splits) or f"no file {wanted}"
        raise NotFound(f"{folder}: expected one of the splits there ({known}), got {split or 'no split'}")
    return chosen


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each non-blank line of a UTF-8 text file, behind its ``path:line``.

    Raises:
        InvalidDataset: a line that is not UTF-8.
    """
    lines = enumerate(whole_lines(path), 1)
    return ((f"{path}:{number}", line.rstrip("\r\n")) for number, line in lines if line.strip())


def whole_lines(path: Path) -> Iterator[str]:
    """Each line of a UTF-8 text file with its end.

    Raises:
        InvalidDataset: a line that is not UTF-8.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                broken(f"{path}:{number}", "UTF-8 text", raw)


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each JSON object of a JSON-lines file, behind its ``path:line``.

    Raises:
        InvalidDataset: a line that is not a JSON object.
    """
    for where, line in numbered_lines(path):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            broken(where, f"a JSON object ({error.msg} at column {error.colno})", line)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
            broken(where, f"a JSON object ({error})", line)
        if not isinstance(values, dict):
            broken(where, "a JSON object", values)
        yield where, values


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object that a whole file is.

    Raises:
        InvalidDataset: it is none.
    """
    try:
        values = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        broken(f"{path}:{error.lineno}", "JSON", f"{error.msg} at column {error.colno}")
    except UnicodeDecodeError as error:
        broken(f"{path}:1", "UTF-8 text", error.object[error.start : error.start + 10])
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
        broken(f"{path}:1", "JSON", str(error))
    if not isinstance(values, dict):
        broken(f"{path}:1", "a JSON object", values)
    return values


def files_below(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files with one of the suffixes at any depth, ordered by path; hidden ones are left out.

    Raises:
        NotFound: there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder}: expected a folder of files, got none")
    names = Shelf((name, None) for name in names_below(folder) if Path(name).suffix.lower() in suffixes)
    for name, _ in names.in_order():
        yield folder / name


def names_below(folder: Path, above: str = "") -> Iterator[str]:
    """The paths of all files at any depth, relative to the folder and in no order; hidden ones are left out, as are
    links to a folder that is above them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if not entry.is_symlink() or not folder.resolve().is_relative_to(Path(entry).resolve()):
                    yield from names_below(folder / entry.name, f"{above}{entry.name}/")
            else:
                yield f"{above}{entry.name}"


def existing(where: str, path: Path) -> Path:
    """The absolute path of a file that a line names.

    Raises:
        InvalidDataset: it is not there.
    """
    if not os.path.isfile(path):  # which takes a name that is too long for any file, other than ``Path.is_file``
        broken(where, "a file that exists", str(path))
    return path.absolute()


def require_labels(where: str, expected: str, files: Iterable[Path]) -> None:
    """Lets images pass some of which have a file of labels; the others show nothing. Where none has, somebody forgot
    them.

    Raises:
        InvalidDataset: there are images, and no such file.
    """
    missing = None
    for missing in files:
        if os.path.isfile(missing):
            return
    if missing is not None:
        broken(where, f"{expected} for {missing.stem}, or for another image", "no label file at all")


def picture(where: str, suffix: str, *stems: Path) -> Path:
    """The absolute path of a picture without its suffix: that of ``suffix``, or of another one, in small or capitals;
    the first of several that is there.

    Raises:
        InvalidDataset: there is none.
    """
    suffixes = (suffix, *PICTURES, *map(str.upper, PICTURES))
    candidates = (f"{stem}{ending}" for stem in stems for ending in suffixes)
    return existing(where, Path(next(filter(os.path.isfile, candidates), f"{stems[0]}{suffix}")))


def stretch_uri(where: str, named: Stretch, overhang_s: Seconds) -> str:
    """The uri of a stretch that a line names, or of the file where that is all of it; its end may lie so far beyond the
    recording's.

    Raises:
        InvalidDataset: it is not in the recording.
    """
    with suppress(UnreadableMedia):  # which is for whoever listens to it
        known = recording(named.recording)
        first, end = named.frames(known)
        if first == end or (named.end_s or 0) > known.duration_s + overhang_s:
            got = f"from {named.start_s:g} s to {'its end' if named.end_s is None else f'{named.end_s:g} s'}"
            broken(where, f"a stretch of {named.recording}, which ends at {known.duration_s:.3f} s", got)
        if end == known.frames:
            named = replace(named, end_s=None)
    return str(named.recording) if not named.start_s and named.end_s is None else named.uri


def below(root: Path, path: Path) -> str:
    """The path relative to ``root`` with forward slashes, or the whole path where it lies elsewhere."""
    path, root = path.absolute(), root.absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def text_field(where: str, values: dict[str, Any], key: str) -> str:
    """The string under ``key``.

    Raises:
        InvalidDataset: there is none.
    """
    value = values.get(key)
    if not isinstance(value, str):
        broken(where, f"a string under {key!r}", value)
    return value


def finite(where: str, expected: str, values: Sequence[object], kinds: tuple[type, ...] = (str,)) -> list[float]:
    """The values, each of one of the ``kinds``, as floats.

    Raises:
        InvalidDataset: one of them is something else, NaN, infinite or too large to be meant.
    """
    try:
        numbers = [float(value) for value in values if type(value) in kinds]  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        numbers = []
    if len(numbers) != len(values) or not all(map(math.isfinite, numbers)):
        broken(where, expected, list(values))
    if any(abs(number) > LARGEST for number in numbers):
        broken(where, f"{expected}, from {-LARGEST:g} to {LARGEST:g}", list(values))
    return numbers


def outlined(where: str, expected: str, pairs: object) -> list[float]:
    """x, y, x, y, .. of points ``[x, y]``, two or more, that stand in JSON.

    Raises:
        InvalidDataset: they are something else.
    """
    if not isinstance(pairs, list) or len(pairs) < 2 or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        broken(where, expected, pairs)
    return finite(where, expected, [number for pair in pairs for number in pair], (int, float))


def clipped(x1: Pixels, y1: Pixels, x2: Pixels, y2: Pixels, width: int, height: int, category: str) -> Box | None:
    """The part of a box that lies in the image, or None where nothing does."""
    left, top, right, bottom = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    return Box((left, top, right, bottom), category) if left < right and top < bottom else None
