"""Numbers of things, as people read them."""

import pytest

from models.counting import counted


@pytest.mark.parametrize(("number", "told"), [(0, "0 gold items"), (1, "1 gold item"), (2, "2 gold items")])
def test_one_is_no_plural(number: int, told: str) -> None:
    assert counted(number, "gold item") == told
