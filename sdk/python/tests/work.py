"""Workers of the tests: their home, the programs that they are, and a wire that fails or lies in between."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx

from house import AGENT, House, aecl

PAY: dict[str, Any] = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "amount": {"type": "string"}},
    "required": ["to", "amount"],
}
MILD: dict[str, Any] = {
    "output": {"untrusted": False, "private": False},
    "reversibility": "reversible",
    "severity": 1,
    "egress": "none",
    "approval": {"always": False},
}
PLAIN = {"to": {"class": "content"}, "amount": {"class": "content"}}
LIMITS = {"kind": "worker", "queue_ms": 60_000, "lease_ms": 2_000}

ACTIONS: list[dict[str, Any]] = [
    {
        **MILD,
        "name": "pay",
        "effect": "write",
        "description": "Pay somebody.",
        "arguments": PAY,
        "args": PLAIN,
        "idempotency": "verifiable",
        "timeout_ms": 3_000,
        "connector": LIMITS,
        "compensation": {"action": "unpay", "arguments": {"transfer": {"from": "result", "at": "/id"}}},
    },
    {
        **MILD,
        "name": "unpay",
        "effect": "write",
        "description": "Call a payment back.",
        "arguments": {"type": "object", "properties": {"transfer": {"type": "string"}}, "required": ["transfer"]},
        "args": {"transfer": {"class": "selector"}},
        "connector": {"kind": "worker", "compensates": "pay"},
    },
    {
        **MILD,
        "name": "give",
        "effect": "write",
        "description": "Pay, in a way that nobody can look up.",
        "arguments": PAY,
        "args": PLAIN,
        "idempotency": "opaque",
        "timeout_ms": 60_000,
        "connector": LIMITS,
    },
    {
        **MILD,
        "name": "rename",
        "effect": "write",
        "description": "Give a shelf another name.",
        "arguments": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "args": {"name": {"class": "content"}},
        "connector": LIMITS,
        "compensation": {"action": "name_back", "arguments": {"name": {"from": "result", "at": "/snapshot/name"}}},
    },
    {
        **MILD,
        "name": "name_back",
        "effect": "write",
        "description": "Give a shelf the name that it had.",
        "arguments": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "args": {"name": {"class": "content"}},
        "connector": {"kind": "worker", "compensates": "rename"},
    },
    {
        **MILD,
        "name": "nobody",
        "effect": "write",
        "description": "Nobody serves this.",
        "arguments": PAY,
        "args": PLAIN,
        "connector": {"kind": "worker", "queue_ms": 200},
    },
]
SERVED = ("pay", "give", "rename")

#: A worker as somebody would write it. `AT` says at which step it says so and waits for a line, or dies.
SCRIPT = """
import os, signal, sys
import aecl

bank, at = os.environ["BANK"], os.environ.get("AT", "")

def step(name):
    global at
    if at == "die " + name:
        os.kill(os.getpid(), signal.SIGKILL)
    if at == "say " + name:
        at = ""  # once
        print(name, flush=True)
        sys.stdin.readline()

def pay(to: str, amount: str) -> dict[str, str]:
    step("accepted")
    key = aecl.worker_call().key
    with open(bank, "a") as book:
        book.write(f"{key} {amount} {os.environ.get('NAME', '')}\\n")
    step("acted")
    return {"id": key}

async def find(to: str, amount: str) -> dict[str, str]:
    key = aecl.worker_call().key
    with open(bank, "a+") as book:
        book.seek(0)
        if key in book.read():
            return {"id": key}
    raise aecl.NotDone("it is not in the book")

def unpay(transfer: str) -> None:
    with open(bank, "a") as book:
        book.write(f"back {transfer}\\n")

def shelf():
    with open(bank, "a+") as book:
        book.seek(0)
        names = [line.split()[1] for line in book if line.startswith("shelf ")]
    return names[-1] if names else "unnamed"

def before(name: str) -> dict[str, str]:
    if name == "unreadable":
        raise OSError("the shelf cannot be read")
    return {"name": shelf()}

def rename(name: str) -> str:
    if name == "taken":
        raise KeyError(name)
    with open(bank, "a") as book:
        book.write(f"shelf {name}\\n")
    if name == "odd":
        raise ValueError(name)
    return "renamed"

if os.environ.get("CLOCK"):
    import time
    really = time.time
    time.time = lambda: really() + float(os.environ["CLOCK"])

worker = aecl.Worker(concurrency=int(os.environ.get("SLOTS", "4")))
worker.register("pay", pay, compensate=unpay, lookup=find)
worker.register("give", pay)
worker.register("rename", rename, compensate=rename, snapshot=before, surely_failed=(KeyError,))
accept = worker._accept
def accepting(*words):
    step("offered")
    return accept(*words)
worker._accept = accepting
worker.run()
print("ended", flush=True)
"""


class WorkHouse:
    """Home whose actions workers carry out, the book in which they write, and keys for two of them."""

    def __init__(self, home: Path) -> None:
        self.house = House.made(home)
        (home / "policy/actions/work.json").write_text(json.dumps(ACTIONS))
        manifest = home / "policy/agents" / f"{AGENT}.json"
        agent = json.loads(manifest.read_text())
        agent["allowed_actions"] += [action["name"] for action in ACTIONS]
        manifest.write_text(json.dumps(agent))
        serves = [word for name in SERVED for word in ("--action", name)]
        self.keys = {name: aecl(home, "keys", "add", "worker", name, *serves).strip() for name in ("one", "two")}
        self.bank = home / "bank"
        self.house.start()

    def book(self) -> list[str]:
        """Lines of the book: what was really done."""
        return self.bank.read_text().splitlines() if self.bank.exists() else []

    def connected(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.house.people("GET", "/v1/workers")["connected"])

    @contextlib.contextmanager
    def worker(
        self, name: str, at: str = "", *, url: str | None = None, connects: bool = True, **more: str
    ) -> Generator[subprocess.Popen[str]]:
        """Process of a worker that is connected; it is dead at the end."""
        environment = {
            **os.environ,
            "AECL_URL": url or self.house.url,
            "AECL_WORKER_TOKEN": self.keys[name],
            "BANK": str(self.bank),
            "AT": at,
            "NAME": name,
            **more,
        }
        environment.pop("AECL_TOKEN", None)
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            if connects:
                until(lambda: process.poll() is not None or any(w["worker"] == name for w in self.connected()))
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=30)


def until(holds: Callable[[], Any], most_s: float = 60.0) -> None:
    """Waits until it holds."""
    end = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)


class Wire:
    """Wire to a server that is cut when something is said over it: before it arrives, or before it is answered."""

    def __init__(self, house: House, said: bytes, *, arrives: bool, times: int) -> None:
        self._to = house.listen.rsplit(":", 1)
        self._said, self._arrives, self.times = said, arrives, times
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accepts, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accepts(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._joins, args=(near,), daemon=True).start()

    def _joins(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, socket.create_connection((self._to[0], int(self._to[1]))) as far:
            cut = threading.Event()
            threading.Thread(target=self._answers, args=(far, near, cut), daemon=True).start()
            # What was said may come in several pieces.
            while data := near.recv(65536):
                with self._lock:
                    hit = self._said in data and self.times > 0
                    self.times -= hit
                if hit and not self._arrives:
                    return
                if hit:
                    cut.set()
                far.sendall(data)

    def _answers(self, far: socket.socket, near: socket.socket, cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (data := far.recv(65536)) and not cut.is_set():
                near.sendall(data)
            # What is answered from then on goes nowhere.
            near.shutdown(socket.SHUT_RDWR)


class Liar:
    """Somebody between a worker and its server, who reads everything, adds offers, and answers what it likes."""

    def __init__(self, house: House) -> None:
        self.added: queue.Queue[dict[str, Any]] = queue.Queue()
        #: What an acceptance is answered, by the delivery; else the server's own answer.
        self.answers: Callable[[dict[str, Any], bytes], bytes] = lambda asked, answer: answer
        self.greeting: Callable[[bytes], bytes] = lambda line: line
        self.lines: Callable[[bytes], bytes] = lambda line: line
        #: Lock of the line that was opened last.
        self.latest: object = None
        self.accepted: list[tuple[dict[str, Any], bytes]] = []
        self.reported: list[dict[str, Any]] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {"authorization": self.headers["authorization"], "content-type": "application/json"}
                if self.path == "/v1/workers/connect":
                    self._line(body, headers)
                    return
                asked = json.loads(body)
                reply = liar.client.post(house.url + self.path, content=body, headers=headers)
                status, content = reply.status_code, reply.content
                if self.path == "/v1/workers/accept":
                    answer = liar.answers(asked, content)
                    liar.accepted.append((asked, content))
                    status, content = (status, content) if answer is content else (200, answer)
                if self.path == "/v1/workers/report":
                    liar.reported.append(asked)
                self._start(status, reply.headers.get("content-type", "") if status != 200 else "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _start(self, status: int, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)

            def _line(self, body: bytes, headers: dict[str, str]) -> None:
                self._start(200, "application/x-ndjson")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                lock = liar.latest = threading.Lock()

                def say(line: bytes) -> None:
                    with lock:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                        self.wfile.flush()

                def adds() -> None:
                    with contextlib.suppress(OSError, ValueError):
                        while True:
                            offer = liar.added.get()
                            if liar.latest is not lock:
                                # The line of a worker that has gone; what is added is for the next one.
                                liar.added.put(offer)
                                return
                            say(json.dumps(offer).encode() + b"\n")

                with (
                    contextlib.suppress(OSError, httpx.HTTPError),
                    liar.client.stream("POST", house.url + self.path, content=body, headers=headers) as stream,
                ):
                    for number, line in enumerate(stream.iter_lines()):
                        said = line.encode() + b"\n"
                        say(liar.greeting(said) if number == 0 else liar.lines(said))
                        if number == 0:
                            threading.Thread(target=adds, daemon=True).start()
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.client = httpx.Client(trust_env=False, timeout=60)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.client.close()
