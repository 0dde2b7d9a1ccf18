"""Reads what a uri names, and only where the settings say so: files below a root, http(s) hosts by name, S3 buckets.

An address that the host's name leads to is checked and then connected to itself, so that no second answer of the name
server counts; it must be public, unless it is listed too. Every redirect goes through the same checks.

One entry of the allowed hosts is ``media.example.org`` (any port), ``media.example.org:8443``, an address or network
(``10.0.0.0/8``, ``127.0.0.1:9000``), ``s3://bucket`` (at Amazon) or ``s3://bucket=https://minio.example.org/bucket``.
"""

import ipaddress
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import quote, unquote, urlsplit

import anyio
import httpx
from anyio.to_thread import run_sync

from models.errors import InvalidInput, NotAllowed, NotFound, TooLarge
from models.recordings import cut, stretch
from models.records import short
from serving.errors import Unavailable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

MOST_REDIRECTS = 5
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is given out; beyond it lie ways into private networks
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Fetched:
    """The bytes that a uri named; ``path`` is the file that holds them, if there is one on this machine."""

    uri: str
    data: bytes
    path: Path | None = None


@dataclass(frozen=True)
class Hosts:
    """The allowed hosts: names and addresses with a port or any port, networks, and buckets with their base URL."""

    names: frozenset[tuple[str, int | None]]
    networks: tuple[tuple[Network, int | None], ...]
    buckets: dict[str, str] = field(default_factory=dict)

    def names_host(self, host: str, port: int) -> bool:
        """Whether this host may be asked at all."""
        if {(host, port), (host, None)} & self.names:
            return True
        address = _address(host)
        return address is not None and self.lists(address, port)

    def may_connect(self, host: str, address: Address, port: int) -> bool:
        """Whether an allowed host may lead to this address."""
        inner = _unwrapped(address)
        given_out = inner.version == 4 or inner in _GLOBAL_UNICAST
        if given_out and inner.is_global and not inner.is_multicast:
            return True
        return self.lists(inner, port) or (host == "localhost" and inner.is_loopback)

    def lists(self, address: Address, port: int) -> bool:
        """Whether this address is listed itself."""
        return any(address in network and listed in (None, port) for network, listed in self.networks)


def parse_hosts(entries: Sequence[str]) -> Hosts:
    """The allowed hosts of the settings.

    Raises:
        InvalidInput: an entry is none of the kinds that the head of this file names.
    """
    names: set[tuple[str, int | None]] = set()
    networks: list[tuple[Network, int | None]] = []
    buckets: dict[str, str] = {}
    for entry in entries:
        if entry.startswith("s3://"):
            bucket, base = _bucket(entry)
            buckets[bucket] = base
            continue
        network = _network(entry)
        host, port = ("", None) if network else _host_and_port(entry)
        network = network or _network(host)
        if network is not None:
            networks.append((network, port))
        else:
            names.add((host, port))
    return Hosts(frozenset(names), tuple(networks), buckets)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as this machine's name server tells them now."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


def new_client() -> httpx.AsyncClient:
    """A client that knows no proxy, and keeps no connection: a TLS connection was checked for one name alone."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(verify=httpx.create_ssl_context(), trust_env=False, limits=limits)


class Fetcher:
    """Reads media by uri, within limits of size and time."""

    def __init__(
        self,
        roots: Sequence[Path],
        hosts: Sequence[str],
        *,
        limit: int,
        timeout_s: float,
        client: httpx.AsyncClient,
        resolve: Resolve = resolve,
    ) -> None:
        self._roots = tuple(root.resolve() for root in roots)
        self._hosts = parse_hosts(hosts)
        self._limit = limit
        self._timeout_s = timeout_s
        self._client = client
        self._resolve = resolve

    async def fetch(self, uri: str) -> Fetched:
        """The bytes that ``uri`` names; of a stretch of a recording below a root, as ``models.recordings`` cuts it.

        Raises:
            InvalidInput: no absolute path, file:, http:, https: or s3: uri.
            UnreadableMedia: a stretch that cannot be cut, or is outside of the recording.
            NotAllowed: outside of what the settings allow.
            NotFound: nothing is there.
            TooLarge: more than the limit.
            Unavailable: the host did not answer in time, or with a failure.
        """
        path = _file_path(uri)
        if path is not None:
            return await run_sync(self._read, uri, path)
        try:
            with anyio.fail_after(self._timeout_s):
                return Fetched(uri, await self._download(uri, self._url(uri)))
        except TimeoutError as error:
            raise Unavailable(f"{uri}: expected an answer within {self._timeout_s:g} s, got none") from error
        except (httpx.HTTPError, OSError, UnicodeError) as error:  # the last: a host name that is none
            raise Unavailable(f"{uri}: expected an answer, got {type(error).__name__}: {error}") from error

    async def locate(self, uri: str) -> Path | None:
        """The file that ``uri`` names, checked but not read; None where it names something on a host, or a stretch.

        Raises:
            InvalidInput, NotAllowed, NotFound, TooLarge: as ``fetch``.
        """
        path = _file_path(uri)
        if path is None or stretch(str(path)):
            return None
        real, size = await run_sync(self._real, uri, path)
        self._require_size(uri, size)
        return real

    def _real(self, uri: str, path: Path) -> tuple[Path, int]:
        """The file without links on its way, below a root, and its size."""
        try:
            real = path.resolve()
            self._require_below_root(uri, real)
            about = real.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{uri}: expected a file, got none") from None
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a NUL
            raise InvalidInput(f"{uri!r}: expected a file that may be read, got {error}") from error
        if not stat.S_ISREG(about.st_mode):
            raise NotFound(f"{uri}: expected a file, got a folder or a device")
        return real, about.st_size

    def _read(self, uri: str, path: Path) -> Fetched:
        if found := stretch(str(path)):
            recording, _ = self._real(uri, found.recording)
            named = replace(found, recording=recording)
            return Fetched(named.uri, cut(named, self._limit, partial(self._check_opened, uri)))
        real, size = self._real(uri, path)
        self._require_size(uri, size)
        try:
            handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise InvalidInput(f"{uri}: expected a file that may be read, got {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            self._check_opened(uri, file)
            data = file.read(self._limit + 1)
        self._require_size(uri, len(data))
        return Fetched(str(real), data, real)

    def _check_opened(self, uri: str, file: IO[bytes]) -> None:
        """Lets a file pass that still lies below a root: a link may have been put on its way since it was looked at."""
        self._require_below_root(uri, Path(os.readlink(f"/proc/self/fd/{file.fileno()}")))

    def _require_below_root(self, uri: str, path: Path) -> None:
        if not any(path.is_relative_to(root) for root in self._roots):
            raise NotAllowed(f"{uri}: expected a file below a folder of PRELABEL_URI_ROOTS, got one elsewhere")

    def _require_size(self, uri: str, size: int) -> None:
        if size > self._limit:
            raise TooLarge(f"{uri}: expected at most {self._limit} bytes, got {size} or more")

    async def _download(self, uri: str, url: httpx.URL) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            address = await self._address_of(uri, url)
            request = self._client.build_request(
                "GET",
                url.copy_with(host=address),
                headers={"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity", "Connection": "close"},
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            response = await self._client.send(request, stream=True, follow_redirects=False)
            try:
                if not response.has_redirect_location:
                    return await self._body(uri, response)
                url = self._redirected(uri, url, response.headers["location"])
            finally:
                await response.aclose()
                self._client.cookies.clear()
        raise Unavailable(f"{uri}: expected at most {MOST_REDIRECTS} redirects, got more")

    async def _body(self, uri: str, response: httpx.Response) -> bytes:
        if response.status_code in (404, 410):
            raise NotFound(f"{uri}: expected a medium, got status {response.status_code}")
        if response.status_code != 200:
            raise Unavailable(f"{uri}: expected status 200, got {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable(f"{uri}: expected the bytes as they are, got them compressed")
        announced = response.headers.get("content-length", "")
        self._require_size(uri, int(announced) if announced.isdecimal() else 0)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            self._require_size(uri, len(data))
        return bytes(data)

    def _url(self, uri: str) -> httpx.URL:
        """The http(s) URL that a uri means."""
        at_bucket = uri.startswith("s3://")
        try:
            url = httpx.URL(self._at_bucket(uri) if at_bucket else uri)
        except (httpx.InvalidURL, UnicodeError) as error:  # the last: half of a surrogate pair
            raise InvalidInput(f"{short(uri)}: expected a uri, got {error}") from error
        if url.scheme not in _PORTS or not url.host:
            raise InvalidInput(f"{short(uri)}: expected an absolute path, or a file, http, https or s3 uri")
        if url.fragment.startswith("t="):
            raise InvalidInput(
                f"{short(uri)}: expected a stretch of a file below PRELABEL_URI_ROOTS, got one on a host"
            )
        if not at_bucket:
            self._require_host(uri, url)
        return url

    def _redirected(self, uri: str, url: httpx.URL, location: str) -> httpx.URL:
        try:
            target = url.join(location)
        except httpx.InvalidURL as error:
            raise Unavailable(f"{uri}: expected a redirect to a URL, got {location!r}") from error
        if target.scheme not in _PORTS or not target.host:
            raise NotAllowed(f"{uri}: expected a redirect to http or https, got one to {location!r}")
        self._require_host(uri, target)
        return target

    def _require_host(self, uri: str, url: httpx.URL) -> None:
        if url.userinfo:
            raise NotAllowed(f"{url.scheme}://{url.host}: expected a uri without user and password, got them")
        if not self._hosts.names_host(url.host.rstrip("."), _port(url)):
            raise NotAllowed(f"{uri}: expected a host of PRELABEL_URI_HOSTS, got {url.host}:{_port(url)}")

    def _at_bucket(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket not in self._hosts.buckets:
            raise NotAllowed(f"{uri}: expected a bucket of PRELABEL_URI_HOSTS, got {bucket!r}")
        if not key or {".", ".."} & set(key.split("/")):
            raise InvalidInput(f"{uri!r}: expected s3://BUCKET/KEY, a key without '.' and '..' in its path")
        return f"{self._hosts.buckets[bucket]}/{quote(key)}"

    async def _address_of(self, uri: str, url: httpx.URL) -> str:
        """The address to connect to; every address that the name leads to must be allowed."""
        host, port = url.raw_host.decode("ascii").rstrip("."), _port(url)
        told = [host] if _address(host) else await self._resolve(host, port)
        if not told:
            raise Unavailable(f"{uri}: expected an address of {host}, got none")
        for one in told:
            address = _address(one.partition("%")[0])
            if address is None or not self._hosts.may_connect(host, address, port):
                raise NotAllowed(f"{uri}: {host} leads to {one}, which is not public; to allow it, "
                                 "list it or its network in PRELABEL_URI_HOSTS")  # fmt: skip
        return told[0]


def _file_path(uri: str) -> Path | None:
    """The path in a file uri or a bare absolute path; None for anything else."""
    if uri.startswith("/"):
        return Path(uri)
    if not uri.startswith("file:"):
        return None
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # a bracket where none may be
        raise InvalidInput(f"{uri!r}: expected file:///absolute/path, got {error}") from error
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidInput(f"{uri!r}: expected file:///absolute/path")
    path = unquote(parts.path)
    if parts.fragment and stretch(path := f"{path}#{parts.fragment}") is None:
        expected = "a whole file (# in its name as %23) or a stretch #t=START,END of it in seconds"
        raise InvalidInput(f"{uri!r}: expected {expected}, got #{parts.fragment}")
    return Path(path)


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one that only carries it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _host_and_port(entry: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{entry}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"PRELABEL_URI_HOSTS: expected HOST or HOST:PORT, got {entry!r} ({error})") from error
    if not host or parts.path or parts.query or parts.username is not None:
        raise InvalidInput(f"PRELABEL_URI_HOSTS: expected HOST or HOST:PORT, got {entry!r}")
    return host, port


def _bucket(entry: str) -> tuple[str, str]:
    bucket, _, base = entry.removeprefix("s3://").partition("=")
    base = base.rstrip("/") or f"https://{bucket}.s3.amazonaws.com"
    if not bucket or "/" in bucket or not base.startswith(("http://", "https://")):
        raise InvalidInput(f"PRELABEL_URI_HOSTS: expected s3://BUCKET or s3://BUCKET=URL, got {entry!r}")
    return bucket, base
