"""Actions that are carried out by modules of WebAssembly, from the proposal to the record, in real cages.

The worker `aecl-wasm` is built from `wasm/`, as a user would, and its own tests run. Then each way in which a module
can end is an action of its own: what the record says of it is what happened.
"""

import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from report import check, end, fail, skip  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
AECL = os.environ["AECL_BIN"]
WORK = pathlib.Path(tempfile.mkdtemp())
TARGET = pathlib.Path(os.environ.get("AECL_WASM_TARGET", ROOT / "target" / "wasm"))


def cargo(*words):
    command = ["cargo", words[0], "--quiet", "--locked", "--manifest-path", str(ROOT / "wasm/Cargo.toml"), *words[1:]]
    return subprocess.run(command, env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)}, capture_output=True, text=True)


begun = time.monotonic()
built = cargo("test", "--no-run")
print(f"the worker and its tests were built in {time.monotonic() - begun:.0f} s")
if not check("the worker builds", built.returncode == 0, built.stderr[-2000:]):
    end()
ran = cargo("test", "--", "--format=pretty")
for name, result in re.findall(r"^test (\S+) \.\.\. (\w+)", ran.stdout, re.M):
    check(f"worker: {name}", result == "ok", ran.stdout[-2000:])
if ran.returncode != 0:
    fail("the worker's own tests", ran.stdout[-1000:] + ran.stderr[-1000:])

WORKER = TARGET / "debug/aecl-wasm"
MODULES = WORK / "modules"
MODULES.mkdir()
TEXTS = {path.stem: path.read_text() for path in (ROOT / "wasm/tests/modules").glob("*.wat")}
TEXTS |= {
    "spin": '(module (func (export "_start") (loop $l (br $l))))',
    "deep": '(module (func $f (export "_start") (call $f)))',
    "trap": '(module (func (export "_start") unreachable))',
    "table": '(module (table 2000000 funcref) (func (export "_start")))',
    "import": '(module (import "env" "system" (func)) (func (export "_start")))',
}
words = []
for name, text in TEXTS.items():
    (WORK / f"{name}.wat").write_text(text)
    words += [str(WORK / f"{name}.wat"), str(MODULES / f"{name}.wasm")]
made = cargo("run", "--example", "assemble", "--", *words)
if not check("the modules are made", made.returncode == 0, made.stderr[-2000:]):
    end()
(MODULES / "garbage.wasm").write_bytes(b"\0asm\1\0\0\0 and so on")


def pinned(name):
    path = MODULES / f"{name}.wasm"
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def aecl(*args, home=WORK / "home", worker=WORKER, stdin=None):
    return subprocess.run(
        [AECL, "--dir", str(home), *map(str, args)],
        capture_output=True,
        text=True,
        input=stdin,
        env={**os.environ, "AECL_WASM": str(worker), "CANARY": "a secret of the host"},
        timeout=120,
    )


# What lies beside the one directory that modules see.
SHOWN = WORK / "shown"
SHOWN.mkdir()
(SHOWN / "open").write_text("hello\n")
(WORK / "secret").write_text("canary")
SHOWN.chmod(0o755)
WORK.chmod(0o755)

LIMITS = {"memory_max_mib": None, "output_max_mib": 2}
NONE = {"type": "object", "properties": {}}


def action(name, connector, arguments=NONE, **more):
    """An action that nobody is asked for, and whose output stains no run."""
    return {
        "name": f"wasm.{name}",
        "effect": "execute",
        "reversibility": "reversible",
        "severity": 0,
        "timeout_ms": 60_000,
        "arguments": arguments,
        "output": {"untrusted": False, "private": False},
        "connector": {"kind": "process", "argv": [name], "limits": LIMITS, **connector},
        **more,
    }


def wasm(name, **limits):
    return {"wasm": {"module": pinned(name), **limits}}


NUMBERS = {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "string", "maxLength": 100}},
}
VIEW = {"source": str(SHOWN), "at": "/shown"}


def opens(path, access="read_only", *more):
    return {**wasm("open"), "argv": ["open", path, *more], "views": [{**VIEW, "access": access}]}


CHANGED = {**pinned("sum"), "sha256": hashlib.sha256(b"another file").hexdigest()}
# Name, connector, state and code of the outcome.
ENDS = [
    ("spin", wasm("spin", fuel_max=1_000_000), "wasm_fuel"),
    ("deep", wasm("deep"), "wasm_stack"),
    ("bomb", wasm("bomb", memory_max_mib=64, fuel_max=None), "wasm_memory"),
    ("table", wasm("table"), "wasm_table"),
    ("import", wasm("import"), "wasm_import"),
    ("trap", wasm("trap"), "wasm_trap"),
    ("garbage", wasm("garbage"), "wasm_invalid"),
    ("changed", {"wasm": {"module": CHANGED}}, "wasm_changed"),
    ("gone", {"wasm": {"module": {**CHANGED, "path": str(WORK / "nowhere.wasm")}}}, "wasm_unreadable"),
    ("flood", wasm("flood", fuel_max=None), "process_output"),
    ("sleep", wasm("sleep"), "process_timeout"),
    ("forever", wasm("spin", fuel_max=None), "process_timeout"),
    ("outside", opens("../secret"), "process_exit"),
    ("passwd", opens("/etc/passwd"), "process_exit"),
    ("written", opens("new", "read_only", "write"), "process_exit"),
    ("no_json", {**wasm("given"), "stdout": "json"}, "process_json"),
]
DONE = [
    ("sum", {**wasm("sum"), "stdin": "{numbers}\n", "stdout": "json"}, NUMBERS),
    ("command", wasm("command"), NONE),
    ("given", {**wasm("given"), "argv": ["given", "-v"], "env": {"A": "1"}}, NONE),
    ("read", opens("open"), NONE),
    ("write", opens("new", "overlay", "write"), NONE),
]
# Where the time of the call is the end, it need not be long.
SHORT = {"sleep", "forever"}
actions = [action(name, connector, arguments) for name, connector, arguments in DONE]
actions += [
    action(name, connector, timeout_ms=3_000 if name in SHORT else 60_000) for name, connector, _ in ENDS
]
agent = {"agent_id": "worker", "auto_approve_threshold": "1.00", "allowed_actions": [a["name"] for a in actions]}

aecl("init")
POLICY = WORK / "home/policy"
(POLICY / "actions").mkdir(exist_ok=True)
(POLICY / "actions/wasm.json").write_text(json.dumps(actions))
(POLICY / "agents/worker.json").write_text(json.dumps(agent))
ran = aecl("policy", "check")
check("a policy with modules loads", ran.returncode == 0, ran.stdout + ran.stderr)

for what, connector, says in [
    ("a way out", {**wasm("sum"), "egress": [{"host": "example.com"}]}, "`egress`"),
    ("a working directory", {**wasm("sum"), "cwd": "/shown"}, "`cwd`"),
    ("half a digest", {"wasm": {"module": {**CHANGED, "sha256": "abc"}}}, "64 hexadecimal digits"),
    ("no fuel", wasm("sum", fuel_max=0), "`wasm.fuel_max`"),
    ("more memory than its cage", {**wasm("sum", memory_max_mib=64), "limits": {"memory_max_mib": 64}}, "larger"),
    ("a key that nobody knows", wasm("sum", fuel=1), "fuel"),
]:
    wrong = WORK / "wrong"
    shutil.rmtree(wrong, ignore_errors=True)
    shutil.copytree(POLICY, wrong)
    (wrong / "actions/wasm.json").write_text(json.dumps([action("sum", connector)]))
    (wrong / "agents/worker.json").write_text(json.dumps({**agent, "allowed_actions": ["wasm.sum"]}))
    ran = aecl("policy", "check", wrong)
    refused = ran.returncode != 0 and says in ran.stdout + ran.stderr
    check(f"a module with {what} does not load", refused, ran.stdout + ran.stderr)

key = aecl("keys", "add", "orchestrator", "planner", "--agent", "worker").stdout.strip()


class Served:
    """`aecl serve` as long as the `with` block lives."""

    def __init__(self, worker=WORKER):
        self.worker = worker

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.child = subprocess.Popen(
            [AECL, "--dir", str(WORK / "home"), "serve", "--listen", f"127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL,
            stdout=(WORK / "log").open("ab"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "AECL_WASM": str(self.worker), "CANARY": "a secret of the host"},
        )
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError((WORK / "log").read_text()[-1000:])
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(30)

    def post(self, credential, path, body):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        headers = {"authorization": f"Bearer {credential}", "content-type": "application/json"}
        line.request("POST", path, json.dumps(body), headers)
        return json.loads(line.getresponse().read())

    def does(self, name, arguments=None):
        run = self.post(key, "/v1/runs", {"agent": "worker", "goal": "compute something"})
        return self.post(run["token"], "/v1/actions", {"action": f"wasm.{name}", "arguments": arguments or {}})


def outcome(answer):
    """What the record says of the attempt."""
    told = json.loads(aecl("log", "show", answer["action"], "--json").stdout)
    entries = [entry["entry"] for entry in told["entries"]]
    return next((entry for entry in entries if "sandbox" in entry), {})


with Served() as served:
    answer = served.does("sum", {"numbers": "40\n2"})
    check("a module computes", answer.get("state") == "done" and '"sum":42' in json.dumps(answer).replace(" ", ""), answer)
    held = outcome(answer).get("sandbox", "")
    check("the record says where", held.startswith("native: ") and held.endswith("a module in `aecl-wasm`"), held)
    for name, says in [
        ("command", ""),
        ("given", "given\\n-v\\nA=1\\n"),
        ("read", "hello\\n"),
        ("write", '"path": "new"'),
    ]:
        answer = served.does(name)
        text = json.dumps(answer)
        check(f"`{name}` is done", answer.get("state") == "done" and says in text, answer)
        check(f"`{name}` tells nothing of the host", "secret" not in text and "canary" not in text, answer)
    check("what a module wrote came back as data only", not (SHOWN / "new").exists())
    for name, _, code in ENDS:
        begun = time.monotonic()
        answer = served.does(name)
        record = outcome(answer)
        right = answer.get("state") == "failed" and record.get("code") == code
        check(f"`{name}` ends with {code}", right, f"{record} {answer}")
        check(f"`{name}` ends in time", time.monotonic() - begun < 30)
    messages = [outcome(served.does(name)).get("message", "") for name in ["spin", "bomb", "changed"]]
    shown = all(part in text for part, text in zip(["1000000 units", "64 MiB", "pin the new one"], messages))
    check("the record says which limit it was", shown, messages)

with Served(worker="/nowhere/aecl-wasm") as served:
    answer = served.does("sum", {"numbers": "1"})
    text = json.dumps(answer)
    blocked = answer.get("state") == "blocked" and "sandbox_unavailable" in text and "--path wasm" in text
    check("without the worker it is blocked, with how to get it", blocked, answer)
    check("and nothing is begun", outcome(answer) == {}, answer)

with Served() as served:
    answer = served.does("sum", {"numbers": "1"})
    check("with the worker it is allowed again", answer.get("state") == "done", answer)
    # It goes away while we serve: found out when it is needed, and nothing runs.
    moved = WORKER.with_name("moved")
    WORKER.rename(moved)
    try:
        record = outcome(served.does("sum", {"numbers": "1"}))
    finally:
        moved.rename(WORKER)
    check("a worker that went away since fails the call", record.get("code") == "wasm_worker", record)

# Every other cage that this host can build, with a limit of memory where it is enforced.
held_by = {row["backend"]: row for row in json.loads(aecl("--json", "doctor", "--sandbox").stdout)["backends"]}
config = WORK / "home/aecl.yaml"
plain = config.read_text()
for name, row in held_by.items():
    if not row["available"]:
        skip(f"a module in `{name}`", row["reason"])
        continue
    config.write_text(plain.replace("\nsandbox: {}\n", f"\nsandbox: {{ backends: [{name}] }}\n"))
    most = 512 if row["memory_limit"] else None
    limits = {**LIMITS, "memory_max_mib": most}
    limited = [{**a, "connector": {**a["connector"], "limits": limits}} for a in actions[: len(DONE)]]
    (POLICY / "actions/wasm.json").write_text(json.dumps([*limited, *actions[len(DONE) :]]))
    with Served() as served:
        answer = served.does("sum", {"numbers": "40\n2"})
        sandbox = outcome(answer).get("sandbox", "")
        right = answer.get("state") == "done" and name in sandbox and ("512 MiB" in sandbox) == (most is not None)
        check(f"a module in `{name}`", right, f"{sandbox} {answer}")
        record = outcome(served.does("spin"))
        check(f"an endless one in `{name}`", record.get("code") == "wasm_fuel", record)
config.write_text(plain)

ran = aecl("log", "verify")
check("the record holds", ran.returncode == 0, ran.stdout + ran.stderr)
ran = aecl("log", "replay", worker="/nowhere/aecl-wasm")
check("each decision can be made again where no worker is", ran.returncode == 0, ran.stdout + ran.stderr)

# From a terminal, by the same keys.
(WORK / "sum.yaml").write_text(json.dumps({**wasm("sum"), "limits": LIMITS, "stdout": "json"}))
ran = aecl("run", "--policy", WORK / "sum.yaml", "--", "sum", stdin="1\n2\n3\n")
check("`aecl run` runs a module", (ran.returncode, ran.stdout) == (0, '{"sum": 6}'), ran)
ran = aecl("run", "--policy", WORK / "sum.yaml", "--", "sum", worker="/nowhere/aecl-wasm")
check("and says how to get the worker", ran.returncode != 0 and "--path wasm" in ran.stderr, ran.stderr)

# The doctor tries it out.
told = json.loads(aecl("--json", "doctor", "--sandbox").stdout)["modules"]
check("the doctor runs a module", told["available"] and "wasmtime" in told["reason"], told)
print(f"start to end of a module that does nothing, with its cage, debug build: {told.get('start_ms')} ms")
ran = aecl("--json", "doctor", "--sandbox", worker="/nowhere/aecl-wasm")
told = json.loads(ran.stdout)
missing = not told["sound"] and ran.returncode == 1 and "--path wasm" in told["modules"]["reason"]
check("the doctor says what is missing", missing, told)

end()
