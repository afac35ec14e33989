"""A hijacked agent: it has the library, its own tokens, the source of the worker, and the wire in between.

It cannot make the worker act without a permit, with other bytes, twice, or on a permit of another.
"""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

import aecl
from aecl import _json, _leave
from aecl.verify import ed25519
from house import AGENT, GOAL
from work import Liar, WorkHouse, until

ARGUMENTS = {"to": "ann", "amount": "5"}
MORE = b'{"amount":"5000","to":"eve"}'


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Generator[WorkHouse]:
    made = WorkHouse(tmp_path_factory.mktemp("attacks") / "home")
    yield made
    made.house.stop()


@pytest.fixture
def run(work: WorkHouse) -> Generator[aecl.Run]:
    work.bank.unlink(missing_ok=True)
    until(lambda: not work.connected())
    with aecl.Client(url=work.house.url, token=work.house.key) as client:
        yield client.open_run(agent=AGENT, goal=GOAL)


@pytest.fixture
def liar(work: WorkHouse) -> Generator[Liar]:
    made = Liar(work.house)
    yield made
    made.close()


@pytest.fixture
def apart() -> Generator[Callable[..., concurrent.futures.Future[Any]]]:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool.submit


def part(of: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(of).encode()).rstrip(b"=").decode()


def unpacked(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return cast("dict[str, Any]", json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


class Signer:
    """A key of the attacker's own, which signs as the server does."""

    def __init__(self) -> None:
        digest = hashlib.sha512(b"a seed of somebody's own").digest()
        scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
        self._scalar, self._prefix, self._hash = scalar, digest[32:], hashlib.sha512
        self.public = ed25519.encode(self._times(scalar))

    @staticmethod
    def _times(scalar: int) -> ed25519.Point:
        point, step = ed25519.NEUTRAL, ed25519.BASE
        while scalar:
            if scalar & 1:
                point = ed25519.add(point, step)
            step, scalar = ed25519.double(step), scalar >> 1
        return point

    def token(self, kind: str, claims: dict[str, Any], alg: str = "EdDSA") -> str:
        message = f"{part({'alg': alg, 'typ': kind})}.{part(claims)}"
        nonce = int.from_bytes(self._hash(self._prefix + message.encode()).digest(), "little") % ed25519.L
        point = ed25519.encode(self._times(nonce))
        k = int.from_bytes(self._hash(point + self.public + message.encode()).digest(), "little") % ed25519.L
        signature = point + ((nonce + k * self._scalar) % ed25519.L).to_bytes(32, "little")
        assert ed25519.verify(self.public, message.encode(), signature)
        return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def not_called(process: subprocess.Popen[str]) -> str:
    """Next line in which a worker says why something was not called."""
    assert process.stderr is not None
    # One that says nothing is ended, and then there is no line.
    silence = threading.Timer(60, process.kill)
    silence.start()
    try:
        while said := process.stderr.readline():
            if "was not called" in said:
                return said
    finally:
        silence.cancel()
    raise AssertionError("the worker says nothing of it")


def handed(answer: bytes, **changed: str) -> bytes:
    return json.dumps({**json.loads(answer), **changed}).encode()


def test_no_other_credential_connects_takes_or_reports(work: WorkHouse, run: aecl.Run) -> None:
    body = {"instance": "i" * 24, "nonce": "n" * 24, "serves": {"pay": ["perform"]}, "slots": 1}
    bodies: dict[str, Any] = {
        "connect": body,
        "accept": {"instance": "i" * 24, "delivery": "del_x", "nonce": "n" * 24},
        "heartbeat": {"instance": "i" * 24, "deliveries": []},
        "report": {"instance": "i" * 24, "permit": "x.y.z", "outcome": "done"},
        "drain": {"instance": "i" * 24},
    }
    # A request that is refused before it is read ends its connection.
    each = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=work.house.url, trust_env=False, limits=each) as client:
        for what, words in bodies.items():
            for token, status in (
                (run.token, 403),
                (work.house.key, 403),
                (work.house.operator, 403),
                ("aecl_w_x", 401),
            ):
                said = client.post(f"/v1/workers/{what}", json=words, headers={"authorization": f"Bearer {token}"})
                assert said.status_code == status, (what, said.text)
            assert client.post(f"/v1/workers/{what}", json=words).status_code == 401
        own = {"authorization": f"Bearer {work.keys['one']}"}
        # And the key of a worker is good for nothing else.
        for method, path in (
            ("POST", "/v1/runs"),
            ("POST", "/v1/actions"),
            ("GET", "/v1/workers"),
            ("GET", "/v1/policy"),
        ):
            said = client.request(method, path, json={}, headers=own)
            assert said.status_code in (401, 403), said.text
        # Nor for actions that it is not for.
        said = client.post("/v1/workers/connect", json={**body, "serves": {"nobody": ["perform"]}}, headers=own)
        assert said.status_code == 403
        assert "`nobody`" in said.text


def test_whoever_is_not_the_server_of_its_key_is_refused_before_anything_is_done(work: WorkHouse, liar: Liar) -> None:
    mine = Signer()
    for alg in ("EdDSA", "none"):

        def forged(said: bytes, alg: str = alg) -> bytes:
            hello = json.loads(said)
            claims = unpacked(hello["greeting"])
            return json.dumps({**hello, "greeting": mine.token("aecl-worker+jwt", claims, alg)}).encode() + b"\n"

        liar.greeting = forged
        with work.worker("one", url=liar.url, connects=False) as worker:
            assert worker.wait(60) == 1
            assert worker.stderr is not None
            assert "server_foreign" in worker.stderr.read()
    # A greeting for another connection is none for this one.
    greetings: list[bytes] = []

    def earlier(said: bytes) -> bytes:
        greetings.append(said)
        return greetings[0]

    liar.greeting = earlier
    with work.worker("one", url=liar.url, connects=False):
        until(lambda: greetings)
    with work.worker("one", url=liar.url, connects=False) as worker:
        assert worker.wait(60) == 1


def test_an_offer_without_a_permit_moves_nothing(work: WorkHouse, run: aecl.Run, liar: Liar) -> None:
    mine = Signer()
    permit = run.token
    expected = {"own": "not signed by the server", "none": "signed with Ed25519", "run": "it is no `aecl-work+jwt`"}
    with work.worker("one", url=liar.url) as worker:
        name = {"sub": "one", "iss": "shop.example/aecl", "aud": "aecl:work", "iat": 1, "exp": 61, "call": "act_1"}

        def forged(asked: dict[str, Any], answer: bytes) -> bytes:
            claims = {
                **name,
                "instance": asked["instance"],
                "nonce": asked["nonce"],
                "jti": asked["delivery"],
                "action": "pay",
                "serves": "pay",
                "function": "perform",
                "arguments": _json.digest(MORE),
                "key": "k",
                "timeout_ms": 1000,
                "lease_ms": 1000,
            }
            permits = {
                "own": mine.token("aecl-work+jwt", claims),
                "none": f"{part({'alg': 'none', 'typ': 'aecl-work+jwt'})}.{part(claims)}.",
                "run": permit,
            }
            return json.dumps({"permit": permits[asked["delivery"]], "arguments": MORE.decode()}).encode()

        liar.answers = forged
        for delivery in ("own", "none", "run"):
            offer = {"kind": "offer", "delivery": delivery, "action": "pay", "function": "perform", "lease_ms": 2000}
            liar.added.put(offer)
            assert expected[delivery] in not_called(worker)
    assert work.book() == []
    assert not liar.reported, "of what is not the server's nothing is said"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("bytes", "not those that were judged"),
        ("space", "not those that were judged"),
        ("nonce", "`nonce` is another"),
        ("function", "`function` is another"),
    ],
)
def test_a_permit_moves_nothing_but_what_it_is_for(
    work: WorkHouse, run: aecl.Run, liar: Liar, what: str, expected: str
) -> None:
    earlier: list[bytes] = []
    with work.worker("one", url=liar.url) as worker:
        if what == "bytes":
            liar.answers = lambda asked, answer: handed(answer, arguments=MORE.decode())
        elif what == "space":
            liar.answers = lambda asked, answer: handed(answer, arguments=json.loads(answer)["arguments"] + " ")
        elif what == "nonce":
            # A permit of this very worker, from before.
            run.execute("pay", {"to": "ann", "amount": "1"})
            earlier.append(liar.accepted[-1][1])
            liar.answers = lambda asked, answer: earlier[0]
        else:
            # The offer is not signed, so it can say that something else is to be called.
            liar.lines = lambda said: said.replace(b'"function":"perform"', b'"function":"compensate"')
        with pytest.raises(aecl.Error) as said:
            run.execute("pay", ARGUMENTS)
        assert expected in not_called(worker)
    # It says that nothing was done of what is its own, and nothing of a permit that may be another's.
    assert said.value.code == ("worker_lost" if what == "nonce" else "worker_refused")
    assert not [entry for entry in work.book() if entry.split()[1] in ("5", "5000")]


def test_a_captured_permit_moves_no_other_worker(work: WorkHouse, run: aecl.Run, liar: Liar) -> None:
    with work.worker("one", url=liar.url):
        run.execute("pay", ARGUMENTS)
        until(lambda: liar.reported)
    captured = liar.accepted[-1][1]
    liar.answers = lambda asked, answer: captured
    delivery = unpacked(json.loads(captured)["permit"])["jti"]
    reports = len(liar.reported)
    with work.worker("two", url=liar.url) as worker:
        offer = {"kind": "offer", "delivery": delivery, "action": "pay", "function": "perform", "lease_ms": 2000}
        liar.added.put(offer)
        assert "`sub` is another" in not_called(worker)
    assert len(liar.reported) == reports
    assert len(work.book()) == 1


def test_a_delivery_that_comes_twice_is_done_once(work: WorkHouse, run: aecl.Run, liar: Liar) -> None:
    with work.worker("one", url=liar.url):
        run.execute("pay", ARGUMENTS)
        delivery = liar.accepted[-1][0]["delivery"]
        offer = {"kind": "offer", "delivery": delivery, "action": "pay", "function": "perform", "lease_ms": 2000}
        accepted = len(liar.accepted)
        liar.added.put(offer)
        liar.added.put(offer)
        until(lambda: len(liar.accepted) >= accepted + 2)
        run.execute("pay", {"to": "ann", "amount": "6"})
    assert [entry.split()[1] for entry in work.book()] == ["5", "6"]


def test_of_two_workers_only_the_one_that_has_accepted_says_what_came_of_it(
    work: WorkHouse, run: aecl.Run, liar: Liar, apart: Any
) -> None:
    with work.worker("one", "say acted", url=liar.url) as worker:
        underway = apart(run.execute, "pay", ARGUMENTS)
        until(lambda: liar.accepted and work.book())
        asked, answer = liar.accepted[-1]
        permit = json.loads(answer)["permit"]
        with httpx.Client(base_url=work.house.url, trust_env=False) as client:
            for instance in ("x" * 24, asked["instance"]):
                headers = {"authorization": f"Bearer {work.keys['two']}"}
                take = {"instance": instance, "delivery": asked["delivery"], "nonce": "n" * 24}
                said = client.post("/v1/workers/accept", json=take, headers=headers)
                assert (said.status_code, said.json()["code"]) == (409, "work_gone")
                report = {"instance": instance, "permit": permit, "outcome": "failed"}
                said = client.post("/v1/workers/report", json=report, headers=headers)
                assert (said.status_code, said.json()["code"]) == (409, "work_gone")
            # And with a permit that it has made itself it says nothing of anything.
            claims = {**unpacked(permit), "sub": "two"}
            report = {
                "instance": asked["instance"],
                "permit": Signer().token("aecl-work+jwt", claims),
                "outcome": "done",
            }
            said = client.post("/v1/workers/report", json=report, headers=headers)
            assert said.status_code == 400
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert underway.result(60).output["id"]
    assert len(work.book()) == 1


def test_each_claim_of_a_permit_is_looked_at(work: WorkHouse) -> None:
    mine = Signer()
    key = _leave.Key(token="aecl_w_", public=mine.public)
    offer, text = ("del_1", "pay", "perform"), '{"amount":"5"}'
    good: dict[str, Any] = {
        "iss": "shop", "aud": "aecl:work", "sub": "one", "instance": "me", "nonce": "now", "jti": "del_1",
        "iat": 100, "exp": 115, "call": "act_1", "action": "pay", "serves": "pay", "function": "perform",
        "arguments": _json.digest(text.encode()), "key": "k", "timeout_ms": 1000, "lease_ms": 15000,
    }  # fmt: skip

    def follows(claims: dict[str, Any], *, kind: str = "aecl-work+jwt", since: float | None = None) -> _leave.Leave:
        of = {"permit": mine.token(kind, claims), "arguments": text}
        began = _leave.now() if since is None else since
        verifier = _leave.Verifier(key, "me")
        return verifier.leave(of, issuer="shop", name="one", offer=offer, nonce="now", since=began)

    assert follows(good).judged.read() == {"amount": "5"}
    for claim in good:
        for value in (None, "another", 7):
            if claim in ("timeout_ms", "lease_ms", "iat", "exp") and value == 7:
                continue
            if claim in ("call", "action", "key") and value == "another":
                continue
            with pytest.raises(_leave.NotFollowed):
                follows({**good, claim: value})
    for kind in ("at+jwt", "aecl-permit+jwt", "aecl-worker+jwt", "JWT"):
        with pytest.raises(_leave.NotFollowed):
            follows(good, kind=kind)
    # What counts is the time since this process has asked, whatever the times in it say.
    with pytest.raises(_leave.NotFollowed):
        follows({**good, "iat": 9_999_999_900, "exp": 9_999_999_915}, since=_leave.now() - 16)
    assert follows({**good, "iat": 1, "exp": 16})
    twice = _leave.Verifier(key, "me")
    of = {"permit": mine.token("aecl-work+jwt", good), "arguments": text}
    twice.leave(of, issuer="shop", name="one", offer=offer, nonce="now", since=_leave.now())
    again = {**good, "jti": "del_2"}
    for claims, offered in ((good, offer), (again, ("del_2", "pay", "perform"))):
        of = {"permit": mine.token("aecl-work+jwt", claims), "arguments": text}
        with pytest.raises(_leave.NotFollowed, match="before"):
            twice.leave(of, issuer="shop", name="one", offer=offered, nonce="now", since=_leave.now())


def test_the_key_of_a_worker_says_whom_it_follows(work: WorkHouse, tmp_path: Path) -> None:
    whole = work.keys["one"]
    assert _leave.Key.of(whole).public != Signer().public
    for broken in ("", "aecl_o_x", whole.partition(".")[0], whole[:-5], whole.partition(".")[0] + "." + "A" * 43):
        with pytest.raises(aecl.Unauthorized):
            _leave.Key.of(broken)
    assert whole.partition(".")[0] not in repr(_leave.Key.of(whole))
