"""Coding agents with AECL's hooks: Claude Code, Codex CLI, Gemini CLI, GitHub Copilot CLI and the runtime of Cursor's SDK as they come from
npm, each with a model that says what a script says. What is allowed happens and is on record; what is refused, held, rejected or cannot be judged does not.

The hooks are those that `aecl init --client` writes. The clients' own rules are off, so that nothing but AECL says no.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from report import check, end, fail, skip  # noqa: E402
from scripted_model import ScriptedModel  # noqa: E402

AECL = os.environ["AECL_BIN"]
BIN = pathlib.Path(os.environ["PEERS"]) / "node/node_modules/.bin"
NODE = os.environ.get("NODE", "node")
FILES = BIN.parent / "@modelcontextprotocol/server-filesystem/dist/index.js"
CLIENT_S = 120


class Agent:
    """A client with a user, a project and a home of its own."""

    def __init__(self, name):
        self.name, self.model = name, ScriptedModel()
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.user, self.project = self.dir / "user", self.dir / "shop"
        for made in (self.user, self.project):
            made.mkdir()
        path = f"{pathlib.Path(NODE).parent}:{os.environ['PATH']}" if "/" in NODE else os.environ["PATH"]
        self.env = {"PATH": path, "HOME": str(self.user), "IS_SANDBOX": "1"}
        (self.project / "a.txt").write_text("hello\n")
        self.prepare()
        self.aecl("init", "--client", name, "--yes")
        self.home = self.user / ".local/share/aecl/shop"
        config = self.home / "aecl.yaml"
        config.write_text(config.read_text().replace("hold_ms: 25000", "hold_ms: 200"))
        self.wait(0)

    def aecl(self, *words):
        said = subprocess.run([AECL, *words], cwd=self.project, env=self.env, capture_output=True, text=True)
        if said.returncode not in (0, 3):
            raise RuntimeError(f"aecl {' '.join(words)}: {said.stdout}{said.stderr}")
        return said.stdout

    @classmethod
    def is_there(cls):
        return (BIN / cls.words[0]).exists()

    def program(self):
        return [str(BIN / self.words[0])]

    def server(self):
        """The entry of an MCP server, which `aecl init` puts AECL in front of."""
        return {"command": NODE, "args": [str(FILES), str(self.project)]}

    def wait(self, seconds):
        """For how long a hook waits for people."""
        said = re.sub(rf" hook {self.name} (--wait \d+ )?", f" hook {self.name} --wait {seconds} ", self.hooks.read_text())
        self.hooks.write_text(said)

    def run(self, *steps, **env):
        """The client does one task. What the model was told about its calls comes back."""
        self.model.play(*steps)
        words = [*self.program(), *self.words[1:]]
        environment = {**self.env, **self.model_env(), **env}
        self.said = subprocess.run(
            words, cwd=self.project, env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=CLIENT_S,
        )
        return self.model.told()

    def record(self):
        entries = self.aecl("log", "tail", "-n", "1000", "--json").splitlines()
        return [json.loads(line) for line in entries if line.startswith("{")]

    def lines(self):
        return self.aecl("log", "tail", "-n", "1000")

    def open(self):
        listed = json.loads(self.aecl("approvals", "list", "--json"))["approvals"]
        return [one for one in listed if one["state"] == "pending"]

    def answer(self, verb, *more):
        """Approves or rejects what waits."""
        one = self.open()[-1]
        return self.aecl("approvals", verb, one.get("approval") or one["id"], *more)

    def held(self, told):
        """Whether the model, or whoever reads what the client says, is told that a call waits."""
        return "pending" in told

    def twice(self, step):
        """A call that is held, and once more in the same session after the yes."""
        return self.run(step, lambda: self.answer("approve"), step)

    def stop(self):
        lock = self.home / "data/lock"
        if lock.exists():
            try:
                os.kill(int(lock.read_text()), signal.SIGTERM)
            except (ProcessLookupError, ValueError):
                pass
        shutil.rmtree(self.dir, ignore_errors=True)


class Claude(Agent):
    words = ["claude", "-p", "do it", "--permission-mode", "bypassPermissions", "--output-format", "json"]

    def program(self):
        # Its own install script would put the program in place; none of a package is run here.
        return [NODE, str(BIN.parent / "@anthropic-ai/claude-code/cli-wrapper.cjs")]

    def prepare(self):
        self.hooks = self.project / ".claude/settings.local.json"
        (self.project / ".mcp.json").write_text(json.dumps({"mcpServers": {"files": self.server()}}))
        (self.user / ".claude").mkdir()
        (self.user / ".claude/settings.json").write_text('{"enableAllProjectMcpServers": true}')

    def model_env(self):
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        return {"ANTHROPIC_BASE_URL": self.model.url, "ANTHROPIC_API_KEY": "sk-none", **quiet}

    def shell(self, line):
        return ("tool", "Bash", {"command": line})

    def write(self, path, text):
        return ("tool", "Write", {"file_path": str(self.project / path), "content": text})

    def mcp(self, tool, arguments):
        return ("tool", f"mcp__files__{tool}", arguments)

    def held(self, told):
        # Nobody looks at `claude -p`: it ends, and waits without a process.
        return json.loads(self.said.stdout).get("terminal_reason") == "tool_deferred"

    def twice(self, step):
        self.run(step)
        self.answer("approve")
        session = json.loads(self.said.stdout)["session_id"]
        self.words, words = ["claude", "-p", "--resume", session, *self.words[3:]], self.words
        try:
            return self.run()
        finally:
            self.words = words


class Codex(Agent):
    words = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-hook-trust",
             "--dangerously-bypass-approvals-and-sandbox", "do it"]

    def prepare(self):
        self.hooks = self.user / ".codex/config.toml"
        self.hooks.parent.mkdir()
        server = self.server()
        self.hooks.write_text(
            f'model = "gpt-5.6-sol"\nmodel_provider = "scripted"\n\n[model_providers.scripted]\nname = "scripted"\n'
            f'base_url = "{self.model.url}/v1"\nwire_api = "responses"\nenv_key = "SCRIPTED_KEY"\n\n'
            f"[mcp_servers.files]\ncommand = {json.dumps(server['command'])}\nargs = {json.dumps(server['args'])}\n"
        )

    def model_env(self):
        return {"SCRIPTED_KEY": "none"}

    def shell(self, line):
        return ("tool", "exec_command", {"cmd": line})

    def write(self, path, text):
        return ("tool", "apply_patch", f"*** Begin Patch\n*** Add File: {path}\n+{text}\n*** End Patch\n")

    def mcp(self, tool, arguments):
        return ("tool", f"mcp__files__{tool}", arguments)


class Gemini(Agent):
    words = ["gemini", "-p", "do it", "--yolo", "-m", "gemini-2.5-pro"]

    def prepare(self):
        self.hooks = self.project / ".gemini/settings.json"
        self.hooks.parent.mkdir()
        self.hooks.write_text(json.dumps({"mcpServers": {"files": self.server()}}))
        (self.user / ".gemini").mkdir()
        (self.user / ".gemini/settings.json").write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')

    def model_env(self):
        return {"GOOGLE_GEMINI_BASE_URL": self.model.url, "GEMINI_API_KEY": "none", "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def shell(self, line):
        return ("tool", "run_shell_command", {"command": line})

    def write(self, path, text):
        return ("tool", "write_file", {"file_path": str(self.project / path), "content": text})

    def mcp(self, tool, arguments):
        return ("tool", f"mcp_files_{tool}", arguments)


class Copilot(Agent):
    words = ["copilot", "-p", "do it", "--allow-all-tools"]

    def prepare(self):
        self.hooks = self.user / ".copilot/settings.json"
        self.hooks.parent.mkdir()
        server = {"type": "local", "tools": ["*"], **self.server()}
        (self.user / ".copilot/mcp-config.json").write_text(json.dumps({"mcpServers": {"files": server}}))

    def model_env(self):
        model = {"COPILOT_PROVIDER_BASE_URL": self.model.url, "COPILOT_PROVIDER_TYPE": "anthropic",
                 "COPILOT_PROVIDER_API_KEY": "none", "COPILOT_MODEL": "claude-sonnet-4.5"}
        return {"COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false", **model}

    def shell(self, line):
        return ("tool", "bash", {"command": line, "description": "do it"})

    def write(self, path, text):
        return ("tool", "create", {"path": str(self.project / path), "file_text": text})

    def mcp(self, tool, arguments):
        return ("tool", f"files-{tool}", arguments)


class Cursor(Agent):
    words = ["cursor"]

    @classmethod
    def is_there(cls):
        return (BIN.parent / "@cursor/sdk").exists()

    def prepare(self):
        self.hooks = self.user / ".cursor/hooks.json"
        self.hooks.parent.mkdir()
        servers = self.project / ".cursor/mcp.json"
        servers.parent.mkdir()
        servers.write_text(json.dumps({"mcpServers": {"files": self.server()}}))

    def run(self, *steps):
        """Its model is in the same process, which reads each call when the one before has ended."""
        driver = pathlib.Path(__file__).parent / "lib/cursor.mjs"
        told, errors = [], self.dir / "errors"
        with errors.open("w") as into, subprocess.Popen(
            [NODE, str(driver), str(BIN.parent)], cwd=self.project, env=self.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=into,
        ) as process:
            timer = threading.Timer(CLIENT_S, process.kill)
            timer.start()
            for step in steps:
                if callable(step):
                    step()
                    continue
                process.stdin.write(json.dumps(step) + "\n")
                process.stdin.flush()
                # The runtime says on its standard output what it loads, too.
                line = process.stdout.readline()
                while line and not line.startswith('"'):
                    line = process.stdout.readline()
                told.append(line)
            process.stdin.close()
            rest = process.stdout.read()
            code = process.wait()
            timer.cancel()
        self.said = subprocess.CompletedProcess([], code, "".join(told) + rest, errors.read_text())
        return "".join(told)

    def shell(self, line):
        return {"kind": "shell", "command": line}

    def write(self, path, text):
        return {"kind": "write", "path": str(self.project / path), "text": text}

    def mcp(self, tool, arguments):
        return {"kind": "mcp", "server": "files", "tool": tool, "args": arguments}


def hooks_of(agent):
    """Processes that are hooks of this home."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"hook" in words and str(agent.home).encode() in words and words[0].endswith(b"aecl"):
                found.append(int(entry.name))
    return found


def end_server(agent):
    """Ends the server of a home."""
    lock = agent.home / "data/lock"
    process = int(lock.read_text())
    os.kill(process, signal.SIGTERM)
    while pathlib.Path(f"/proc/{process}").exists():
        time.sleep(0.05)


def killing(agent):
    """Takes the place of a home's server: never answers, and has whoever asks it killed."""
    end_server(agent)
    path = agent.home / "data/aecl.sock"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    killed = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            for process in hooks_of(agent):
                os.kill(process, signal.SIGKILL)
                killed.append(process)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener, killed


def walk(agent):
    name, there = agent.name, lambda path: (agent.project / path).exists()
    try:
        told = agent.run(agent.shell("cat a.txt"))
        lines = agent.lines()
        good = "hello" in told and "allowed    code.shell" in lines and "done       code.shell" in lines
        if not check(f"{name}: what only looks is allowed, and its outcome is on record", good,
                     f"{told} {lines[-600:]} {agent.said.stdout[-300:]} {agent.said.stderr[-600:]}"):
            return
        told = agent.run(agent.write("b.txt", "new"))
        check(f"{name}: a file of the project is written", there("b.txt"), told + agent.lines()[-600:])

        told = agent.run(agent.shell(f"cat {agent.home}/keys/operator.key > stolen"))
        check(f"{name}: what leads to AECL's own is refused", "own_house" in told and not there("stolen"), told)

        had = len(agent.open())
        told = agent.run(agent.shell("touch held"))
        check(f"{name}: what does more is held, and the model is told", agent.held(told) and not there("held"), told)
        check(f"{name}: one call is one question", len(agent.open()) == had + 1, agent.open())
        told = agent.twice(agent.shell("touch ran"))
        check(f"{name}: after the yes the same call runs", there("ran"), told + agent.lines()[-900:])
        (agent.project / "ran").unlink(missing_ok=True)
        told = agent.run(agent.shell("touch ran"))
        check(f"{name}: the yes was for one call", agent.held(told) and not there("ran"), told)

        agent.wait(30)
        answered = threading.Thread(target=reject_first, args=(agent, len(agent.open())))
        answered.start()
        told = agent.run(agent.shell("touch no"))
        answered.join()
        check(f"{name}: a no while the hook waits is told", "use the other file" in told and not there("no"), told)
        agent.wait(0)

        # Nobody else begins to serve the home meanwhile, as the gateway of an MCP server would.
        config = (agent.home / "aecl.yaml").read_text()
        (agent.home / "aecl.yaml").write_text("listen: [")
        listener, killed = killing(agent)
        told = agent.run(agent.shell("touch no"))
        check(f"{name}: a hook that is killed is a no", killed and not there("no"), told)
        listener.close()
        (agent.home / "data/aecl.sock").unlink()
        told = agent.run(agent.shell("touch no"))
        check(f"{name}: where no server starts nothing runs", "AECL" in told and not there("no"), told)
        (agent.home / "aecl.yaml").write_text(config)

        before = len([1 for line in agent.lines().splitlines() if "files." in line and "allowed" in line])
        told = agent.run(agent.mcp("read_text_file", {"path": str(agent.project / "a.txt")}))
        lines = agent.lines()
        judged = [line for line in lines.splitlines() if " allowed " in line and "files.read_text_file" in line]
        check(f"{name}: a call of an MCP server behind AECL is judged once", "hello" in told and len(judged) == before + 1,
              f"{told} {judged} {lines[-700:]}")
        told = agent.run(agent.mcp("write_file", {"path": str(agent.project / "m.txt"), "content": "x"}))
        held = [one for one in agent.open() if "files.write_file" in json.dumps(one)]
        check(f"{name}: and asked about once", len(held) == 1 and not there("m.txt"), f"{told} {agent.open()}")
        agent.aecl("log", "verify")
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        fail(f"{name}: the walk", error)
    finally:
        agent.stop()


def reject_first(agent, had):
    """Says no to what is asked next, as soon as it is."""
    until = time.monotonic() + CLIENT_S
    while time.monotonic() < until:
        if len(agent.open()) > had:
            return agent.answer("reject", "--reason", "use the other file")
        time.sleep(0.1)
    fail(f"{agent.name}: somebody is asked", "nobody was")


for kind in (Claude, Codex, Gemini, Copilot, Cursor):
    only = os.environ.get("AECL_HOOKS_ONLY")
    if only in (None, kind.words[0]):
        if not kind.is_there():
            skip(kind.words[0], "it is not installed")
            continue
        walk(kind(kind.words[0]))
end()
