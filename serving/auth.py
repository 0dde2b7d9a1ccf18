"""Who may do what: every request passes here before its body is read.

While no token was ever made the service is open, but only on a loopback address, and only to requests that were meant
for it: a web page that somebody visits may not talk to it through their browser. As soon as there is a token,
everything but the health checks and the API's description needs one.
"""

import ipaddress
import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import NotAllowed
from serving import tokens
from serving.http_errors import Unauthenticated, explained
from serving.store import Store
from serving.store.records import Actor

LOCAL: Actor = "local"  # who acts while the service is open
COOKIE = "prelabel_token"  # set by the sign-in form; good for looking, never for changing anything
SIGN_IN = "/sign-in"
_LOOKUPS = 4  # token look-ups at once

PUBLIC = re.compile(r"/livez|/healthz|/readyz|/docs|/openapi\.json|/sign-in|/static/[^/]+")
RULES: tuple[tuple[str, re.Pattern[str], tuple[tokens.Scope, ...]], ...] = (
    ("POST", re.compile(r"/v1/[^/]+/annotate"), ("annotate",)),
    ("POST", re.compile(r"/v1/items"), ("annotate",)),
    ("GET", re.compile(r"/v1/queue/[^/]+"), ("correct",)),
    ("POST", re.compile(r"/v1/items/[^/]+/correction"), ("correct",)),
    ("POST", re.compile(r"/v1/models/[^/]+/promote"), ("promote",)),
    ("GET", re.compile(r".*"), tokens.SCOPES),  # whoever has a token may look
)


def scopes_for(method: str, path: str) -> tuple[tokens.Scope, ...]:
    """The scopes of which a token needs one; what no rule names, only admin may do."""
    method = "GET" if method == "HEAD" else method
    fitting = (scopes for verb, pattern, scopes in RULES if verb == method and pattern.fullmatch(path))
    return next(fitting, ("admin",))


class TokenAuth:
    """ASGI middleware that lets a request pass with ``state["actor"]`` set, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, store: Callable[[], Store]) -> None:
        self._app = app
        self._store = store
        self._limiter = CapacityLimiter(_LOOKUPS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] != "OPTIONS" and not PUBLIC.fullmatch(scope["path"]):
            try:
                actor = await run_sync(actor_of, self._store(), scope, limiter=self._limiter)
            except NotAllowed as error:
                lost = isinstance(error, Unauthenticated) and scope["path"] == "/"
                answer = RedirectResponse(SIGN_IN, 303) if lost else explained(error)
                await answer(scope, receive, send)
                return
            scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)


def actor_of(store: Store, scope: Scope) -> Actor:
    """Who makes this request.

    Raises:
        Unauthenticated: a token is needed, and none came or an unknown one.
        NotAllowed: the token's scopes do not reach so far, or the request came from a foreign web page.
    """
    headers, needed = Headers(scope=scope), scopes_for(scope["method"], scope["path"])
    secret = _bearer(headers)
    if secret is None and scope["method"] in ("GET", "HEAD") and not _foreign(scope, headers):
        secret = _cookie(headers)
    if secret is not None:
        token = tokens.find_token(store, secret)
        if token is None:
            raise Unauthenticated("token: expected a valid one, got one that is unknown or revoked")
        if "admin" not in token.scopes and not set(needed) & set(token.scopes):
            raise NotAllowed(f"token {token.name!r}: expected the scope {needed[0]}, got {', '.join(token.scopes)}")
        return token.name
    if tokens.list_tokens(store):
        raise Unauthenticated("expected the header 'Authorization: Bearer TOKEN', got none")
    _require_local(scope, headers)
    return LOCAL


def is_loopback(host: str) -> bool:
    """Whether an address or ``localhost`` can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bearer(headers: Headers) -> str | None:
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, secret = value.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("expected the header 'Authorization: Bearer TOKEN', got another scheme")
    return secret.strip()


def _cookie(headers: Headers) -> str | None:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


def _require_local(scope: Scope, headers: Headers) -> None:
    """Raises unless the request came in on loopback, and not through a web page of somebody else."""
    address = (scope.get("server") or ("", 0))[0]
    if not is_loopback(address):
        raise Unauthenticated(f"expected a token on the address {address}: make one with 'prelabel token'")
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if not is_loopback(host):
        raise NotAllowed(f"host: expected localhost or a loopback address while no token is made, got {host!r}")
    if _foreign(scope, headers):
        raise NotAllowed("expected a request of this service's own page or of a program, got one of another web page")


def _foreign(scope: Scope, headers: Headers) -> bool:
    """Whether a browser says that another web page makes this request; following a link to a page is no such thing."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    visit = headers.get("sec-fetch-mode") == "navigate" and not scope["path"].startswith("/v1/")
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not visit
