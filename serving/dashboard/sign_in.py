"""Signing in with a token, for the browser of a person, and out again."""

from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from serving import tokens
from serving.auth import COOKIE
from serving.dashboard.frame import page
from serving.deployment import deployment_of

routes = APIRouter()


@routes.get("/sign-in")
async def sign_in_form(request: Request, next: str = "/") -> Response:
    """A form for a token."""
    return page(request, "sign-in.html", wrong=False, next=within(next))


@routes.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Keeps a valid token in a cookie that scripts cannot read and other web pages cannot use."""
    async with request.form(max_files=0, max_fields=2) as form:
        secret, next_page = str(form.get("token", "")), within(str(form.get("next", "/")))
    deployment = deployment_of(request)
    if await run_sync(tokens.find_token, deployment.loop.store, secret) is None:
        return page(request, "sign-in.html", 401, wrong=True, next=next_page)
    answer = RedirectResponse(next_page, 303)
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer


@routes.post("/sign-out")
async def sign_out() -> Response:
    """Forgets the token of this browser."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def within(address: str) -> str:
    """The address itself where it is a page of ours, otherwise the first page."""
    parts = urlsplit(address)
    inside = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if inside and not address.startswith("//") else "/"
