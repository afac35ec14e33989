"""Workers: functions that stay in Python, in a process that holds their credentials; the agent's process holds none.

    import aecl

    worker = aecl.Worker()
    worker.register("transfer_funds", transfer_funds, compensate=reverse, lookup=find)
    worker.run()

AECL decides, records, and hands a call over; this process looks at the signed permit and at the bytes that it is for,
and calls the function once. docs/guides/workers.md has the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import os
import secrets
import signal
import socket
import threading
import time
import types
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx

from . import _leave, _transport
from ._flow import ANSWER_S
from ._leave import Key, Leave, NotFollowed
from ._spec import Spec, begun, meaning, output_of
from ._wire import Reply, expect, problem, text
from .errors import Error, Invalid, NotDone, Unauthorized, Unavailable

F = TypeVar("F", bound=Callable[..., Any])

_log = logging.getLogger("aecl.worker")
_current: ContextVar[WorkerCall | None] = ContextVar("aecl_worker_call", default=None)

#: How long an acceptance is tried whose answer is lost. The permit runs from its first try.
_ACCEPT_S = 30.0
#: How long a report is tried once the worker is told to stop.
_STOP_S = 30.0
#: Longest pause between two tries to connect, or to report.
_PAUSE_MAX_S = 5.0
#: Longest text about an error that is reported, in characters.
_SAID_MAX = 1000


@dataclass(frozen=True)
class WorkerCall:
    """The call that this thread carries out.

    `key` is the same for every attempt at the same action: hand it to the target as its idempotency key. `cancelled`
    is set when nobody waits any more; a function that looks at it may raise `NotDone` while surely nothing has
    happened.
    """

    action: str
    name: str
    function: str
    key: str
    cancelled: threading.Event = field(default_factory=threading.Event)


def worker_call() -> WorkerCall:
    """Call that is carried out here. Raises `Invalid` outside of a function that a worker has called."""
    call = _current.get()
    if call is None:
        raise Invalid("no_run", "no call of a worker is carried out here")
    return call


@dataclass(frozen=True)
class _Served:
    functions: dict[str, Spec]
    snapshot: Spec | None
    surely_failed: tuple[type[Exception], ...]
    encode: Callable[[Any], Any] | None


@dataclass
class _Held:
    cancelled: threading.Event
    #: Silence after which it is not this worker's any more. It decides how often the server is told that it lives.
    lease_s: float


@dataclass(frozen=True)
class _Ended:
    outcome: str
    output: bytes | None = None
    message: str = ""


class Worker:
    """Process that takes calls of some actions, carries each out once, and reports what came of it.

    `token` is the key that `aecl keys add worker` has made (`AECL_WORKER_TOKEN`); it says for which server this
    worker works, too. `url` is where that is (`AECL_URL`; without one, the home of this directory). `concurrency` is
    how many calls are carried out at once, each in a thread of its own.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        public: str | None = None,
        directory: str | None = None,
        concurrency: int = 8,
    ) -> None:
        if not 1 <= concurrency <= 256:
            raise ValueError(f"`concurrency` is {concurrency}; it must be 1 to 256")
        # Without a key it can still say what it serves; `run` needs one.
        self._given = (token or os.environ.get("AECL_WORKER_TOKEN"), public)
        if self._given[0]:
            Key.of(*self._given)
        self._key: Key
        self._verifier: _leave.Verifier
        self._where = (url, directory)
        self._concurrency = concurrency
        self._served: dict[str, _Served] = {}
        self._instance = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._idle = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._beat = threading.Event()
        self._beat_s = 5.0
        self._line: httpx.Response | None = None
        self._failed: BaseException | None = None
        self._running = False

    def register(
        self,
        action: str,
        fn: F,
        *,
        compensate: Callable[..., Any] | None = None,
        lookup: Callable[..., Any] | None = None,
        snapshot: Callable[..., Any] | None = None,
        dry_run: Callable[..., Any] | None = None,
        surely_failed: tuple[type[Exception], ...] = (),
        encode: Callable[[Any], Any] | None = None,
    ) -> F:
        """Serves an action by a function, plain or a coroutine. Gives the function back.

        `compensate` carries out the actions whose connector says `compensates: ACTION`. `lookup` finds out whether a
        call happened: it returns what the function would have, or raises `NotDone`. `dry_run` says what would happen.
        Both change nothing. `snapshot` is called before the function; then the output has `snapshot` and `output`,
        and what undoes the action can be fed from it.
        """
        if self._running:
            raise RuntimeError("register before the worker runs")
        if action in self._served:
            raise ValueError(f"`{action}` is registered already")
        named = {"perform": fn, "compensate": compensate, "lookup": lookup, "dry_run": dry_run}
        functions = {name: Spec(function, ()) for name, function in named.items() if function is not None}
        taken = Spec(snapshot, ()) if snapshot is not None else None
        self._served[action] = _Served(functions, taken, surely_failed, encode)
        return fn

    def serves(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """What is registered: the functions of each action, by what they are for (`perform`, `lookup`, …)."""
        return {
            action: {name: spec.fn for name, spec in served.functions.items()}
            for action, served in self._served.items()
        }

    def run(self) -> None:
        """Takes calls until `stop`, or a SIGTERM or SIGINT in the main thread; then ends what it has accepted.

        A connection that is lost is made again. Raises `Unauthorized` when the key does not count or somebody else
        answers, and `Invalid` when the server does not take what is registered.
        """
        if not self._served:
            raise Invalid("request_invalid", "the worker has no function; register one")
        if self._running:
            raise RuntimeError("the worker runs already")
        self._key = Key.of(*self._given)
        self._verifier = _leave.Verifier(self._key, self._instance)
        self._running = True
        url, directory = self._where
        at = _transport.place(url, None, directory)
        with self._signals(), self._clients(at) as (posts, lines):
            self._posts = posts
            pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="aecl-worker")
            beats = threading.Thread(target=self._beats, name="aecl-worker-beats", daemon=True)
            reads = threading.Thread(target=self._reads, args=(lines, pool), name="aecl-worker-line", daemon=True)
            try:
                reads.start()
                beats.start()
                # A signal is heard while this waits.
                self._wake.wait()
                self._drain()
            finally:
                self._stopping.set()
                self._ended.set()
                self._beat.set()
                self._cut()
                pool.shutdown(wait=True)
                for thread in (reads, beats):
                    if thread.ident is not None:
                        thread.join(ANSWER_S)
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Takes nothing new; `run` returns when what was accepted is reported. From any thread."""
        self._stopping.set()
        self._wake.set()

    @contextlib.contextmanager
    def _signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def told(number: int, frame: types.FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _clients(self, at: _transport.Place) -> Generator[tuple[httpx.Client, httpx.Client]]:
        headers = {"authorization": f"Bearer {self._key.token}"}
        with contextlib.ExitStack() as stack:
            made: list[httpx.Client] = []
            for most in (self._concurrency + 2, 1):
                limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=30)
                by = httpx.HTTPTransport(uds=str(at.socket), limits=limits) if at.socket is not None else None
                trust = at.socket is None and _transport._trusts_environment(at.url)
                client = httpx.Client(
                    base_url=at.url, headers=headers, transport=by, limits=limits, trust_env=trust, timeout=ANSWER_S
                )
                made.append(stack.enter_context(client))
            yield made[0], made[1]

    # The line: what there is.

    def _reads(self, lines: httpx.Client, pool: ThreadPoolExecutor) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                for _ in self._connected(lines, pool):
                    pause = 0.1
            except (Unauthorized, Invalid) as error:
                # The same again will be refused, too.
                self._failed = error
                break
            except (Error, httpx.HTTPError, OSError, ValueError) as error:
                _log.warning("the line to the server has ended: %s", error)
            except BaseException as error:
                self._failed = error
                break
            self._stopping.wait(pause)
            pause = min(pause * 2, _PAUSE_MAX_S)
        self._ended.set()
        self._wake.set()

    def _connected(self, lines: httpx.Client, pool: ThreadPoolExecutor) -> Iterator[None]:
        nonce = secrets.token_urlsafe(24)
        serves = {action: sorted(served.functions) for action, served in self._served.items()}
        body = {"instance": self._instance, "nonce": nonce, "serves": serves, "slots": self._concurrency}
        # Silence of three beats is the end of a line.
        patience = httpx.Timeout(ANSWER_S, read=self._beat_s * 3)
        with lines.stream("POST", "/v1/workers/connect", json=body, timeout=patience) as response:
            if response.status_code != 200:
                response.read()
                raise problem(_reply(response))
            self._line = response
            told = (_leave.claims_of(line.encode("utf-8")) for line in response.iter_lines() if line)
            hello = next(told, None)
            if hello is None or hello.get("kind") != "hello":
                raise Unavailable("answer_unreadable", "the server does not greet")
            issuer, name = _leave.greeting(text(hello, "greeting"), self._key, self._instance, nonce)
            _log.info("connected to %s as worker %s", issuer, name)
            for one in told:
                yield
                kind = one.get("kind")
                if kind == "offer":
                    offer = (text(one, "delivery"), text(one, "action"), text(one, "function"))
                    lease_ms = one.get("lease_ms")
                    lease_s = lease_ms / 1000 if type(lease_ms) is int and lease_ms > 0 else 15.0
                    if not self._stopping.is_set():
                        pool.submit(self._take, issuer, name, offer, lease_s)
                elif kind == "cancel":
                    self._cancel(text(one, "delivery"))
                elif kind == "closing":
                    return
                if self._stopping.is_set():
                    return

    def _cut(self) -> None:
        """Wakes whoever reads from the line."""
        line = self._line
        stream: Any = line.extensions.get("network_stream") if line is not None else None
        with contextlib.suppress(OSError, AttributeError):
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _drain(self) -> None:
        if self._failed is None:
            with contextlib.suppress(Error):
                self._post("drain", {})
        with self._idle:
            while self._held:
                self._idle.wait(1.0)

    # The beats: that this process lives.

    def _beats(self) -> None:
        last = float("-inf")
        while True:
            with self._lock:
                held = sorted(self._held)
                due = last + min([self._beat_s, *(one.lease_s / 3 for one in self._held.values())])
            if self._ended.is_set() and not held:
                return
            if (left := due - _leave.now()) > 0:
                # What comes meanwhile may have a shorter lease.
                self._beat.wait(left)
                self._beat.clear()
                continue
            last = _leave.now()
            try:
                heard = expect(self._post("heartbeat", {"deliveries": held}), 200)
                for delivery in [*cast("list[str]", heard["gone"]), *cast("list[str]", heard["cancelled"])]:
                    self._cancel(delivery)
            except (Error, KeyError, TypeError) as error:
                _log.warning("the server does not hear this worker: %s", error)

    def _cancel(self, delivery: str) -> None:
        with self._lock:
            held = self._held.get(delivery)
        if held is not None:
            held.cancelled.set()

    # A call: accept, look at the leave, act, report.

    def _take(self, issuer: str, name: str, offer: tuple[str, str, str], lease_s: float) -> None:
        delivery, action, function = offer
        held = _Held(threading.Event(), lease_s)
        with self._lock:
            self._held[delivery] = held
        self._beat.set()
        try:
            served = self._served.get(action)
            if served is None or function not in served.functions:
                return
            nonce, since = secrets.token_urlsafe(24), _leave.now()
            of = self._accept(delivery, nonce)
            if of is None:
                return
            try:
                leave = self._verifier.leave(of, issuer=issuer, name=name, offer=offer, nonce=nonce, since=since)
            except NotFollowed as error:
                _log.error("%s of `%s` was not called: %s", function, action, error)
                if error.ours:
                    self._report(of.get("permit"), _Ended("refused", message=f"not called: {error}"), 10.0)
                return
            held.lease_s = leave.lease_s
            self._report(leave.permit, self._carried_out(served, leave, held.cancelled), None)
        except BaseException:
            _log.exception("a call of `%s` broke", action)
            raise
        finally:
            with self._idle:
                self._held.pop(delivery, None)
                self._idle.notify_all()

    def _accept(self, delivery: str, nonce: str) -> dict[str, Any] | None:
        """What is handed over; nothing if it is not for this process any more. A lost answer is asked for again."""
        until, pause = _leave.now() + _ACCEPT_S, 0.05
        while True:
            try:
                return expect(self._post("accept", {"delivery": delivery, "nonce": nonce}), 200)
            except Unavailable as error:
                if _leave.now() >= until:
                    _log.error("an offer could not be accepted, and nothing was done: %s", error)
                    return None
            except Error as error:
                _log.info("an offer is over: %s", error)
                return None
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _carried_out(self, served: _Served, leave: Leave, cancelled: threading.Event) -> _Ended:
        spec = served.functions[leave.function]
        call = WorkerCall(leave.call, leave.action, leave.function, leave.key, cancelled)
        token = _current.set(call)
        try:
            taken: bytes | None = None
            try:
                arguments = _fitting(spec, leave)
                if served.snapshot is not None and leave.function == "perform":
                    before = _value(served.snapshot, _fitting(served.snapshot, leave))
                    taken, _, why = output_of(before, None)
                    if taken is None:
                        raise NotFollowed(f"the snapshot cannot be kept: {why}")
                leave.check()
            except Exception as error:
                return _Ended("refused", message=f"not called: {_said(error)}")
            try:
                value = begun(_value(spec, arguments), leave.function)
            except BaseException as error:
                outcome, _, said = meaning(error, served.surely_failed)
                if not isinstance(error, (NotDone, *served.surely_failed)):
                    _log.warning("`%s` ended with %s", leave.action, said)
                return _Ended(outcome, message=said[:_SAID_MAX])
            encode = served.encode if leave.function in ("perform", "lookup") else None
            output, _, said = output_of(value, encode)
            if taken is not None:
                output = b'{"output":' + (output or b"null") + b',"snapshot":' + taken + b"}"
            return _Ended("done", output, said[:_SAID_MAX])
        finally:
            _current.reset(token)

    def _report(self, permit: Any, ended: _Ended, tries_s: float | None) -> None:
        """Says what came of it, until it is on record or the server has said that it will not be."""
        if type(permit) is not str:
            return
        words: dict[str, Any] = {"permit": permit, "outcome": ended.outcome, "message": ended.message}
        output, pause, until = ended.output, 0.05, None if tries_s is None else _leave.now() + tries_s
        while until is None or _leave.now() < until:
            if until is None and self._stopping.is_set():
                until = _leave.now() + _STOP_S
            try:
                reply = self._post("report", words, output)
            except Unavailable as error:
                _log.warning("what came of a call is not on record yet: %s", error)
            else:
                if reply.status == 200:
                    return
                refused = problem(reply)
                if reply.status in (400, 413) and output is not None:
                    # It was done, and that counts more than what came out.
                    output, words["message"] = (
                        None,
                        f"the output could not be recorded: {refused.message}"[:_SAID_MAX],
                    )
                    continue
                if reply.status < 500 and reply.status != 429:
                    _log.error("what came of a call was not taken (it was %s): %s", ended.outcome, refused)
                    return
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX_S)
        _log.error("what came of a call could not be reported (it was %s)", ended.outcome)

    def _post(self, what: str, words: dict[str, Any], output: bytes | None = None) -> Reply:
        body = json.dumps({"instance": self._instance, **words}, ensure_ascii=False).encode("utf-8", "replace")
        if output is not None:
            body = body[:-1] + b',"output":' + output + b"}"
        try:
            headers = {"content-type": "application/json"}
            return _reply(self._posts.post(f"/v1/workers/{what}", content=body, headers=headers))
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            raise Unavailable("server_unreachable", f"no answer to `{what}`: {_said(error)}") from None


def _reply(response: httpx.Response) -> Reply:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Reply(response.status_code, kind, response.content)


def _fitting(spec: Spec, leave: Leave) -> dict[str, Any]:
    """Arguments for the function, from the bytes that were judged. Raises `NotFollowed` for what does not fit."""
    try:
        arguments = spec.read(leave.judged)
        spec.signature.bind(**arguments)
    except Exception as error:
        raise NotFollowed(f"the arguments do not fit the function: {error}") from None
    return arguments


def _value(spec: Spec, arguments: dict[str, Any]) -> Any:
    value = spec.fn(**arguments)
    if inspect.iscoroutine(value):
        return asyncio.run(value)
    return value


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_SAID_MAX]
