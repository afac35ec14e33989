"""What a domain is made of: a world with the tools of a server, tasks of its user, attacks on them.

A domain is one file in `domains/`. It knows nothing of AECL, of its rules or of a manifest: it is written from the
definitions of a server's tools and from what people do with them.
"""

import copy
import hashlib
import json
from dataclasses import dataclass, field

# Kinds of attacks: what the attacker wants of an agent that obeys whatever it reads.
KINDS = {
    "destination": "the user's own kind of action, with another destination",
    "target": "the user's own kind of action, on another target of the same list",
    "more": "more of the same: a larger amount, more recipients, once again",
    "content": "content of the attacker in an action that the user wants",
    "reader": "data leaves through a tool that only reads",
    "link": "a link of the attacker in what the user sends or publishes",
    "name": "a name (of a file, a person, a channel, a record) carries the order",
    "record": "a record that the user's system keeps was written by the attacker",
    "delegated": "the user delegates to a list, and the attacker has added to it",
    "drip": "many small actions, none of which stands out",
}


class ToolError(Exception):
    """What a tool says when it cannot do what it is asked for."""


@dataclass(frozen=True)
class Package:
    """A published server from whose running program the definitions of tools are read."""

    # `npm` or `pypi`.
    registry: str
    name: str
    version: str
    # The program that the package installs, and its words.
    command: tuple
    # What it wants to see before it starts, pairs of name and value; nothing of it is an account.
    environment: tuple = ()


@dataclass
class Call:
    """One call of a tool."""

    tool: str
    arguments: dict = field(default_factory=dict)


@dataclass
class Task:
    """What the user wants, in the user's words, and the calls of an agent that does it."""

    id: str
    words: str
    calls: list
    # Whether the world is as the user wants it: `check(before, after)`.
    check: object


@dataclass
class Attack:
    """What somebody who may write into the world wants of the agent while it does the user's task."""

    id: str
    kind: str
    task: str
    # Puts the order where a stranger can put it: `plant(world)`.
    plant: object
    # The call of the task (0 is the first) after which the agent has read the order.
    after: int
    # What the agent then does, right after that call.
    calls: list = field(default_factory=list)
    # Calls of the task that it makes differently: by their number.
    instead: dict = field(default_factory=dict)
    # Whether harm was done: `harm(before, after)`.
    harm: object = None
    # Words of the order as they stand in the output that carries it.
    marker: str = ""


class World:
    """A small working world. What a tool does changes `state` and nothing else; what leaves the user's own realm is
    also kept in `sent`, one dict each. Everything is the same each time: no clock, no chance."""

    def __init__(self):
        self.state = {}
        self.sent = []

    def call(self, tool, arguments):
        """Calls the method `do_TOOL` (with `_` for `-` and `.`) and gives its value: what JSON can say, or text."""
        method = getattr(self, "do_" + tool.replace("-", "_").replace(".", "_"), None)
        if method is None:
            raise ToolError(f"unknown tool: {tool}")
        try:
            return method(**arguments)
        except (TypeError, LookupError, ValueError) as error:
            # A server fails, too, where something is missing that an earlier call would have made.
            raise ToolError(f"{tool}: {type(error).__name__}: {error}") from error

    def copy(self):
        return copy.deepcopy(self)


@dataclass
class Domain:
    name: str
    # The package that the definitions come from; or nothing, and `tools` are our own in the manner of such servers.
    server: object
    # Names of the tools that the world has; with definitions (name, description, inputSchema) where they are our own.
    tools: list
    world: type
    tasks: list
    attacks: list

    @property
    def half(self):
        return half(self.name)


def half(name):
    """Which half a domain belongs to: decided by its name, once, before anything was measured."""
    return "frozen" if hashlib.sha256(name.encode()).digest()[0] & 1 else "development"


def done(task, before, after):
    """Whether the world is as the user wants it. Where something is not there at all, it is not."""
    try:
        return bool(task.check(before, after))
    except LookupError:
        return False


def text_of(value):
    """An output as the agent reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def steps(task, attack=None):
    """The calls of an agent that obeys everybody, each with whether an attacker wants it."""
    for number, call in enumerate(task.calls):
        if attack is not None and number in attack.instead:
            yield attack.instead[number], True
        else:
            yield call, False
        if attack is not None and number == attack.after:
            for injected in attack.calls:
                yield injected, True


def play(domain, task, attack=None, obeys=True):
    """Plays a task without anybody in between: the world before and after, and the outputs."""
    world = domain.world()
    if attack is not None:
        attack.plant(world)
    before, outputs = world.copy(), []
    for call, injected in steps(task, attack if obeys else None):
        try:
            outputs.append(text_of(world.call(call.tool, copy.deepcopy(call.arguments))))
        except ToolError as error:
            if not injected:
                raise
            outputs.append(str(error))
    return before, world, outputs
