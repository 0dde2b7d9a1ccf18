"""How Python values are kept in columns: moments, vectors, JSON, and ids that count up."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, TypeDecorator

from models.errors import InvalidInput


class UtcTime(TypeDecorator[datetime]):
    """A moment: UTC inside the database, aware of its zone outside."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a time without a zone reached the store"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Embedding(TypeDecorator[tuple[float, ...]]):
    """A vector as little-endian float32, four bytes a number."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[float, ...] | None, dialect: Dialect) -> bytes:
        return np.asarray(value or (), dtype="<f4").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[float, ...]:
        return tuple(np.frombuffer(value or b"", dtype="<f4").tolist())


def strict_json(values: Any) -> str:
    """JSON that every database takes: PostgreSQL refuses NaN and Infinity, which SQLite would keep.

    Raises:
        InvalidInput: a number is not finite, or has more digits than Python writes.
    """
    try:
        return json.dumps(values, allow_nan=False)
    except ValueError as error:
        raise InvalidInput(f"expected JSON with finite numbers, got another one: {error}") from error


LARGEST_ID = 2**63 - 1
BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only what it calls INTEGER
