"""Our side of the peer tests: AECL's commands and files, in one place.

Everything that these tests assume about `aecl` stands at the top. When a command or a file
changes its form, this is the file to change.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

AECL = os.environ.get("AECL_BIN", "")
AGENT = "peer-test"
APPROVER = "peer-approver"

# True once the gateway exists: from then on its absence is a failure and no reason to skip.
REQUIRED = False


def init(data):
    return [AECL, "init", "--dir", str(data)]


def serve(data, port):
    return [AECL, "serve", "--dir", str(data), "--listen", f"127.0.0.1:{port}"]


def endpoint(port):
    return f"http://127.0.0.1:{port}/mcp/{AGENT}"


def wrap(data, server):
    return [AECL, "mcp", "--dir", str(data), "--agent", AGENT, "--", *server]


def import_catalogue(data, prefix, server):
    return [AECL, "catalog", "import", "--dir", str(data), "--prefix", prefix, *server]


def new_key(data):
    return [AECL, "keys", "create", "--dir", str(data), "--agent", AGENT, "--json"]


def list_approvals(data):
    return [AECL, "approvals", "list", "--dir", str(data), "--json"]


def approve(data, approval_id):
    return [AECL, "approvals", "approve", "--dir", str(data), "--as", APPROVER, approval_id]


def verify(data):
    return [AECL, "log", "verify", "--dir", str(data)]


def write_policy(data, allowed, ask=()):
    """`allowed` happens at once, `ask` waits for a person, everything else is refused."""
    manifest = {
        "agent_id": AGENT,
        "allowed_actions": list(allowed),
        "context_rules": {name: "requires_human_approval" for name in ask},
    }
    place = Path(data) / "policy/agents"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{AGENT}.json").write_text(json.dumps(manifest, indent=2))


def write_config(data, upstreams, hold_ms=0):
    """`upstreams` maps a name to the URL of an MCP server. A waiting call is held `hold_ms`."""
    config = {"mcp": {"hold_ms": hold_ms, "upstreams": {name: {"url": url} for name, url in upstreams.items()}}}
    Path(data).mkdir(parents=True, exist_ok=True)
    (Path(data) / "aecl.json").write_text(json.dumps(config, indent=2))


def action(prefix, tool):
    """The name in the catalogue of a tool that a server calls `tool`."""
    return f"{prefix}.{tool}"


# --- nothing below knows a name of ours


class Problem(Exception):
    """One of our commands did not do its work."""


def run(command, deadline_s=60):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=deadline_s, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        words = " ".join(command[1:4])
        raise Problem(f"`aecl {words}` ended with {ended.returncode}: {(ended.stderr or ended.stdout).strip()[-300:]}")
    return ended.stdout


def missing(*commands):
    """Why these commands of `aecl` cannot be used, or None when they can."""
    if not AECL:
        return "AECL_BIN names no program"
    if not os.access(AECL, os.X_OK):
        raise Problem(f"AECL_BIN (`{AECL}`) is no program")
    for name in commands:
        said = subprocess.run([AECL, name, "--help"], capture_output=True, text=True, timeout=30)
        # A program that does nothing succeeds too, so it has to speak of the command.
        if said.returncode != 0 or name not in said.stdout:
            return f"`aecl {name}` is not there yet"
    return None


def wait_for(url, deadline_s=30):
    """Until something answers at `url`, whatever it says."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise Problem(f"nothing answers at `{url}` after {deadline_s} s")


class Process:
    """A server that lives as long as the `with` block and takes what it started with it."""

    def __init__(self, command, url, log):
        self.command, self.url, self.log = command, url, log

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(self.url)
        except Problem as problem:
            self.__exit__()
            raise Problem(f"{problem}; it said: {Path(self.log).read_text(errors='replace')[-300:]}") from None
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
