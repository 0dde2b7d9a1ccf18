"""Who may do what: every request passes here before its body is read.

While no token was ever made the service is open, but only on a loopback address, and only to requests that were meant
for it: a web page that somebody visits may not talk to it through their browser. As soon as there is a token,
everything but the health checks and the API's description needs one.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from time import monotonic
from urllib.parse import urlencode, urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import NotAllowed
from serving import tokens
from serving.errors import StoreAway, Unauthenticated
from serving.http_errors import Page, explained_to
from serving.store import Store
from serving.store.records import Actor, Token

LOCAL: Actor = "local"  # who acts while the service is open
COOKIE = "prelabel_token"  # set by the sign-in form; good for looking, and for what our own pages send
SIGN_IN = "/sign-in"
FRESH_S = 0.2  # a token is looked up again after that: so long one may still pass that was revoked

PUBLIC = re.compile(
    r"/livez|/healthz|/readyz|/docs|/openapi\.json|/sign-in|/sign-out|/static/[^/]+"
    r"|/cvat/webhook"  # whose body is signed
)
RULES: tuple[tuple[str, re.Pattern[str], tuple[tokens.Scope, ...]], ...] = (
    ("POST", re.compile(r"/v1/[^/]+/annotate"), ("annotate",)),
    ("POST", re.compile(r"/v1/items"), ("annotate",)),
    ("GET", re.compile(r"/v1/queue/[^/]+"), ("correct",)),
    ("DELETE", re.compile(r"/v1/leases/[^/]+"), ("correct",)),
    ("POST", re.compile(r"/v1/items/[^/]+/(correction|unfit)"), ("correct",)),
    ("DELETE", re.compile(r"/v1/items/[^/]+/unfit"), ("correct",)),
    ("POST", re.compile(r"/items/[^/]+/fit"), ("correct",)),
    ("GET", re.compile(r"/v1/gold"), ("promote",)),
    ("PUT", re.compile(r"/v1/items/[^/]+/gold"), ("promote",)),
    ("DELETE", re.compile(r"/v1/items/[^/]+/gold"), ("promote",)),
    ("POST", re.compile(r"/items/[^/]+/gold"), ("promote",)),
    ("POST", re.compile(r"/errors/retry"), ("annotate", "correct")),
    ("POST", re.compile(r"/v1/models/[^/]+/promote"), ("promote",)),
    ("POST", re.compile(r"/models/[^/]+/(promote|rollback)"), ("promote",)),
    ("POST", re.compile(r"/label-studio/[^/]+/(setup|predict)"), ("annotate",)),
    ("POST", re.compile(r"/label-studio/[^/]+/webhook"), ("correct",)),
    ("POST", re.compile(r"/label-studio/[^/]+/train"), ("promote",)),
    ("POST", re.compile(r"/cvat/[^/]+(/tracker)?"), ("annotate",)),
    ("GET", re.compile(r"/v1/webhooks.*"), ("admin",)),
    ("GET", re.compile(r".*"), tokens.SCOPES),  # whoever has a token may look
)


def scopes_for(method: str, path: str) -> tuple[tokens.Scope, ...]:
    """The scopes of which a token needs one; what no rule names, only admin may do."""
    method = "GET" if method == "HEAD" else method
    fitting = (scopes for verb, pattern, scopes in RULES if verb == method and pattern.fullmatch(path))
    return next(fitting, ("admin",))


@dataclass(frozen=True)
class Standing:
    """What the store knew at a moment: the token behind a secret or, where none came, whether none was ever made."""

    token: Token | None
    is_open: bool
    at: float


class TokenAuth:
    """ASGI middleware that lets a request pass with ``state["actor"]`` set, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, store: Callable[[], Store], page: Page) -> None:
        self._app = app
        self._page = page
        self._store = store
        self._good: dict[str | None, Standing] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = without_quotes(scope.get("headers", ()))
        if scope["type"] == "http" and scope["method"] != "OPTIONS" and not PUBLIC.fullmatch(scope["path"]):
            try:
                headers = Headers(scope=scope)
                standing = await self._standing(presented(scope, headers))
                state = scope.setdefault("state", {})
                state["actor"] = actor_of(scope, headers, standing)
                state["scopes"] = tokens.SCOPES if standing.token is None else standing.token.scopes
            except (NotAllowed, StoreAway) as error:
                lost = isinstance(error, Unauthenticated) and is_page(scope, headers)
                asked = Request(scope)
                answer = RedirectResponse(_sign_in(scope), 303) if lost else explained_to(asked, error, self._page)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _standing(self, secret: str | None) -> Standing:
        """Asked of the store anew after ``FRESH_S``; what did not pass is asked of it every time."""
        known = self._good.get(secret)
        if known is not None and monotonic() - known.at < FRESH_S:
            return known
        standing = await run_sync(look_up, self._store(), secret)
        self._good = {other: kept for other, kept in self._good.items() if standing.at - kept.at < FRESH_S}
        if standing.token or standing.is_open:
            self._good[secret] = standing
        return standing


def look_up(store: Store, secret: str | None) -> Standing:
    """The standing of a secret, or of nobody."""
    if secret is None:
        return Standing(None, not store.tokens.all(), monotonic())
    return Standing(tokens.find_token(store, secret), False, monotonic())


def presented(scope: Scope, headers: Headers) -> str | None:
    """The secret that came with a request: in its header or in the cookie of our own pages.

    The cookie changes something only where the browser says that one of our pages asks for it.

    Raises:
        Unauthenticated: the header is of another kind.
    """
    secret = _authorized(headers)
    looks = scope["method"] in ("GET", "HEAD") and not _foreign(scope, headers)
    if secret is None and (looks or _own(headers)):
        secret = _cookie(headers)
    return secret


def actor_of(scope: Scope, headers: Headers, standing: Standing) -> Actor:
    """Who makes this request.

    Raises:
        Unauthenticated: a token is needed, and none came or an unknown one.
        NotAllowed: the token's scopes do not reach so far, or the request came from a foreign web page.
    """
    token, needed = standing.token, scopes_for(scope["method"], scope["path"])
    if token is not None:
        if "admin" not in token.scopes and not set(needed) & set(token.scopes):
            has = ", ".join(token.scopes)
            raise NotAllowed(f"token {token.name!r}: expected the scope {' or '.join(needed)}, got {has}")
        return token.name
    if not standing.is_open:
        raise Unauthenticated("expected the header 'Authorization: Bearer TOKEN' with a valid token, got none such")
    _require_local(scope, headers)
    return LOCAL


def without_quotes(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers without cookies that have quotes: none of ours has, and every parser of cookies here takes a time for
    them that grows with the square of the header's length, which the server does not bound."""
    return [(name, b";".join(one for one in value.split(b";") if b'"' not in one) if name == b"cookie" else value)
            for name, value in headers]  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether an address or ``localhost`` can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorized(headers: Headers) -> str | None:
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, secret = value.partition(" ")
    if scheme.lower() == "basic":  # all that Label Studio can send: the token is the password, whoever the user
        try:
            _, _, secret = base64.b64decode(secret, validate=True).decode().partition(":")
        except ValueError:
            secret = ""
    if scheme.lower() not in ("bearer", "basic") or not secret.strip():
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


def is_page(scope: Scope, headers: Headers) -> bool:
    """Whether a browser wants to show what it asks for to a person."""
    return scope["method"] == "GET" and "text/html" in headers.get("accept", "")


def _sign_in(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{SIGN_IN}?{urlencode({'next': scope['path'] + (f'?{query}' if query else '')})}"


def _own(headers: Headers) -> bool:
    """Whether a browser says that one of our pages makes this request."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def _foreign(scope: Scope, headers: Headers) -> bool:
    """Whether a browser says that another web page makes this request; following a link to a page is no such thing."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    visit = headers.get("sec-fetch-mode") == "navigate" and not scope["path"].startswith("/v1/")
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not visit
