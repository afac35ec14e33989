"""Where the installed peers are. `cargo xtask test` sets the environment."""

import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("PEERS") or ROOT / ".cache/peers")
_own_node = PEERS / "node/node_modules/.bin/node"
NODE = os.environ.get("NODE") or (str(_own_node) if _own_node.exists() else "node")
MODULES = PEERS / "node/node_modules"

CONFORMANCE = [NODE, str(MODULES / "@modelcontextprotocol/conformance/dist/index.js")]
CONFORMANCE_SERVER = [sys.executable, "-W", "ignore", str(ROOT / "tests/peers/lib/conformance_server.py")]
FILESYSTEM = [NODE, str(MODULES / "@modelcontextprotocol/server-filesystem/dist/index.js")]
SQLITE = [str(PEERS / "python-legacy/bin/mcp-server-sqlite"), "--db-path"]
GIT = [str(PEERS / "python/bin/mcp-server-git"), "--repository"]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
