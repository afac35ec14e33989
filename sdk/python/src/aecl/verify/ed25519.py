"""Ed25519 signatures, verified only (RFC 8032). Nothing here is secret, so nothing takes constant time.

Strict: a key, a point and a number have one spelling each, and points of small order are neither
keys nor parts of signatures. Of the two equations that the RFC allows it is the one without cofactor.
"""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

# x, y, z and x·y/z: the point is (x/z, y/z).
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """The sum of two points, which may be the same."""
    ax, ay, az, at = a
    bx, by, bz, bt = b
    e = (ay - ax) * (by - bx) % P
    f = (ay + ax) * (by + bx) % P
    g = 2 * at * bt * D % P
    h = 2 * az * bz % P
    x, z, w, y = f - e, h - g, h + g, f + e
    return x * z % P, w * y % P, z * w % P, x * y % P


def double(a: Point) -> Point:
    """The sum of a point with itself."""
    x, y, z, _ = a
    xx, yy = x * x % P, y * y % P
    h = xx + yy
    e = h - (x + y) * (x + y) % P
    g = xx - yy
    f = 2 * z * z % P + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def is_small(a: Point) -> bool:
    """Whether eight times the point is the neutral one."""
    x, y, z, _ = double(double(double(a)))
    return x % P == 0 and (y - z) % P == 0


def decode(text: bytes) -> Point | None:
    """The point with this spelling, if there is one."""
    if len(text) != 32:
        return None
    number = int.from_bytes(text, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode(a: Point) -> bytes:
    """The spelling of a point."""
    x, y, z, _ = a
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Y = 4 * pow(5, -1, P) % P
BASE: Point = (_X, _Y, 1, _X * _Y % P)


def is_key(key: bytes) -> bool:
    """Whether these bytes are a public key, and none of small order."""
    point = decode(key)
    return point is not None and not is_small(point)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of the key has signed the message."""
    if len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    public, nonce = decode(key), decode(r)
    if public is None or nonce is None or s >= L or is_small(public) or is_small(nonce):
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    x, y, z, t = public
    minus: Point = (-x % P, y, z, -t % P)
    steps = (NEUTRAL, BASE, minus, add(BASE, minus))
    sum_ = NEUTRAL  # s·BASE − k·public, both a bit at a time
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        sum_ = double(sum_)
        step = (s >> bit & 1) | (k >> bit & 1) << 1
        if step:
            sum_ = add(sum_, steps[step])
    return encode(sum_) == r
