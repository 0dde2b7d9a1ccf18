"""What the pages say in other languages: English sentences in the code, their translations in ``languages/*.toml``."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from fastapi import Request

ENGLISH = "en"
LANGUAGES: Mapping[str, str] = MappingProxyType({ENGLISH: "English", "zh-Hans": "简体中文"})
COOKIE = "prelabel_language"


def asked_for(request: Request) -> str | None:
    """The language that the address of a page asks for with ``?lang=``, if we have it."""
    wanted = request.query_params.get("lang")
    return wanted if wanted in LANGUAGES else None


def language_of(request: Request) -> str:
    """The language for a request: asked for, chosen earlier, or the first of the browser's that we have."""
    earlier = request.cookies.get(COOKIE, "")
    chosen = asked_for(request) or earlier
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def preferred(accepted: str) -> str:
    """The best of our languages for an ``Accept-Language`` header (RFC 9110, 12.5.4); Chinese of any kind is ours."""
    ours = {language.split("-")[0]: language for language in LANGUAGES}
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        name = tag.split("-")[0].lower()
        if name in ours:
            weighed.append((_number(weight), ours[name]))
    return max(weighed, key=lambda one: one[0])[1] if weighed else ENGLISH


def _number(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0


@cache
def translations(language: str) -> Mapping[str, str]:
    """Each English sentence in a language; English itself has none."""
    if language == ENGLISH:
        return {}
    text = (files("serving.dashboard") / "languages" / f"{language}.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))
