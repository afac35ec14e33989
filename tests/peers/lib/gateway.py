"""Our side of the peer tests: AECL's commands and files, in one place.

Everything that these tests assume about `aecl` stands at the top. When a command or a file
changes its form, this is the file to change.
"""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

AECL = os.environ.get("AECL_BIN", "")
AGENT = "peer-test"

# Its absence is a failure and no reason to skip.
REQUIRED = True


def aecl(data, *words):
    return [AECL, "--dir", str(data), *words]


def init(data, *servers):
    """A directory with an agent that may use everything of these servers: reading happens, the rest waits."""
    named = [word for server in servers for word in ("--server", server)]
    return aecl(data, "--json", "init", "--agent", AGENT, *named)


def serve(data, port):
    return aecl(data, "serve", "--listen", f"127.0.0.1:{port}")


def endpoint(port):
    return f"http://127.0.0.1:{port}/mcp/{AGENT}"


def wrap(data, name, server):
    return aecl(data, "mcp", "--agent", AGENT, "--server", name, "--", *server)


def client_entry(said, name, server):
    """The command that `init` gives for an MCP client, in front of this server instead of npx's."""
    entry = json.loads(said)["mcp_client"]["mcpServers"][name]
    ours = entry["args"][: entry["args"].index("--") + 1]
    return [entry["command"], *ours, *server]


def import_catalogue(data, name):
    return aecl(data, "catalog", "import", name)


def login(data, name):
    return aecl(data, "--json", "servers", "login", name, "--no-browser", "--wait", "30")


def logins(data):
    return aecl(data, "--json", "servers", "status")


def new_key(data):
    return aecl(data, "keys", "add", "orchestrator", "suite", "--agent", AGENT)


def list_approvals(data):
    return aecl(data, "--json", "approvals", "list")


def approve(data, approval_id):
    return aecl(data, "approvals", "approve", approval_id)


def verify(data):
    return aecl(data, "log", "verify")


def write_config(data, upstreams, hold_ms=0, oauth=None):
    """`upstreams` maps a name to the URL of an MCP server. A waiting call is held `hold_ms`."""
    more = {} if oauth is None else {"oauth": oauth}
    servers = {name: {"kind": "http", "url": url, "allow_private": True, **more} for name, url in upstreams.items()}
    file = Path(data) / "aecl.yaml"
    text = file.read_text()
    for before, after in (("servers: {}", f"servers: {json.dumps(servers)}"), ("hold_ms: 25000", f"hold_ms: {hold_ms}")):
        if f"\n{before}" not in text.replace("\n  ", "\n"):
            raise Problem(f"`{before}` is not in aecl.yaml")
        text = text.replace(f"\n{before}", f"\n{after}").replace(f"\n  {before}", f"\n  {after}")
    file.write_text(text)


def review(data, server, reads=None, private=True):
    """A person reviews the tools of a server and says which of them only read: these, or all; and whether what they
    give is private."""
    file = Path(data) / f"policy/actions/mcp-{server}.json"
    actions = json.loads(file.read_text())
    for action in actions:
        if reads is None or action["name"].removeprefix(f"{server}.") in reads:
            action["effect"] = "read"
            action["idempotency"] = "pure"
            # Guesses about a change.
            for guess in ("approval", "cases", "reversibility", "severity"):
                action.pop(guess, None)
        if not private:
            action["output"] = {"untrusted": True, "private": False}
        if action["name"] == f"{server}.resources/read":
            # This server may be asked for any address.
            action["args"], action["egress"] = {"uri": {"class": "selector"}}, "none"
    file.write_text(json.dumps(actions, indent=2))


def stop_background(data):
    """Ends the process that `aecl mcp` has started for this directory."""
    lock = Path(data) / "data/lock"
    if not lock.exists() or not lock.read_text().strip():
        return
    pid = int(lock.read_text())
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    end = time.monotonic() + 40
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > end:
            raise Problem("the process in the background does not end")
        time.sleep(0.05)


# --- nothing below knows a name of ours


class Problem(Exception):
    """One of our commands did not do its work."""


def run(command, deadline_s=60):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=deadline_s, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        words = " ".join(command[3:6])
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
