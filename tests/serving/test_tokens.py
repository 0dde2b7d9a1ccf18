"""Tokens: shown once, kept as a hash, limited to their scopes, ended at any time."""

import pytest

from models.errors import InvalidInput, NotFound
from serving.store import Store
from serving.tokens import find_token, make_token
from tests.serving.work import START, after


def test_the_secret_leads_to_the_token_and_its_scopes(store: Store) -> None:
    secret = make_token(store, "camera", ["correct", "annotate"], "cli", START)
    make_token(store, "boss", ["admin"], "cli", START)
    found = find_token(store, secret)
    assert found is not None
    assert (found.name, found.scopes) == ("camera", ("annotate", "correct"))


def test_the_secret_is_nowhere_in_the_store(store: Store) -> None:
    secret = make_token(store, "camera", ["annotate"], "cli", START)
    with store._database.reading() as connection:
        rows = [str(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in ("tokens", "events")]
    assert all("camera" in told for told in rows)
    assert not [told for told in rows if secret in told or secret.removeprefix("prelabel_") in told]


def test_a_revoked_token_opens_nothing_and_its_name_is_not_used_again(store: Store) -> None:
    secret = make_token(store, "camera", ["annotate"], "cli", START)
    assert store.tokens.any_valid()
    store.tokens.revoke("camera", "cli", after(1))
    store.tokens.revoke("camera", "cli", after(2))
    assert not store.tokens.any_valid()
    assert find_token(store, secret) is None
    (listed,) = store.tokens.all()
    assert (listed.name, listed.scopes) == ("camera", ("annotate",))
    assert (listed.created_at, listed.revoked_at) == (START, after(1))
    with pytest.raises(InvalidInput, match="never used before"):
        make_token(store, "camera", ["annotate"], "cli", START)
    with pytest.raises(NotFound, match="'nobody'"):
        store.tokens.revoke("nobody", "cli", START)


def test_an_unknown_secret_opens_nothing(store: Store) -> None:
    make_token(store, "camera", ["annotate"], "cli", START)
    for secret in ("", "prelabel_nonsense", "\udcff"):
        assert find_token(store, secret) is None


def test_a_token_needs_a_name_and_known_scopes(store: Store) -> None:
    for name, scopes in [("", ["admin"]), ("x", []), ("x", ["root"]), ("a\0b", ["admin"])]:
        with pytest.raises(InvalidInput):
            make_token(store, name, scopes, "cli", START)
    assert store.tokens.all() == []
