"""The others, each as its own documentation uses it, and what this machine cannot do faster.

A method is a measure: it does its work so often and says how often, if that is not what it was asked for.
"""

import contextlib
import importlib.metadata
import itertools
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings

import rules as work

CLIENTS = 64


@contextlib.contextmanager
def clock(contestant):
    """How long it takes until a rule set can be asked."""
    begun = time.perf_counter()
    yield
    contestant.loaded = time.perf_counter() - begun


class Contestant:
    about, loaded = "", None

    def answers(self):
        return [self.allows(name, arguments) for name, arguments, _ in work.QUESTIONS]

    def decide(self, times):
        arguments = work.refund()
        for _ in range(times):
            assert self.allows("payments.refund", arguments)

    def before(self):
        """What is done before each measure, outside of its time."""

    def close(self):
        pass


def threads(count, each, one):
    """So many threads, each of which does `one` so often. Their first error is ours."""
    failed = []

    def client(number):
        try:
            for turn in range(each):
                one(number, turn)
        except BaseException as error:
            failed.append(error)

    all_of_them = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    if failed:
        raise failed[0]
    return count * each


class Sqlite(Contestant):
    """What one durable commit of 1 KiB costs here, by the standard library's SQLite."""

    def __init__(self, folder, _rules):
        self.about = f"SQLite {sqlite3.sqlite_version}, WAL"
        self.of = {level: self.open(folder, level) for level in ("FULL", "NORMAL")}

    def open(self, folder, level):
        store = sqlite3.connect(folder / f"{level}.db", isolation_level=None)
        store.execute("PRAGMA journal_mode=WAL")
        store.execute(f"PRAGMA synchronous={level}")
        store.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)")
        return store

    def commit(self, times, level="FULL"):
        for _ in range(times):
            self.of[level].execute("INSERT INTO t (bytes) VALUES (?)", (work.RECORD,))

    def commit_normal(self, times):
        self.commit(times, "NORMAL")

    def answers(self):
        return None

    def close(self):
        for store in self.of.values():
            store.close()


class Cedarpy(Contestant):
    """Bare Cedar from Python: policies and entities parsed once."""

    def __init__(self, _folder, rules):
        import cedarpy

        self.about = f"cedarpy {importlib.metadata.version('cedarpy')}, policies and entities parsed once"
        self.ask = cedarpy.is_authorized
        text = work.cedar(rules)
        with clock(self):
            self.policies = cedarpy.PolicySet.from_str(text)
        self.entities = cedarpy.Entities.from_json_str("[]")

    def allows(self, name, arguments):
        request = {
            "principal": f'Agent::"{work.AGENT}"',
            "action": f'Action::"{name}"',
            "resource": 'Resource::"any"',
            "context": arguments,
        }
        return self.ask(request, self.policies, self.entities).allowed


class Toolkit(Contestant):
    """The governance toolkit: its policy engine, a policy for each agent; a signed line in a file for each decision."""

    def __init__(self, folder, rules):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        from agentmesh.governance import AuditLog, Policy, PolicyEngine, govern
        from agentmesh.governance.audit_backends import FileAuditSink

        version = importlib.metadata.version("agent-governance-toolkit-core")
        self.about = f"agent-governance-toolkit-core {version}, deny overrides, FileAuditSink (HMAC, no fsync)"
        self.engine = PolicyEngine(conflict_strategy="deny_overrides")
        documents = [json.dumps(document) for document in work.toolkit(rules)]
        with clock(self):
            for document in documents:
                self.engine.load_json(document)
        own = Policy.from_json(documents[0])
        self.governed = govern(lambda **_: None, policy=own, agent_id=work.AGENT)
        self.sink = FileAuditSink(folder / "audit.jsonl", b"k" * 32)
        self.audit = AuditLog(sink=self.sink)

    def decided(self, name, arguments):
        context = {key: {"value": value} for key, value in arguments.items()}
        return self.engine.evaluate(work.AGENT, {"action": {"type": name}, **context})

    def allows(self, name, arguments):
        return self.decided(name, arguments).allowed

    def govern(self, times):
        """The wrapper that its first page shows: decision, and a record in memory."""
        arguments = work.refund()
        for _ in range(times):
            self.governed(action="payments.refund", **arguments)

    def recorded(self, arguments):
        decision = self.decided("payments.refund", arguments)
        self.audit.log(
            event_type="policy_evaluation",
            agent_did=work.AGENT,
            action="payments.refund",
            outcome=decision.action,
            policy_decision=decision.action,
            data={"rule": decision.matched_rule or "", "arguments": arguments},
        )
        return decision.allowed

    def durable(self, times):
        for turn in range(times):
            assert self.recorded(work.refund(f"order-{turn:08}"))

    def refuse(self, times):
        for turn in range(times):
            assert not self.recorded(work.refund(f"order-{turn:08}", work.LIMIT + 1))

    def clients(self, times):
        return threads(CLIENTS, times, lambda who, turn: self.recorded(work.refund(f"order-{who}-{turn:08}")))


class Ctrlrun(Contestant):
    """CTRLRun: `evaluate` decides, `@protect` decides, reserves, runs and records, beside the policy."""

    def __init__(self, folder, rules, shared=None):
        import ctrlrun

        version = importlib.metadata.version("ctrlrun")
        self.about = f"ctrlrun {version}, its SQLite store (WAL, synchronous=NORMAL) and JSON lines"
        self.ctrlrun, self.shared = ctrlrun, shared
        self.policy = folder / "ctrlrun.yaml"
        if not self.policy.exists():
            self.policy.write_text(json.dumps(work.ctrlrun(rules)))
        with clock(self):
            self.control = ctrlrun.Control.from_file(self.policy)
        self.numbers = itertools.count()

        @ctrlrun.protect("payments.refund", effect="refund:{order}", control=self.control)
        def refund(order: str, amount: int, reason: str, notify: bool) -> dict:
            return {"refund": "re_1234567890", "status": "succeeded"}

        self.refund = refund

    def allows(self, name, arguments):
        who = self.ctrlrun.Principal(agent=work.AGENT)
        action = self.ctrlrun.Action(
            name=name, arguments=arguments, principal=who, environment=self.control.environment
        )
        return self.control.evaluate(action).decision == self.ctrlrun.Decision.ALLOW

    def fresh(self):
        return f"order-{os.getpid()}-{next(self.numbers):08}"

    def done(self, *_):
        with self.ctrlrun.context(agent=work.AGENT):
            self.refund(**work.refund(self.fresh()))

    def whole(self, times):
        for _ in range(times):
            self.done()

    def refuse(self, times):
        for _ in range(times):
            try:
                with self.ctrlrun.context(agent=work.AGENT):
                    self.refund(**work.refund(self.fresh(), work.LIMIT + 1))
            except self.ctrlrun.ActionDenied:
                continue
            raise AssertionError("it was not denied")

    def clients(self, times):
        return threads(CLIENTS, times, self.done)

    def processes(self, times):
        """The same clients in one process for each core, on the same store."""
        if self.shared is None:
            self.shared = [self.fork() for _ in range(os.cpu_count())]
        each = CLIENTS // len(self.shared)
        for child in self.shared:
            child.stdin.write(f"{each} {times}\n")
            child.stdin.flush()
        for child in self.shared:
            if child.stdout.readline() != "done\n":
                raise RuntimeError("a process of CTRLRun's clients has ended; its words are above")
        return each * len(self.shared) * times

    def fork(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        child = subprocess.Popen([sys.executable, __file__, str(self.policy.parent)], **pipes)
        assert child.stdout.readline() == "ready\n"
        return child

    def close(self):
        for child in self.shared or []:
            child.stdin.close()
            child.wait(30)


CONTESTANTS = {"sqlite": Sqlite, "cedarpy": Cedarpy, "toolkit": Toolkit, "ctrlrun": Ctrlrun}


def clients_of_ctrlrun(folder):
    contestant = Ctrlrun(folder, 0)
    print("ready", flush=True)
    for line in sys.stdin:
        clients, each = map(int, line.split())
        threads(clients, each, contestant.done)
        print("done", flush=True)


if __name__ == "__main__":
    from pathlib import Path

    clients_of_ctrlrun(Path(sys.argv[1]))
