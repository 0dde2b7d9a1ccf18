"""How long the store waits for a connection to PostgreSQL, where the url or the environment says so."""

from typing import Any

import pytest
from sqlalchemy.engine import make_url

from serving.store.postgres import Patient, engine


class _Asked(Exception):
    pass


@pytest.mark.parametrize(
    ("query", "environment", "expected"), [("", None, 10), ("", "3", None), ("?connect_timeout=4", "3", "4")]
)
def test_what_is_said_of_the_wait_is_heeded(
    query: str, environment: str | None, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not passed on, psycopg takes from the environment."""
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    if environment:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", environment)
    made = engine(make_url(f"postgresql+psycopg://127.0.0.1:1/none{query}"))
    asked: dict[str, Any] = {}

    def look(*_arguments: object, **options: object) -> None:
        asked.update(options)
        raise _Asked

    monkeypatch.setattr(Patient, "connect", look)
    with pytest.raises(_Asked):
        made.connect()
    assert asked.get("connect_timeout") == expected
