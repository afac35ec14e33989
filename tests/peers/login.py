"""Log-ins at real servers: the example of the official TypeScript SDK, and a server on the Python SDK.

A call without a log-in fails with a code before anything happens. After a log-in by a scripted
browser it works; a token that ended is renewed by whoever is first, from several processes at once;
one that was revoked ends with the code; logging out gives it back.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import browser  # noqa: E402
import gateway  # noqa: E402
import peer  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.stdio import StdioServerParameters  # noqa: E402
from mcp.shared.exceptions import MCPError  # noqa: E402
from report import check, end, fail  # noqa: E402

SERVER = "tracker"
NEEDED = "upstream_login_needed"
LIFE_S = 2
EXAMPLE = peer.MODULES / "@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js"
ON_THE_SDK = Path(__file__).parent / "lib/login_server.py"


def code_of(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return ((error.error.data or {}).get("aecl") or {}).get("code")


async def call(data, tool, arguments):
    """What one session of an agent gets: the text of the answer, or the code that stands in its way."""
    command = gateway.aecl(data, "mcp", "--embedded", "--server", SERVER)
    found = []
    try:
        params = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
        async with Client(params, mode="legacy", read_timeout_seconds=60) as session:
            result = await session.call_tool(tool, arguments)
            if result.is_error:
                return ((result.meta or {}).get("aecl") or {}).get("code")
            return result.content[0].text
    except* MCPError as group:
        found.append(group)
    return code_of(found[0])


def home(folder, url, **oauth):
    """A directory of AECL in front of the server; its tools are not known yet."""
    data = folder / "data"
    gateway.run(gateway.init(data, SERVER))
    gateway.write_config(data, {SERVER: url}, oauth={"allow_private": True, **oauth})
    return data


def import_fails(data):
    try:
        gateway.run(gateway.import_catalogue(data, SERVER))
    except gateway.Problem as problem:
        return f"aecl servers login {SERVER}" in str(problem)
    return False


def state(data):
    return json.loads(gateway.run(gateway.logins(data)))["servers"][0]


def typescript(folder):
    port, auth_port = peer.free_port(), peer.free_port()
    url = f"http://localhost:{port}/mcp"
    environment = {**os.environ, "MCP_PORT": str(port), "MCP_AUTH_PORT": str(auth_port)}
    log = folder / "server.log"
    with open(log, "wb") as out:
        child = subprocess.Popen([peer.NODE, str(EXAMPLE), "--oauth", "--oauth-strict"], env=environment, stdout=out, stderr=out)
    try:
        gateway.wait_for(url)
        gateway.wait_for(f"http://localhost:{auth_port}/.well-known/oauth-authorization-server")
        data = home(folder, url)
        check("typescript: without a log-in nothing is taken in, and the command is named", import_fails(data))
        offer, done = browser.login(gateway.login(data, SERVER))
        check("typescript: who gives the token is named", offer["issuer"].startswith(f"http://localhost:{auth_port}"), offer)
        check("typescript: what it has no way to renew is said", done["renews"] is False and done["expires_at"], done)
        gateway.run(gateway.import_catalogue(data, SERVER))
        gateway.review(data, SERVER)
        said = asyncio.run(call(data, "greet", {"name": "Ada"}))
        check("typescript: a call carries the log-in", said == "Hello, Ada!", said)
        gateway.run(gateway.aecl(data, "servers", "logout", SERVER))
        said = asyncio.run(call(data, "greet", {"name": "Bob"}))
        check("typescript: after logging out there is none", said == NEEDED, said)
        gateway.run(gateway.verify(data))
    finally:
        child.kill()
        child.wait()


def python(folder):
    port = peer.free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    log = folder / "server.log"
    command = [sys.executable, "-W", "ignore", str(ON_THE_SDK), str(port), str(LIFE_S)]
    with gateway.Process(command, url, log) as server:
        # The SDK's place to give tokens back wants the client's secret in the body, whatever it says of itself.
        data = home(folder, url, client_auth="client_secret_post")
        check("python: without a log-in nothing is taken in, and the command is named", import_fails(data))
        browser.login(gateway.login(data, SERVER))
        gateway.run(gateway.import_catalogue(data, SERVER))
        gateway.review(data, SERVER)
        said = asyncio.run(call(data, "list_notes", {}))
        check("python: a call carries the log-in", said == "one note", said)

        # It ends by its own clock.
        time.sleep(LIFE_S + 1)
        said = asyncio.run(call(data, "list_notes", {}))
        check("python: a token that ended is renewed", said == "one note", said)

        # It ends at the server, and several processes find out at once.
        homes = [data, *(twin(folder, data, number) for number in range(2))]
        server.child.send_signal(signal.SIGUSR1)

        async def all_at_once():
            return await asyncio.gather(*(call(one, "list_notes", {}) for one in homes))

        said = asyncio.run(all_at_once())
        check("python: processes that renew at once do not burn the log-in", said == ["one note"] * 3, said)
        check("python: no refresh token came twice", "a second time" not in log.read_text(), log.read_text()[-300:])

        # Its owner takes it back.
        server.child.send_signal(signal.SIGUSR2)
        said = asyncio.run(call(data, "list_notes", {}))
        check("python: a revoked log-in ends with the code", said == NEEDED, said)
        check("python: and is shown as ended", state(data)["state"] == "ended", state(data))
        browser.login(gateway.login(data, SERVER))
        said = asyncio.run(call(data, "list_notes", {}))
        check("python: logging in again is all it takes", said == "one note", said)
        gateway.run(gateway.aecl(data, "servers", "logout", SERVER))
        check("python: logging out gives it back", "given back" in log.read_text(), log.read_text()[-300:])
        gateway.run(gateway.verify(data))


def twin(folder, data, number):
    """Another home with a ledger of its own, that shares the log-in of the first."""
    other = folder / f"twin-{number}"
    gateway.run(gateway.init(other, SERVER))
    (other / "aecl.yaml").write_bytes((data / "aecl.yaml").read_bytes())
    (other / "secrets").symlink_to(data / "secrets")
    key = other / "keys/secrets.key"
    key.unlink(missing_ok=True)
    key.symlink_to(data / "keys/secrets.key")
    gateway.run(gateway.import_catalogue(other, SERVER))
    gateway.review(other, SERVER)
    return other


def main():
    why = gateway.missing("init", "servers", "mcp", "catalog")
    if why:
        fail("log-ins", why)
        end()
    for walk in (typescript, python):
        with tempfile.TemporaryDirectory() as folder:
            try:
                walk(Path(folder))
            except (gateway.Problem, subprocess.TimeoutExpired, OSError) as problem:
                fail(walk.__name__, problem)
    end()


main()
