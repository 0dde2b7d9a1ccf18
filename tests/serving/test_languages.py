"""The pages in other languages: nothing is left in English, nothing is translated that no page says."""

import re
from importlib.resources import files
from typing import get_args

import numpy as np
import pytest

from models.report.doubt_charts import reliability, risk
from models.tasks import TITLES
from selection.routing import Route
from serving.dashboard.frame import UNFIT_WORDS, UNITS, templates
from serving.dashboard.languages import ENGLISH, LANGUAGES, preferred, translations
from serving.dashboard.log import DETAILS, VERBS
from serving.dashboard.overview import ATTENTION
from serving.store.records import UNFIT, ItemState, VersionState
from tests.serving.served import Served

OTHERS = sorted(set(LANGUAGES) - {ENGLISH})


def charted() -> set[str]:
    """Every sentence of the charts on a version's page."""
    doubt, wrong = np.array([0.5]), np.array([True])
    charts = reliability(doubt, wrong), risk({"p_error": doubt}, wrong)
    curves = {curve.name for chart in charts for curve in chart.curves}
    return curves | {words for chart in charts for words in (chart.title, chart.note, chart.x, chart.y, chart.dot)}


def said() -> set[str]:
    """Every sentence of the templates, and the names that they say by ``_(name)``."""
    environment = templates(ENGLISH)
    found = {
        *TITLES.values(),
        *UNFIT_WORDS.values(),
        *UNITS,
        *get_args(ItemState),
        *get_args(VersionState),
        *get_args(Route),
        *VERBS.values(),
        *DETAILS.values(),
        *charted(),
        *ATTENTION.values(),
    }
    for template in (files("serving.dashboard") / "templates").iterdir():
        text = template.read_text(encoding="utf-8")
        for _, _, message in environment.extract_translations(text):  # type: ignore[attr-defined]
            found |= {message} if isinstance(message, str) else {part for part in message or () if part}
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_and_no_other(language: str) -> None:
    assert set(translations(language)) == said()


def test_people_read_everything_that_the_log_holds() -> None:
    found = set()
    for source in (files("serving") / "store").iterdir():
        if source.name.endswith(".py"):
            found |= set(re.findall(r'\blog\([^"{]*, "([a-z-]+)"', source.read_text(encoding="utf-8")))
    assert {"due", "group", "add-webhook", "remove-webhook", "correct"} <= found <= set(VERBS)


def test_people_read_why_an_item_cannot_be_labelled() -> None:
    assert set(UNFIT_WORDS) == {reason for reasons in UNFIT.values() for reason in reasons}


@pytest.mark.parametrize("language", OTHERS)
def test_translations_keep_what_is_filled_in(language: str) -> None:
    for sentence, translated in translations(language).items():
        for mark in (r"%\(\w+\)s", "%%", r"\{\w+[^}]*\}"):
            assert sorted(re.findall(mark, sentence)) == sorted(re.findall(mark, translated)), sentence


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("de,en;q=0.7,zh;q=0.3", "en"),
        ("en;q=0.3, zh-TW;q=0.5", "zh-Hans"),
        ("fr", "en"),
        ("zh;q=much", "zh-Hans"),
    ],
)
def test_the_browser_says_which_language_is_best(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_a_chosen_language_stays_and_leads_elsewhere(served: Served) -> None:
    client = served.client
    assert '<html lang="en">' in client.get("/").text
    chosen = client.get("/?lang=zh-Hans&page=2")
    assert '<html lang="zh-Hans">' in chosen.text
    assert 'href="/?page=2&amp;lang=en"' in chosen.text
    again = client.get("/", headers={"Accept-Language": "en"})
    assert "最新预标注" in again.text
    assert again.headers["content-language"] == "zh-Hans"
    assert '<html lang="zh-Hans">' in client.get("/?lang=xx").text
