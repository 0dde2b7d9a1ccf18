"""Figures: every statistic over rows with its interval, groups drawn whole, two models on the same samples."""

import numpy as np
import pytest

from models.figures import Statistics, differences, doubt, each, figures
from models.reliability import Rows, aurc, auroc, ece, interval, nce

ERRORS = np.array([True, False, False, True, False, False, True, False])
P_ERROR = np.array([0.9, 0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.05])
PLAIN = np.array([0.2, 0.1, 0.3, 0.9, 0.4, 0.5, 0.6, 0.7])
ALL = np.arange(8)
ALONE = [None] * 8


def share(values: list[float]) -> Statistics:
    column = np.array(values)
    return {"share": lambda rows: float(column[rows].mean()), "by": {"a": lambda rows: float(column[rows].max())}}


def test_doubt_is_measured_by_the_rows_asked_for() -> None:
    statistics = doubt(P_ERROR, PLAIN, ERRORS)
    rows = np.array([0, 0, 1, 3, 5])
    values = each(statistics, lambda statistic: statistic(rows))
    assert values == {
        "auroc": auroc(P_ERROR[rows], ERRORS[rows]),
        "ece": ece(P_ERROR[rows], ERRORS[rows]),
        "aurc": aurc(P_ERROR[rows], ERRORS[rows]),
        "nce": nce(P_ERROR[rows], ERRORS[rows]),
        "error_rate": 0.6,
        "auroc_max_probability": auroc(PLAIN[rows], ERRORS[rows]),
        "aurc_max_probability": aurc(PLAIN[rows], ERRORS[rows]),
    }
    assert values["auroc"] == 5 / 6  # six pairs of a wrong and a right label; 0.6 is less doubtful than 0.7


def test_a_figure_without_meaning_has_no_interval() -> None:
    found = figures(doubt(P_ERROR, None, np.zeros(8, bool)), ALL, ALONE)
    for name in ("auroc", "nce", "auroc_max_probability", "aurc_max_probability"):
        assert (found.metrics[name], found.intervals[name]) == (None, None)
    assert (found.metrics["aurc"], found.intervals["aurc"]) == (0.0, (0.0, 0.0))


def test_parts_keep_their_names_and_rows_are_those_asked_for() -> None:
    found = figures(share([0, 1, 0, 1, 1, 1, 0, 0]), np.array([3, 4, 5]), ALONE)
    assert found.metrics == {"share": 1.0, "by": {"a": 1.0}}
    assert found.intervals == {"share": (1.0, 1.0), "by": {"a": (1.0, 1.0)}}
    assert (found.n, found.groups) == (3, 0)


def test_items_without_a_group_count_as_groups_of_their_own() -> None:
    values = [0.0, 1.0] * 6
    groups = [*"aabb", *[None] * 8]
    few, enough = (figures(share(values), np.arange(n), groups) for n in (11, 12))
    assert (few.too_few, enough.too_few) == (True, False)


def test_groups_are_drawn_whole() -> None:
    """Four speakers of two clips each, who are all wrong or all right: half as much evidence as eight clips."""
    values = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    speakers = ["a", "a", "b", "b", "c", "c", "d", "d"]
    by_speaker, by_clip = (figures(share(values), ALL, groups) for groups in (speakers, ALONE))

    def mean(rows: Rows) -> float:
        return float(np.array(values)[rows].mean())

    assert by_speaker.groups == 4
    assert by_speaker.intervals["share"] == interval(mean, ALL, rng=np.random.default_rng(0), groups=speakers) == (0, 1)
    assert by_clip.intervals["share"] == interval(mean, ALL, rng=np.random.default_rng(0)) == (0.125, 0.875)


def test_one_group_alone_has_no_neighbours_to_differ_from() -> None:
    values = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    one, none = (figures(share(values), ALL, groups) for groups in (["theo"] * 8, ALONE))
    assert one.intervals == none.intervals
    assert (one.groups, none.groups) == (1, 0)


def test_a_difference_is_paired() -> None:
    """Wrong in the same places but for one: each interval is wide, that of the difference is narrow."""
    ours, theirs = share([1, 1, 1, 1, 0, 0, 0, 0]), share([1, 1, 1, 0, 0, 0, 0, 0])
    less = figures(differences(ours, theirs), ALL, ALONE)
    assert less.metrics == {"share": 0.125, "by": {"a": 0.0}}
    low, high = less.intervals["share"]  # type: ignore[misc]
    assert low == 0.0
    assert high == 0.375
    assert each(differences(ours, ours), lambda statistic: statistic(ALL)) == {"share": 0.0, "by": {"a": 0.0}}


def test_a_difference_to_nothing_is_nothing() -> None:
    known, unknown = doubt(P_ERROR, PLAIN, ERRORS), doubt(P_ERROR, None, ERRORS)
    assert figures(differences(known, unknown), ALL, ALONE).metrics["auroc_max_probability"] is None
    assert differences({"by": {"car": lambda _: 1.0}}, {"by": {"bus": lambda _: 1.0}}) == {"by": {}}


def test_the_same_figures_come_twice() -> None:
    statistics = doubt(P_ERROR, PLAIN, ERRORS)
    assert figures(statistics, ALL, ALONE) == figures(statistics, ALL, ALONE)
    assert figures(statistics, ALL, ALONE).intervals["auroc"] != pytest.approx((0, 1))
