"""What is guarded: the signature of a function as typed arguments, and what an exception of it means."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Sequence
from typing import Any

from . import _types
from ._flow import UNRECORDED, Judged, Outcome
from .errors import Invalid, NotDone


class Spec:
    """Signature of a guarded function: which arguments are judged, and how they are read back.

    `unjudged` names parameters that are passed on as they are and that AECL never sees: a context, a session.
    """

    def __init__(self, fn: Callable[..., Any], unjudged: Sequence[str]) -> None:
        self.fn = fn
        self.signature = inspect.signature(fn)
        self.unjudged = frozenset(unjudged)
        name = getattr(fn, "__qualname__", repr(fn))
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(f"`{name}` is a generator: calling it does nothing yet, so its call cannot be guarded")
        for index, parameter in enumerate(self.signature.parameters.values()):
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise TypeError(f"`{name}` takes `{parameter}` without a name; only named arguments can be judged")
            if index == 0 and parameter.name in ("self", "cls"):
                raise TypeError(
                    f"`{name}` is a method without its object; guard the bound one: run.guard(thing.method)"
                )
        missing = self.unjudged - self.signature.parameters.keys()
        if missing:
            raise TypeError(f"`{name}` has no parameter `{min(missing)}`")
        try:
            self.hints = typing.get_type_hints(fn, include_extras=True)
        except NameError as error:
            raise TypeError(f"a type of `{name}` is not known where it is guarded: {error}") from None

    def judge(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Judged, dict[str, Any]]:
        """Arguments to be judged, with the defaults of the function, and beside them those that are not.

        Raises `Invalid` for what does not fit the signature; then nothing is proposed.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid("arguments_unfit", f"{getattr(self.fn, '__name__', 'the function')}: {error}") from None
        bound.apply_defaults()
        judged: dict[str, Any] = {}
        beside: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if name in self.unjudged:
                beside[name] = value
            elif self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                judged.update(value)
            else:
                judged[name] = value
        try:
            sent = Judged.of({name: _types.to_json(value) for name, value in judged.items()})
            # A part that was left out and has a default of its own (a field of a dataclass) is judged with it.
            whole = self._whole(sent)
            again = self._whole(whole)
        except (_types.Unfit, RecursionError) as error:
            raise Invalid("arguments_unfit", str(error)) from None
        if again.text != whole.text:
            raise Invalid("arguments_unfit", "the arguments are not the same when they are read again")
        return whole, beside

    def _whole(self, sent: Judged) -> Judged:
        return Judged.of({name: _types.to_json(value) for name, value in self.read(sent).items()})

    def read(self, judged: Judged) -> dict[str, Any]:
        """Arguments for the function, read anew from the bytes that were judged."""
        return {name: _types.from_json(value, self._hint(name), name) for name, value in judged.read().items()}

    def _hint(self, name: str) -> Any:
        if name in self.signature.parameters:
            return self.hints.get(name, Any)
        rest = [p.name for p in self.signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
        return self.hints.get(rest[0], Any) if rest else Any


def begun(value: Any, name: str) -> Any:
    """The value, unless it is something that has not begun: nothing was done, and nothing is reported as done."""
    if inspect.iscoroutine(value):
        value.close()
    elif not (inspect.isgenerator(value) or inspect.isasyncgen(value) or inspect.isawaitable(value)):
        return value
    raise NotDone(f"`{name}` gave back a `{type(value).__name__}`, which has not begun; guard what acts")


def output_of(value: Any, encode: Callable[[Any], Any] | None) -> tuple[bytes | None, str | None, str]:
    """Output of an action as JSON, or the code and the words for why there is none.

    Whole numbers of any size are kept: nothing is judged by them before it comes back as an argument.
    """
    try:
        plain = _types.to_json(value if encode is None else encode(value))
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except Exception as error:
        # It was done. Whatever is wrong with what came out must not look as if it was not.
        return None, UNRECORDED, f"the output could not be recorded: {error}"
    return text, None, ""


def meaning(error: BaseException, surely: tuple[type[Exception], ...]) -> tuple[Outcome, str, str]:
    """Outcome, code and words for what ended a function: unknown, unless it says that nothing has happened."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, (NotDone, *surely)):
        return "failed", type(error).__name__, said
    return "unknown", type(error).__name__, said


def arguments_of(of: Any) -> Judged:
    """Arguments that were given as a mapping."""
    try:
        plain: Any = _types.to_json(of)
    except (_types.Unfit, RecursionError) as error:
        raise Invalid("arguments_unfit", str(error)) from None
    if type(plain) is not dict:
        raise Invalid("arguments_not_object", "arguments are an object: a name for each value")
    return Judged.of(typing.cast("dict[str, Any]", plain))
