"""Reasons in the language of a page: a reason is an English sentence of a known pattern, and the page says it by that
pattern's translation, with what fills the pattern's places said in the same way.

So the store, the routes and other programs keep one plain sentence, old ones included, and nobody decides in languages.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from serving.dashboard.languages import ENGLISH, language_of

_PLACE = re.compile(r"\\\{(\w+)\\\}")  # as ``re.escape`` writes them
_FILLING = {"n": r"\S+"}  # of places that are a number; others hold anything
_WORD = re.compile(r"[A-Za-z]{2}")
LONGEST = 2000  # characters that are looked at: the time for a pattern of four places grows with their third power

routes = APIRouter()


@dataclass(frozen=True)
class Pattern:
    """Sentences of one kind, and how they are said; both with the same ``{places}``."""

    english: str
    expression: re.Pattern[str]
    said: str


@routes.get("/reason")
async def reason(request: Request, text: str) -> Response:
    """A reason in the language of the page that asks."""
    return PlainTextResponse(in_words(text, language_of(request)), headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=4096)
def in_words(text: str, language: str) -> str:
    """The reason in a language; what has no pattern there, or is too long, stays as it is."""
    if language == ENGLISH or len(text) > LONGEST or not _WORD.search(text):
        return text
    for pattern in patterns(language):
        if found := pattern.expression.fullmatch(text):
            return pattern.said.format(**{name: in_words(part, language) for name, part in found.groupdict().items()})
    return text


@cache
def patterns(language: str) -> Sequence[Pattern]:
    """All patterns of a language, in the order in which they are tried."""
    if language == ENGLISH:
        return ()
    text = (files("serving.dashboard") / "languages" / f"{language}.reasons.toml").read_text(encoding="utf-8")
    return tuple(_pattern(english, said) for english, said in tomllib.loads(text).items())


def _pattern(english: str, said: str) -> Pattern:
    expression = _PLACE.sub(lambda place: f"(?P<{place[1]}>{_FILLING.get(place[1], '.+?')})", re.escape(english))
    return Pattern(english, re.compile(expression, re.DOTALL), said)
