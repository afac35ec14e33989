"""The client that the conformance suite looks at: AECL in front of the suite's server, an MCP client before it, and an
operator who logs in when AECL says that somebody has to.

Usage: conformance_client.py URL, as the suite starts it.
"""

import asyncio
import json
import os
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import browser  # noqa: E402
import gateway  # noqa: E402
import mcp_types as t  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.stdio import StdioServerParameters  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402

SERVER = "conformance"
SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
VERSION = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25")
# The address that the suite wants to see as the client's id.
CLIENT_METADATA = "https://conformance-test.local/client-metadata.json"
LOGIN_NEEDED = "upstream_login_needed"
# What a person who is asked fills in, where a form has no answer of its own.
BLANKS = {"string": "eu", "integer": 3, "number": 3, "boolean": True, "array": [], "object": {}}


def oauth():
    said = {"allow_private": True}
    if SCENARIO == "auth/basic-cimd":
        said["client_metadata_url"] = CLIENT_METADATA
    if SCENARIO == "auth/2025-03-26-oauth-endpoint-fallback":
        said["assume_endpoints"] = True
    if "client_id" in CONTEXT and "client_secret" in CONTEXT:
        said |= {"client_id": CONTEXT["client_id"], "client_secret": "env:CONFORMANCE_CLIENT_SECRET"}
        os.environ["CONFORMANCE_CLIENT_SECRET"] = CONTEXT["client_secret"]
        said["issuer"] = CONTEXT.get("issuer") or named_issuer()
    if "client-credentials" in SCENARIO:
        said["grant"] = "client_credentials"
    return {name: value for name, value in said.items() if value is not None}


def named_issuer():
    """What an operator who was given an id and a secret also knows: who gave them."""
    url = urllib.parse.urlsplit(sys.argv[1])
    place = f"{url.scheme}://{url.netloc}/.well-known/oauth-protected-resource{url.path}"
    with urllib.request.urlopen(place, timeout=20) as answer:
        return json.load(answer)["authorization_servers"][0]


def calls(tools):
    """What the agent calls: what the suite says, or else each tool with something that fits."""
    known = {tool.name: tool for tool in tools}
    said = [(call["name"], call["arguments"]) for call in CONTEXT.get("toolCalls", []) if call["name"] in known]
    if said:
        return said
    found = []
    for tool in tools:
        schema = tool.input_schema
        properties = schema.get("properties", {})
        found.append((tool.name, {name: BLANKS[properties[name].get("type", "string")] for name in schema.get("required", [])}))
    return found


async def fill_in(context, params):
    """A person who leaves every field of a form as it is, and opens no page."""
    if not hasattr(params, "requested_schema"):
        return t.ElicitResult(action="decline")
    fields = params.requested_schema.get("properties", {})
    return t.ElicitResult(action="accept", content={name: field["default"] for name, field in fields.items() if "default" in field})


def code_of(meta):
    return ((meta or {}).get("aecl") or {}).get("code")


async def use(data):
    """One session of an agent: lists the tools and calls each. Gives what stands in the way, if something does."""
    command = gateway.aecl(data, "mcp", "--embedded", "--server", SERVER)
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    mode = "auto" if VERSION >= "2026" else "legacy"
    found = []
    try:
        async with Client(server, mode=mode, read_timeout_seconds=30, elicitation_callback=fill_in) as session:
            for name, arguments in calls((await session.list_tools()).tools):
                result = await session.call_tool(name, arguments)
                print(f"{name}: {result.model_dump_json()[:300]}", file=sys.stderr)
                if result.is_error:
                    return code_of(result.meta) or "tool_error"
    except* MCPError as group:
        found.append(group)
    return refusal(found[0]) if found else None


def refusal(error):
    """The code of the first refusal in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(f"{error}: {error.error.data}", file=sys.stderr)
    return code_of(error.error.data) or "refused"


def take_in(data):
    """The tools of the server, as a person reviews them."""
    for _ in range(3):
        try:
            gateway.run(gateway.import_catalogue(data, SERVER))
            break
        except gateway.Problem as problem:
            if "wants a log-in" not in str(problem):
                raise
            login(data)
    else:
        raise gateway.Problem("the server is not content with any log-in")
    gateway.review(data, SERVER)


def login(data):
    offer, done = browser.login(gateway.login(data, SERVER))
    print(f"logged in: {offer} {done}", file=sys.stderr)


def main():
    with tempfile.TemporaryDirectory() as data:
        gateway.run(gateway.init(data, SERVER))
        gateway.write_config(data, {SERVER: sys.argv[1]}, oauth=oauth())
        take_in(data)
        # An operator logs in as often as AECL asks for it. That this comes to an end is AECL's doing.
        for _ in range(10):
            code = asyncio.run(use(data))
            print(f"ended with {code}", file=sys.stderr)
            if code != LOGIN_NEEDED:
                break
            login(data)
        sys.exit(0 if code is None else 1)


try:
    main()
except gateway.Problem as problem:
    sys.exit(str(problem))
