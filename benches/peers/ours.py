"""AECL: `aecl serve` on a socket of this machine, asked by a plain client."""

import itertools
import json
import os
import re
import subprocess

import peers
import rules as work
from wire import Wire, at_once

ENVIRONMENT = {"AECL_LOG": "error", "RUST_LOG": "error"}


def command(program, home, *words):
    return [program, "--dir", str(home), *words]


def tell(program, home, *words):
    """What a command of AECL says, if it ends well."""
    told = subprocess.run(
        command(program, home, *words), capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}
    )
    if told.returncode != 0:
        raise RuntimeError(f"`aecl {' '.join(words)}` ended with {told.returncode}:\n{told.stderr}")
    return told.stdout


def configure(home, **changes):
    path = home / "aecl.yaml"
    text = path.read_text()
    for key, value in {"listen": "127.0.0.1:0", **changes}.items():
        text, found = re.subn(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.M)
        if not found:
            raise RuntimeError(f"{path} has no `{key}`, which this script sets: is the program of this checkout?")
    path.write_text(text)


class Server:
    """`aecl serve`, which does not outlive us."""

    def __init__(self, program, home):
        pipes = {"stdout": subprocess.PIPE, "text": True}
        self.child = subprocess.Popen(
            command(program, home, "--json", "serve"), **pipes, env={**os.environ, **ENVIRONMENT}
        )
        said = self.child.stdout.readline()
        if not said:
            raise RuntimeError(f"`aecl serve` has ended with {self.child.wait()}; its words are above")
        self.address = json.loads(said)["listen"]

    def close(self):
        self.child.terminate()
        try:
            self.child.wait(40)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Aecl(peers.Contestant):
    def __init__(self, folder, rules, program):
        self.about = f"{tell(program, folder, '--version').strip()}, its SQLite store (WAL, synchronous=FULL)"
        home = folder / "home"
        self.prepare(program, home, rules)
        with peers.clock(self):
            self.server = Server(program, home)
        self.people = Wire(self.server.address, (home / "keys/operator.key").read_text().strip())
        self.numbers = itertools.count()
        self.agents = [Wire(self.server.address, self.token()) for _ in range(peers.CLIENTS)]
        self.agent = self.agents[0]

    def prepare(self, program, home, rules):
        made = work.aecl(rules)
        tell(program, home, "init", "--example", "none", "--agent", work.AGENT, "--origin", "bench/peers")
        configure(home, environment="test")
        self.key = json.loads(
            tell(program, home, "--json", "keys", "add", "orchestrator", "runner", "--agent", work.AGENT)
        )["key"]
        for path in (home / "policy").glob("*/*"):
            path.unlink()
        for name, text in (
            ("actions/all.json", json.dumps(made["actions"])),
            (f"agents/{work.AGENT}.json", json.dumps(made["agent"])),
            ("rules/all.cedar", made["cedar"]),
        ):
            path = home / "policy" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.home = home

    def token(self):
        runner = Wire(self.server.address, self.key)
        goal = "answer the complaint about an order that never came"
        status, body = runner.ask(runner.request("POST", "/v1/runs", {"agent": work.AGENT, "goal": goal}))
        runner.close()
        if status not in (200, 201):
            raise RuntimeError(f"no run was opened: {status} {body.decode()}")
        return json.loads(body)["token"]

    def allows(self, name, arguments):
        """AuthZEN's question, of which nothing is recorded."""
        asked = {
            "subject": {"type": "agent", "id": work.AGENT},
            "action": {"name": name, "properties": arguments},
            "resource": {"type": "any", "id": arguments.get("order", "any")},
        }
        status, body = self.people.ask(self.people.request("POST", "/access/v1/evaluation", asked))
        assert status == 200, body
        return json.loads(body)["decision"]

    def before(self):
        """A connection that rests is closed after a while, and others have their turn in between."""
        for wire in [self.people, *self.agents]:
            wire.close()
            wire.ask(wire.request("GET", "/healthz"))

    def health(self, times):
        """What the socket costs by itself."""
        request = self.people.request("GET", "/healthz")
        for _ in range(times):
            assert self.people.ask(request)[0] == 200

    def proposal(self, wire, amount=1250):
        order = f"order-{next(self.numbers):08}"
        asked = {"action": "payments.refund", "arguments": work.refund(order, amount), "mode": "authorize"}
        return wire.request("POST", "/v1/actions", asked)

    def report(self, wire, action):
        came = {"refund": "re_1234567890", "status": "succeeded"}
        return wire.request("POST", f"/v1/actions/{action}/outcome", {"outcome": "done", "output": came})

    def durable(self, times):
        for _ in range(times):
            permitted(self.agent.ask(self.proposal(self.agent)))

    def refuse(self, times):
        for _ in range(times):
            status, body = self.agent.ask(self.proposal(self.agent, work.LIMIT + 1))
            assert status == 200 and json.loads(body)["state"] == "blocked", body

    def whole(self, times):
        """Decided, permitted, and its outcome reported."""
        for _ in range(times):
            action = permitted(self.agent.ask(self.proposal(self.agent)))
            status, body = self.agent.ask(self.report(self.agent, action))
            assert status == 200, body

    def decisions(self, wire, times):
        for _ in range(times):
            permitted((yield self.proposal(wire)))

    def wholes(self, wire, times):
        for _ in range(times):
            action = permitted((yield self.proposal(wire)))
            status, body = yield self.report(wire, action)
            assert status == 200, body

    def clients(self, times):
        at_once(self.agents, [self.wholes(wire, times) for wire in self.agents])
        return times * len(self.agents)

    def clients_decide(self, times):
        at_once(self.agents, [self.decisions(wire, times) for wire in self.agents])
        return times * len(self.agents)

    def close(self):
        for wire in [self.people, *self.agents]:
            wire.close()
        self.server.close()


def permitted(answer):
    status, body = answer
    told = json.loads(body)
    if status != 200 or told["state"] != "permitted":
        raise RuntimeError(f"a proposal that is allowed was answered with {status}: {body.decode()}")
    return told["action"]


CONTESTANTS = {"aecl": Aecl}
