"""Official clients over Streamable HTTP, through `aecl serve`, in front of a server on the official SDK.

The Python client in both eras of the protocol, the TypeScript client in the older one: what it
gets is what the server says; what was not reviewed waits for a person and happens once; what
the server asks meanwhile reaches the client; two servers stand behind one address.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import gateway  # noqa: E402
import httpx2  # noqa: E402
import mcp_types as t  # noqa: E402
import peer  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.extension import ClientExtension, ResultClaim  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from pydantic import ConfigDict, Field  # noqa: E402
from report import check, end, fail, ok  # noqa: E402

FIRST, SECOND = "first", "second"
TIMEOUT_S = 60
DEADLINE_S = 180
READS = {
    "test_simple_text",
    "test_tool_with_progress",
    "test_sampling",
    "test_input_required_result_elicitation",
}
MODES = {"auto": "2026-07-28", "legacy": "2025-11-25"}


async def answer_sampling(context, params):
    return t.CreateMessageResult(
        role="assistant", model="none", content=t.TextContent(type="text", text="an answer of the client")
    )


async def answer_elicitation(context, params):
    return t.ElicitResult(action="accept", content={"name": "Ada"})


class Task(t.Result):
    """A handle instead of a result."""

    result_type: Literal["task"] = Field(alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str


class Raw(t.Result):
    """Whatever the answer holds."""

    model_config = ConfigDict(extra="allow")


class GetTask(t.Request[dict, Literal["tasks/get"]]):
    """A poll; its subject stands in a header, too."""

    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class Tasks(ClientExtension):
    """What a client does that knows tasks: a person says yes, and it polls until the task is over."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, data):
        self.data, self.seen = data, []

    async def finish(self, task, context):
        request = GetTask(params={"taskId": task.task_id})
        approved = False
        while True:
            state = (await context.session.send_request(request, Raw)).model_dump(by_alias=True)
            self.seen.append(state["status"])
            if state["status"] == "completed":
                return t.CallToolResult.model_validate(state["result"])
            if not approved:
                approval = re.search(r"apr_\w+", state["statusMessage"]).group()
                await asyncio.to_thread(gateway.run, gateway.approve(self.data, approval))
                approved = True
            await asyncio.sleep(0.1)

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.finish)]


@contextlib.asynccontextmanager
async def client(url, mode, key=None, extensions=()):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_S) as http:
        transport = streamable_http_client(url, http_client=http)
        callbacks = {"sampling_callback": answer_sampling, "elicitation_callback": answer_elicitation}
        async with Client(transport, mode=mode, read_timeout_seconds=TIMEOUT_S, extensions=extensions, **callbacks) as session:
            yield session


def text(result):
    return result.content[0].text


async def python(mode, direct, url, key, data):
    name = f"python {mode}"
    async with client(direct, mode) as session:
        alone = {tool.name: tool for tool in (await session.list_tools()).tools}
    async with client(f"{url}/{FIRST}", mode, key) as session:
        check(f"{name} speaks {MODES[mode]}", session.protocol_version == MODES[mode], session.protocol_version)
        ours = {tool.name: tool for tool in (await session.list_tools()).tools}
        check(f"{name} tools are listed unchanged", ours == alone, f"{sorted(ours)}")
        result = await session.call_tool("test_simple_text", {})
        check(f"{name} a reviewed tool answers", "simple text response" in text(result), result)

        steps = []

        async def progress(done, total, message):
            steps.append(done)

        await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        check(f"{name} progress arrives in order", steps == [0, 50, 100], steps)

        if mode == "legacy":
            result = await session.call_tool("test_sampling", {"prompt": "?"})
            check(f"{name} the server may ask the client", "an answer of the client" in text(result), result)
        else:
            result = await session.call_tool("test_input_required_result_elicitation", {})
            check(f"{name} the server may ask back", "Ada" in text(result), result)

        result = await session.call_tool("test_image_content", {})
        waits = (result.meta or {}).get("aecl") or {}
        check(f"{name} what nobody has reviewed waits", waits.get("status") == "pending", result)
        await asyncio.to_thread(gateway.run, gateway.approve(data, waits.get("approval_id", "absent")))
        result = await session.call_tool("test_image_content", {})
        check(f"{name} it happens after the yes", not result.is_error and result.content[0].type == "image", result)

        result = await session.read_resource("test://static-text")
        check(f"{name} a resource is read", "static text resource" in result.contents[0].text, result)

    if mode == "auto":
        tasks = Tasks(data)
        async with client(f"{url}/{FIRST}", mode, key, [tasks]) as session:
            result = await session.call_tool("test_audio_content", {})
            begins = tasks.seen[:1] in (["working"], ["input_required"])
            check(f"{name} what waits is a task", begins and tasks.seen[-1] == "completed", tasks.seen)
            check(f"{name} the task has the result", result.content[0].type == "audio", result)

    async with client(url, mode, key) as session:
        names = [tool.name for tool in (await session.list_tools()).tools]
        expected = [f"{server}__{tool}" for server in (FIRST, SECOND) for tool in alone]
        check(f"{name} two servers stand behind one address", names == expected, names)
        result = await session.call_tool(f"{SECOND}__test_simple_text", {})
        check(f"{name} the second server answers", "simple text response" in text(result), result)


def typescript(url, key):
    calls = [["test_simple_text", {}], ["test_tool_with_progress", {}], ["test_sampling", {"prompt": "?"}], ["test_audio_content", {}]]
    script = Path(__file__).parent / "lib/typescript_client.mjs"
    command = [peer.NODE, str(script), str(peer.MODULES), f"{url}/{FIRST}", key, json.dumps(calls)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if not check("typescript ends well", ended.returncode == 0, ended.stderr[-400:]):
        return
    said = json.loads(ended.stdout)
    results = {name: result["content"][0].get("text", "") for name, result in said["results"].items()}
    check("typescript has a session", said["session"] and said["version"] == "2025-11-25", said["version"])
    check("typescript a reviewed tool answers", "simple text response" in results["test_simple_text"], results)
    check("typescript progress arrives in order", said["progress"][:3] == [0, 50, 100], said["progress"])
    check("typescript the server may ask the client", "an answer of the client" in results["test_sampling"], results)
    waits = said["results"]["test_audio_content"].get("_meta", {}).get("aecl", {})
    check("typescript what nobody has reviewed waits", waits.get("status") == "pending", said["results"])


async def run(folder):
    data = folder / "data"
    ports = {FIRST: peer.free_port(), SECOND: peer.free_port()}
    addresses = {name: f"http://127.0.0.1:{port}/mcp" for name, port in ports.items()}
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            command = [*peer.CONFORMANCE_SERVER, str(port)]
            stack.enter_context(gateway.Process(command, addresses[name], folder / f"{name}.log"))
        gateway.run(gateway.init(data, FIRST, SECOND))
        gateway.write_config(data, addresses)
        for name in ports:
            gateway.run(gateway.import_catalogue(data, name))
            gateway.review(data, name, READS)
        key = gateway.run(gateway.new_key(data)).strip()
        port = peer.free_port()
        url = gateway.endpoint(port)
        stack.enter_context(gateway.Process(gateway.serve(data, port), url, folder / "gateway.log"))
        for mode in MODES:
            try:
                await asyncio.wait_for(python(mode, addresses[FIRST], url, key, data), DEADLINE_S)
            except Exception as error:
                fail(f"python {mode}", reasons(error))
        await asyncio.to_thread(typescript, url, key)
        try:
            async with client(url, "legacy") as session:
                await session.list_tools()
            fail("without a key nobody comes in", "somebody did")
        except Exception:
            ok("without a key nobody comes in")
        gateway.run(gateway.verify(data))
        ok("the ledger verifies afterwards")


def reasons(error):
    """The reasons inside a group of exceptions, which the client's task group makes of any one."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(reasons(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def main():
    why = gateway.missing("init", "serve", "catalog", "approvals")
    if why:
        fail("over http", why)
        end()
    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(run(Path(folder).resolve()))
        except (gateway.Problem, subprocess.TimeoutExpired) as problem:
            fail("over http", problem)
    end()


main()
