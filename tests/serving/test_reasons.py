"""Reasons in other languages: every sentence that the service decides by, or fails with, is said on the pages."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from models.errors import PrelabelError
from models.media import Limits, read_audio, read_image
from models.records import Uncertainty
from selection.kinds import MISSING, REST
from selection.parts import OfKind, PartPromise, Plan
from selection.policy import Policy
from selection.risk import NoPromise, Threshold, accept_threshold
from selection.routing import Decision, route, route_parts, standing_of
from selection.rules import Rule
from serving.dashboard.languages import ENGLISH, LANGUAGES
from serving.dashboard.reasons import in_words, patterns
from serving.promotion import Broken, compared
from serving.trust import UNWEIGHED
from tests.serving.served import Served, picture, sound

OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
NO_WORDS = re.compile(  # labels, names and figures
    r"p_error|webhook|\w+Error|PRELABEL\w+|Label Studio|https?://\S+|alpha|delta|Hz|UTC|SHA|JPEG|PNG|WebP|WAV|FLAC|Ogg|MP3|NaN|asr|detection|lane"
    r"|b?'[^']*'|“[^”]*”|[\w./-]*\d[\w./-]*|\S+\.\w+"
)

HELD = Threshold(0.1, 0.02, 0.05, n=300, accepted=200, errors=1)
NONE = NoPromise(UNWEIGHED)
SHORT = NoPromise(
    "3 random checks are weighed, at least 20 are needed; they are weighed again when 40 are known; "
    "once those drawn before them are checked, 2 more count",
    37,
)
RULES = [
    None,
    Rule("detection", category="car", more_than=3, confidence_below=0.5, group="clip*", language="hsb"),
    Rule("asr", "annotate", text="a|b", longer_than_s=30.0),
    Rule("asr", more_than=2),
    Rule("lane", more_than=0),
    Rule("lane"),
]
unit = st.floats(0, 1, exclude_max=True)
promises = st.sampled_from([HELD, NONE, SHORT])


def english(said: str) -> list[str]:
    """The English words that are left in what a page says; names, labels and figures are none."""
    return re.findall(r"[A-Za-z]{2,}", NO_WORDS.sub("", said))


@pytest.mark.parametrize("language", OTHERS)
@given(
    doubt=unit,
    score=unit,
    scratch=st.floats(1, 20),
    held=promises,
    drawn=unit,
    rule=st.sampled_from(RULES),
    kind=st.sampled_from([None, "short words", REST]),
)
def test_every_decision_about_an_item_is_said(
    language: str,
    doubt: float,
    score: float,
    scratch: float,
    held: Any,
    drawn: float,
    rule: Rule | None,
    kind: str | None,
) -> None:
    decided = route(Uncertainty(p_error=doubt, seconds=5.0, score=score), scratch, held, Policy(), drawn, rule, kind)
    assert left(decided, language) == []


@pytest.mark.parametrize("language", OTHERS)
@given(
    missing=unit,
    parts=promises,
    lacks=promises,
    drawn=unit,
    plan=st.builds(Plan, st.just((0,)), st.sampled_from([(), (1,), (1, 2)]), st.booleans()),
    rule=st.sampled_from(RULES),
    scratch=st.floats(1, 20),
    names=st.sampled_from([None, [], ["short words"], ["short words", REST]]),
)
def test_every_decision_about_parts_is_said(
    language: str,
    missing: float,
    parts: Any,
    lacks: Any,
    drawn: float,
    plan: Plan,
    rule: Rule | None,
    scratch: float,
    names: list[str] | None,
) -> None:
    promise = PartPromise(parts, lacks, 1)
    kinds = None if names is None else {name: OfKind(plan, promise) for name in names}
    decided = route_parts(missing, 5.0, scratch, plan, promise, Policy(), drawn, rule, kinds)
    assert left(decided, language) == []


def left(decided: Decision, language: str) -> list[str]:
    return english(f"{in_words(decided.reason, language)} {in_words(decided.otherwise or '', language)}")


def no_promises() -> Iterator[str]:
    """Why nothing is promised, as far as arrays alone decide it."""
    for n, groups in ((5, None), (5, ["a"] * 5), (6, ["a", "b"] * 3), (400, None)):
        errors = np.arange(n) % 2 == 0
        found = accept_threshold(
            np.linspace(0, 1, n), errors, alpha=0.02, delta=0.05, pool_scores=np.linspace(0, 1, n), groups=groups
        )
        assert isinstance(found, NoPromise)
        yield found.reason


WRITTEN = [  # by serving/calibrations.py, serving/trust.py and the store
    "nobody knows what its ancestor asr-1 was trained on",
    "the random checks are not yet weighed for alpha 1 %, delta 5 %, part by part, by the rules of the policy",
    "withdrawn at 2026-01-01 12:00 UTC: 3 of 9 audited items lacked something in 10 audits, which proves a rate above "
    "alpha 2 %; everything accepted since 2026-01-01 11:00 UTC is queued again",
    'withdrawn at 2026-01-01 12:00 UTC: 3 of 9 audited labels of the kind "short words" were wrong in 9 audits, which '
    "proves a rate above alpha 2 %; everything accepted since 2026-01-01 11:00 UTC is queued again",
    "no kind has a promise of its own",
    'withdrawn at 2026-01-01 12:00 UTC: 3 of 9 audited labels of the kind "short words" were wrong in 9 audits, which '
    'proves a rate above alpha 2 %; everything of the kind "short words" accepted since 2026-01-01 11:00 UTC is queued '
    "again",
    "withdrawn, as audits found too many errors; since 2026-01-01 11:00 UTC 3 random checks are weighed, at least 20 "
    "are needed",
    'withdrawn at 2026-01-01 12:00 UTC: 3 of 9 audited parts of the kind "short words" were wrong in 9 audits, which '
    "proves a rate above alpha 2 %",
    *(standing_of(kind, one) for kind in ("short words", REST, MISSING) for one in (HELD, NONE, SHORT)),
    "its parts were promised by what is withdrawn",
    "chosen as gold, which people label; p_error 0.01 (score 0.01) is within the accepted score 0.12 (alpha 2 %, "
    "delta 5 %, n = 400)",
    "not chosen it would be accepted unseen",
    "the first; correcting would take as long as labelling afresh, 18.7 s",
    "some of its parts were accepted unseen, and it was chosen as gold",
    "due by 2026-12-01 12:00 UTC, so it comes first; drawn at random: people check 10 % of all items, whatever their "
    "score",
    "the first",
    "promote asr-1: compared with asr-2, but asr-3 serves by now; promote again",
    "promote asr-1: expected a version that loads, got one that failed: 404",
    "/x/a.jpg: expected a medium, got No such file or directory",
    "1 item",
    "2 items",
    "webhook: expected an event as Label Studio sends it, got KeyError('task')",  # in stores of before
    *(
        f"webhook: expected {kind} at 'annotation.task', got nothing"
        for kind in ("an id", "a number", "text", "a time with its zone", "an object", "a list of objects")
    ),
    "webhook: expected regions of 'labels', got one without 'points'",
    "item 5e88: expected a label of 120x90 pixels, as its picture has, got 240x180",
    "http://127.0.0.1:8080/api/tasks/5: expected that PRELABEL_LABEL_STUDIO_TOKEN may do this, got 403",
    "http://127.0.0.1:8080/api/tasks/5: expected an answer, got 502",
]


@pytest.mark.parametrize("language", OTHERS)
def test_why_nothing_is_promised_and_what_else_is_written_is_said(language: str) -> None:
    for sentence in (*no_promises(), *WRITTEN):
        assert english(in_words(sentence, language)) == [], sentence


@pytest.mark.parametrize("language", OTHERS)
def test_what_decides_a_promotion_is_said(language: str) -> None:
    candidate, serving = (cast(Any, SimpleNamespace(name=name)) for name in ("asr-1", "asr-2"))
    pairs, two = (cast(Any, [("item", "label")] * n) for n in (1, 2))
    told = [
        compared(candidate, serving, two, lambda *_: 0.5, False).note,
        failing(lambda: compared(candidate, serving, pairs, None, False)),
        failing(lambda: compared(candidate, serving, pairs, lambda one, _: float(one is serving), False)),
        str(Broken("asr-1", "404")),
        compared(candidate, serving, pairs, lambda *_: 0.5, False).note,
        compared(candidate, serving, pairs, None, True).note,
        compared(candidate, serving, cast(Any, []), lambda *_: 0.5, False).note,
    ]
    for sentence in told:
        assert english(in_words(sentence, language)) == [], sentence


def failing(call: Callable[[], Any]) -> str:
    with pytest.raises(PrelabelError) as failed:
        call()
    return str(failed.value)


def loud(values: Any, rate: int = 16000, kind: str = "WAV", **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, values, rate, format=kind, **how)
    return file.getvalue()


@pytest.mark.parametrize("language", OTHERS)
def test_why_a_medium_cannot_be_read_is_said(language: str) -> None:
    wave, ogg = sound(1.0), loud(np.zeros(16000), kind="OGG")
    cases: list[Callable[[], Any]] = [
        lambda: read_image(b"# no picture", "a.jpg", Limits()),
        lambda: read_image(b"", "a.jpg", Limits()),
        lambda: read_image(picture(1, 100, 100), "a.jpg", Limits(max_image_megapixels=0.001)),
        lambda: read_audio(b"# no sound", "a.wav", Limits()),
        lambda: read_audio(wave[:-500], "a.wav", Limits()),
        lambda: read_audio(wave[:30], "a.wav", Limits()),
        lambda: read_audio(wave, "a.wav", Limits(max_audio_s=0.5)),
        lambda: read_audio(loud(np.zeros(0)), "a.wav", Limits()),
        lambda: read_audio(loud(np.full(99, np.nan), subtype="FLOAT"), "a.wav", Limits()),
        lambda: read_audio(ogg[:-9], "a.ogg", Limits()),
        lambda: read_audio(ogg[:-9] + bytes(9), "a.ogg", Limits()),
    ]
    for case in cases:
        sentence = failing(case)
        assert english(in_words(sentence, language)) == [], sentence


@pytest.mark.parametrize("language", OTHERS)
def test_translations_fill_the_same_places(language: str) -> None:
    for pattern in patterns(language):
        places = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (pattern.english, pattern.said)]
        assert places[0] == places[1], pattern.english


def test_the_first_pattern_that_fits_is_taken_and_its_places_are_said_in_turn() -> None:
    promised = f"p_error 0.5 (score 0.3), and nothing is accepted unseen yet: {UNWEIGHED}"
    assert (
        in_words(promised, "zh-Hans")
        == "错误概率 0.5（分数 0.3），目前不免检接受任何标签：此版本的随机检查尚未评估，至少需要 30 次"
    )
    wrong = "3 of the 47 most certain checked labels were wrong; 50 random checks are weighed, at least 59 are needed"
    of_kind = "最有把握的 47 个已检查标签中有 3 个有误；已评估 50 次随机检查，至少需要 59 次"
    assert in_words(f"of the rest nothing is accepted unseen yet: {wrong}", "zh-Hans").endswith(f"：{of_kind}")
    assert in_words('it is of the kind "digits"; the first', "zh-Hans") == "属于类别“digits”；首个版本"
    assert in_words("what has text like 'a|b' and the group 'x'", "zh-Hans").count("且") == 1
    assert in_words("nobody ever said this", "zh-Hans") == "nobody ever said this"
    assert in_words(promised, ENGLISH) == promised


def test_the_editor_asks_for_a_reason_in_its_language(served: Served, tmp_path: Path) -> None:
    asked = {"text": "the first"}
    assert served.client.get("/reason", params=asked).text == "the first"
    assert served.client.get("/reason", params=asked, headers={"Accept-Language": "zh"}).text == "首个版本"
