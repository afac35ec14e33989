"""The official Python client, in front of servers of other people, with `aecl mcp` in between.

For each server and each era of the protocol: reading happens at once and returns what the
server returns; writing waits for a person, happens once after a yes, and a changed argument
asks again; an unknown tool is refused; the ledger verifies.

Usage: stdio_client.py [direct]
  direct   client and server alone: shows that the script's own side works
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import jsonschema

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import gateway  # noqa: E402
import peer  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.stdio import StdioServerParameters  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402
from report import check, end, fail, ok, skip  # noqa: E402

# `auto` asks for the newest protocol that both sides speak, `legacy` begins with `initialize`.
MODES = ("auto", "legacy")
TIMEOUT_S = 60
DEADLINE_S = 120
STATUS = "aecl"


@dataclass
class Peer:
    """One server with something to read and something to write, and a look behind its back."""

    name: str
    command: list[str]
    read: tuple[str, dict]
    write: tuple[str, dict]
    # The same tool with another argument: not what was approved.
    other: tuple[str, dict]
    # What the write did, and how to take it back so that a second time would be seen.
    effect: Callable[[], object]
    take_back: Callable[[], None] = lambda: None
    # A server may answer a tool that it does not have as if all were well. We may not.
    refuses_unknown: bool = True


def filesystem(folder):
    (folder / "read.txt").write_text("written by the test\n")
    target = folder / "note.txt"

    def write(content):
        return "write_file", {"path": str(target), "content": content}

    def effect():
        return target.read_text() if target.exists() else None

    read = "read_text_file", {"path": str(folder / "read.txt")}
    take_back = lambda: target.unlink(missing_ok=True)  # noqa: E731
    return Peer("filesystem", [*peer.FILESYSTEM, str(folder)], read, write("one"), write("two"), effect, take_back)


def sqlite(folder):
    file = folder / "notes.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE notes (body TEXT)")
        db.execute("INSERT INTO notes VALUES ('zero')")

    def effect():
        with sqlite3.connect(file) as db:
            return db.execute("SELECT group_concat(body) FROM notes").fetchone()[0]

    def write(body):
        return "write_query", {"query": f"INSERT INTO notes VALUES ('{body}')"}

    read = "read_query", {"query": "SELECT body FROM notes WHERE body = 'zero'"}
    return Peer("sqlite", [*peer.SQLITE, str(file)], read, write("one"), write("two"), effect, refuses_unknown=False)


def git(folder):
    def run(*words):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True).stdout

    run("init", "--quiet")
    run("commit", "--quiet", "--allow-empty", "--message", "zero")

    def write(branch):
        return "git_create_branch", {"repo_path": str(folder), "branch_name": branch}

    def effect():
        return run("branch", "--format=%(refname:short)")

    def take_back():
        run("branch", "--quiet", "-D", "one")

    read = "git_status", {"repo_path": str(folder)}
    return Peer("git", [*peer.GIT, str(folder)], read, write("one"), write("two"), effect, take_back)


PEERS = (filesystem, sqlite, git)


def client(command, mode):
    server = StdioServerParameters(command=command[0], args=command[1:])
    return Client(server, mode=mode, read_timeout_seconds=TIMEOUT_S)


async def look(command, mode, server):
    """Tools by name, and the answer to the read: what the server says when nobody is in between."""
    async with client(command, mode) as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        answer = await session.call_tool(*server.read)
        return tools, answer, session.protocol_version


async def refused(session):
    """Whether a tool that nobody has heard of is refused, in either of the two ways."""
    try:
        return (await session.call_tool("no_such_tool", {})).is_error
    except MCPError:
        return True


def definition(tool):
    return tool.model_dump(exclude={"meta"}, exclude_none=True)


def status(result):
    """What AECL says about a call that it did not carry out."""
    return (result.meta or {}).get(STATUS) or {}


async def alone(name, server, mode):
    """Without us. Shows that the script reads, writes and looks behind the server's back."""
    tools, answer, version = await look(server.command, mode, server)
    check(f"{name} speaks {version} and lists {len(tools)} tools", server.read[0] in tools and server.write[0] in tools)
    check(f"{name} read is answered", not answer.is_error, answer)
    async with client(server.command, mode) as session:
        before = server.effect()
        result = await session.call_tool(*server.write)
        check(f"{name} write happens", not result.is_error and server.effect() != before, result)
        if server.refuses_unknown:
            check(f"{name} unknown tool is refused", await refused(session))
    return tools, answer


async def through(name, server, mode, command, data, tools, answer):
    tool = tools[server.write[0]]
    async with client(command, mode) as session:
        ours = {tool.name: tool for tool in (await session.list_tools()).tools}
        strange = [n for n, t in ours.items() if n not in tools or definition(t) != definition(tools[n])]
        listed = server.read[0] in ours and server.write[0] in ours
        check(f"{name} tools are listed unchanged", listed and not strange, f"{sorted(ours)}; not the server's: {strange}")

        result = await session.call_tool(*server.read)
        same = (result.content, result.structured_content) == (answer.content, answer.structured_content)
        check(f"{name} read is allowed and answers the same", same and not result.is_error, result)

        before = server.effect()
        result = await session.call_tool(*server.write)
        waits = status(result)
        check(f"{name} write waits for a person", result.is_error and waits.get("status") == "pending", result)
        check(f"{name} nothing happened meanwhile", server.effect() == before, server.effect())
        check(f"{name} waiting answer is readable by every client", readable(result, tool), result)

        approval = waits.get("approval_id", "absent")
        queue = json.loads(gateway.run(gateway.list_approvals(data)))
        check(f"{name} the queue shows it", approval in json.dumps(queue), f"`{approval}` is not in {queue}")

        gateway.run(gateway.approve(data, approval))
        changed = await session.call_tool(*server.other)
        asked = status(changed)
        differs = asked.get("status") == "pending" and asked.get("approval_id") != approval
        check(f"{name} changed argument asks again", differs and server.effect() == before, changed)

        result = await session.call_tool(*server.write)
        check(f"{name} identical retry happens", not result.is_error and server.effect() != before, result)
        server.take_back()
        after = server.effect()
        result = await session.call_tool(*server.write)
        check(f"{name} it happens once", server.effect() == after, f"{after} became {server.effect()}: {result}")

        check(f"{name} unknown tool is refused", await refused(session))
    gateway.run(gateway.verify(data))
    ok(f"{name} ledger verifies")


def readable(result, tool):
    """Whether a client that checks structured content against the tool's schema keeps the answer."""
    if not tool.output_schema:
        return (result.structured_content or {}).get(STATUS) == status(result)
    if result.structured_content is None:
        return True
    return jsonschema.Draft202012Validator(tool.output_schema).is_valid(result.structured_content)


async def try_one(make, mode, with_aecl):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        (folder / "alone").mkdir()
        (folder / "ours").mkdir()
        server = make(folder / "alone")
        name = f"{server.name} {mode}"
        tools, _ = await asyncio.wait_for(alone(f"alone {name}", server, mode), DEADLINE_S)
        if not with_aecl:
            return
        server = make(folder / "ours")
        _, answer, _ = await asyncio.wait_for(look(server.command, mode, server), DEADLINE_S)
        data = folder / "data"
        said = gateway.run(gateway.init(data, server.name))
        gateway.write_config(data, {}, hold_ms=0)
        command = gateway.client_entry(said, server.name, server.command)
        try:
            await asyncio.wait_for(through(name, server, mode, command, data, tools, answer), DEADLINE_S)
        finally:
            gateway.stop_background(data)


def reasons(error):
    """The reasons inside a group of exceptions, which the client's task group makes of any one."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(reasons(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def main():
    with_aecl = "direct" not in sys.argv[1:]
    try:
        why = with_aecl and gateway.missing("init", "mcp", "approvals", "log")
    except gateway.Problem as problem:
        why = None
        with_aecl = False
        fail("through aecl", problem)
    if why:
        (fail if gateway.REQUIRED else skip)("through aecl", why)
        with_aecl = False
    for make in PEERS:
        for mode in MODES:
            try:
                asyncio.run(try_one(make, mode, with_aecl))
            except Exception as error:
                fail(f"{make.__name__} {mode}", reasons(error))
    end()


main()
