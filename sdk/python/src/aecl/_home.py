"""The program `aecl` on this machine, and the server of a home, which is started if nobody serves it.

One process serves a home; it is found by the socket in the home, which only its owner may open. Whoever comes by the
socket opens runs without a key. A server that was started here ends by itself once nobody is connected and nothing
waits for people, so a question outlives the process that asked it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any, cast

from .errors import Unavailable

#: How long a server may take until it listens, in seconds.
START_S = 30.0
#: Seconds without connections, open requests and work after which a server that was started here ends.
IDLE_EXIT_S = 600
_PROGRAM_S = 30.0


def program() -> Path:
    """The program: `AECL_BIN`, the command that came with this package, or the first on `PATH`."""
    named = os.environ.get("AECL_BIN")
    if named:
        path = Path(named)
        if not _runs(path):
            raise _missing(f"`AECL_BIN` names `{named}`, which is no program")
        return path
    # Who starts Python by its path has the commands of that environment not on `PATH`.
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        came = Path(sysconfig.get_path("scripts", scheme)) / "aecl"
        if _runs(came):
            return came
    found = shutil.which("aecl")
    if found is None:
        raise _missing("there is no program `aecl`: not by `AECL_BIN`, not beside this Python, not on `PATH`")
    return Path(found)


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _missing(why: str) -> Unavailable:
    error = Unavailable(
        "binary_missing", why, hint="install aecl, or set AECL_URL and AECL_TOKEN to use a server that runs elsewhere"
    )
    error.sent = False
    return error


def serving(directory: str | os.PathLike[str] | None) -> Path:
    """Socket of the server of a home, which is started if nobody serves it."""
    binary = program()
    home = _home(binary, directory)
    path = home / "data" / "aecl.sock"
    if _answers(path):
        return path
    words = [str(binary), "--dir", str(home), "serve", "--background", "--idle-exit", str(IDLE_EXIT_S)]
    # A server needs nobody's key.
    environment = {name: value for name, value in os.environ.items() if name not in ("AECL_KEY", "AECL_TOKEN")}
    said = _run(words, environment)
    until = time.monotonic() + START_S
    # Another one may have been faster: then ours has failed, and whoever has the home will listen.
    while not _answers(path) and (said.returncode == 0 or _is_held(home)) and time.monotonic() < until:
        time.sleep(0.02)
    if _answers(path):
        return path
    error = Unavailable(
        "server_unreachable",
        f"`aecl serve` did not start in `{home}`: {said.stderr.strip()[-1500:]}",
        hint="`aecl serve` in the foreground shows the same",
    )
    error.sent = False
    raise error


def _is_held(home: Path) -> bool:
    """Whether a process that lives says that the home is its own."""
    try:
        os.kill(int((home / "data" / "lock").read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _home(binary: Path, directory: str | os.PathLike[str] | None) -> Path:
    named = [] if directory is None else ["--dir", os.fspath(directory)]
    said = _run([str(binary), *named, "home", "--json"], None)
    try:
        of = cast("dict[str, Any]", json.loads(said.stdout))
        if said.returncode == 0:
            return Path(cast(str, of["dir"]))
        why = cast(str, of["error"]["message"])
    except (ValueError, KeyError, TypeError):
        why = said.stderr.strip()[-500:] or "`aecl home` says nothing"
    error = Unavailable("home_missing", why, hint="`aecl init` makes one; `dir=` or AECL_DIR names another")
    error.sent = False
    raise error


def _run(words: list[str], environment: dict[str, str] | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            capture_output=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=START_S + _PROGRAM_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"`{words[0]}` cannot be started: {error}") from None


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(5)
        try:
            one.connect(str(path))
        except OSError:
            return False
    return True
