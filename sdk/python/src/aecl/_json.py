"""Canonical JSON (RFC 8785): the bytes that are sent, judged, compared with the permit, and read again to act.

What has no single meaning is refused here as the server would refuse it: numbers that not every reader keeps, lone
surrogates, keys that are no text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from .errors import Invalid, Unavailable

_SAFE = 2**53 - 1
_DEPTH_MAX = 64


def canonical(value: Any) -> bytes:
    """Canonical bytes of a JSON value. Raises `Invalid` for what is none."""
    out: list[str] = []
    _write(value, out, 0)
    try:
        return "".join(out).encode("utf-8")
    except UnicodeEncodeError:
        raise Invalid("json_invalid", "a text holds a lone surrogate") from None


def digest(text: bytes) -> str:
    """SHA-256 as the server writes it: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(text).hexdigest()


def read(text: bytes) -> Any:
    """JSON value of an answer. A doubled key or a number that is none has no single meaning: `Unavailable`."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unavailable("answer_unreadable", f"the answer is no JSON with a single meaning: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"`{text}` is no number")


def _write(value: Any, out: list[str], depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise Invalid("json_too_deep", f"arguments are nested deeper than {_DEPTH_MAX}")
    # `type`, not `isinstance`: a subclass may print itself as something else than it is.
    kind = type(cast(object, value))
    if value is None:
        out.append("null")
    elif kind is bool:
        out.append("true" if value else "false")
    elif kind is int:
        if abs(value) > _SAFE:
            raise Invalid("json_number", f"{value} is beyond 2^53 - 1; send it as text")
        out.append(str(value))
    elif kind is float:
        out.append(_number(value))
    elif kind is str:
        out.append(json.dumps(value, ensure_ascii=False))
    elif kind is list or kind is tuple:
        out.append("[")
        for index, item in enumerate(cast("list[Any]", value)):
            if index:
                out.append(",")
            _write(item, out, depth + 1)
        out.append("]")
    elif isinstance(cast(object, value), Mapping):
        _write_object(value, out, depth)
    else:
        raise Invalid("arguments_unfit", f"a value of type `{kind.__name__}` is no JSON")


def _write_object(value: Mapping[Any, Any], out: list[str], depth: int) -> None:
    for key in value:
        if type(key) is not str:
            raise Invalid("arguments_unfit", f"a key of an object is `{type(key).__name__}`, and has to be text")
    out.append("{")
    # By UTF-16 code units; a lone surrogate is found when the whole is encoded.
    keys = sorted(value, key=lambda key: cast(str, key).encode("utf-16-be", "surrogatepass"))
    for index, key in enumerate(keys):
        if index:
            out.append(",")
        out.append(json.dumps(key, ensure_ascii=False))
        out.append(":")
        _write(value[key], out, depth + 1)
    out.append("}")


def _number(value: float) -> str:
    """A float as ECMAScript writes it, from the shortest digits that read back as the same."""
    if value != value or value in (float("inf"), float("-inf")):
        raise Invalid("json_number", f"`{value}` is no number of JSON")
    if value == 0 and str(value).startswith("-"):
        raise Invalid("json_number", "a negative zero")
    if abs(value) > _SAFE:
        raise Invalid("json_number", f"{value!r} is beyond 2^53 - 1; send it as text")
    if value == int(value):
        return str(int(value))
    text = repr(abs(value))
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to `point`.
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if 0 < point <= 21:
        return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
