"""What all pages share: their templates in every language, the policy that browsers keep to, and who looks."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader
from starlette.datastructures import URL

from models.tasks import TITLES
from serving.dashboard.languages import COOKIE, LANGUAGES, asked_for, language_of, translations
from serving.dashboard.reasons import in_words
from serving.tokens import Scope

UNFIT_WORDS = {  # why an item cannot be labelled, as people read it
    "damaged": "it is damaged or cut off",
    "no-speech": "nobody speaks",
    "unintelligible": "the words cannot be made out",
    "other-language": "another language is spoken",
    "unrecognisable": "it is too dark, blurred or hidden",
    "other-scene": "it shows another kind of scene",
    "no-road": "it shows no road",
    "other": "another reason",
}
LINES = 50  # of a page of a list
MOST_NAMES = 200  # that a list offers to choose from
UNITS = ("{n} s", "{n} min", "{n} h")  # of times, as people read them
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def may(request: Request, *scopes: Scope) -> bool:
    """Whether who looks may do what any of these scopes allows."""
    return bool({*scopes, "admin"} & set(getattr(request.state, "scopes", ())))


def page(request: Request, template: str, status: int = 200, **what: Any) -> HTMLResponse:
    """A page, in the language that the request wants.

    The template finds ``may(scope)``, the ``scopes`` of who looks, and ``here``, the path of the page, beside ``what``.
    A list that goes on finds ``first_page``, ``page_before(last)``, and whether it was ``turned`` already.
    """
    language = language_of(request)
    text = templates(language).get_template(template).render(
        language=language,
        languages=LANGUAGES,
        here=request.url.path,
        elsewhere=_elsewhere(request),
        scopes=getattr(request.state, "scopes", ()),
        may=partial(may, request),
        task_names=TITLES,
        unfit_words=UNFIT_WORDS,
        turned="before" in request.query_params,
        first_page=_address(request.url.remove_query_params("before")),
        page_before=lambda last: _address(request.url.include_query_params(before=last)),
        **what,
    )  # fmt: skip
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Content-Language": language}
    answer = HTMLResponse(text, status, headers)
    if asked_for(request):
        answer.set_cookie(COOKIE, language, max_age=365 * 86400, samesite="lax")
    return answer


@cache
def templates(language: str) -> Environment:
    """The templates, saying everything inside ``_()`` and ``trans``, and each ``reason()``, in a language."""
    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("serving.dashboard", "templates"),
                PackageLoader("models.drawing", ""),
                PackageLoader("models.report", ""),
            ]
        ),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["reason"] = lambda text: in_words(text, language)
    known = translations(language)
    environment.globals["seconds"] = lambda seconds: _time(seconds, 1, UNITS[0], known)
    environment.globals["duration"] = lambda seconds: duration(seconds, known)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda sentence: known.get(sentence, sentence),
        lambda one, many, n: known.get(one if n == 1 else many, one if n == 1 else many),
        newstyle=True,
    )
    return environment


def duration(seconds: float, known: Mapping[str, str]) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return _time(seconds, 0, UNITS[0], known)
    return _time(seconds / 60, 0, UNITS[1], known) if seconds < 5400 else _time(seconds / 3600, 1, UNITS[2], known)


def _time(number: float, digits: int, unit: str, known: Mapping[str, str]) -> str:
    return known.get(unit, unit).format(n=f"{number:.{digits}f}")


def _elsewhere(request: Request) -> dict[str, str]:
    """Where this very page is in each language."""
    return {language: _address(request.url.include_query_params(lang=language)) for language in LANGUAGES}


def _address(url: URL) -> str:
    """Path and query alone: whatever name the service goes by outside."""
    return f"{url.path}?{url.query}" if url.query else url.path
