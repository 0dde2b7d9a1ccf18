"""What comes by HTTP and no database, or only one of them, can keep: the same answers over SQLite and PostgreSQL."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from models.errors import InvalidInput
from serving.store import Store
from serving.store.records import LARGEST_NAME
from serving.store.tables import items
from tests.serving.served import Served, picture, serving
from tests.serving.test_app_guard import code_of
from tests.serving.work import START, item

SECRET = "a secret of the webhook"


@pytest.fixture
def served(tmp_path: Path, database_url: str) -> Iterator[Served]:
    """A deployment on a database of each kind, PostgreSQL's in a time zone that is not UTC."""
    with serving(tmp_path, database_url=database_url, uri_roots=(tmp_path,), cvat_webhook_secret=SECRET) as running:
        yield running


@pytest.fixture
def said(served: Served) -> dict[str, Any]:
    answer: dict[str, Any] = served.client.post("/v1/detection/annotate", content=picture()).json()
    return answer


def correct(served: Served, said: dict[str, Any], **more: Any) -> Any:
    body = {"task": "detection", "label": said["label"], "annotator": "ada", "seconds": 1, **more}
    return served.client.post(f"/v1/items/{said['item_id']}/correction", json=body)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00"])
def test_what_was_said_in_the_first_or_the_last_hour_of_all_time_is_read_again(
    served: Served, said: dict[str, Any], at: str
) -> None:
    assert correct(served, said, created_at=at).status_code == 200
    told = served.client.get(f"/v1/items/{said['item_id']}").json()
    assert [one["created_at"] for one in told["corrections"]] == [at]


def test_names_longer_than_an_index_holds_are_refused(served: Served, said: dict[str, Any]) -> None:
    (served.folder / "a.png").write_bytes(picture(1))
    name, longest = "".join(map(chr, range(200, 1600))), "".join(map(chr, range(200, 1500)))
    assert (len(name.encode()), len(longest.encode())) == (LARGEST_NAME + 200, LARGEST_NAME)
    line = {"uri": f"{served.folder}/a.png", "task": "lane"}
    for long, status in ((name, 422), (longest, 200)):
        answers = [
            correct(served, said, annotator=long),
            correct(served, said, model_version=long),
            served.client.post("/v1/items", json=[line | {"group": long}]),
            served.client.get("/v1/queue/detection", params={"annotator": long}),
        ]
        assert [answer.status_code for answer in answers] == [status] * 4
        if status == 422:
            got = f"expected at most {LARGEST_NAME} bytes, got {LARGEST_NAME + 200}"
            assert all(answer.json()["error"]["message"].endswith(got) for answer in answers)


@pytest.mark.parametrize(
    "path", ["/v1/items/a%00b", "/v1/items/a%00b/media", "/queue/detection?group=%00", "/log?actor=%00", "/items/%00"]
)
def test_a_nul_in_a_question_is_a_mistake_of_who_asks(served: Served, path: str) -> None:
    assert served.client.get(path).status_code < 500


def test_a_group_with_a_nul_is_refused_of_a_frame_too(served: Served) -> None:
    frame = {"image": b64encode(picture(3)).decode(), "group": "a\0b"}
    assert code_of(served.client.post("/cvat/detection", json=frame)) == (422, "invalid_input")


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_kept(
    served: Served, said: dict[str, Any], number: str
) -> None:
    event = f'{{"id": 1, "state": "completed", "lead_time": {number}}}'
    changed, label = f'{{"event": "update:job", "job": {event}}}', f'{{"width": 120, "height": 90, "boxes": {number}}}'
    signature = hmac.new(SECRET.encode(), changed.encode(), hashlib.sha256).hexdigest()
    corrected = f'{{"task": "detection", "label": {label}, "annotator": "ada", "seconds": 1}}'
    answers = [
        served.client.post("/label-studio/detection/webhook",
                           content=f'{{"action": "ANNOTATION_CREATED", "annotation": {event}}}'),
        served.client.post("/cvat/webhook", content=changed, headers={"X-Signature-256": f"sha256={signature}"}),
        served.client.post(f"/v1/items/{said['item_id']}/correction", content=corrected),
        served.client.post(f"/v1/items/{said['item_id']}/correction", content=corrected.replace(label, "{}")
                           .replace(": 1}", f": {number}}}")),
        served.client.put(f"/v1/items/{said['item_id']}/gold", content=f'{{"task": "detection", "label": {label}}}'),
        served.client.put("/v1/policy", content=f'{{"policy": {{"alpha": {number}}}}}'),
        served.client.put("/v1/policy", content=f'{{"policy": {{"budget_s_per_day": {number}}}}}'),
        served.client.put("/v1/policy", content=f'{{"policy": {{"rules": [{{"more_parts_than": {number}}}]}}}}'),
    ]  # fmt: skip
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"][:7]) == (422, "invalid"), answer.text
    assert served.loop.store.inbox.counts("label-studio") == served.loop.store.inbox.counts("cvat") == (0, 0)
    told = served.client.get(f"/v1/items/{said['item_id']}").json()
    assert (told["corrections"], [one["state"] for one in told["tasks"]]) == ([], ["preannotated"])
    assert served.loop.policies.adopted("detection") is None


def test_what_is_read_together_is_of_one_moment(store: Store) -> None:
    count = select(func.count()).select_from(items)
    with store._database.reading() as connection:
        before = connection.execute(count).scalar()
        store.items.register([(item("new"), "detection", 0.5)], "tester", START)
        assert connection.execute(count).scalar() == before
    with store._database.reading() as connection:
        assert connection.execute(count).scalar() == 1


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(postgres: str, encoding: str) -> None:
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {encoding} ENCODING '{encoding}' TEMPLATE template0".encode())
    with pytest.raises(InvalidInput, match=f"database: expected one in UTF8, got {encoding}; make one: createdb"):
        Store.open(f"{postgres}/{encoding.lower()}")
