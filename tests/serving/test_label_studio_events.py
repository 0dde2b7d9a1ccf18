"""What webhooks of Label Studio say is used, or refused with what was expected, where, and what came."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from models.errors import InvalidInput, PrelabelError
from serving.label_studio.events import deleted, told
from serving.store.inbox import Event
from tests.serving.fake_studio import FakeStudio
from tests.serving.served import Served, eventually, picture, serving
from tests.serving.test_label_studio import HERE, box

GONE = object()
STUDIO = FakeStudio()
TASK = STUDIO.add_task("a.png", picture())
EVENT = STUDIO.event("ANNOTATION_CREATED", STUDIO.annotate(TASK, [box()], prediction={}, parent_prediction=3))
SEVERAL = {"action": "ANNOTATIONS_CREATED", "annotations": [EVENT["annotation"], {**EVENT["annotation"]}],
           "task": [EVENT["task"]], "project": EVENT["project"]}  # fmt: skip
WRONG: list[tuple[Any, list[Any], Any, str]] = [  # an event, a place, what stands there instead, the message
    (EVENT, ["annotation", "task"], GONE, "expected an id at 'annotation.task', got nothing"),
    (EVENT, ["annotation", "id"], "new", "expected an id at 'annotation.id', got 'new'"),
    (EVENT, ["annotation", "id"], 2**63, "expected an id at 'annotation.id', got 9223372036854775808"),
    (EVENT, ["annotation", "id"], "9" * 5000, f"expected an id at 'annotation.id', got '{'9' * 199}"),
    (EVENT, ["annotation", "id"], True, "expected an id at 'annotation.id', got True"),
    (EVENT, ["annotation"], 5, "expected an object at 'annotation', got 5"),
    (EVENT, ["annotation", "updated_at"], GONE,
     "expected a time with its zone at 'annotation.created_at', got nothing"),
    (EVENT, ["annotation", "updated_at"], "2026-01-01T10:00:00",
     "expected a time with its zone at 'annotation.updated_at', got '2026-01-01T10:00:00'"),
    (EVENT, ["annotation", "updated_at"], 5, "expected a time with its zone at 'annotation.updated_at', got 5"),
    (EVENT, ["annotation", "result"], GONE, "expected a list of objects at 'annotation.result', got nothing"),
    (EVENT, ["annotation", "result"], ["r"], "expected a list of objects at 'annotation.result', got ['r']"),
    (EVENT, ["annotation", "lead_time"], "long", "expected a number at 'annotation.lead_time', got 'long'"),
    (EVENT, ["annotation", "prediction"], [7], "expected an object at 'annotation.prediction', got [7]"),
    (EVENT, ["annotation", "parent_prediction"], {"id": 7},
     "expected an id at 'annotation.parent_prediction', got {'id': 7}"),
    (EVENT, ["task", "id"], "one", "expected an id at 'task.id', got 'one'"),
    (EVENT, ["task", "data"], "a.png", "expected an object at 'task.data', got 'a.png'"),
    (EVENT, ["project"], GONE, "expected an object at 'project', got nothing"),
    (EVENT, ["project", "id"], GONE, "expected an id at 'project.id', got nothing"),
    (EVENT, ["project", "label_config"], 5, "expected text at 'project.label_config', got 5"),
    (SEVERAL, ["annotations", 1, "task"], None, "expected an id at 'annotations[1].task', got nothing"),
    (SEVERAL, ["annotations", 0], "x", "expected an object at 'annotations[0]', got 'x'"),
    (SEVERAL, ["task", 0], "x", "expected an object at 'task[0]', got 'x'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A deployment that works with that Label Studio."""
    with serving(tmp_path_factory.mktemp("joined"), tasks=("detection",), studio=STUDIO.client()) as running:
        yield running


def changed(event: Any, path: list[Any], value: Any) -> Any:
    """The event with another value at a place, or none."""
    made = deepcopy(event)
    *before, last = path
    at = made
    for step in before:
        at = at[step]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return made


def paths(part: Any, before: tuple[Any, ...] = ()) -> Iterator[list[Any]]:
    """The place of every part of an event."""
    steps = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, inner in steps:
        yield [*before, step]
        yield from paths(inner, (*before, step))


def test_an_event_is_read() -> None:
    (one,) = told(EVENT)
    assert (one.annotation, one.task, one.project) == (EVENT["annotation"], EVENT["task"], EVENT["project"])
    assert [one.task["id"] for one in told(SEVERAL)] == [1, 1]
    (alone,) = told(changed(EVENT, ["task"], None))
    assert alone.task == {"id": 1}
    assert told({"action": "ANNOTATION_CREATED"}) == []  # of a webhook that brings nothing along
    skipped = changed(changed(EVENT, ["annotation", "result"], None), ["annotation", "was_cancelled"], True)
    assert len(told(skipped)) == 1
    assert deleted({"annotations": [{"id": 5}, {"id": "6"}]}) == [5, 6]
    with pytest.raises(InvalidInput, match=r"expected an id at 'annotations\[1\]\.id', got nothing"):
        deleted({"annotations": [{"id": 5}, {}]})


@pytest.mark.parametrize(("event", "path", "value", "message"), WRONG)
def test_a_wrong_part_is_named_with_its_place(event: Any, path: list[Any], value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        told(changed(event, path, value))
    assert str(refused.value) == f"webhook: {message}"


@pytest.mark.parametrize("value", [GONE, None, True, -1, 0.5, "", "x", [], [None], ["x"], {}, {"x": 1}])
def test_nothing_in_an_event_fails_unexplained(joined: Served, value: Any) -> None:
    for path in paths(EVENT):
        why = ""
        try:
            joined.deployment.corrections.heed(Event(1, "detection", changed(EVENT, path, value), 0))
        except PrelabelError as error:
            why = str(error)
        assert "Error(" not in why, path


def test_a_dead_event_says_what_was_wrong(tmp_path: Path) -> None:
    with serving(tmp_path, tasks=("detection",), studio=STUDIO.client()) as served:
        served.client.post(f"{HERE}/webhook", json=changed(EVENT, ["annotation", "task"], GONE))
        eventually(lambda: served.loop.store.inbox.counts("label-studio") == (0, 1))
        page = served.client.get("/errors").text
        assert "expected an id at &#39;annotation.task&#39;, got nothing" in page
