"""Declarations: what a user says of a model that others made, read from TOML and built into a checked record."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from models.errors import InvalidInput, NotFound
from models.records import explain

D = TypeVar("D")


def read_declaration(path: Path) -> dict[str, Any]:
    """The values of a TOML file. ``classes`` and ``vocabulary`` may name a file beside it, one entry a line.

    Raises:
        NotFound: a file is not there.
        InvalidInput: not TOML.
    """
    text = text_of(path)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, and brackets without end, too
        raise InvalidInput(f"{path}: expected TOML, got {error}") from error
    classes = values.get("classes")
    if isinstance(classes, str):
        lines = text_of(path.parent / classes).splitlines()
        values["classes"] = [line.strip() for line in lines if line.strip()]
    if isinstance(values.get("vocabulary"), str):
        values["vocabulary"] = str(path.parent / values["vocabulary"])
    return values


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping of several; later ones win, tables are merged.

    Raises:
        InvalidInput: something else in the place of a table.
    """
    whole: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = whole.get(key)
            if not isinstance(known, Mapping):
                whole[key] = value
            elif isinstance(value, Mapping):
                whole[key] = merged(known, value)
            else:
                raise InvalidInput(f"{key}: expected a table, got {value!r}")
    return whole


def build(kind: type[D], values: Mapping[str, Any]) -> D:
    """The record of that kind.

    Raises:
        InvalidInput: naming the field, what was expected and what came.
    """
    try:
        record: D = TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        raise InvalidInput(explain(error, kind)) from error
    return record


def require_outputs(named: Mapping[str, str], roles: Iterable[str], head: str) -> None:
    """The outputs of a network must be named by their roles, all that its head reads.

    Raises:
        InvalidInput: one is missing.
    """
    missing = [role for role in roles if role not in named]
    if missing:
        raise InvalidInput(f"outputs: expected the name of {', '.join(missing)} for head {head}, got {dict(named)}")


def require_heeded(
    given: Mapping[str, Any], kinds_of: Mapping[str, Sequence[str]], kind: str, what: str = "head", table: str = ""
) -> None:
    """What is declared must mean something to the kind of head, or of ``what``; ``kinds_of`` names the kinds of what
    not all of them heed. ``table`` is where ``given`` stands in the declaration.

    Raises:
        InvalidInput: naming what this kind does not heed.
    """
    for name, kinds in kinds_of.items():
        if name in given and kind not in kinds:
            raise InvalidInput(f"{table}{name}: expected nothing for {what} {kind}, for only {', '.join(kinds)} heeds "
                               f"it, got {given[name]!r}")  # fmt: skip


def plain(record: Any) -> dict[str, Any]:
    """The record as JSON values, from which ``build`` makes it again."""
    values: dict[str, Any] = TypeAdapter(type(record)).dump_python(record, mode="json")
    return values


def text_of(path: Path) -> str:
    """A text file that a user names, without the byte-order mark that some editors begin it with.

    Raises:
        NotFound: it is not there.
        InvalidInput: it is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"{path}: expected a file, got nothing of that name") from error
    except (OSError, UnicodeDecodeError) as error:
        got = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"{path}: expected UTF-8 text, got {got}") from error
