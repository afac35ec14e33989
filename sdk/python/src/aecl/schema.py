"""Typed actions from signatures: `python -m aecl.schema MODULE[:NAME] …` prints entries for the catalogue.

NAME is a function, a list of functions or a worker; without it, everything in the module that is guarded or served.
`aecl catalog import --python` writes them down, with what their names suggest.

What a signature says is written: name, description, arguments. What it cannot say, `effect` first of all, is left for
a person, and the entry does not load until it is there. Everything else that is left out has the strict reading: it
cannot be undone, its output is a stranger's and private, and a person is asked each time.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from . import _types
from ._async import AsyncGuarded
from ._spec import Spec
from ._sync import Guarded
from .worker import Worker

_GOOGLE = re.compile(r"^\s{2,}(\*{0,2}\w+)\s*(?:\([^)]*\))?:\s+(.+)$")
_SPHINX = re.compile(r"^\s*:param\s+(?:\S+\s+)?(\w+):\s*(.+)$")
_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters|Returns|Raises|Yields|Example|Examples|Note|Notes):\s*$")


class Unclear(Exception):
    """What a signature does not say well enough for an entry."""


def entry(fn: Callable[..., Any], name: str | None = None) -> dict[str, Any]:
    """Entry of a function for the catalogue, without `effect`, which only a person can say."""
    unjudged: Sequence[str] = ()
    if isinstance(cast(object, fn), (Guarded, AsyncGuarded)):
        guarded: Any = fn
        name, unjudged = name or guarded.action, guarded._settings.unjudged
        fn = inspect.unwrap(guarded._fn)
    name = name or fn.__name__
    spec = Spec(fn, unjudged)
    said, parameters = _documentation(inspect.getdoc(fn) or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in spec.signature.parameters.values():
        if parameter.name in spec.unjudged:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            raise Unclear(
                f"`{name}` takes `**{parameter.name}`; list its arguments, since a rule judges what it knows"
            )
        if parameter.name not in spec.hints:
            raise Unclear(f"`{name}` does not say of which type `{parameter.name}` is")
        try:
            properties[parameter.name] = _types.schema(spec.hints[parameter.name])
        except _types.Unfit as error:
            raise Unclear(f"`{name}`, `{parameter.name}`: {error}") from None
        if parameter.name in parameters:
            properties[parameter.name]["description"] = parameters[parameter.name]
        # The library names every argument, those with a default as well; so does whoever else calls.
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    arguments: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        arguments["required"] = required
    made: dict[str, Any] = {"name": name}
    if said:
        made["description"] = said
    made["arguments"] = arguments
    return made


def _documentation(text: str) -> tuple[str, dict[str, str]]:
    """First paragraph of a docstring, and what it says of parameters."""
    paragraph: list[str] = []
    parameters: dict[str, str] = {}
    section, first = "", True
    for line in text.splitlines():
        if found := _SECTION.match(line):
            section, first = found[1], False
        elif sphinx := _SPHINX.match(line):
            parameters[sphinx[1]], first = sphinx[2].strip(), False
        elif section in ("Args", "Arguments", "Parameters") and (google := _GOOGLE.match(line)):
            parameters[google[1].lstrip("*")] = google[2].strip()
        elif first and line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            first = False
    return " ".join(paragraph), parameters


def written(made: dict[str, Any], of: str) -> str:
    """Entry as it stands in a file of `policy/actions/`, with what is left for a person."""

    def plain(value: Any) -> str:
        # JSON is YAML, and needs no rules of quoting of our own.
        return json.dumps(value, ensure_ascii=False)

    lines = [f"# From the signature of `{of}`.", f"- name: {plain(made['name'])}"]
    if "description" in made:
        lines.append(f"  description: {plain(made['description'])}")
    lines += [
        "  # For you to say, since it does not load without: read, write, delete, send, pay, execute, deploy, grant.",
        "  # effect:",
        "  arguments:",
        "    type: object",
        "    properties:" if made["arguments"]["properties"] else "    properties: {}",
    ]
    lines += [f"      {plain(name)}: {plain(of)}" for name, of in made["arguments"]["properties"].items()]
    if "required" in made["arguments"]:
        lines.append(f"    required: {plain(made['arguments']['required'])}")
    lines += [f"  {key}: {plain(made[key])}" for key in ("connector", "idempotency") if key in made]
    lines += [
        "  # Left out, and so read strictly: `fields` (where it goes, how much), `args` (what each value is),",
        "  # `reversibility` and `compensation` (it cannot be undone), `output` (a stranger's, and private),",
        "  # `approval` (a person is asked each time). `aecl policy why NAME` says what each line would change.",
    ]
    return "\n".join(lines)


def _named(of: str) -> Any:
    module, _, name = of.partition(":")
    try:
        thing: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as error:
        raise Unclear(f"`{of}` is not there: {error}") from None
    return thing


def _entries(of: str) -> list[dict[str, Any]]:
    """Entries of what a word of the command names."""
    thing = _named(of)
    if isinstance(thing, Worker):
        return [_served(action, served) for action, served in thing.serves().items()]
    if isinstance(thing, (list, tuple)):
        return [entry(_callable(fn, of)) for fn in cast("Sequence[Any]", thing)]
    if not inspect.ismodule(thing):
        return [entry(_callable(thing, of))]
    made: list[dict[str, Any]] = []
    # Each once, under whatever names it is there.
    for held in {id(held): held for held in cast("dict[str, object]", vars(thing)).values()}.values():
        if isinstance(held, (Guarded, AsyncGuarded)):
            made.append(entry(cast("Callable[..., Any]", held)))
        elif isinstance(held, Worker):
            made += [_served(action, served) for action, served in held.serves().items()]
    if not made:
        raise Unclear(f"nothing in `{of}` is guarded, and it has no worker; write MODULE:FUNCTION or MODULE:LIST")
    return made


def _callable(thing: Any, of: str) -> Callable[..., Any]:
    if not callable(thing):
        raise Unclear(f"`{of}` is no function, no list of functions and no worker")
    return cast("Callable[..., Any]", thing)


def _served(action: str, functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    made = entry(functions["perform"], action)
    made["connector"] = {"kind": "worker"}
    if "lookup" in functions:
        made["idempotency"] = "verifiable"
    return made


def main(words: Sequence[str] | None = None) -> int:
    """The command. Ends with 2 if something is unclear; then nothing is printed to standard output."""
    parser = argparse.ArgumentParser(prog="python -m aecl.schema", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("of", nargs="+", metavar="MODULE[:NAME]")
    parser.add_argument("--json", action="store_true", help="entries as JSON, without what is left for a person")
    chosen = parser.parse_args(words)
    # Modules of the directory that this is called in, as with `python -m`.
    sys.path.insert(0, os.getcwd())
    try:
        # What a module prints while it is imported is no part of what is asked for.
        with contextlib.redirect_stdout(sys.stderr):
            entries = [(made, of) for of in chosen.of for made in _entries(of)]
    except (Unclear, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps([made for made, _ in entries], ensure_ascii=False, indent=2))
    else:
        print("\n\n".join(written(made, of) for made, of in entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
