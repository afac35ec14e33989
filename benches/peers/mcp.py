"""One call of an MCP tool that reads: to the server itself, and through those who stand in front of it."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import ours
import peers
import rules as work
from upstream import STATELESS
from wire import Wire

HERE = Path(__file__).parent
ARGUMENTS = {"order": "order-00000001", "amount": 1250}
TINY = ["python3", "-u", str(HERE / "upstream.py"), "stdio"]


class Pipes:
    """A client on the pipes of a program."""

    def __init__(self, words, **more):
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)
        self.last = 0
        who = {"name": "bench", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        self.send({"method": "notifications/initialized"})
        self.ask("tools/list", {})

    def send(self, message):
        self.child.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        while True:
            line = self.child.stdout.readline()
            if not line:
                raise RuntimeError(f"a server has ended before its answer to `{method}`; its words are above")
            if json.loads(line).get("id") == self.last:
                return json.loads(line)

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class OnPipes(peers.Contestant):
    def call(self, times):
        for _ in range(times):
            answer = self.pipes.ask("tools/call", {"name": "get_order", "arguments": ARGUMENTS})
            assert answer["result"]["content"][0]["text"] == "paid", answer

    def answers(self):
        return None

    def close(self):
        self.pipes.close()


class Direct(OnPipes):
    about = "the server itself, on pipes"

    def __init__(self, _folder, _rules):
        self.pipes = Pipes(TINY)


class AeclMcp(OnPipes):
    def __init__(self, folder, _rules, program):
        self.about = f"`aecl mcp` of {ours.tell(program, folder, '--version').strip()}, beside `aecl serve`"
        home = folder / "home"
        words = ["init", "--agent", work.AGENT, "--server", "tiny", "--origin", "bench/peers"]
        ours.tell(program, home, *words)
        ours.configure(home)
        self.server = ours.Server(program, home)
        call = ours.command(program, home, "mcp", "--server", "tiny", "--", *TINY)
        self.pipes = Pipes(call, env={**os.environ, **ours.ENVIRONMENT})

    def close(self):
        super().close()
        self.server.close()


class ToolkitProxy(OnPipes):
    def __init__(self, folder, _rules):
        version = importlib.metadata.version("agent-governance-toolkit-core")
        self.about = f"`agentmesh proxy --policy moderate --no-footer` of {version}, record in memory"
        words = [str(Path(sys.executable).with_name("agentmesh")), "proxy", "--policy", "moderate", "--no-footer"]
        for word in TINY:
            words += ["--target", word]
        # It prints a banner and deprecations beside the protocol.
        self.pipes = Pipes(words, stderr=(folder / "proxy.log").open("w"))


class OnHttp(peers.Contestant):
    """A client that keeps its connection where the other end lets it."""

    def listen(self, address, path, key=None):
        self.wire = Wire(address, key)
        meta = {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": "get_order", "arguments": ARGUMENTS, "_meta": meta}
        head = [
            "Accept: application/json, text/event-stream",
            f"MCP-Protocol-Version: {STATELESS}",
            "Mcp-Method: tools/call",
            "Mcp-Name: get_order",
        ]
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        self.request = self.wire.request("POST", path, asked, head)

    def before(self):
        self.wire.close()
        self.call(1)

    def call(self, times):
        for _ in range(times):
            status, body = self.wire.ask(self.request)
            assert status == 200 and json.loads(body)["result"]["content"][0]["text"] == "paid", body

    def fresh(self, times):
        """The same by a client that opens a connection for each call."""
        for _ in range(times):
            self.wire.close()
            self.call(1)

    def answers(self):
        return None

    def close(self):
        self.wire.close()
        self.upstream.kill()
        self.upstream.wait()

    def start(self):
        words = [sys.executable, str(HERE / "upstream.py"), "http"]
        self.upstream = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        return f"127.0.0.1:{self.upstream.stdout.readline().strip()}"


class DirectHttp(OnHttp):
    about = "the server itself, over HTTP"

    def __init__(self, _folder, _rules):
        self.listen(self.start(), "/mcp")


class AeclHttp(OnHttp):
    def __init__(self, folder, _rules, program):
        self.about = f"`aecl serve` of {ours.tell(program, folder, '--version').strip()}, /mcp/{work.AGENT}"
        home, url = folder / "home", f"http://{self.start()}/mcp"
        words = ["init", "--agent", work.AGENT, "--server", "tiny", "--origin", "bench/peers"]
        ours.tell(program, home, *words)
        tiny = f'{{ tiny: {{ kind: http, url: "{url}", allow_private: true, listen: false }} }}'
        ours.configure(home, servers=tiny)
        self.server = ours.Server(program, home)
        self.listen(self.server.address, f"/mcp/{work.AGENT}", (home / "keys/operator.key").read_text().strip())

    def close(self):
        super().close()
        self.server.close()


class CtrlrunGateway(OnHttp):
    def __init__(self, folder, _rules):
        version = importlib.metadata.version("ctrlrun")
        self.about = f"`ctrlrun gateway` of {version}, its SQLite store (WAL, synchronous=NORMAL) and JSON lines"
        actions = {"mcp.tiny.get_order": {"decision": "allow"}}
        (folder / "ctrlrun.yaml").write_text(json.dumps({"schema": "ctrlrun.policy/v2", "actions": actions}))
        url, address = f"http://{self.start()}/mcp", f"127.0.0.1:{free_port()}"
        words = [str(Path(sys.executable).with_name("ctrlrun")), "gateway", "--upstream", url, "--alias", "tiny"]
        words += ["--principal", work.AGENT, "--listen", address]
        log = folder / "gateway.log"
        self.gateway = subprocess.Popen(words, cwd=folder, stdout=log.open("w"), stderr=subprocess.STDOUT)
        self.listen(address, "/mcp")
        until_it_listens(address, self.gateway, log)

    def close(self):
        self.gateway.terminate()
        self.gateway.wait()
        super().close()


def free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def until_it_listens(address, child, log):
    host, port = address.rsplit(":", 1)
    for _ in range(600):
        if child.poll() is not None:
            raise RuntimeError(f"`{child.args[0]}` has ended:\n{log.read_text()}")
        try:
            return socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"`{child.args[0]}` does not listen on {address} after 30 s:\n{log.read_text()}")


CONTESTANTS = {
    "direct": Direct,
    "aecl-mcp": AeclMcp,
    "toolkit-proxy": ToolkitProxy,
    "direct-http": DirectHttp,
    "aecl-http": AeclHttp,
    "ctrlrun-gateway": CtrlrunGateway,
}
