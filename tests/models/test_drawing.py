"""Labels as shapes to draw."""

from itertools import combinations

import pytest

from models.drawing.shapes import hue


@pytest.mark.parametrize("names", [("car", "pedestrian", "bicyclist"), ("RBC", "WBC", "Platelets")])
def test_categories_seen_together_have_colours_apart(names: tuple[str, ...]) -> None:
    for one, other in combinations(names, 2):
        apart = abs(hue(one) - hue(other))
        assert min(apart, 360 - apart) >= 40, (one, other)
