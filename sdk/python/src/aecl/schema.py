"""Typed actions from signatures: `python -m aecl.schema module:function …` prints entries for the catalogue.

What a signature says is written: name, description, arguments. What it cannot say, `effect` first of all, is left for
a person, and the entry does not load until it is there. Everything else that is left out has the strict reading: it
cannot be undone, its output is a stranger's and private, and a person is asked each time.
"""

from __future__ import annotations

import argparse
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
    lines += [
        "  # Left out, and so read strictly: `fields` (where it goes, how much), `args` (what each value is),",
        "  # `reversibility` and `compensation` (it cannot be undone), `output` (a stranger's, and private),",
        "  # `approval` (a person is asked each time). `aecl policy why NAME` says what each line would change.",
    ]
    return "\n".join(lines)


def _found(of: str) -> Callable[..., Any]:
    module, colon, name = of.partition(":")
    if not colon or not name:
        raise Unclear(f"`{of}` names no function; write MODULE:FUNCTION")
    try:
        thing: Any = importlib.import_module(module)
        for part in name.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as error:
        raise Unclear(f"`{of}` is not there: {error}") from None
    if not callable(thing):
        raise Unclear(f"`{of}` is no function")
    return cast("Callable[..., Any]", thing)


def main(words: Sequence[str] | None = None) -> int:
    """The command. Ends with 2 if something is unclear; then nothing is printed to standard output."""
    parser = argparse.ArgumentParser(prog="python -m aecl.schema", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("function", nargs="+", metavar="MODULE:FUNCTION")
    parser.add_argument("--json", action="store_true", help="entries as JSON, without what is left for a person")
    chosen = parser.parse_args(words)
    # Modules of the directory that this is called in, as with `python -m`.
    sys.path.insert(0, os.getcwd())
    try:
        entries = [(entry(_found(of)), of) for of in chosen.function]
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
