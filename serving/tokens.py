"""API tokens: made once, shown once, kept as a hash; ``store.tokens`` lists and ends them."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from models.errors import InvalidInput
from serving.store import Store
from serving.store.records import Actor, Token, storable_name

Scope: TypeAlias = Literal["annotate", "correct", "promote", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "prelabel_"  # lets a secret scanner know what it found


def make_token(store: Store, name: str, scopes: Sequence[str], actor: Actor, now: datetime) -> str:
    """Makes a token and returns its secret, which is kept nowhere.

    Raises:
        InvalidInput: no name, a name used before, no scope or an unknown one.
    """
    if not name.strip():
        raise InvalidInput(f"token name: expected some text, got {name!r}")
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise InvalidInput(f"token scopes: expected some of {', '.join(SCOPES)}, got {', '.join(scopes) or 'none'}")
    secret = PREFIX + secrets.token_urlsafe(32)
    ordered = tuple(scope for scope in SCOPES if scope in scopes)
    store.tokens.add(storable_name(name, "token name"), _sha256(secret), ordered, actor, now)
    return secret


def find_token(store: Store, secret: str) -> Token | None:
    """The token that this is the secret of, unless it is unknown or revoked."""
    return store.tokens.find(_sha256(secret))


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
