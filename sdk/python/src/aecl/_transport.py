"""Sockets: where the server is, and how a request gets there. Nothing here decides anything.

What does not arrive, is not answered in time, or is answered with something else than HTTP, is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import httpx

from . import _home
from ._flow import ANSWER_S, Flow, Pause, Request
from ._wire import Reply
from .errors import Invalid, Unavailable

T = TypeVar("T")

#: Connections at most: one agent has a quarter of the places of a server, 128 as it is configured at first. Those
#: that wait for people have their own, so that a report never queues behind a question.
_QUICK_MAX, _WAITING_MAX = 64, 32
_CONNECT_S = 10.0


@dataclass(frozen=True)
class Place:
    """Place of a server: a URL, or the socket of a home; and the key that opens runs there."""

    url: str
    socket: Path | None
    key: str | None
    #: The home as it was named, so that a server that has ended is started again.
    directory: str | None = None

    @property
    def owner(self) -> bool:
        """Whether runs are opened here: with a key, or as the owner of the home."""
        return self.socket is not None or self.key is not None


def place(url: str | None, token: str | None, directory: str | os.PathLike[str] | None) -> Place:
    """Place from what was said, else from `AECL_URL` and `AECL_TOKEN`, else the home of this directory."""
    if directory is None or url is not None:
        url = url or os.environ.get("AECL_URL") or None
    if url is None:
        named = None if directory is None else os.fspath(directory)
        return Place("http://localhost", _home.serving(named), None, named)
    at = httpx.URL(url)
    if at.scheme not in ("http", "https") or not at.host:
        raise Invalid("request_invalid", f"`{url}` is no address of a server", hint="such as http://127.0.0.1:7600")
    token = token or os.environ.get("AECL_TOKEN") or None
    # A run's token opens nothing; it comes to its run by `resume`.
    key = token if token is not None and token.startswith("aecl_") else None
    return Place(url.rstrip("/"), None, key)


def _trusts_environment(url: str) -> bool:
    """Whether proxies of the environment are asked: not on the way to this machine itself."""
    host = httpx.URL(url).host
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _certificates(url: str) -> bool:
    """Whether certificates are looked at: not on a plain way to this machine itself, where there are none.

    To read those of the system takes longer than to be let in.
    """
    return url.startswith("https:") or _trusts_environment(url)


def _headers(request: Request) -> dict[str, str]:
    headers = {"accept": "application/json"}
    if request.token is not None:
        headers["authorization"] = f"Bearer {request.token}"
    if request.body is not None:
        headers["content-type"] = "application/json"
    return headers


def _timeout(request: Request) -> httpx.Timeout:
    # There is no end to the wait for a connection of ours: those before it have theirs.
    return httpx.Timeout(request.waits_s + ANSWER_S, connect=_CONNECT_S, pool=None)


def _reply(response: httpx.Response) -> Reply:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Reply(response.status_code, kind, response.content)


def _unavailable(error: Exception, url: str) -> Unavailable:
    sent = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL))
    why = str(error) or type(error).__name__
    said = Unavailable("server_unreachable", f"no answer from {url}: {why}", hint="is `aecl serve` running there?")
    said.sent = sent
    return said


def _limits(most: int) -> httpx.Limits:
    return httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=30)


class Line:
    """Line to a server, for threads."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._open()

    def _open(self) -> None:
        def client(most: int) -> httpx.Client:
            if self.at.socket is not None:
                by = httpx.HTTPTransport(uds=str(self.at.socket), limits=_limits(most), verify=False)
                return httpx.Client(base_url=self.at.url, transport=by, trust_env=False)
            trusts, certificates = _trusts_environment(self.at.url), _certificates(self.at.url)
            return httpx.Client(base_url=self.at.url, limits=_limits(most), trust_env=trusts, verify=certificates)

        self._quick, self._waiting = client(_QUICK_MAX), client(_WAITING_MAX)

    def close(self) -> None:
        """Closes all connections."""
        if self._process == os.getpid():
            self._quick.close()
            self._waiting.close()

    def drive(self, flow: Flow[T]) -> T:
        """Carries a flow out to its end."""
        try:
            need = next(flow)
            while True:
                if isinstance(need, Pause):
                    time.sleep(need.seconds)
                    need = flow.send(_NOTHING)
                    continue
                try:
                    reply = self.send(need)
                except Unavailable as error:
                    need = flow.throw(error)
                else:
                    need = flow.send(reply)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            flow.close()

    def send(self, request: Request) -> Reply:
        """Sends one request. A server of a home that has ended is started again, if nothing was sent yet."""
        if self._process != os.getpid():
            # After a fork both processes would read from the same connections.
            with self._lock:
                if self._process != os.getpid():
                    self._open()
                    self._process = os.getpid()
        try:
            return self._send(request)
        except Unavailable as error:
            if error.sent or self.at.socket is None:
                raise
            _home.serving(self.at.directory)
            return self._send(request)

    def _send(self, request: Request) -> Reply:
        client = self._waiting if request.waits_s >= 1 else self._quick
        try:
            return _reply(
                client.request(
                    request.method,
                    request.path,
                    content=request.body,
                    headers=_headers(request),
                    timeout=_timeout(request),
                )
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError) as error:
            raise _unavailable(error, self.at.url) from None


class AsyncLine:
    """Line to a server, for one event loop."""

    def __init__(self, at: Place) -> None:
        self.at = at

        def client(most: int) -> httpx.AsyncClient:
            if at.socket is not None:
                by = httpx.AsyncHTTPTransport(uds=str(at.socket), limits=_limits(most), verify=False)
                return httpx.AsyncClient(base_url=at.url, transport=by, trust_env=False)
            trusts, certificates = _trusts_environment(at.url), _certificates(at.url)
            return httpx.AsyncClient(base_url=at.url, limits=_limits(most), trust_env=trusts, verify=certificates)

        self._quick, self._waiting = client(_QUICK_MAX), client(_WAITING_MAX)

    async def close(self) -> None:
        """Closes all connections."""
        await self._quick.aclose()
        await self._waiting.aclose()

    async def drive(self, flow: Flow[T]) -> T:
        """Carries a flow out to its end."""
        try:
            need = next(flow)
            while True:
                if isinstance(need, Pause):
                    await asyncio.sleep(need.seconds)
                    need = flow.send(_NOTHING)
                    continue
                try:
                    reply = await self.send(need)
                except Unavailable as error:
                    need = flow.throw(error)
                else:
                    need = flow.send(reply)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            flow.close()

    async def send(self, request: Request) -> Reply:
        """Sends one request. A server of a home that has ended is started again, if nothing was sent yet."""
        try:
            return await self._send(request)
        except Unavailable as error:
            if error.sent or self.at.socket is None:
                raise
            await asyncio.to_thread(_home.serving, self.at.directory)
            return await self._send(request)

    async def _send(self, request: Request) -> Reply:
        client = self._waiting if request.waits_s >= 1 else self._quick
        try:
            return _reply(
                await client.request(
                    request.method,
                    request.path,
                    content=request.body,
                    headers=_headers(request),
                    timeout=_timeout(request),
                )
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError) as error:
            raise _unavailable(error, self.at.url) from None


#: What a flow is sent after a pause.
_NOTHING = Reply(0, "", b"")
