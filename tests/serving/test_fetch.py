"""What a uri may reach: files below a root, listed hosts and buckets, and nothing else by any detour."""

import gzip
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep

import anyio
import httpx
import pytest

from models.errors import InvalidInput, NotAllowed, NotFound, PrelabelError, TooLarge, UnreadableMedia
from models.recordings import medium
from serving.errors import Unavailable
from serving.fetch import Fetched, Fetcher, new_client, parse_hosts
from tests.models.datasets.corpora import sound

PUBLIC = "93.184.216.34"
Answer = Callable[[httpx.Request], httpx.Response]


def read(
    uri: str,
    *,
    roots: Sequence[Path] = (),
    hosts: Sequence[str] = ("media.example.org",),
    answer: Answer | None = None,
    addresses: dict[str, list[str]] | None = None,
    timeout_s: float = 5,
) -> Fetched:
    """Fetches with at most 1,000 bytes; without ``answer`` from the real network, as this machine's."""

    async def told(host: str, _port: int) -> Sequence[str]:
        return (addresses or {}).get(host, [PUBLIC])

    async def fetch() -> Fetched:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer)) if answer else new_client()
        more: dict[str, Callable[[str, int], Awaitable[Sequence[str]]]] = {"resolve": told} if answer else {}
        fetcher = Fetcher(roots, hosts, limit=1000, timeout_s=timeout_s, client=client, **more)
        try:
            return await fetcher.fetch(uri)
        finally:
            await client.aclose()

    return anyio.run(fetch)


def bytes_of(data: bytes) -> Answer:
    return lambda _request: httpx.Response(200, stream=httpx.ByteStream(data))


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"asked {request.url}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a b.jpg").write_bytes(b"picture")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


class TestFiles:
    @pytest.mark.parametrize("form", ["{}/a b.jpg", "file://{}/a%20b.jpg", "file://localhost{}/a b.jpg"])
    def test_a_file_below_a_root_is_read(self, root: Path, form: str) -> None:
        path = root / "a b.jpg"
        assert read(form.format(root), roots=[root]) == Fetched(str(path.resolve()), b"picture", path.resolve())

    @pytest.mark.parametrize("detour", ["../secret", "a/../../secret", "%2e%2e/secret"])
    def test_nothing_above_a_root_is_read(self, root: Path, detour: str) -> None:
        with pytest.raises(NotAllowed, match="PRELABEL_URI_ROOTS"):
            read(f"file://{root}/{detour}", roots=[root])

    def test_a_link_that_leads_out_is_not_followed(self, root: Path) -> None:
        (root / "link").symlink_to(root.parent / "secret")
        (root / "folder").symlink_to(root.parent)
        for name in ("link", "folder/secret"):
            with pytest.raises(NotAllowed):
                read(f"{root}/{name}", roots=[root])

    def test_a_link_that_stays_inside_is_followed(self, root: Path) -> None:
        (root / "link").symlink_to(root / "a b.jpg")
        assert read(f"{root}/link", roots=[root]).data == b"picture"

    def test_a_link_put_there_after_the_check_is_seen(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def put_elsewhere(path: Path, flags: int) -> int:
            return real_open(root.parent / "secret", flags)

        real_open = os.open
        monkeypatch.setattr("serving.fetch.os.open", put_elsewhere)
        with pytest.raises(NotAllowed):
            read(f"{root}/a b.jpg", roots=[root])

    def test_outside_of_the_roots_nothing_tells_what_exists(self, root: Path) -> None:
        for name in ("secret", "nothing"):
            with pytest.raises(NotAllowed):
                read(f"{root.parent}/{name}", roots=[root])

    def test_what_is_no_file_is_not_found(self, root: Path) -> None:
        os.mkfifo(root / "pipe")
        for name in ("", "none.jpg", "pipe", "a b.jpg/more"):
            with pytest.raises(NotFound):
                read(f"{root}/{name}", roots=[root])

    def test_a_large_file_is_refused_unread(self, root: Path) -> None:
        with (root / "large").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(TooLarge, match="at most 1000 bytes"):
            read(f"{root}/large", roots=[root])

    @pytest.mark.parametrize("form", ["{}/a b.wav#t=1,1.005", "file://{}/a%20b.wav#t=1,1.005", "{}/link#t=1,1.005"])
    def test_a_stretch_of_a_recording_is_cut_out_however_long_that_is(self, root: Path, form: str) -> None:
        path = sound(root / "a b.wav", seconds=2)
        (root / "link").symlink_to(path)
        uri = f"{path.resolve()}#t=1,1.005"
        assert read(form.format(root), roots=[root]) == Fetched(uri, medium(uri))

    def test_a_stretch_is_checked_as_files_are(self, root: Path) -> None:
        sound(root.parent / "secret.wav", seconds=2)
        sound(root / "a.wav", seconds=2)
        (root / "link.wav").symlink_to(root.parent / "secret.wav")
        for uri in (f"{root}/link.wav#t=1", f"{root}/../secret.wav#t=1,2", f"{root.parent}/nothing.wav#t=1"):
            with pytest.raises(NotAllowed):
                read(uri, roots=[root])
        for uri, error, says in (
            (f"{root}/none.wav#t=1", NotFound, "expected a file, got none"),
            (f"{root}/a.wav#t=3,4", UnreadableMedia, "expected a stretch within 2.000 s of sound, got none"),
            (f"{root}/a b.jpg#t=3,4", UnreadableMedia, "expected WAV, FLAC, Ogg or MP3 audio"),
            (f"{root}/a.wav#t=1,2", TooLarge, "expected at most 0.000953674 MiB of samples, got more"),
        ):
            with pytest.raises(error, match=says):
                read(uri, roots=[root])

    @pytest.mark.parametrize("kind", ["wav", "flac"])
    def test_a_link_put_in_place_of_a_recording_after_the_check_is_seen(
        self, root: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def then_swapped(fetcher: Fetcher, uri: str, path: Path) -> tuple[Path, int]:
            found = looked_at(fetcher, uri, path)
            path.unlink()
            path.symlink_to(secret)
            return found

        secret, looked_at = sound(root.parent / f"secret.{kind}", seconds=2), Fetcher._real
        sound(root / f"a.{kind}", seconds=2)
        monkeypatch.setattr(Fetcher, "_real", then_swapped)
        with pytest.raises(NotAllowed):
            read(f"{root}/a.{kind}#t=1,1.005", roots=[root])

    def test_a_file_whose_name_ends_like_a_stretch_is_itself(self, root: Path) -> None:
        path = root / "a.wav#t=1,2"
        path.write_bytes(b"sound")
        for uri in (str(path), f"file://{root}/a.wav%23t=1,2"):
            assert read(uri, roots=[root]) == Fetched(str(path.resolve()), b"sound", path.resolve())

    @pytest.mark.parametrize(
        "uri",
        [
            "a.jpg",
            "file:a.jpg",
            "file://host/a.jpg",
            "file://[/a.jpg",
            "file:///a.wav#page=1",
            "https://media.example.org/a.wav#t=1,2",
            "",
            "ftp://media.example.org/a",
            "data:,a",
        ],
    )
    def test_other_uris_are_no_uris(self, root: Path, uri: str) -> None:
        with pytest.raises(InvalidInput):
            read(uri, roots=[root], answer=never)

    def test_a_medium_written_out_is_no_uri_and_is_not_repeated(self) -> None:
        with pytest.raises(InvalidInput, match="expected an absolute path, or a file") as refused:
            read(f"data:image/png;base64,{'A' * 50_000}", answer=never)
        assert len(str(refused.value)) < 300

    def test_half_of_a_surrogate_pair_is_in_no_uri(self) -> None:
        with pytest.raises(InvalidInput):
            read("http://media.example.org/\ud800", answer=never)

    def test_no_root_allows_nothing(self, root: Path) -> None:
        with pytest.raises(NotAllowed):
            read(f"{root}/a b.jpg")


class TestHosts:
    def test_a_listed_host_is_asked_at_the_address_that_was_checked(self) -> None:
        asked: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return bytes_of(b"sound")(request)

        assert read("https://Media.example.org:8443/a%20b?c=d", answer=answer).data == b"sound"
        assert str(asked[0].url) == f"https://{PUBLIC}:8443/a%20b?c=d"
        assert asked[0].headers["host"] == "media.example.org:8443"
        assert asked[0].extensions["sni_hostname"] == "media.example.org"

    @pytest.mark.parametrize(
        "uri",
        [
            "http://other.example.org/a",
            "http://media.example.org.evil.com/a",
            "http://media.example.org@evil.com/a",
            f"http://{PUBLIC}/a",
            "http://2130706433/a",
            "http://[::1]/a",
            "http://user:word@media.example.org/a",
        ],
    )
    def test_other_hosts_are_refused(self, uri: str) -> None:
        with pytest.raises(NotAllowed):
            read(uri, answer=never)

    def test_a_port_that_is_listed_is_the_only_one(self) -> None:
        assert read("http://media.example.org:81/a", hosts=["media.example.org:81"], answer=bytes_of(b"x")).data == b"x"
        with pytest.raises(NotAllowed):
            read("http://media.example.org/a", hosts=["media.example.org:81"], answer=never)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
            "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1",
            "64:ff9b::a00:1", "2002:7f00:1::", "64:ff9b:1::a00:1", "fec0::1", "::ffff:0:127.0.0.1", "::127.0.0.1",
        ],
    )  # fmt: skip
    def test_a_name_that_leads_to_a_private_address_is_refused(self, address: str) -> None:
        with pytest.raises(NotAllowed, match="not public"):
            read("http://media.example.org/a", answer=never, addresses={"media.example.org": [PUBLIC, address]})

    @pytest.mark.parametrize("listed", ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:80"])
    def test_a_private_address_that_is_listed_is_reached(self, listed: str) -> None:
        hosts = ["media.example.org", listed]
        told = {"media.example.org": ["10.1.2.3"]}
        assert read("http://media.example.org/a", hosts=hosts, answer=bytes_of(b"x"), addresses=told).data == b"x"
        assert read("http://10.1.2.3/a", hosts=hosts, answer=bytes_of(b"x")).data == b"x"

    def test_the_answer_of_the_name_server_is_asked_for_once(self) -> None:
        answers = iter([[PUBLIC], ["127.0.0.1"]])

        async def told(_host: str, _port: int) -> Sequence[str]:
            return next(answers)

        async def fetch() -> bytes:
            client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
            fetcher = Fetcher((), ["media.example.org"], limit=9, timeout_s=5, client=client, resolve=told)
            return (await fetcher.fetch("http://media.example.org/a")).data

        def answer(request: httpx.Request) -> httpx.Response:
            return bytes_of(request.url.host.encode()[:9])(request)

        assert anyio.run(fetch) == PUBLIC.encode()[:9]

    def test_every_redirect_is_checked(self) -> None:
        def to(location: str) -> Answer:
            answers: list[Answer] = [lambda _: httpx.Response(302, headers={"Location": location}), bytes_of(b"there")]
            return lambda request: answers.pop(0)(request)

        hosts = ["media.example.org", "cdn.example.org"]
        told = {"cdn.example.org": ["10.0.0.1"]}
        assert read("http://media.example.org/a", answer=to("/b")).data == b"there"
        for location in (
            "http://evil.com/",
            "file:///etc/passwd",
            "//127.0.0.1/",
            "http://cdn.example.org/",
            "http://[/",
        ):
            with pytest.raises((NotAllowed, Unavailable)):
                read("http://media.example.org/a", hosts=hosts, answer=to(location), addresses=told)

    def test_redirects_come_to_an_end(self) -> None:
        with pytest.raises(Unavailable, match="5 redirects"):
            read("http://media.example.org/a", answer=lambda _: httpx.Response(302, headers={"Location": "/a"}))

    def test_cookies_are_not_carried_on(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/a":
                return httpx.Response(302, headers={"Location": "/b", "Set-Cookie": "a=b"})
            return bytes_of(request.headers.get("cookie", "none").encode())(request)

        assert read("http://media.example.org/a", answer=answer).data == b"none"

    @pytest.mark.parametrize("announce", [True, False])
    def test_a_large_answer_is_cut_off(self, announce: bool) -> None:
        sent = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(1000):
                sent += 500
                yield bytes(500)

        def answer(_request: httpx.Request) -> httpx.Response:
            headers = {"Content-Length": "500000"} if announce else {}
            return httpx.Response(200, headers=headers, content=chunks())

        with pytest.raises(TooLarge, match="at most 1000 bytes"):
            read("http://media.example.org/a", answer=answer)
        assert sent <= 1500

    def test_a_compressed_answer_is_refused(self) -> None:
        bomb = gzip.compress(bytes(100_000))
        headers = {"Content-Encoding": "gzip"}
        with pytest.raises(Unavailable, match="compressed"):
            read(
                "http://media.example.org/a",
                answer=lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(bomb)),
            )

    @pytest.mark.parametrize(
        ("status", "error"), [(404, NotFound), (410, NotFound), (403, Unavailable), (500, Unavailable)]
    )
    def test_a_failure_of_the_host_is_told(self, status: int, error: type[PrelabelError]) -> None:
        with pytest.raises(error, match=str(status)):
            read("http://media.example.org/a", answer=lambda _: httpx.Response(status))

    def test_a_name_that_is_none_is_told(self) -> None:
        async def fetch() -> None:
            fetcher = Fetcher((), [f"{'a' * 70}.org"], limit=9, timeout_s=5, client=new_client())
            await fetcher.fetch(f"http://{'a' * 70}.org/")

        with pytest.raises((Unavailable, InvalidInput)):
            anyio.run(fetch)


class TestBuckets:
    def test_a_bucket_is_at_amazon_or_where_the_settings_say(self) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(f"{request.url.scheme}://{request.headers['host']}{request.url.raw_path.decode()}")
            return bytes_of(b"x")(request)

        hosts = ["s3://frames", "s3://clips=http://minio.example.org:9000/clips/"]
        read("s3://frames/a b/c.jpg", hosts=hosts, answer=answer)
        read("s3://clips/d?e.wav", hosts=hosts, answer=answer)
        assert asked == [
            "https://frames.s3.amazonaws.com/a%20b/c.jpg",
            "http://minio.example.org:9000/clips/d%3Fe.wav",
        ]

    @pytest.mark.parametrize(
        "uri", ["s3://other/a", "s3://clips/../frames/a", "s3://clips", "s3://clips/", "s3://clips/./a"]
    )
    def test_other_buckets_are_refused(self, uri: str) -> None:
        with pytest.raises((NotAllowed, InvalidInput)):
            read(uri, hosts=["s3://clips=http://minio.example.org/clips"], answer=never)

    def test_a_bucket_opens_no_other_path_of_its_host(self) -> None:
        with pytest.raises(NotAllowed):
            read("http://minio.example.org/x", hosts=["s3://clips=http://minio.example.org/clips"], answer=never)


@pytest.mark.parametrize("entry", ["", "a/b", "http://a", "a:port", "s3://", "s3://a/b", "s3://a=ftp://b", "u@h"])
def test_an_entry_of_another_kind_is_an_error(entry: str) -> None:
    with pytest.raises(InvalidInput, match="PRELABEL_URI_HOSTS"):
        parse_hosts([entry])


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/a")  # type: ignore[attr-defined]
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/slow":
            for _ in range(100):
                self.wfile.write(b".")
                self.wfile.flush()
                sleep(0.05)
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a real server on loopback."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_port
    running.shutdown()
    running.server_close()


class TestRealServer:
    def test_its_address_is_reached_where_it_is_listed(self, server: int) -> None:
        for listed in ("127.0.0.1", f"127.0.0.1:{server}", "127.0.0.0/8"):
            assert read(f"http://127.0.0.1:{server}/a", hosts=[listed]).data == f"127.0.0.1:{server}".encode()
        assert read(f"http://localhost:{server}/a", hosts=["localhost"]).data == f"localhost:{server}".encode()

    def test_unlisted_it_is_not(self, server: int) -> None:
        for uri, hosts in (
            (f"http://127.0.0.1:{server}/a", ()),
            (f"http://127.0.0.1:{server}/a", ("127.0.0.1:1",)),
            (f"http://localhost:{server}/a", ("127.0.0.1",)),
            (f"http://127.0.0.1:{server}/away", ("127.0.0.1",)),
        ):
            with pytest.raises(NotAllowed):
                read(uri, hosts=hosts)

    def test_a_host_that_dawdles_is_left_in_time(self, server: int) -> None:
        begun = monotonic()
        with pytest.raises(Unavailable, match=r"within 0\.3 s"):
            read(f"http://127.0.0.1:{server}/slow", hosts=["127.0.0.1"], timeout_s=0.3)
        assert monotonic() - begun < 3  # the server would go on for 5

    def test_a_closed_port_is_told(self) -> None:
        with pytest.raises(Unavailable):
            read("http://127.0.0.1:1/a", hosts=["127.0.0.1"])
