"""Our own domains: each by itself, and one of the development half through a running AECL.

A sample of what `cargo xtask field` measures, in the environment that AgentDojo has.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import peer  # noqa: E402

FIELD = peer.ROOT / "tests/field"
SAMPLE = ["--domain", "sql", "--mode", "standard", "--answers", "rejected"]

python = peer.PEERS / "dojo/bin/python"
whole = subprocess.run([python, FIELD / "check.py"]).returncode
sys.exit(whole or subprocess.run([python, FIELD / "measure.py", *SAMPLE]).returncode)
