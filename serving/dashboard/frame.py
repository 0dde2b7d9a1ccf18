"""What all pages share: their templates in every language, the policy that browsers keep to, and who looks."""

from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader

from serving.dashboard.languages import COOKIE, LANGUAGES, asked_for, language_of, translations

TASK_NAMES = {"asr": "Speech recognition", "detection": "Object detection", "lane": "Lane detection"}
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; media-src 'self'; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def page(request: Request, template: str, status: int = 200, **what: Any) -> HTMLResponse:
    """A page, in the language that the request wants.

    The template finds ``scopes``, those of who looks, and ``here``, the path of the page, beside ``what``.
    """
    language = language_of(request)
    text = templates(language).get_template(template).render(
        language=language,
        languages=LANGUAGES,
        here=request.url.path,
        elsewhere=_elsewhere(request),
        scopes=getattr(request.state, "scopes", ()),
        task_names=TASK_NAMES,
        **what,
    )  # fmt: skip
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Content-Language": language}
    answer = HTMLResponse(text, status, headers)
    if asked_for(request):
        answer.set_cookie(COOKIE, language, max_age=365 * 86400, samesite="lax")
    return answer


@cache
def templates(language: str) -> Environment:
    """The templates, saying everything inside ``_()`` and ``trans`` in a language."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("serving.dashboard", "templates"), PackageLoader("models.drawing", "")]),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = translations(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda sentence: known.get(sentence, sentence),
        lambda one, many, n: known.get(one if n == 1 else many, one if n == 1 else many),
        newstyle=True,
    )
    return environment


def _elsewhere(request: Request) -> dict[str, str]:
    """Where this very page is in each language."""
    address = {language: request.url.include_query_params(lang=language) for language in LANGUAGES}
    return {language: f"{url.path}?{url.query}" for language, url in address.items()}
