"""Envoy in front of an API, with AECL asked before each request and told afterwards: the real proxy with the configuration of
the guide as it stands. agentgateway's questions come from a client of our own, by the published numbers of its protocol.
"""

import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import envoy  # noqa: E402
import grpc  # noqa: E402

from report import check, end  # noqa: E402

AECL = os.environ["AECL_BIN"]
GUIDE = pathlib.Path(__file__).parents[2] / "docs/guides/envoy.md"
PROGRAM = pathlib.Path(envoy.__file__).parent / "_bin/envoy"
DEADLINE_S = 30


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(what, holds):
    """Waits until it holds; gives what it gave."""
    deadline = time.monotonic() + DEADLINE_S
    while not (given := holds()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it does not come: {what}")
        time.sleep(0.02)
    return given


def blocks():
    """The files that the guide shows, by name."""
    text = GUIDE.read_text()
    found = re.findall(r"```yaml\n(.*?)```", text, re.S)
    action = next(block for block in found if block.startswith("# policy/actions/"))
    return action, next(block for block in found if block.startswith("static_resources"))


class Bank:
    """The API behind: it keeps what it gets, and answers as the account says."""

    def __init__(self):
        bank = self
        self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                bank.got.append((self.command, self.path, dict(self.headers), body))
                if "/drop/" in self.path:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status = {"/fail/": 500, "/refuse/": 409}.get(next((p for p in ("/fail/", "/refuse/") if p in self.path), ""), 200)
                said = json.dumps({"id": len(bank.got)}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class World:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.home, self.bank = self.dir / "home", Bank()
        self.port, self.ask_port, self.listen = free_port(), free_port(), f"127.0.0.1:{free_port()}"
        action, proxy = blocks()
        self.aecl("init", "--agent", "payer", "--example", "none", "--origin", "bank.example/aecl")
        config = self.home / "aecl.yaml"
        text = re.sub(r"(?m)^listen:.*$", f"listen: {self.listen}", config.read_text())
        config.write_text(f"{text}\nproxy_listen: 127.0.0.1:{self.ask_port}\n")
        (self.home / "policy/actions").mkdir(exist_ok=True)
        (self.home / "policy/actions/transfer_funds.yaml").write_text(action)
        notes = {"name": "notes.add", "effect": "write", "severity": 1, "egress": "none", "reversibility": "reversible",
                 "approval": {"always": False}, "output": {"untrusted": False, "private": False},
                 "arguments": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
                 "args": {"text": {"class": "content"}}}
        (self.home / "policy/actions/notes.json").write_text(json.dumps([notes]))
        (self.home / "policy/agents/payer.yaml").unlink()
        (self.home / "policy/agents/payer.json").write_text(json.dumps({
            "agent_id": "payer", "description": "Pays.", "allowed_actions": ["transfer_funds", "notes.add"],
            "approvers": ["operators"], "max_questions_per_run": 50, "breaker_after": 500,
        }))
        self.key = self.aecl("keys", "add", "proxy", "envoy").strip()
        self.other = self.aecl("keys", "add", "proxy", "other").strip()
        self.orchestrator = self.aecl("keys", "add", "orchestrator", "tests", "--agent", "payer").strip()
        self.operator = (self.home / "keys/operator.key").read_text().strip()
        for old, new in (("port_value: 10000", f"port_value: {self.port}"), ("port_value: 7601", f"port_value: {self.ask_port}"),
                         ("port_value: 8080", f"port_value: {self.bank.port}"), ("aecl_x_YOUR_KEY", self.key)):
            assert old in proxy, old
            proxy = proxy.replace(old, new)
        (self.dir / "envoy.yaml").write_text(proxy)
        self.serve()
        self.proxy = subprocess.Popen(
            [PROGRAM, "-c", self.dir / "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"],
            stdout=(self.dir / "envoy.log").open("w"), stderr=subprocess.STDOUT,
        )
        wait_for("Envoy", self.listens)

    def listens(self):
        if self.proxy.poll() is not None:
            raise RuntimeError((self.dir / "envoy.log").read_text()[-2000:])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def aecl(self, *words):
        said = subprocess.run([AECL, "--dir", self.home, *words], capture_output=True, text=True, timeout=60)
        if said.returncode != 0:
            raise RuntimeError(f"aecl {words}: {said.stdout}{said.stderr}")
        return said.stdout

    def serve(self):
        words = [AECL, "--dir", self.home, "serve", "--json"]
        self.server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=(self.dir / "serve.log").open("a"), text=True)
        if not self.server.stdout.readline():
            raise RuntimeError((self.dir / "serve.log").read_text())

    def kill(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait(DEADLINE_S)

    def api(self, method, path, body=None, key=None):
        """A request to AECL's own API: status and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key or self.operator}", "content-type": "application/json"}
        request = urllib.request.Request(f"http://{self.listen}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def run(self, goal="Transfer 12.5 from acc-7 to acc-9, and 900 from acc-7 to acc-9."):
        status, run = self.api("POST", "/v1/runs", {"agent": "payer", "goal": goal}, self.orchestrator)
        assert status == 201, run
        return run["run"], run["token"]

    def entries(self, run, kind):
        status, said = self.api("GET", f"/v1/ledger/runs/{run}/entries")
        assert status == 200, said
        return [entry for entry in said["entries"] if entry["kind"] == kind]

    def state(self, action, *wanted):
        """Where an action stands, once it is one of these."""
        return wait_for(wanted, lambda: (now := self.api("GET", f"/v1/actions/{action}")[1]).get("state") in wanted and now)

    def send(self, path="/v1/accounts/acc-7/transfers", body=b'{"to":"acc-9","amount":12.5}', token=None, method="POST",
             host="bank.example", **headers):
        """What an agent sends through the proxy: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("host", host)
            sent = {"content-type": "application/json", "content-length": str(len(body)), **{n.replace("_", "-"): v for n, v in headers.items()}}
            if token:
                sent["x-aecl-run"] = token
            for name, value in sent.items():
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
            connection.endheaders(body)
            reply = connection.getresponse()
            text = reply.read()
            try:
                said = json.loads(text)
            except ValueError:
                said = {"text": text.decode(errors="replace")}
            return reply.status, {n.lower(): v for n, v in reply.getheaders()}, said
        finally:
            connection.close()


def field(number, value):
    """One field of a message: text, bytes or another message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number):
    said = b""
    while number > 0x7F:
        said += bytes([number & 0x7F | 0x80])
        number >>= 7
    return said + bytes([number])


def fields(data):
    """The fields of a message, by number."""
    found, at = {}, 0
    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = number()
        if key & 7 == 0:
            found.setdefault(key >> 3, []).append(number())
        elif key & 7 == 2:
            length = number()
            found.setdefault(key >> 3, []).append(data[at:at + length])
            at += length
        else:
            raise ValueError(key)
    return found


def struct(name, text):
    """`google.protobuf.Struct` with one text."""
    return field(1, field(1, name) + field(2, field(3, text)))


class Asking:
    """A client of the port for proxies."""

    def __init__(self, world, key):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{world.ask_port}")
        self.metadata = [("authorization", f"Bearer {key}")] if key else []

    def ask(self, method, message):
        call = self.channel.unary_unary(f"/{method}", lambda data: data, lambda data: data)
        try:
            return call(message, metadata=self.metadata, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return error.code().name

    def log(self, *messages):
        method = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
        call = self.channel.stream_unary(method, lambda data: data, lambda data: data)
        try:
            return call(iter(messages), metadata=self.metadata, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            return error.code().name

    def tool(self, token, tool, arguments, server="notes"):
        params = json.dumps({"name": tool, "arguments": arguments})
        message = field(1, server) + field(2, "tools/call") + field(4, params)
        if token:
            message += field(5, field(1, "X-AECL-Run") + field(2, token))
        return self.ask("agentgateway.dev.ext_mcp.ExtMcp/CheckRequest", message)


def through(world):
    run, token = world.run()
    status, headers, said = world.send(token=token)
    if not check("what is allowed reaches the API", status == 200 and said == {"id": 1}, (status, said)):
        raise RuntimeError(said)
    method, path, sent, body = world.bank.got[-1]
    sent = {name.lower(): value for name, value in sent.items()}
    check("it gets what the agent sent", (method, path, body) == ("POST", "/v1/accounts/acc-7/transfers", b'{"to":"acc-9","amount":12.5}'), world.bank.got)
    check("it does not get the token of the run", "x-aecl-run" not in sent and token not in str(sent), sent)
    action = sent.get("x-aecl-action", "")
    done = world.state(action, "done", "failed", "unknown")
    check("what came of it is on record, as Envoy saw it", done["state"] == "done" and done["run"] == run, done)
    for account, wanted in (("refuse", "failed"), ("fail", "unknown"), ("drop", "unknown")):
        _, token = world.run()
        status, _, said = world.send(f"/v1/accounts/{account}/transfers", token=token)
        action = {n.lower(): v for n, v in world.bank.got[-1][2].items()}["x-aecl-action"]
        now = world.state(action, "done", "failed", "unknown")
        check(f"an API that says {account} leaves it {wanted}", now["state"] == wanted, now)
    _, other = world.run()
    before = len(world.bank.got)
    again = {"x_envoy_retry_on": "5xx", "x_envoy_max_retries": "3", "x_forwarded_for": "10.0.0.1"}
    world.send("/v1/accounts/fail/transfers", token=other, **again)
    check("an agent does not have Envoy send it again", len(world.bank.got) <= before + 1, world.bank.got[before:])
    said = world.api("POST", f"/v1/actions/{action}/outcome", {"outcome": "done"}, token)
    check("an agent does not report what went through a proxy", said[0] == 403 and said[1]["code"] == "forbidden", said)


def refused(world):
    run, token = world.run()
    before = len(world.bank.got)
    dear = b'{"to":"acc-9","amount":901}'
    for name, status, code, words in (
        ("no token", 401, "token_invalid", {}),
        ("a token of nobody", 401, "token_invalid", {"token": "x"}),
        ("a key for a token", 401, "token_invalid", {"token": world.orchestrator}),
        ("a route that nobody has described", 500, "config_invalid", {"token": token, "path": "/v1/accounts"}),
        ("an argument that is not declared", 403, "arguments_invalid", {"token": token, "body": b'{"to":"acc-9","amount":1,"x":1}'}),
        ("an argument twice", 400, "request_invalid", {"token": token, "body": b'{"to":"acc-9","to":"acc-1","amount":1}'}),
        ("an argument in two places", 400, "request_invalid", {"token": token, "path": "/v1/accounts/acc-7/transfers?to=acc-1"}),
        ("another method", 400, "request_invalid", {"token": token, "method": "PUT"}),
        ("another method in a header", 400, "request_invalid", {"token": token, "x_http_method_override": "DELETE"}),
        ("two types", 400, "request_invalid", {"token": token, "content_type": ["application/json", "text/plain"]}),
        ("two tokens", 400, "request_invalid", {"x_aecl_run": [token, token]}),
        ("a compressed body", 400, "request_invalid", {"token": token, "content_encoding": "gzip"}),
        ("a part with a parameter", 400, "request_invalid", {"token": token, "path": "/v1/accounts/acc-7;a=1/transfers"}),
        ("a slash that is encoded", 400, None, {"token": token, "path": "/v1/accounts/a%2Fb/transfers"}),
        ("a detour", 500, "config_invalid", {"token": token, "path": "/v1/accounts/acc-7/transfers/../../x"}),
        ("another host", 404, None, {"token": token, "host": "other.example"}),
        ("a body that is too long", 413, None, {"token": token, "body": b'{"to":"' + b"x" * (2 << 20) + b'"}'}),
        ("an upgrade", 403, None, {"token": token, "connection": "upgrade", "upgrade": "websocket"}),
    ):
        got, _, said = world.send(**words)
        check(f"{name} is refused", got == status and (code is None or said.get("code") == code), (got, said))
    got, headers, said = world.send(token=token, body=dear)
    held = said.get("approval", {}).get("id")
    check("what a person is asked about is held", got == 403 and said.get("code") == "approval_pending" and held, (got, said))
    check("the agent hears when to come again", headers.get("retry-after") == "30", headers)
    check("nothing of all that reached the API", len(world.bank.got) == before, world.bank.got[before:])
    status, view = world.api("GET", f"/v1/approvals/{held}")
    ends = [view["arguments"][one["at"].lstrip("/")][-4:] for one in view.get("confirm", [])]
    status, said = world.api("POST", f"/v1/approvals/{held}/approve", {"reason": "seen", **({"confirm": ends} if ends else {})})
    check("a person says yes", status == 200, said)
    got, _, said = world.send(token=token, body=dear)
    check("the same request goes through then", got == 200 and len(world.bank.got) == before + 1, (got, said))
    got, _, said = world.send(token=token, body=dear)
    check("once", got == 403 and len(world.bank.got) == before + 1, (got, said))
    run, token = world.run()
    chunked = b"1b\r\n" + b'{"to":"acc-9","amount":901}' + b"\r\n0\r\n\r\n"
    got, _, said = world.send(token=token, body=chunked, content_length=[], transfer_encoding="chunked")
    check("a body in chunks is judged as a whole", got == 403 and said.get("code") == "approval_pending", (got, said))
    got, _, first = world.send(token=token, idempotency_key="k-1")
    again, _, said = world.send(token=token, idempotency_key="k-1")
    sent = len(world.bank.got) == before + 2
    check("one key goes through once", got == 200 and again == 403 and said.get("code") == "replayed" and sent, (first, again, said))


def broken(world):
    run, token = world.run()
    before = len(world.bank.got)
    world.kill()
    got, _, said = world.send(token=token)
    check("nothing goes through while AECL is away", got == 503 and len(world.bank.got) == before, (got, said))
    world.serve()
    got = wait_for("a request after a restart", lambda: (status := world.send(token=token)[0]) == 200 and status)
    _, token = world.run()
    check("it goes on after a restart", got == 200 and len(world.bank.got) == before + 1, world.bank.got[before:])
    run, token = world.run()
    world.api("POST", f"/v1/runs/{run}/close", {}, world.orchestrator)
    got, _, said = world.send(token=token)
    check("a run that has ended sends nothing", got in (401, 403) and len(world.bank.got) == before + 1, (got, said))
    run, token = world.run()
    world.api("POST", "/v1/kill", {"scope": {"run": run}, "reason": "drill"})
    got, _, said = world.send(token=token)
    check("a kill switch holds at the proxy", got == 403 and len(world.bank.got) == before + 1, (got, said))


def at_the_port(world):
    run, token = world.run("Write notes.")
    for name, key in (("no key", ""), ("a person's key", world.operator), ("an orchestrator's key", world.orchestrator),
                      ("a token", token), ("a key that nobody has", "aecl_x_" + "A" * 43)):
        asking = Asking(world, key)
        check(f"{name} asks nothing at the port for proxies", asking.tool(token, "add", {"text": "x"}) == "UNAUTHENTICATED")
        check(f"{name} reports nothing there", asking.log(b"") == "UNAUTHENTICATED")
    status, said = world.api("GET", f"/v1/runs/{run}", key=world.key)
    check("a proxy's key opens nothing else", status == 403 and said["code"] == "forbidden", said)
    mine, other = Asking(world, world.key), Asking(world, world.other)
    check("an unknown method is said to be one", mine.ask("envoy.service.auth.v3.Authorization/Other", b"") == "UNIMPLEMENTED")
    check("garbage is refused", mine.ask("envoy.service.auth.v3.Authorization/Check", b"\xff" * 64) in ("INTERNAL", "INVALID_ARGUMENT"))
    check("a message that is too long is refused", mine.ask("envoy.service.auth.v3.Authorization/Check", field(9, b"x" * (5 << 20))) in ("OUT_OF_RANGE", "RESOURCE_EXHAUSTED"))

    answer = fields(mine.tool(token, "add", {"text": "hello"}))
    check("a gateway of MCP servers hears yes", 1 in answer, answer)
    metadata = fields(fields(answer[5][0])[1][0])
    back = fields(metadata[2][0])[3][0].decode()
    response = field(2, "tools/call") + field(3, struct("aecl", back)) + field(4, '{"content":[],"isError":false}')
    answered = lambda asking: asking.ask("agentgateway.dev.ext_mcp.ExtMcp/CheckResponse", response)
    action = world.entries(run, "started")[-1]["action"]
    answered(other)
    check("another gateway does not report it", world.api("GET", f"/v1/actions/{action}")[1]["state"] == "permitted")
    answered(mine)
    now = world.state(action, "done", "failed", "unknown")
    check("what came of a call of a tool is on record", now["state"] == "done" and "isError" in json.dumps(now.get("output")), now)
    answered(mine)
    check("a report that comes twice changes nothing", len([e for e in world.entries(run, "concluded") if e["action"] == action]) == 1)

    def told(answer):
        error = fields(fields(answer)[3][0])
        return json.loads(error[3][0])

    said = told(mine.tool(token, "erase", {}))
    check("a tool that nobody allows is refused", said["code"] == -32001 and said["data"]["code"] == "action_unknown", said)
    said = told(mine.tool("", "add", {"text": "x"}))
    check("a call without a run is refused", said["data"]["code"] == "token_invalid", said)
    said = told(mine.ask("agentgateway.dev.ext_mcp.ExtMcp/CheckRequest", field(1, "notes") + field(2, "x/y") + field(5, field(1, "x-aecl-run") + field(2, token))))
    check("a method that nobody judges is refused", said["data"]["code"] == "request_invalid", said)
    about = fields(mine.ask("agentgateway.dev.ext_mcp.ExtMcp/CheckRequest", field(1, "notes") + field(2, "tools/list")))
    check("what only lists goes through", 1 in about, about)


def main():
    world = World()
    try:
        for part in (through, refused, broken, at_the_port):
            part(world)
        check("the record verifies", world.aecl("log", "verify") is not None)
    finally:
        world.proxy.kill()
        world.server.terminate()
        world.server.wait(DEADLINE_S)
    end()


main()
