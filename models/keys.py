"""Which keys a record knows, at any place within it: for whoever wrote one that it does not."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel


def known_keys(kind: Any, where: Sequence[int | str]) -> list[str]:
    """Those of the records at a place within one of a kind, as pydantic tells places."""
    records = _records(kind)
    for part in where:
        below = [hint for one in records if (hint := get_type_hints(one).get(str(part)))]
        records = [record for hint in below for record in _records(hint)] or records  # a row of a list is of its kind
    return list(dict.fromkeys(name for one in records for name in _names(one)))


def _records(hint: Any) -> list[type]:
    """All that a type may be that have keys."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, BaseModel)):
        return [hint]
    return [record for inner in get_args(hint) for record in _records(inner)]


def _names(record: Any) -> list[str]:
    if is_dataclass(record):
        return [one.name for one in fields(record) if one.init]
    return list(record.model_fields)
