"""AgentDojo's suites `banking` and `workspace`, replayed through a running AECL.

A sample of what `cargo xtask dojo` measures. AgentDojo needs an environment of its own, so this starts
`tests/dojo/measure.py` there, which says what it checked.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))

import peer  # noqa: E402

command = [peer.PEERS / "dojo/bin/python", peer.ROOT / "tests/dojo/measure.py", "--pairs", "some"]
sys.exit(subprocess.run(command).returncode)
