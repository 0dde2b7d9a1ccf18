"""Fixtures of the serving tests: a database of each kind, empty; a deployment that answers; a person at the editor."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from serving.store import Store
from tests.serving import browser
from tests.serving.postgres import new_schema, running_cluster
from tests.serving.reviewing import Desk, Office, desk, office
from tests.serving.served import Served, serving

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return new_schema(request.getfixturevalue("postgres"), f"test{next(_numbers)}")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A deployment on tiny versions with the default settings; media below its folder may be named by path."""
    with serving(tmp_path, uri_roots=(tmp_path / "media",)) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser, for the tests of one module."""
    program = browser.command()
    if program is None:
        pytest.skip("no chromium is installed (Debian: apt install chromium)")
    with browser.launched(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Where the desks of one module's tests stand."""
    with office(tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest.fixture(scope="module")
def idle(chromium: Browser, place: Office) -> Iterator[Page]:
    """A page of the service without any work, for what the editor's modules do by themselves."""
    with desk(chromium, place) as opened:
        opened.page.goto("/log")
        yield opened.page


@pytest.fixture
def at(chromium: Browser, place: Office) -> Iterator[Desk]:
    """An editor whose page must not complain of anything."""
    with desk(chromium, place, viewport={"width": 1100, "height": 900}) as opened:
        yield opened
        assert opened.complaints == []


@pytest.fixture
def hushed(chromium: Browser, place: Office) -> Iterator[Desk]:
    """An editor in whose tests requests fail: browsers tell of each as an error."""
    with desk(chromium, place) as opened:
        # From the start, for where it begins to look at requests Chromium lets one slip through now and then.
        opened.page.route("**/nothing", lambda route: route.abort())
        yield opened
