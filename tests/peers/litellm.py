"""LiteLLM's proxy in front of a model that is a script, with AECL as its guardrail: the real proxy with the configuration of the
guide. Its environment is large, so it is there with `cargo xtask test --long` alone.
"""

import http.server
import json
import os
import pathlib
import re
import secrets
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

from report import check, end, fail  # noqa: E402

AECL = os.environ["AECL_BIN"]
PROGRAM = pathlib.Path(os.environ["PEERS"]) / "litellm/bin/litellm"
GUIDE = pathlib.Path(__file__).parents[2] / "docs/guides/litellm.md"
DEADLINE_S = 90


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def request(method, url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, data, {"content-type": "application/json", **named}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=DEADLINE_S) as reply:
            return reply.status, json.loads(reply.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


class Model:
    """An OpenAI-compatible model: it answers with the tool calls that it is told to make."""

    def __init__(self):
        model = self
        self.calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                calls = [{"id": one[0], "type": "function", "function": {"name": one[1], "arguments": json.dumps(one[2])}}
                         for one in model.calls]
                message = {"role": "assistant", "content": None if calls else "done", **({"tool_calls": calls} if calls else {})}
                said = json.dumps({
                    "id": "chat-1", "object": "chat.completion", "created": 1, "model": "script",
                    "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class World:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.home, self.model = self.dir / "home", Model()
        self.listen, self.port = f"127.0.0.1:{free_port()}", free_port()
        self.aecl("init", "--agent", "clerk", "--example", "none", "--origin", "shop.example/aecl")
        config = self.home / "aecl.yaml"
        config.write_text(re.sub(r"(?m)^listen:.*$", f"listen: {self.listen}", config.read_text()))
        (self.home / "policy/actions").mkdir(exist_ok=True)
        text = {"type": "string"}
        mild = {"effect": "write", "severity": 1, "egress": "none", "reversibility": "reversible",
                "output": {"untrusted": False, "private": False}}
        (self.home / "policy/actions/shop.json").write_text(json.dumps([
            {**mild, "name": "write_note", "approval": {"always": False}, "args": {"text": {"class": "content"}},
             "arguments": {"type": "object", "properties": {"text": text}, "required": ["text"]}},
            {**mild, "name": "pay", "approval": {"always": True, "approvers": ["operators"]},
             "args": {"to": {"class": "content"}},
             "arguments": {"type": "object", "properties": {"to": text}, "required": ["to"]}},
        ]))
        (self.home / "policy/agents/clerk.yaml").unlink()
        (self.home / "policy/agents/clerk.json").write_text(json.dumps({
            "agent_id": "clerk", "description": "Notes.", "allowed_actions": ["write_note", "pay"], "approvers": ["operators"],
        }))
        self.key = self.aecl("keys", "add", "orchestrator", "tests", "--agent", "clerk").strip()
        self.operator = (self.home / "keys/operator.key").read_text().strip()
        guide = re.search(r"```yaml\n(model_list.*?)```", GUIDE.read_text(), re.S).group(1)
        for old, new in (("http://127.0.0.1:8000/v1", f"{self.model.url}/v1"), ("http://127.0.0.1:7600", f"http://{self.listen}")):
            assert old in guide, old
            guide = guide.replace(old, new)
        (self.dir / "litellm.yaml").write_text(guide)
        self.serve()
        self.master = f"sk-{secrets.token_hex(32)}"
        quiet = {"LITELLM_MASTER_KEY": self.master, "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
        self.proxy = subprocess.Popen(
            [PROGRAM, "--config", self.dir / "litellm.yaml", "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=(self.dir / "litellm.log").open("w"), stderr=subprocess.STDOUT, env={**os.environ, **quiet}, cwd=self.dir,
        )
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                if request("GET", f"http://127.0.0.1:{self.port}/health/liveliness")[0] == 200:
                    break
            except (OSError, ValueError):
                pass
            if time.monotonic() > until or self.proxy.poll() is not None:
                raise RuntimeError((self.dir / "litellm.log").read_text()[-2000:])
            time.sleep(0.2)

    def aecl(self, *words):
        said = subprocess.run([AECL, "--dir", self.home, *words], capture_output=True, text=True, timeout=60)
        if said.returncode != 0:
            raise RuntimeError(f"aecl {words}: {said.stdout}{said.stderr}")
        return said.stdout

    def serve(self):
        words = [AECL, "--dir", self.home, "serve", "--json"]
        self.server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=(self.dir / "serve.log").open("a"), text=True)
        self.server.stdout.readline()

    def api(self, method, path, body=None, key=None):
        return request(method, f"http://{self.listen}{path}", body, authorization=f"Bearer {key or self.operator}")

    def chat(self, token, *calls, messages=()):
        self.model.calls = list(calls)
        headers = {"authorization": f"Bearer {self.master}", **({"x_aecl_run": token} if token else {})}
        body = {"model": "script", "messages": [{"role": "user", "content": "Do it."}, *messages]}
        return request("POST", f"http://127.0.0.1:{self.port}/v1/chat/completions", body, **headers)


def main():
    if not PROGRAM.exists():
        fail("litellm", f"`{PROGRAM}` is not there; `cargo xtask test --long` installs it")
        end()
    world = World()
    try:
        run = world.api("POST", "/v1/runs", {"agent": "clerk", "goal": "Write notes."}, world.key)[1]
        token = run["token"]

        def outcomes():
            entries = world.api("GET", f"/v1/ledger/runs/{run['run']}/entries")[1]["entries"]
            return [entry["outcome"] for entry in entries if entry["kind"] == "concluded"]

        note = ("call_1", "write_note", {"text": "buy tea"})
        status, said = world.chat(token, note)
        calls = said.get("choices", [{}])[0].get("message", {}).get("tool_calls") or []
        check("a tool call that is allowed reaches the agent", status == 200 and len(calls) == 1, (status, said))
        asked = {"role": "assistant", "content": None, "tool_calls": calls}
        told = {"role": "tool", "tool_call_id": "call_1", "content": "noted"}
        status, said = world.chat(token, messages=[asked, told])
        check("what the agent says of its tool is on record", status == 200 and outcomes() == ["done"], (said, outcomes()))
        status, said = world.chat(token, ("call_2", "erase", {}))
        check("one that nobody allows does not", status >= 400 and "action_unknown" in json.dumps(said), (status, said))
        status, said = world.chat(token, ("call_3", "pay", {"to": "ann"}))
        held = re.search(r"apr_[0-9a-f]+", json.dumps(said))
        check("one that waits does not, and the agent reads so", status >= 400 and held, (status, said))
        status, answer = world.api("POST", f"/v1/approvals/{held.group(0)}/approve", {"reason": "seen"})
        check("a person says yes", status == 200, answer)
        status, said = world.chat(token, ("call_4", "pay", {"to": "ann"}))
        check("after it the same call reaches the agent", status == 200, (status, said))
        status, said = world.chat(token, ("call_5", "pay", {"to": "ann"}))
        check("once", status >= 400 and "apr_" in json.dumps(said), (status, said))
        status, said = world.chat("", ("call_6", "write_note", {"text": "x"}))
        check("without a run no tool call passes", status >= 400 and "x-aecl-run" in json.dumps(said), (status, said))
        status, said = world.chat("")
        check("and an answer without tools does", status == 200, (status, said))
        world.server.send_signal(signal.SIGKILL)
        world.server.wait(30)
        status, said = world.chat(token, ("call_7", "write_note", {"text": "x"}))
        check("nothing passes while AECL is away", status >= 400, (status, said))
    finally:
        world.proxy.terminate()
        world.proxy.wait(30)
        world.server.kill()
    end()


main()
