"""Labels as shapes, and the template that draws them."""

import re
from itertools import combinations

import pytest
from jinja2 import Environment, PackageLoader

from models.drawing.shapes import draw, hue
from models.records import Box, Boxes, Label, Lane, Lanes

ENVIRONMENT = Environment(loader=PackageLoader("models.drawing", ""), autoescape=True)
TEMPLATE = ENVIRONMENT.from_string(
    '{% import "drawing.html" as drawings %}{% call drawings.over(drawing) %}<img>{% endcall %}'
)
BOX = (4.0, 4.0, 20.0, 20.0)


def drawn(label: Label) -> str:
    return TEMPLATE.render(drawing=draw(label))


@pytest.mark.parametrize("names", [("car", "pedestrian", "bicyclist"), ("RBC", "WBC", "Platelets")])
def test_categories_seen_together_have_colours_apart(names: tuple[str, ...]) -> None:
    for one, other in combinations(names, 2):
        apart = abs(hue(one) - hue(other))
        assert min(apart, 360 - apart) >= 40, (one, other)


def test_the_key_counts_each_category_in_its_colour() -> None:
    text = drawn(Boxes(64, 48, (Box(BOX, "car"), Box(BOX, "bus <b>"), Box(BOX, "car"))))
    key = re.findall(r"<li style=\"border-color:hsl\((\d+) 90% 60%\)\">(.+?) <b>(\d)</b></li>", text)
    assert key == [(str(hue("bus <b>")), "bus &lt;b&gt;", "1"), (str(hue("car")), "car", "2")]
    assert text.count("<rect") == 3


def test_a_picture_says_where_nothing_was_found() -> None:
    lane = Lane(((4.0, 4.0), (8.0, 40.0)))
    assert ["nothing found" in drawn(Lanes(64, 48, lanes)) for lanes in ((), (lane,))] == [True, False]
    assert ["nothing found" in drawn(Boxes(64, 48, boxes)) for boxes in ((), (Box(BOX, "car"),))] == [True, False]
