#!/usr/bin/env python3
"""What AECL costs beside its peers: the same work for each, in turns, in one run.

`benches/peers/run.py [--quick] [--only decide,durable,clients,mcp] [--json FILE]`, as an ordinary user. It builds the
release program (or takes `--aecl`), installs the peers by exact version into a folder of the cache, and ends whatever
it has started. docs/reference/speed.md says what the figures mean.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MANY = 10_000


@dataclass
class Row:
    """One line of the table: who does what how often in a round, and beside which row it is read.

    A round is the median of its parts, so that a moment in which others have the processor does not count.
    """

    key: str
    words: str
    worker: str
    do: str
    times: int
    beside: str = ""
    rules: int = 10
    parts: int = 10


def both(key, words, worker, do, times, many):
    """A decision with 10 rules and with 10,000."""
    few = Row(key, words, worker, do, times, "" if key == "cedarpy" else "cedarpy")
    return [few, Row(f"{key}-many", f"{words}, 10,000 rules", worker, do, many, key, MANY)]


GROUPS = {
    "decide": [
        Row("bare", "bare Cedar, in Rust, in the process", "ledger", "decide:bare Cedar evaluation", 1),
        Row("inside", "AECL in the process: parse, facts, decide", "ledger", "decide:whole", 1, "bare"),
        *both("cedarpy", "cedarpy: bare Cedar, in the process", "cedarpy", "decide", 300, 20),
        *both("toolkit", "governance toolkit: engine, in the process", "toolkit", "decide", 300, 20),
        Row("govern", "governance toolkit: `govern()`, record in memory", "toolkit", "govern", 300, "cedarpy"),
        *both("ctrlrun", "CTRLRun: `evaluate`, in the process", "ctrlrun", "decide", 200, 10),
        *both("aecl", "AECL: AuthZEN, over a socket", "aecl", "decide", 200, 200),
        Row("socket", "AECL: `/healthz`, the socket alone", "aecl", "health", 200, "cedarpy"),
    ],
    "durable": [
        Row("full", "a SQLite commit, synchronous=FULL", "sqlite", "commit", 100),
        Row("normal", "a SQLite commit, synchronous=NORMAL", "sqlite", "commit_normal", 100, "full"),
        Row("inside", "AECL in the process: a decision, flushed", "ledger", "durable:one durable decision", 1, "full"),
        Row("aecl", "AECL: a decision, flushed", "aecl", "durable", 100, "full"),
        Row("aecl-no", "AECL: a refusal, flushed", "aecl", "refuse", 50, "full"),
        Row("aecl-whole", "AECL: decided and concluded, two requests", "aecl", "whole", 50, "full"),
        Row("ctrlrun-no", "CTRLRun: a refusal, not flushed", "ctrlrun", "refuse", 50, "full"),
        Row("ctrlrun-whole", "CTRLRun: decided, run and concluded, not flushed", "ctrlrun", "whole", 50, "full"),
        Row("toolkit", "governance toolkit: a decision, not flushed", "toolkit", "durable", 100, "full"),
    ],
    "clients": [
        Row("full", "a SQLite commit, synchronous=FULL, one client", "sqlite", "commit", 100),
        Row("inside", "AECL in the process: decisions, flushed", "ledger", "durable:decisions/s, 64", 1, "full"),
        Row("aecl", "AECL: decisions, flushed", "aecl", "clients_decide", 10, "full", parts=1),
        Row("aecl-whole", "AECL: decided and concluded, flushed", "aecl", "clients", 10, "full", parts=1),
        Row("ctrlrun", "CTRLRun: decided, run and concluded, 64 threads", "ctrlrun", "clients", 5, "full", parts=1),
        Row("ctrlrun-cores", "CTRLRun: the same in one process a core", "ctrlrun", "processes", 5, "full", parts=1),
        Row("toolkit", "governance toolkit: decisions, 64 threads", "toolkit", "clients", 10, "full", parts=1),
    ],
    "mcp": [
        Row("full", "a SQLite commit, synchronous=FULL", "sqlite", "commit", 50),
        Row("direct", "the server itself, on pipes", "direct", "call", 100),
        Row("aecl", "AECL: `aecl mcp`, two flushes", "aecl-mcp", "call", 50, "direct"),
        Row("toolkit", "governance toolkit: `agentmesh proxy`", "toolkit-proxy", "call", 50, "direct"),
        Row("direct-http", "the server itself, over HTTP", "direct-http", "call", 100),
        Row("aecl-http", "AECL: `aecl serve`, two flushes", "aecl-http", "call", 50, "direct-http"),
        Row("ctrlrun", "CTRLRun: `ctrlrun gateway`", "ctrlrun-gateway", "call", 10, "direct-http"),
        Row("ctrlrun-fresh", "CTRLRun: the same, a connection a call", "ctrlrun-gateway", "fresh", 10, "direct-http"),
    ],
}


class Trouble(Exception):
    """What a user can do something about."""


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measure(args)
    except (Trouble, OSError) as trouble:
        sys.exit(f"error: {trouble}")
    except KeyboardInterrupt:
        sys.exit("stopped; nothing that was started is left")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 7, and no 10,000 rules")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, with commas between them")
    parser.add_argument("--json", type=Path, help="where to write everything that was measured")
    parser.add_argument("--aecl", type=Path, help="the program; otherwise this checkout's, built as it is handed out")
    parser.add_argument("--ledger", type=Path, help="the `ledger` of benches/; otherwise built likewise")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--cache", type=Path, default=home / "aecl-peers", help="where the peers are installed")
    parser.add_argument("--scratch", type=Path, help="on which disk stores are written; otherwise the cache's")
    args = parser.parse_args()
    args.only = args.only.split(",")
    if unknown := set(args.only) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return args


def measure(args):
    if sys.version_info < (3, 11):
        raise Trouble(f"the peers need Python 3.11 or newer, and this is {platform.python_version()}")
    args.aecl = args.aecl or built("aecl", "aecl")
    args.ledger = args.ledger or built("ledger", "aecl-benches", "--no-default-features")
    for program in (args.aecl, args.ledger):
        if not os.access(program, os.X_OK):
            raise Trouble(f"`{program}` is no program; build it, or leave the option out")
    python = installed(args.cache)
    scratch = Path(tempfile.mkdtemp(prefix="peers-", dir=args.scratch or args.cache))
    told = {"machine": machine(scratch), "groups": {}}
    print(told["machine"], flush=True)
    try:
        for group in args.only:
            folder = scratch / group
            folder.mkdir()
            told["groups"][group] = run(group, folder, python, args)
            show(group, told["groups"][group])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\nload at the end: {load()}")
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")


def built(name, package, *more):
    """As it is handed out, which takes some ten minutes the first time."""
    words = ["cargo", "build", "--profile", "dist", "--package", package, "--bin", name, *more]
    print(" ".join(words), file=sys.stderr)
    if shutil.which("cargo") is None:
        raise Trouble(f"there is no `cargo`; install Rust, or name the program with --{name}")
    if subprocess.run(words, cwd=ROOT).returncode != 0:
        raise Trouble(f"`{name}` was not built; the reason is above")
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "dist" / name


def installed(cache):
    """Python with the peers, in a folder named after what is in it."""
    wanted = (HERE / "requirements.txt").read_bytes()
    name = f"peers-{sys.version_info[0]}.{sys.version_info[1]}"
    python = cache / name / "bin/python"
    mark = cache / name / "requirements.txt"
    if mark.exists() and mark.read_bytes() == wanted:
        return python
    cache.mkdir(parents=True, exist_ok=True)
    print(f"installing the peers into {cache / name}", file=sys.stderr)
    try:
        venv.create(cache / name, clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        raise Trouble("Python cannot make an environment of its own; on Debian, install `python3-venv`") from None
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    if subprocess.run([python, *words, "--requirement", HERE / "requirements.txt"]).returncode != 0:
        raise Trouble(
            f"pip did not install {HERE / 'requirements.txt'}; the reason is above. It needs a way to the Python "
            "package index, and wheels for this Python: 3.11 has them all"
        )
    mark.write_bytes(wanted)
    return python


def machine(scratch):
    cores = os.cpu_count()
    return (
        f"{cores} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, scratch on {file_system(scratch)}, load {load()}"
    )


def file_system(path):
    fits = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    fits = [(where, kind) for where, kind in fits if path.is_relative_to(where)]
    return max(fits, key=lambda fit: len(fit[0]))[1]


def load():
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


class Worker:
    """A contestant in a process of its own."""

    def __init__(self, row, folder, python, args):
        self.name = row.worker
        folder = folder / f"{row.worker}-{row.rules}"
        folder.mkdir()
        words = [python, HERE / "worker.py", row.worker, folder, str(row.rules)]
        words += [args.aecl.resolve()] if row.worker.startswith("aecl") else []
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.child = subprocess.Popen(words, **pipes)
        said = self.hear()
        self.about, self.loaded, self.busy = said["about"], said["loaded"], {}

    def hear(self):
        line = self.child.stdout.readline()
        if not line:
            raise Trouble(f"`{self.name}` has ended with {self.child.wait()}; its words are above")
        return json.loads(line)

    def ask(self, **order):
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()
        return self.hear()

    def seconds(self, row):
        told = self.ask(do=row.do, times=row.times, parts=row.parts)
        self.busy.setdefault(row.key, []).append(told["busy"])
        return told["seconds"]

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Ledger:
    """Our own measurement in Rust: what the same costs without a socket."""

    loaded, busy = None, {}

    def __init__(self, folder, args):
        self.about = "`ledger` of benches/, with its own policy of ten rules and a budget"
        self.program, self.folder, self.said = args.ledger.resolve(), folder, {}

    def seconds(self, row):
        """A row that is asked for a second time begins the next run."""
        if row.do not in self.said:
            self.said = self.figures(row.do.split(":")[0])
        return self.said.pop(row.do)

    def figures(self, part):
        environment = {**os.environ, "AECL_BENCH_DIR": str(self.folder)}
        environment.pop("BENCH_IS_AECL", None)
        told = subprocess.run([self.program, part], capture_output=True, text=True, env=environment)
        if told.returncode != 0:
            raise Trouble(f"`{self.program} {part}` has failed:\n{told.stderr}")
        return FIGURES[part](told.stdout)

    def close(self):
        pass


def figure(told, words):
    found = re.search(rf"{re.escape(words)}.*?\s([\d.]+)( µs|\s{{3}})", told)
    if not found:
        raise Trouble(f"`ledger` says nothing of `{words}`: is it of this checkout?")
    return float(found[1])


def decide_figures(told):
    bare = figure(told, "bare Cedar evaluation of the slice (request built before)")
    parts = [figure(told, f"  {part}") for part in ("decide()  ", "parse of the proposal", "facts gathered")]
    return {"decide:bare Cedar evaluation": bare / 1e6, "decide:whole": sum(parts) / 1e6}


def durable_figures(told):
    one = figure(told, "one durable decision, one client") / 1e6
    many = 1 / figure(told, "decisions/s, 64 clients, SQLite, synchronous=FULL")
    return {"durable:one durable decision": one, "durable:decisions/s, 64": many}


FIGURES = {"decide": decide_figures, "durable": durable_figures}


def run(group, folder, python, args):
    rows = [row for row in GROUPS[group] if not (args.quick and row.rules == MANY)]
    workers = {}
    try:
        for row in rows:
            if (row.worker, row.rules) not in workers:
                made = Ledger(folder, args) if row.worker == "ledger" else Worker(row, folder, python, args)
                workers[row.worker, row.rules] = made
        same_answers(workers)
        rounds = [one_round(rows, workers, turn) for turn in range(4 if args.quick else 8)]
    finally:
        for worker in workers.values():
            worker.close()
    about = {f"{name}, {rules} rules": worker.about for (name, rules), worker in workers.items()}
    loaded = {name: worker.loaded for (name, rules), worker in workers.items() if rules == MANY}
    # The first round warms up.
    busy = {key: statistics.median(shares) for worker in workers.values() for key, shares in worker.busy.items()}
    told = [{**summary(row, rounds[1:]), "busy": busy.get(row.key)} for row in rows]
    return {"about": about, "loaded": loaded, "rows": told}


def same_answers(workers):
    """Nobody's time counts who answers something else."""
    from rules import QUESTIONS

    wanted = [allowed for _, _, allowed in QUESTIONS]
    for (name, rules), worker in workers.items():
        answers = wanted if isinstance(worker, Ledger) else worker.ask(do="answers")["answers"]
        if answers not in (None, wanted):
            raise Trouble(f"`{name}` with {rules} rules answers {answers}, and {wanted} is what the rules say")


def one_round(rows, workers, turn):
    """Each row once, each round beginning with another. What a row is read beside is measured again just before it."""
    start, named = turn % len(rows), {row.key: row for row in rows}
    taken, ratios = {}, {}
    for row in rows[start:] + rows[:start]:
        beside = named.get(row.beside)
        near = beside and workers[beside.worker, beside.rules].seconds(beside)
        taken[row.key] = workers[row.worker, row.rules].seconds(row)
        if beside:
            ratios[row.key] = taken[row.key] / near
    return taken, ratios


def summary(row, rounds):
    times = sorted(taken[row.key] for taken, _ in rounds)
    told = {"key": row.key, "words": row.words, "seconds": statistics.median(times)}
    told["range"] = [times[0], times[-1]]
    if row.beside:
        told["beside"] = row.beside
        told["ratio"] = statistics.median(ratios[row.key] for _, ratios in rounds)
    return told


def show(group, told):
    print(f"\n{group}")
    for name, about in told["about"].items():
        print(f"  {name}: {about}")
    for row in told["rows"]:
        low, high = (f"{seconds * 1e6:.0f}" for seconds in row["range"])
        value = f"{row['seconds'] * 1e6:.1f} µs"
        if group == "clients":
            value = f"{1 / row['seconds']:.0f}/s"
        beside = f"{row['ratio']:8.2f} × {row['beside']}" if "ratio" in row else ""
        print(f"  {row['words']:<52} {value:>13} {low + ' to ' + high:>18} {beside}")
    at_work = [f"{row['key']} {row['busy']:.0%}" for row in told["rows"] if row["busy"]]
    print(f"  of this time the asking process itself was at work: {', '.join(at_work)}")
    for name, seconds in told["loaded"].items():
        print(f"  {name}: 10,000 rules are loaded in {seconds:.2f} s")
    sys.stdout.flush()


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s in all")
