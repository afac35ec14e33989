"""What the tools of a domain answer, without any value: for whoever writes its manifest and may not see its tasks.

Usage: shapes.py DOMAIN
Prints one JSON object: tool, then path in its output (`*` for any item or key) and what kinds of values stand there, as
they come up in the tasks of its users.
"""

import json
import re
import sys

import check
import kit

FORMS = (
    ("empty text", r"^$"),
    ("email", r"^[^@\s]+@[^@\s]+\.[a-z]+$"),
    ("url", r"^[a-z]+://\S+$"),
    ("date or time", r"^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?$"),
    ("number as text", r"^-?\d+([.,]\d+)?$"),
    ("one word", r"^\S{1,64}$"),
    ("up to 3 words and 64 characters", r"^(?=.{1,64}$)\S+( \S+){1,2}$"),
)


def form(value):
    if value is None or isinstance(value, (bool, int, float)):
        return {type(None): "null", bool: "switch"}.get(type(value), "number")
    return next((name for name, pattern in FORMS if re.match(pattern, value)), "longer text")


def is_map(value):
    """Whether its keys are data: what they lead to all looks alike, and is no plain value."""
    items = list(value.values())
    return len(items) > 1 and all(isinstance(item, dict) for item in items) and len({tuple(sorted(i)) for i in items}) == 1


def add(shape, value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            add(shape, item, path + ("/*" if is_map(value) else f"/{key.replace('~', '~0').replace('/', '~1')}"))
    elif isinstance(value, list):
        for item in value:
            add(shape, item, path + "/*")
    else:
        shape.setdefault(path, set()).add(form(value))


def read(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def of(domain):
    tools = {}
    for task in domain.tasks:
        _, _, outputs = kit.play(domain, task)
        for call, output in zip(task.calls, outputs, strict=True):
            add(tools.setdefault(call.tool, {}), read(output))
    return {tool: {path: sorted(kinds) for path, kinds in shape.items()} for tool, shape in tools.items()}


if __name__ == "__main__":
    print(json.dumps(of(check.load(sys.argv[1])), indent=1))
