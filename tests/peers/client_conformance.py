"""The official conformance suite as a server, with AECL as its client.

Each scenario is a server of the suite, mostly with an authorization server, that looks at what AECL
sends it: discovery, registration, PKCE, scopes, and what it does with what cannot be trusted. Before
AECL is an MCP client that calls every tool; an operator logs in whenever AECL asks for it.

Usage: client_conformance.py [SCENARIO]
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import gateway  # noqa: E402
import peer  # noqa: E402
from report import check, end, fail  # noqa: E402

CLIENT = f"{sys.executable} -W ignore {Path(__file__).parent / 'lib/conformance_client.py'}"
SCENARIO_DEADLINE_S = 180
AT_ONCE = 2

# Scenarios by version of the protocol, with the checks that pass. Fewer means that something was lost.
SCENARIOS = {
    "2025-03-26": {
        "auth/2025-03-26-oauth-metadata-backcompat": 17,
        "auth/2025-03-26-oauth-endpoint-fallback": 12,
    },
    "2025-06-18": {
        "initialize": 2,
        "tools_call": 2,
        "auth/token-endpoint-auth-basic": 24,
        "auth/token-endpoint-auth-post": 24,
        "auth/token-endpoint-auth-none": 24,
    },
    "2025-11-25": {
        "initialize": 2,
        "tools_call": 2,
        "elicitation-sep1034-client-defaults": 5,
        "sse-retry": 3,
        "auth/metadata-default": 23,
        "auth/metadata-var1": 23,
        "auth/metadata-var2": 23,
        "auth/metadata-var3": 23,
        "auth/basic-cimd": 18,
        "auth/scope-from-www-authenticate": 19,
        "auth/scope-from-scopes-supported": 19,
        "auth/scope-omitted-when-undefined": 19,
        "auth/scope-step-up": 28,
        "auth/scope-retry-limit": 10,
        "auth/token-endpoint-auth-basic": 24,
        "auth/token-endpoint-auth-post": 24,
        "auth/token-endpoint-auth-none": 24,
        "auth/pre-registration": 18,
    },
    "2026-07-28": {
        "tools_call": 2,
        "request-metadata": 6,
        "http-standard-headers": 3,
        "http-invalid-tool-headers": 12,
        "json-schema-ref-no-deref": 1,
        "auth/metadata-default": 21,
        "auth/metadata-var1": 21,
        "auth/metadata-var2": 21,
        "auth/metadata-var3": 21,
        "auth/basic-cimd": 15,
        "auth/scope-from-www-authenticate": 17,
        "auth/scope-from-scopes-supported": 17,
        "auth/scope-omitted-when-undefined": 17,
        "auth/scope-step-up": 33,
        "auth/scope-retry-limit": 11,
        "auth/token-endpoint-auth-basic": 22,
        "auth/token-endpoint-auth-post": 22,
        "auth/token-endpoint-auth-none": 22,
        "auth/pre-registration": 15,
        "auth/resource-mismatch": 2,
        "auth/offline-access-scope": 18,
        "auth/offline-access-not-supported": 17,
        "auth/authorization-server-migration": 31,
        "auth/iss-supported": 17,
        "auth/iss-not-advertised": 17,
        "auth/iss-supported-missing": 8,
        "auth/iss-wrong-issuer": 8,
        "auth/iss-unexpected": 8,
        "auth/iss-normalized": 8,
        "auth/metadata-issuer-mismatch": 3,
    },
    "extension": {
        "auth/client-credentials-basic": 14,
    },
}


def run(version, scenario):
    """What the suite says: how many checks passed, and which did not, with a reason each."""
    with tempfile.TemporaryDirectory() as out:
        command = [*peer.CONFORMANCE, "client", "--command", CLIENT, "--scenario", scenario]
        command += ["--spec-version", version, "--timeout", str((SCENARIO_DEADLINE_S - 20) * 1000), "-o", out]
        if version == "extension":
            command[command.index("--spec-version") : command.index("--timeout")] = []
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=SCENARIO_DEADLINE_S, stdin=subprocess.DEVNULL, env=os.environ
        )
        files = list(Path(out).rglob("checks.json"))
        if len(files) != 1:
            return 0, [f"the suite did not finish: {(ended.stderr or ended.stdout)[-300:]}"]
        found = [one for one in json.loads(files[0].read_text()) if one["status"] not in ("INFO", "SKIPPED")]
        bad = [f"{one['id']}: {one['status']} {one.get('errorMessage') or one['description']}" for one in found if one["status"] != "SUCCESS"]
        if ended.returncode != 0 and not bad:
            log = files[0].parent / "stderr.txt"
            bad = [f"the client failed: {log.read_text()[-300:] if log.exists() else ended.stdout[-300:]}"]
        return len(found) - len(bad), bad


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else None
    all_of = [(version, scenario, least) for version, known in SCENARIOS.items() for scenario, least in known.items()]
    wanted = [one for one in all_of if only in (None, one[1])]
    try:
        why = gateway.missing("init", "servers", "mcp")
    except gateway.Problem as problem:
        why = str(problem)
    if why:
        fail("log-ins", why)
        end()
    with ThreadPoolExecutor(AT_ONCE) as desk:
        for (version, scenario, least), (passed, bad) in zip(wanted, desk.map(lambda one: run(*one[:2]), wanted)):
            name = f"{version} {scenario} ({passed} checks)"
            check(name, not bad and passed >= least, "; ".join(bad) or f"{passed} checks pass, {least} should")
    end()


if __name__ == "__main__":
    main()
