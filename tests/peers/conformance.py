"""The official conformance suite, against one server twice: alone, and through the gateway.

What passes alone must pass through the gateway, except what conformance-differences.txt
lists with a reason.

Usage: conformance.py [--direct] [--through URL [--bearer KEY]]
  --direct    the suite against the server alone
  --through   a gateway that is already running, in front of a server of its own; `self` puts
              only the pass-through in between, which must change nothing
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import gateway  # noqa: E402
import peer  # noqa: E402
from door import Door  # noqa: E402
from report import check, end, fail, ok, skip  # noqa: E402

# Each version of the protocol that the suite knows, and how many checks pass against the server
# alone. Fewer means that the suite or the server is broken, and a comparison would show nothing.
VERSIONS = {"2025-06-18": 56, "2025-11-25": 84, "2026-07-28": 152}

UPSTREAM = "conformance"
SUITE_DEADLINE_S = 240
# `--suite all` leaves the extensions (tasks, skills) out; see `conformance list --server`.
SUITE = "all"
DIFFERENCES = Path(__file__).parent / "conformance-differences.txt"


def run_suite(url, version):
    """Scenario -> check -> whether all its occurrences passed."""
    with tempfile.TemporaryDirectory() as out:
        command = [*peer.CONFORMANCE, "server", "--url", url, "--suite", SUITE, "--spec-version", version, "-o", out]
        said = subprocess.run(command, capture_output=True, text=True, timeout=SUITE_DEADLINE_S)
        results = {}
        for file in Path(out).glob("server-*/checks.json"):
            scenario = re.sub(r"^server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z$", r"\1", file.parent.name)
            checks = results.setdefault(scenario, {})
            for found in json.loads(file.read_text()):
                if found["status"] == "INFO":
                    continue
                passed = found["status"] == "SUCCESS"
                before, why = checks.get((found["id"], found["name"]), (True, ""))
                why = why if passed else f"{found['status']} {found.get('errorMessage', '')}"
                checks[found["id"], found["name"]] = (before and passed, why)
        passed = re.search(r"Total: (\d+) passed, (\d+) failed", said.stdout)
        if not results or not passed:
            raise gateway.Problem(f"the suite did not finish: {(said.stderr or said.stdout)[-300:]}")
        return results, int(passed[1])


def direct(url):
    alone = {}
    for version, expected in VERSIONS.items():
        alone[version], passed = run_suite(url, version)
        failing = [f"{s}/{c[0]}: {why}" for s, cs in alone[version].items() for c, (good, why) in cs.items() if not good]
        why = "; ".join(failing[:3]) or f"{passed} checks pass, {expected} should"
        check(f"alone {version} ({passed} checks)", passed >= expected and not failing, why)
    return alone


def differences():
    known = {}
    for line in DIFFERENCES.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"(\S+) (\S+) (\S+): (\S.*)", line)
        if not found:
            fail("conformance-differences.txt", f"not `VERSION SCENARIO CHECK: reason`: {line}")
            continue
        known[found[1], found[2], found[3]] = found[4]
    return known


def compare(alone, url, known):
    used = set()
    for version, scenarios in alone.items():
        through, _ = run_suite(url, version)
        for scenario, checks in sorted(scenarios.items()):
            lost = []
            for (ident, name), (passed_alone, _) in checks.items():
                passed, why = through.get(scenario, {}).get((ident, name), (False, "the check did not run"))
                if passed or not passed_alone:
                    continue
                if (version, scenario, ident) in known:
                    used.add((version, scenario, ident))
                else:
                    lost.append(f"{ident} ({name}): {why}")
            check(f"through the gateway {version} {scenario} ({len(checks)} checks)", not lost, "; ".join(lost))
    for version, scenario, ident in sorted(set(known) - used):
        fail(f"difference {version} {scenario} {ident}", "it passes; take the line out of conformance-differences.txt")


def through_url(alone, url, bearer):
    parts = urlsplit(url)
    with Door(parts.port, bearer) as door:
        compare(alone, f"http://127.0.0.1:{door.port}{parts.path}", differences())


def through_aecl(alone, upstream_url, folder):
    why = gateway.missing("init", "serve", "catalog")
    if why:
        (fail if gateway.REQUIRED else skip)("through the gateway", why)
        return
    data = folder / "data"
    gateway.run(gateway.init(data, UPSTREAM))
    gateway.write_config(data, {UPSTREAM: upstream_url})
    gateway.run(gateway.import_catalogue(data, UPSTREAM))
    # Its scenarios share a run of the stateless era, and what one reads would end the completions of another.
    gateway.review(data, UPSTREAM, private=False)
    key = gateway.run(gateway.new_key(data)).strip()
    port = peer.free_port()
    url = gateway.endpoint(port)
    with gateway.Process(gateway.serve(data, port), url, folder / "gateway.log"):
        through_url(alone, url, key)
    gateway.run(gateway.verify(data))
    ok("the ledger verifies afterwards")


def main():
    words = argparse.ArgumentParser(description="The MCP conformance suite, alone and through the gateway.")
    words.add_argument("--direct", action="store_true")
    words.add_argument("--through", metavar="URL")
    words.add_argument("--bearer", metavar="KEY")
    words = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        port = peer.free_port()
        url = f"http://127.0.0.1:{port}/mcp"
        try:
            with gateway.Process([*peer.CONFORMANCE_SERVER, str(port)], url, folder / "server.log"):
                alone = direct(url)
                if words.through:
                    through_url(alone, url if words.through == "self" else words.through, words.bearer)
                elif not words.direct:
                    through_aecl(alone, url, folder)
        except (gateway.Problem, subprocess.TimeoutExpired) as problem:
            fail("conformance", problem)
    end()


main()
