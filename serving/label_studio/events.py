"""What a webhook of Label Studio says of annotations; a wrong part is named with its place before anything is done.

Places are paths in the event's JSON, such as ``annotation.task`` or ``annotations[2].id``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from models.errors import InvalidInput
from serving.store.columns import LARGEST_ID

Object: TypeAlias = Mapping[str, Any]
Kind: TypeAlias = tuple[str, Callable[[Any], bool]]  # what it is called, and whether something is of it


@dataclass(frozen=True)
class Told:
    """An annotation, its task as far as the event brings it, and its project."""

    annotation: Object
    task: Object
    project: Object


def deleted(event: Object) -> list[int]:
    """The ids of annotations that are gone.

    Raises:
        InvalidInput: a part is missing or of another kind; says what was expected, where, and what came.
    """
    return [int(_part(one, "id", place, ID)) for place, one in _objects(event, "annotations")]


def told(event: Object) -> list[Told]:
    """Annotations that were made or changed; none where the webhook is set to bring nothing along.

    Raises:
        InvalidInput: as ``deleted``.
    """
    annotations = [*_objects(event, "annotation"), *_objects(event, "annotations")]
    tasks = {int(_part(one, "id", place, ID)): _task(one, place)
             for place, one in _objects(event, "task") if "id" in one}  # fmt: skip
    found = []
    for place, one in annotations:
        number = int(_part(one, "task", place, ID))
        project = _project(_check(event.get("project"), "project", OBJECT))
        found.append(Told(_annotation(one, place), tasks.get(number, {"id": number}), project))
    return found


def _annotation(given: Object, place: str) -> Object:
    """Looks at the parts that are used; what stands in a region is looked at by who reads regions."""
    _part(given, "id", place, ID)
    _part(given, "updated_at" if given.get("updated_at") else "created_at", place, TIME)
    if not given.get("was_cancelled"):
        _part(given, "result", place, OBJECTS)
    for name, kind in (("lead_time", NUMBER), ("prediction", OBJECT), ("parent_prediction", ID)):
        _optional(given, name, place, kind)
    return given


def _task(given: Object, place: str) -> Object:
    _optional(given, "data", place, OBJECT)
    return given


def _project(given: Object) -> Object:
    _part(given, "id", "project", ID)
    _optional(given, "label_config", "project", TEXT)
    return given


def _objects(event: Object, name: str) -> list[tuple[str, Object]]:
    """Each object of a part that is one, a list of them, or missing; with its place."""
    found = event.get(name)
    if isinstance(found, list):
        places = (f"{name}[{number}]" for number in range(len(found)))
        return [(place, _check(one, place, OBJECT)) for place, one in zip(places, found, strict=True)]
    return [] if found is None else [(name, _check(found, name, OBJECT))]


def _optional(of: Object, name: str, place: str, kind: Kind) -> None:
    if of.get(name) is not None:
        _part(of, name, place, kind)


def _part(of: Object, name: str, place: str, kind: Kind) -> Any:
    return _check(of.get(name), f"{place}.{name}", kind)


def _check(found: Any, place: str, kind: Kind) -> Any:
    expected, holds = kind
    if not holds(found):
        got = "nothing" if found is None else f"{found!r:.200}"
        raise InvalidInput(f"webhook: expected {expected} at '{place}', got {got}")
    return found


def _is_object(found: Any) -> bool:
    return isinstance(found, Mapping)


def _is_id(found: Any) -> bool:
    try:
        return str(found).isdecimal() and int(found) <= LARGEST_ID
    except ValueError:  # of more digits than Python reads
        return False


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float)


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _are_objects(found: Any) -> bool:
    return isinstance(found, list) and all(map(_is_object, found))


def _is_time(found: Any) -> bool:
    try:
        return datetime.fromisoformat(found).tzinfo is not None
    except (TypeError, ValueError):
        return False


OBJECT: Kind = "an object", _is_object
OBJECTS: Kind = "a list of objects", _are_objects
ID: Kind = "an id", _is_id
NUMBER: Kind = "a number", _is_number
TEXT: Kind = "text", _is_text
TIME: Kind = "a time with its zone", _is_time
