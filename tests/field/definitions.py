"""Definitions of tools as a published server gives them: installed by exact version, started on two pipes, asked."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/field"
START_S = 60


class Missing(Exception):
    """A server whose definitions cannot be had, and what to do about it."""


def of(domain):
    """The definitions of a domain's tools, in the order in which the domain names them."""
    if domain.server is None:
        return domain.tools
    known = {tool["name"]: tool for tool in _asked(domain.name, domain.server)}
    gone = [name for name in domain.tools if name not in known]
    if gone:
        said = f"{domain.server.name} {domain.server.version} has no {', '.join(gone)}"
        raise Missing(f"{domain.name}: {said}; it has {', '.join(sorted(known))}")
    return [known[name] for name in domain.tools]


def _asked(name, package):
    folder = CACHE / f"{name}-{package.version}"
    kept = folder / "tools.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = _installed(folder, package)
        tools = _listed(command, dict(package.environment), folder)
        kept.with_suffix(".part").write_text(json.dumps(tools))
        kept.with_suffix(".part").rename(kept)
    return json.loads(kept.read_text())


def _installed(folder, package):
    program, *words = package.command
    if package.registry == "npm":
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)],
             f"{package.name}@{package.version}")
        found = folder / "node_modules/.bin" / program
    else:
        _run([sys.executable, "-m", "venv", str(folder / "python")])
        _run([str(folder / "python/bin/pip"), "install", "--quiet"], f"{package.name}=={package.version}")
        found = folder / "python/bin" / program
    if not found.exists() and not shutil.which(program):
        raise Missing(f"{package.name} {package.version} brings no program `{program}`")
    return [str(found) if found.exists() else program, *words]


def _run(command, *words):
    ended = subprocess.run([*command, *words], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip()[-300:]
        raise Missing(f"`{' '.join([*command[:2], *words])}` ended with {ended.returncode}: {said}; is the registry reachable?")


def _listed(command, environment, folder):
    """The tools of a server, all pages of them."""
    node = str(Path(os.environ.get("NODE", "node")).parent)
    path = f"{node}:{os.environ['PATH']}" if "/" in node else os.environ["PATH"]
    log = (folder / "log").open("wb")
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder,
                             env={**os.environ, "PATH": path, **environment})
    try:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "field", "version": "1"}}
        _ask(child, 1, "initialize", hello)
        child.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        tools, cursor, number = [], {}, 1
        while True:
            number += 1
            page = _ask(child, number, "tools/list", cursor)
            tools += page["tools"]
            if not page.get("nextCursor"):
                return tools
            cursor = {"cursor": page["nextCursor"]}
    finally:
        child.kill()
        child.wait()
        log.close()


def _ask(child, number, method, params):
    child.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
    child.stdin.flush()
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        ready, _, _ = select.select([child.stdout], [], [], max(0, end - time.monotonic()))
        if not ready:
            break
        line = child.stdout.readline()
        if not line:
            raise Missing(f"`{' '.join(child.args[:2])}` ends before it answers `{method}`")
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said.get("id") == number:
            if "error" in said:
                raise Missing(f"`{method}`: {said['error']}")
            return said["result"]
    raise Missing(f"`{' '.join(child.args[:2])}` does not answer `{method}` in {START_S} s")
