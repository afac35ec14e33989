"""Leave for a worker to call one function once: what is looked at before anything is done with it.

It is made by the server when this process accepts, for the nonce that this process has made up for that. So it is for
now, for this process and for exactly these bytes, whatever the clocks say and whoever has copied what before. Whoever
does not have the server's key makes none.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from . import _json, _wire
from ._flow import Judged
from .errors import Error, Unauthorized, Unavailable
from .verify import ed25519

#: How the key of a worker begins; behind the dot stands the key that signs for its server.
PREFIX = "aecl_w_"
#: Most ids that are remembered.
_SEEN_MAX = 100_000
#: Functions that may change something.
ACTS = frozenset({"perform", "compensate"})


def now() -> float:
    """Seconds that have passed, the sleep of the machine included. No wall clock is asked."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class NotFollowed(Exception):
    """What was handed over is no leave for this; nothing was done.

    `ours`: the server has signed it for this very acceptance, so it may be told that nothing was done. Of any other
    permit nothing is said: it may be one of something that is underway.
    """

    ours = False


@dataclass(frozen=True)
class Key:
    """Key of a worker, and the public key of the server that it works for."""

    token: str
    public: bytes

    @classmethod
    def of(cls, token: str | None, public: str | None = None) -> Key:
        """Takes the key that `aecl keys add worker` has made. `public`: another key that signs, in base64url."""
        token = token or os.environ.get("AECL_WORKER_TOKEN") or ""
        if not token.startswith(PREFIX):
            raise Unauthorized(
                "token_missing",
                "a worker needs a key of its own",
                hint="`aecl keys add worker NAME --action ACTION` makes one; give it as token= or AECL_WORKER_TOKEN",
            )
        signs = public or token.partition(".")[2]
        try:
            key = base64.b64decode(signs + "=" * (-len(signs) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32 or not ed25519.is_key(key):
            raise Unauthorized(
                "token_invalid",
                "the key of the worker does not say whose calls it follows",
                hint="take the whole of what `aecl keys add worker` prints, or give the server's key as public=",
            )
        return cls(token, key)

    def __repr__(self) -> str:
        # Not the token, which must not stand in logs.
        return f"<Key of a worker, for {self.public.hex()[:16]}>"


def signed(token: str, key: bytes, kind: str) -> dict[str, Any]:
    """Claims that this key has signed, in a token of exactly this kind. Raises `NotFollowed`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise NotFollowed("it is no signed token")
    try:
        header, claims, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in parts
        )
        said, of = _wire.fields(header), _wire.fields(claims)
    except (binascii.Error, ValueError, Error):
        raise NotFollowed("it is no signed token") from None
    if said.get("alg") != "EdDSA" or said.get("typ") != kind or "crit" in said:
        raise NotFollowed(f"it is no `{kind}`, signed with Ed25519")
    if not ed25519.verify(key, f"{parts[0]}.{parts[1]}".encode("ascii"), signature):
        raise NotFollowed("it is not signed by the server of this worker")
    return of


def _expect(of: dict[str, Any], expected: dict[str, str]) -> None:
    for claim, value in expected.items():
        if of.get(claim) != value:
            raise NotFollowed(f"its `{claim}` is another than this worker has asked for")


def _lasts_s(of: dict[str, Any]) -> float:
    begin, end = of.get("iat"), of.get("exp")
    if type(begin) is not int or type(end) is not int or end <= begin:
        raise NotFollowed("it does not say for how long it is good")
    return float(end - begin)


def greeting(token: str, key: Key, instance: str, nonce: str) -> tuple[str, str]:
    """Name of the server, and the name by which it knows this worker."""
    try:
        of = signed(token, key.public, "aecl-worker+jwt")
        _expect(of, {"aud": "aecl:worker", "instance": instance, "nonce": nonce})
        return _wire.text(of, "iss"), _wire.text(of, "sub")
    except (NotFollowed, Unavailable) as error:
        raise Unauthorized(
            "server_foreign",
            f"who answers is not the server that has made the key of this worker: {error}",
            hint="look at the address; for a home with new keys, make the worker a new key, too",
        ) from None


@dataclass(frozen=True)
class Leave:
    """Leave to call one function once, with exactly these bytes."""

    permit: str
    delivery: str
    call: str
    action: str
    function: str
    key: str
    timeout_s: float
    lease_s: float
    judged: Judged
    until: float

    def check(self) -> None:
        """Refuses to begin too late: by then the server may have given it up."""
        if now() >= self.until:
            raise NotFollowed("it ran out before the function was called")


class Verifier:
    """What one process looks at, and what it has seen before."""

    def __init__(self, key: Key, instance: str) -> None:
        self._key, self._instance = key, instance
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, float] = OrderedDict()

    def leave(
        self, of: dict[str, Any], *, issuer: str, name: str, offer: tuple[str, str, str], nonce: str, since: float
    ) -> Leave:
        """Leave in the answer to an acceptance that was sent at `since`. Raises `NotFollowed`; each is taken once."""
        permit, text = of.get("permit"), of.get("arguments")
        if type(permit) is not str or type(text) is not str:
            raise NotFollowed("there is no permit, or nothing that it is for")
        delivery = offer[0]
        claims = signed(permit, self._key.public, "aecl-work+jwt")
        expected = {"iss": issuer, "aud": "aecl:work", "sub": name, "instance": self._instance, "nonce": nonce}
        _expect(claims, {**expected, "jti": delivery})
        try:
            return self._taken(permit, text, claims, offer, since)
        except NotFollowed as error:
            error.ours = True
            raise

    def _taken(
        self, permit: str, text: str, claims: dict[str, Any], offer: tuple[str, str, str], since: float
    ) -> Leave:
        delivery, action, function = offer
        _expect(claims, {"serves": action, "function": function})
        try:
            judged = Judged(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise NotFollowed("the arguments are no text") from None
        if claims.get("arguments") != _json.digest(judged.text):
            raise NotFollowed("the arguments are not those that were judged")
        try:
            arguments = json.loads(judged.text)
            call, named, key = (_wire.text(claims, claim) for claim in ("call", "action", "key"))
        except (ValueError, Error):
            raise NotFollowed("it says less than it should") from None
        if type(arguments) is not dict:
            raise NotFollowed("the arguments are no object")
        timeout_ms, lease_ms = claims.get("timeout_ms"), claims.get("lease_ms")
        if type(timeout_ms) is not int or type(lease_ms) is not int:
            raise NotFollowed("it does not say for how long the function may run")
        until = since + _lasts_s(claims)
        leave = Leave(permit, delivery, call, named, function, key, timeout_ms / 1000, lease_ms / 1000, judged, until)
        leave.check()
        # What acts does so once for an action, whatever deliveries there are of it.
        self._once(f"jti {delivery}", f"call {call} {function}" if function in ACTS else None)
        return leave

    def _once(self, *names: str | None) -> None:
        with self._lock:
            named = [name for name in names if name is not None]
            if any(name in self._seen for name in named):
                raise NotFollowed("it was followed before")
            for name in named:
                self._seen[name] = now()
            while len(self._seen) > _SEEN_MAX:
                self._seen.popitem(last=False)


def claims_of(body: bytes) -> dict[str, Any]:
    """Object in a line or an answer of the server."""
    return _wire.fields(body)
