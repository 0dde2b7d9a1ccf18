"""Tokens as the store keeps them: a name, a hash, scopes; never the secret."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from models.errors import InvalidInput, NotFound
from serving.store.database import Database, log
from serving.store.records import Actor, Token
from serving.store.tables import tokens


class Tokens:
    """Adds, finds, lists and revokes tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, sha256: str, scopes: tuple[str, ...], actor: Actor, now: datetime) -> None:
        """Keeps a new token.

        Raises:
            InvalidInput: the name was used before; the log must not speak of two tokens by one name.
        """
        values = {"name": name, "sha256": sha256, "scopes": list(scopes), "created_at": now, "actor": actor}
        insert = self._database.insert(tokens).on_conflict_do_nothing().returning(tokens.c.name)
        with self._database.writing() as connection:
            if connection.execute(insert, values).scalar() is None:
                raise InvalidInput(f"token name: expected one never used before, got {name!r}")
            log(connection, now, actor, "make-token", name, {"scopes": list(scopes)})

    def find(self, sha256: str) -> Token | None:
        """The token with that hash, unless it was revoked."""
        chosen = select(tokens).where(tokens.c.sha256 == sha256, tokens.c.revoked_at.is_(None))
        row = self._database.row(chosen)
        return _token(row) if row else None

    def all(self) -> list[Token]:
        """Every token ever made, by name."""
        return [_token(row) for row in self._database.rows(select(tokens).order_by(tokens.c.name))]

    def any_valid(self) -> bool:
        """Whether there is a token that was not revoked."""
        valid = select(func.count()).select_from(tokens).where(tokens.c.revoked_at.is_(None))
        return bool(self._database.value(valid))

    def revoke(self, name: str, actor: Actor, now: datetime) -> None:
        """Ends a token; ending it twice changes nothing.

        Raises:
            NotFound: there is no token of that name.
        """
        with self._database.writing() as connection:
            known = connection.execute(select(tokens).where(tokens.c.name == name)).one_or_none()
            if known is None:
                raise NotFound(f"token: expected the name of a token, got {name!r}")
            if known.revoked_at is None:
                end = update(tokens).where(tokens.c.name == name)
                connection.execute(end.values(revoked_at=now, revoked_by=actor))
                log(connection, now, actor, "revoke-token", name)


def _token(row: Row[Any]) -> Token:
    return Token(row.name, tuple(row.scopes), row.created_at, row.revoked_at)
