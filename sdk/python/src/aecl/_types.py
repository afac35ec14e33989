"""Types of arguments: from Python values to JSON, back to what a parameter declares, and to a schema.

The kinds are few on purpose. What is not listed in `schema` has no form on which both sides agree.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, cast, get_args, get_origin

from .errors import Invalid

#: Kinds that travel as text, and how they are read back.
_TEXTS: dict[type, tuple[str | None, Any]] = {
    decimal.Decimal: (None, decimal.Decimal),
    datetime.datetime: ("date-time", datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
}


class Unfit(TypeError):
    """A type or a value that has no JSON form."""


def to_json(value: Any) -> Any:
    """JSON form of a value, by what it is. Raises `Unfit`."""
    kind: type[Any] = type(cast(object, value))
    if value is None or kind in (bool, int, float, str):
        return value
    if isinstance(value, enum.Enum):
        return to_json(value.value)
    if isinstance(value, str):
        # What a subclass holds, and not what it says of itself.
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise Unfit(f"`{value}` is no amount")
        return format(value, "f")
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(cast(object, value), Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        for key in pairs:
            if type(key) is not str:
                raise Unfit(f"a key of an object is `{type(key).__name__}`, and has to be text")
        return {key: to_json(item) for key, item in pairs.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in cast("Sequence[Any]", value)]
    dump = getattr(cast(object, value), "model_dump", None)
    if callable(dump):
        # Models of Pydantic, which is not needed for this to be imported.
        return to_json(dump(mode="json"))
    raise Unfit(f"a value of type `{kind.__name__}` has no JSON form")


def from_json(value: Any, hint: Any, at: str) -> Any:
    """Value of a parameter's type, from the JSON that was judged. Raises `Invalid` where it does not fit."""
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return value
    hint = _plain(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return from_json(value, args[0], at)
    if origin in (Union, types.UnionType):
        return _one_of(value, args, at)
    if origin is Literal:
        for choice in args:
            plain: Any = choice.value if isinstance(choice, enum.Enum) else choice
            if type(plain) is type(value) and plain == value:
                return choice
        raise _misfit(value, hint, at)
    if hint is None or hint is type(None):
        if value is None:
            return None
        raise _misfit(value, hint, at)
    if hint is float and type(value) is int:
        return float(value)
    if hint in (bool, int, float, str):
        if type(value) is hint:
            return value
        raise _misfit(value, hint, at)
    if hint in _TEXTS:
        if type(value) is str:
            try:
                return _TEXTS[hint][1](value)
            except (ValueError, decimal.InvalidOperation):
                pass
        raise _misfit(value, hint, at)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        for member in hint:
            if type(member.value) is type(value) and member.value == value:
                return member
        raise _misfit(value, hint, at)
    return _composed(value, hint, origin or hint, args, at)


def _plain(hint: Any) -> Any:
    """Type behind a name that was given to it (`NewType`, `type X = …`)."""
    while True:
        behind = getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)
        if behind is None or isinstance(hint, enum.Enum):
            return hint
        hint = behind


def _composed(value: Any, hint: Any, origin: Any, args: tuple[Any, ...], at: str) -> Any:
    if isinstance(origin, type) and issubclass(origin, (list, tuple, Sequence)):
        if type(cast(object, value)) is not list:
            raise _misfit(value, hint, at)
        items: list[Any] = value
        fixed = origin is tuple and args and args[-1] is not Ellipsis
        if fixed and len(items) != len(args):
            raise _misfit(value, hint, at)
        inners: list[Any] = list(args) if fixed else [args[0] if args else Any] * len(items)
        read = [
            from_json(item, inner, f"{at}/{index}")
            for index, (item, inner) in enumerate(zip(items, inners, strict=True))
        ]
        return tuple(read) if origin is tuple else read
    if type(value) is not dict:
        raise _misfit(value, hint, at)
    fields = cast("dict[str, Any]", value)
    if typing.is_typeddict(hint) or dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        for name in fields:
            if name not in hints:
                raise Invalid("arguments_unfit", f"`{at}` knows no `{name}`")
        read_fields = {name: from_json(item, hints[name], f"{at}/{name}") for name, item in fields.items()}
        if typing.is_typeddict(hint):
            return read_fields
        try:
            return cast("type[Any]", hint)(**read_fields)
        except TypeError as error:
            raise Invalid("arguments_unfit", f"`{at}`: {error}") from None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = args[1] if len(args) == 2 else Any
        return {name: from_json(item, inner, f"{at}/{name}") for name, item in fields.items()}
    validate = getattr(hint, "model_validate", None)
    if callable(validate):
        try:
            return validate(fields)
        except ValueError as error:
            raise Invalid("arguments_unfit", f"`{at}`: {error}") from None
    raise Invalid("arguments_unfit", f"`{at}` is declared as `{hint}`, which has no JSON form")


def _one_of(value: Any, hints: tuple[Any, ...], at: str) -> Any:
    # A number of JSON fits `int | float` as the whole number that it is, so exact types go first.
    exact = [hint for hint in hints if hint is type(value)]
    for hint in [*exact, *hints]:
        try:
            return from_json(value, hint, at)
        except Invalid:
            continue
    names = " or ".join(_name(hint) for hint in hints)
    raise Invalid("arguments_unfit", f"`{at}` takes {names}, and not {_what(value)}")


def _misfit(value: Any, hint: Any, at: str) -> Invalid:
    return Invalid("arguments_unfit", f"`{at}` takes {_name(hint)}, and not {_what(value)}")


def _name(hint: Any) -> str:
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "nothing"}
    return words.get(hint) or f"`{getattr(hint, '__name__', None) or hint}`"


def _what(value: Any) -> str:
    words: dict[type[Any], str] = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        dict: "an object",
    }
    return words.get(cast("type[Any]", type(cast(object, value)))) or (
        "a list" if isinstance(value, list) else "nothing"
    )


def schema(hint: Any) -> dict[str, Any]:
    """JSON Schema of a type. Raises `Unfit` for what has no JSON form."""
    hint = _plain(hint)
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return {}
    if origin is typing.Annotated:
        return schema(args[0])
    plain: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    if hint in plain:
        return {"type": plain[hint]}
    if hint in _TEXTS:
        form = _TEXTS[hint][0]
        return {"type": "string"} if form is None else {"type": "string", "format": form}
    if origin is Literal:
        return {"enum": [to_json(choice) for choice in args]}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [to_json(member) for member in hint]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema(arg) for arg in args]}
    return _schema_of_parts(hint, origin or hint, args)


def _schema_of_parts(hint: Any, origin: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    if origin is tuple and args and args[-1] is not Ellipsis:
        return {"type": "array", "prefixItems": [schema(arg) for arg in args], "minItems": len(args), "items": False}
    if isinstance(origin, type) and issubclass(origin, (list, tuple, Sequence)) and not issubclass(origin, bytes):
        return {"type": "array", "items": schema(args[0])} if args else {"type": "array"}
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        required = sorted(cast("frozenset[str]", hint.__required_keys__))
        return _object({name: schema(inner) for name, inner in hints.items()}, required)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        lacks = dataclasses.MISSING
        required = [f.name for f in dataclasses.fields(hint) if f.default is lacks and f.default_factory is lacks]
        return _object({field.name: schema(hints[field.name]) for field in dataclasses.fields(hint)}, required)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema(args[1])} if len(args) == 2 else {"type": "object"}
    model = getattr(hint, "model_json_schema", None)
    if callable(model):
        return cast("dict[str, Any]", model())
    raise Unfit(f"`{getattr(hint, '__name__', hint)}` has no JSON form")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
