"""The client asks the real app behind real sockets, waits where it should, and fails as the server did."""

import base64
import hashlib
import hmac
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput, InvalidRecord, NotAllowed, NotFound, PrelabelError, Refused, Stale, TooLarge
from models.records import Box, Boxes, Correction, Lanes, Transcript
from serving.answers import Entry, Leased
from serving.app import create_app
from serving.client import LINES, Client, verify_webhook
from serving.errors import KINDS, Overloaded, Unauthenticated, Unavailable
from serving.http_errors import explained
from serving.settings import Settings
from serving.tokens import make_token
from tests.serving.served import Served, eventually, listening, picture, serving, sound

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with listening(served) as url, Client(url) as opened:
        yield opened


def leased(client: Client, shade: int = 0) -> Leased:
    """A picture in the hands of ada."""
    client.annotate("detection", picture(shade))
    (work,) = client.lease("detection", annotator="ada").items
    return work


class TestAgainstTheApp:
    def test_media_of_every_kind_get_their_records(self, client: Client) -> None:
        found = client.annotate("detection", picture())
        assert isinstance(found.label, Boxes)
        (box,) = found.label.boxes
        assert box == Box((10, 10, 50, 50), "car", box.confidence)
        assert box.confidence == pytest.approx(0.9)
        assert isinstance(client.annotate("lane", picture()).label, Lanes)
        heard = client.annotate("asr", sound()).label
        assert isinstance(heard, Transcript)
        assert heard.text == "yes"
        assert 0 <= found.uncertainty.p_error <= 1
        assert found.route.decision in ("review", "annotate", "audit")
        assert found.route.reason

    def test_bytes_a_file_here_and_a_uri_there_are_the_same_medium(self, client: Client, tmp_path: Path) -> None:
        (tmp_path / "media").mkdir()
        file = tmp_path / "media" / "a.png"
        file.write_bytes(picture(5))
        answers = [client.annotate("detection", medium) for medium in (picture(5), file, str(file))]
        assert answers[0] == answers[1] == answers[2]
        assert client.media(answers[0].item_id) == picture(5)

    def test_an_item_goes_from_its_registration_to_the_report(self, served: Served, client: Client) -> None:
        folder = served.folder / "media"
        folder.mkdir()
        (folder / "a.png").write_bytes(picture(1))
        entries = [Entry(f"{folder}/a.png", "detection", "clip"), Entry(f"{folder}/none.png", "detection")]
        registered = client.register(entries)
        assert (registered.new, registered.known) == (1, 0)
        (failed,) = registered.failures
        assert (failed.line, failed.uri, failed.error.code) == (2, f"{folder}/none.png", "not_found")
        eventually(lambda: client.report()["detection"]["items"].get("preannotated") == 1)
        (work,) = client.lease("detection", annotator="ada", strategy="random").items
        assert (work.uri, work.group) == (f"{folder}/a.png", "clip")
        assert work.expires_at > datetime.now(UTC)
        assert client.lease("detection", annotator="bob").items == ()
        correction = work.correction(Boxes(120, 90), "ada", 6.5, "mine", AT)
        receipt = client.correct(correction, work.lease_id)
        assert (receipt.item_id, receipt.repeated) == (work.item_id, False)
        again = client.correct(correction, work.lease_id)
        assert (again.correction_id, again.repeated) == (receipt.correction_id, True)
        report = client.report()["detection"]
        assert (report["corrections"], report["human_seconds"]) == (1, 6.5)
        history = client.item(work.item_id)
        assert history.item.id == work.item_id
        (given,) = history.corrections
        assert (given["tool"], given["model_version"]) == ("mine", work.model_version)
        assert datetime.fromisoformat(given["created_at"]) == AT
        assert [line["state"] for line in history.tasks] == ["corrected"]

    def test_where_nothing_is_handed_out_the_reason_is(self, served: Served, client: Client) -> None:
        nothing = client.lease("detection", annotator="ada")
        assert (nothing.items, nothing.reason, nothing.retry_after_s) == ((), "nothing is open", None)
        served.deployment.adopt({"budget_s_per_day": 1}, None, "tester")
        work = leased(client)
        client.correct(work.correction(Boxes(120, 90), "ada", 6.5, "mine", datetime.now(UTC)), work.lease_id)
        client.annotate("detection", picture(1))
        spent = client.lease("detection", annotator="ada")
        assert spent.items == ()
        assert "used up" in (spent.reason or "")
        assert 0 < (spent.retry_after_s or 0) <= 86400

    def test_an_item_that_is_given_back_is_somebody_elses(self, client: Client) -> None:
        work = leased(client)
        client.release(work.lease_id)
        assert client.lease("detection", annotator="ada").items == ()
        assert [one.item_id for one in client.lease("detection", annotator="bob").items] == [work.item_id]
        with pytest.raises(NotFound, match="lease"):
            client.release("nothing")

    def test_an_item_is_chosen_as_gold_and_no_longer(self, client: Client) -> None:
        item_id = client.annotate("detection", picture()).item_id
        choice = client.choose_gold(item_id, "detection")
        assert (choice.item_id, choice.new, choice.labelled, choice.trained_on) == (item_id, True, False, False)
        assert client.choose_gold(item_id, "detection", Boxes(120, 90)).labelled
        page = client.gold("detection")
        assert (page.chosen, page.labelled, page.known, [one.item_id for one in page.items]) == (1, 1, 1, [item_id])
        client.take_back_gold(item_id, "detection")
        assert client.gold("detection").items == ()

    def test_what_cannot_be_labelled_leaves_the_queue_until_it_is_brought_back(self, client: Client) -> None:
        work = leased(client)
        for _ in range(2):  # the same word twice counts once
            client.find_unfit(work.item_id, "detection", "damaged", "ada", 2.5, "mine", AT, work.lease_id)
        told = client.item(work.item_id)
        assert [one["reason"] for one in told.unfit] == ["damaged"]
        assert [one["state"] for one in told.tasks] == ["unfit"]
        assert client.report()["detection"]["human_seconds"] == 2.5
        assert client.lease("detection", annotator="bob").items == ()
        client.find_fit(work.item_id, "detection")
        assert [one.item_id for one in client.lease("detection", annotator="bob").items] == [work.item_id]
        with pytest.raises(InvalidInput, match=r"reason: expected one of damaged, .* got 'no-speech'"):
            client.find_unfit(work.item_id, "detection", "no-speech", "ada", 2.5, "mine", AT)

    def test_many_entries_go_in_parts_and_keep_their_numbers(self, client: Client) -> None:
        registered = client.register([Entry(f"/nowhere/{number}.png", "lane") for number in range(LINES + 2)])
        assert registered.new == registered.known == 0
        assert [failed.line for failed in registered.failures] == list(range(1, LINES + 3))
        assert registered.failures[-1].uri == f"/nowhere/{LINES + 1}.png"
        assert client.register([]).failures == ()

    def test_versions_are_listed_and_promoted(self, served: Served, client: Client) -> None:
        candidate = served.add("detection", size=16)
        states = {version.version: version.state for version in client.models()}
        assert states[candidate.name] == "candidate"
        promotion = client.promote(candidate.name)
        assert (promotion.version, promotion.forced, promotion.actor) == (candidate.name, False, "local")
        assert client.annotate("detection", picture()).model_version == candidate.name
        broken = served.add("detection", size=17, broken=True)
        with pytest.raises(Refused, match="expected a version that loads"):
            client.promote(broken.name, force=True)

    def test_suspects_come_in_pages(self, served: Served, client: Client) -> None:
        for shade in (1, 2, 3):
            work = leased(client, shade)
            client.correct(work.correction(Boxes(120, 90), "ada", 1, "mine", AT), work.lease_id)
        served.loop.path(served.loop.item(work.item_id)).unlink()
        first = client.suspects("detection", limit=1)
        assert (first.total, first.next) == (2, 1)
        assert (first.suspects[0].rank, first.suspects[0].annotator) == (1, "ada")
        assert first.suspects[0].findings[0].kind == "overlooked"
        (second,) = client.suspects("detection", limit=1, offset=1).suspects
        assert second.rank == 2
        (gone,) = first.unread
        assert (gone.item_id, gone.error.code) == (work.item_id, "not_found")

    def test_failures_are_those_of_the_server(self, client: Client) -> None:
        with pytest.raises(InvalidInput, match=r"^body: expected"):
            client.annotate("detection", b"no picture")
        with pytest.raises(NotFound, match=r"expected one of asr, detection, lane, got 'x\?y'"):
            client.annotate("x?y", picture())  # type: ignore[arg-type]
        with pytest.raises(NotFound, match="expected"):
            client.item("nothing at all?")
        with pytest.raises(NotAllowed, match="expected a file below a folder of PRELABEL_URI_ROOTS"):
            client.annotate("detection", "/elsewhere/a.png")
        work = leased(client)
        with pytest.raises(InvalidRecord, match="a box inside"):
            client.correct(_oversized(work), work.lease_id)
        client.correct(work.correction(Boxes(120, 90), "bob", 1, "mine", AT))
        with pytest.raises(Stale, match="lease"):
            client.correct(work.correction(Boxes(120, 90), "ada", 1, "mine", AT), work.lease_id)

    def test_people_agree_and_are_known(self, client: Client) -> None:
        work = leased(client)
        for name in ("ada", "bob"):
            client.correct(work.correction(Boxes(120, 90), name, 2.0, "mine", AT))
        agreed = client.consensus(work.item_id).tasks["detection"]
        assert (agreed.label, agreed.people) == (Boxes(120, 90), 2)
        assert sorted((one.annotator, one.seconds) for one in agreed.given) == [("ada", 2.0), ("bob", 2.0)]
        (ada, bob) = client.annotators("detection")["detection"]
        assert (ada.annotator, bob.annotator) == ("ada", "bob")
        assert ada.speed is not None
        assert (ada.speed.n, ada.speed.total, ada.consensus.of) == (1, 2.0, 0)
        assert client.annotators()["asr"] == ()

    def test_a_policy_is_adopted_for_one_task(self, client: Client) -> None:
        before = client.policy()
        assert (before["asr"].adopted_by, before["asr"].policy["alpha"]) == (None, 0.02)
        after = client.adopt({"alpha": 0.01}, "asr")
        assert (after["asr"].adopted_by, after["asr"].policy["alpha"]) == ("local", 0.01)
        assert after["lane"] == before["lane"]
        assert client.policy() == after
        with pytest.raises(InvalidInput, match="alpha"):
            client.adopt({"alpha": 2})

    def test_webhooks_are_made_shown_without_their_secret_and_removed(self, served: Served, client: Client) -> None:
        made = client.add_webhook("http://127.0.0.1:9/hook", ["item.routed"], "detection")
        assert made.secret.startswith("whsec_")
        (known,) = client.webhooks()
        assert (known.id, known.events, known.task) == (made.id, ("item.routed",), "detection")
        assert not hasattr(known, "secret")
        assert client.dead_letters() == []
        with pytest.raises(NotFound):
            client.retry(1)
        client.remove_webhook(made.id)
        assert client.webhooks() == []

    def test_tokens_say_who_asks(self, tmp_path: Path) -> None:
        with serving(tmp_path, tasks=["detection"]) as served, listening(served) as url:
            secret = make_token(served.loop.store, "ada", ["annotate", "correct"], "tester", AT)
            with Client(url, secret) as known, Client(url) as unknown:
                known.annotate("detection", picture())
                assert [work.item_id for work in known.lease("detection").items]
                with pytest.raises(NotAllowed, match="expected the scope promote"):
                    known.promote(served.version)
                with pytest.raises(Unauthenticated):
                    unknown.report()


def _oversized(work: Leased) -> Correction:
    """A correction that the records here would refuse, too."""
    correction = work.correction(Boxes(120, 90, (Box((0, 0, 120, 90), "car"),)), "ada", 1, "mine", AT)
    object.__setattr__(correction.label, "width", 100)
    return correction


class Script:
    """A server that gives its answers one after the other, and what the client did meanwhile."""

    def __init__(self, *answers: httpx.Response | Exception, patience_s: float = 60) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []
        self.client = Client(
            "http://prelabel/",
            patience_s=patience_s,
            transport=httpx.MockTransport(self._answer),
            sleep=self.slept.append,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def told(error: PrelabelError, **headers: str) -> httpx.Response:
    """The answer that the server gives to a failure."""
    answer = explained(error)
    return httpx.Response(answer.status_code, headers={**answer.headers, **headers}, content=bytes(answer.body))


def report() -> httpx.Response:
    return httpx.Response(200, json={"tasks": {}})


class TestFailures:
    @pytest.mark.parametrize("kind", [kind for kind, _, _ in KINDS])
    def test_each_comes_back_as_itself(self, kind: Callable[..., PrelabelError]) -> None:
        error = kind("here: expected a, got b", 7) if kind is Overloaded else kind("here: expected a, got b")
        with pytest.raises(PrelabelError, match=r"^here: expected a, got b$") as raised:
            Script(told(error), patience_s=0).client.report()
        assert type(raised.value) is kind
        assert getattr(raised.value, "retry_after_s", None) == (7 if kind is Overloaded else None)

    @pytest.mark.parametrize(
        ("answer", "kind", "message"),
        [
            (httpx.Response(502, text="<p>bad gateway"), PrelabelError, "expected an answer of prelabel, got 502"),
            (httpx.Response(503, text="down"), Unavailable, "got 503 'down'"),
            (httpx.Response(404, json=[]), NotFound, "got 404"),
            (httpx.Response(413, json={"error": "large"}), TooLarge, "got 413"),
            (httpx.Response(307, headers={"location": "/"}), PrelabelError, "got 307"),
            (httpx.Response(200, text="<p>hello"), InvalidInput, "GET http://prelabel/v1/report: expected Report"),
            (httpx.Response(200, json={"tasks": 1}), InvalidInput, "tasks: "),
        ],
    )
    def test_what_is_no_answer_of_prelabel_says_what_came(
        self, answer: httpx.Response, kind: type[PrelabelError], message: str
    ) -> None:
        with pytest.raises(PrelabelError) as raised:
            Script(answer, patience_s=0).client.report()
        assert type(raised.value) is kind
        assert message in str(raised.value)


class TestWaiting:
    def test_it_waits_as_long_as_it_is_asked_to(self) -> None:
        script = Script(told(Overloaded("full", 3)), told(Unavailable("soon"), **{"retry-after": "9"}), report())
        assert script.client.report() == {}
        assert script.slept == [3, 9]

    def test_unasked_each_pause_is_twice_the_last(self) -> None:
        lost = httpx.ConnectError("refused")
        script = Script(told(Unavailable("soon")), lost, told(Unavailable("soon")), report())
        assert script.client.report() == {}
        assert script.slept == [0.5, 1, 2]

    def test_patience_ends(self) -> None:
        script = Script(*[told(Overloaded("full", 4)) for _ in range(4)], patience_s=10)
        with pytest.raises(Overloaded, match="full"):
            script.client.report()
        assert script.slept == [4, 4]

    def test_what_is_sent_again_is_the_same(self) -> None:
        receipt = httpx.Response(200, json={"item_id": "a", "correction_id": 1, "repeated": False})
        script = Script(httpx.ReadTimeout("late"), receipt)
        script.client.correct(Correction("a", "asr", Transcript("yes"), "ada", 2.5, "mine", AT), "lease")
        first, second = script.asked
        assert first.content == second.content

    def test_a_lease_is_asked_for_again_only_where_nothing_can_have_been_leased(self) -> None:
        queue = httpx.Response(200, json={"items": [], "reason": "nothing is open", "retry_after_s": None})
        assert Script(told(Overloaded("full", 1)), queue).client.lease("asr").items == ()
        for lost in (told(Unavailable("soon")), httpx.ReadTimeout("late")):
            script = Script(lost)
            with pytest.raises(Unavailable):
                script.client.lease("asr")
            assert script.slept == []

    def test_other_failures_are_told_at_once(self) -> None:
        script = Script(told(Stale("over")))
        with pytest.raises(Stale):
            script.client.report()
        assert script.slept == []


# The example of the specification's authors: https://docs.svix.com/receiving/verifying-payloads/how-manual
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SENT = 1614265330.0


def signed(body: bytes, at: int = int(SENT)) -> dict[str, str]:
    """The headers by the specification, worked out in another way."""
    key = base64.b64decode(SECRET.split("_")[1])
    signature = hmac.new(key, b".".join([b"msg_1", str(at).encode(), body]), hashlib.sha256).digest()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}  # fmt: skip


class TestWebhooks:
    def test_the_example_of_the_specification_is_true(self) -> None:
        assert verify_webhook(SECRET, HEADERS, BODY, lambda: SENT) == {"test": 2432232314}
        capitals = {name.title(): value for name, value in HEADERS.items()}
        assert verify_webhook(SECRET, httpx.Headers(capitals), BODY, lambda: SENT)

    @pytest.mark.parametrize("off", [-300, 300])
    def test_a_clock_may_be_off_by_five_minutes(self, off: int) -> None:
        verify_webhook(SECRET, HEADERS, BODY, lambda: SENT + off)
        with pytest.raises(NotAllowed, match="webhook-timestamp: expected one within 300 s"):
            verify_webhook(SECRET, HEADERS, BODY, lambda: SENT + off + off / 300)

    def test_one_of_several_signatures_is_enough(self) -> None:
        """So that secrets can be changed while webhooks are on their way."""
        several = HEADERS | {"webhook-signature": f"v1,AAAA v1a,x {HEADERS['webhook-signature']}"}
        verify_webhook(SECRET, several, BODY, lambda: SENT)
        for bad in ("", "v1", "v1,AAAA", HEADERS["webhook-signature"].replace("v1,", "v2,"), "v1,é"):
            with pytest.raises(NotAllowed, match="webhook-signature: expected"):
                verify_webhook(SECRET, HEADERS | {"webhook-signature": bad}, BODY, lambda: SENT)

    @pytest.mark.parametrize("name", HEADERS)
    def test_every_header_is_needed_and_signed(self, name: str) -> None:
        without = {key: value for key, value in HEADERS.items() if key != name}
        with pytest.raises(NotAllowed, match=f"expected the header {name}, got none"):
            verify_webhook(SECRET, without, BODY, lambda: SENT)
        other = HEADERS[name][:-2] + ("1" if name.endswith("timestamp") else "x")
        with pytest.raises(NotAllowed):
            verify_webhook(SECRET, HEADERS | {name: other}, BODY, lambda: float(other) if other.isdecimal() else SENT)

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "whsec_é"])
    def test_a_secret_that_is_none_is_told(self, secret: str) -> None:
        with pytest.raises(InvalidInput, match="webhook secret: expected"):
            verify_webhook(secret, HEADERS, BODY, lambda: SENT)

    def test_a_body_that_is_no_object_is_told(self) -> None:
        with pytest.raises(InvalidInput, match="expected a JSON object"):
            verify_webhook(SECRET, signed(b"[1]"), b"[1]", lambda: SENT)

    @given(st.dictionaries(st.text(), st.integers()), st.data())
    def test_no_other_body_passes(self, event: dict[str, int], data: st.DataObject) -> None:
        body = httpx.Request("POST", "http://a", json=event).content
        headers = signed(body)
        assert verify_webhook(SECRET, headers, body, lambda: SENT) == event
        place = data.draw(st.integers(0, len(body) - 1))
        other = bytes([*body[:place], body[place] ^ data.draw(st.integers(1, 255)), *body[place + 1 :]])
        with pytest.raises(NotAllowed):
            verify_webhook(SECRET, headers, other, lambda: SENT)


CALLS: dict[str, Callable[[Client], object]] = {
    "annotate": lambda client: client.annotate("asr", b""),
    "register": lambda client: client.register([Entry("a", "asr")]),
    "item": lambda client: client.item("a"),
    "consensus": lambda client: client.consensus("a"),
    "media": lambda client: client.media("a"),
    "lease": lambda client: client.lease("asr"),
    "release": lambda client: client.release("a"),
    "correct": lambda client: client.correct(Correction("a", "asr", Transcript("yes"), "ada", 2.5, "mine", AT)),
    "find_unfit": lambda client: client.find_unfit("a", "asr", "damaged", "ada", 2.5, "mine", AT),
    "find_fit": lambda client: client.find_fit("a", "asr"),
    "choose_gold": lambda client: client.choose_gold("a", "asr", Transcript("yes")),
    "take_back_gold": lambda client: client.take_back_gold("a", "asr"),
    "gold": lambda client: client.gold("asr"),
    "suspects": lambda client: client.suspects("asr"),
    "annotators": lambda client: client.annotators(),
    "models": lambda client: client.models(),
    "promote": lambda client: client.promote("a"),
    "policy": lambda client: client.policy(),
    "adopt": lambda client: client.adopt({}),
    "report": lambda client: client.report(),
    "webhooks": lambda client: client.webhooks(),
    "add_webhook": lambda client: client.add_webhook("http://a", ["item.routed"]),
    "remove_webhook": lambda client: client.remove_webhook("a"),
    "dead_letters": lambda client: client.dead_letters(),
    "retry": lambda client: client.retry(1),
}


def test_every_route_of_the_api_has_a_method_and_every_method_a_route() -> None:
    """By what each method asks for, against the OpenAPI document."""
    paths = create_app(Settings.model_validate({})).openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods
              if path.startswith("/v1/")}  # fmt: skip
    known = {(method, re.compile(re.sub(r"{\w+}", "[^/]+", path))): (method, path) for method, path in routes}
    asked = {}
    for name, call in CALLS.items():
        script = Script(told(Stale("nothing is done")))
        with pytest.raises(Stale):
            call(script.client)
        (request,) = script.asked
        fitting = [route for (method, path), route in known.items()
                   if method == request.method and path.fullmatch(request.url.path)]  # fmt: skip
        asked[name] = min(fitting, key=lambda route: route[1].count("{"))  # a plain path comes before a pattern
    assert set(asked.values()) == routes
    assert len(asked) == len(routes)
    methods = {name for name in vars(Client) if not name.startswith("_")}
    assert methods == {*CALLS, "close"}


def test_it_needs_nothing_of_the_server() -> None:
    """Nor the models' and selection's libraries: an annotation tool imports it in a moment."""
    heavy = "torch fastapi starlette sqlalchemy bentoml onnxruntime numpy scipy sklearn PIL"
    code = f"import sys, serving.client; sys.exit(' '.join(set('{heavy}'.split()) & set(sys.modules)) or 0)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
