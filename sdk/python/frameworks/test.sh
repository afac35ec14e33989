#!/usr/bin/env bash
# Checks the adapters for frameworks: types, and the scenarios against a real server.
#
#   AECL_BIN   the program `aecl` (by default the one that cargo has built)
#   PEERS      where `xtask` has installed the frameworks (by default .cache/peers): `frameworks`, and `crewai`,
#              which wants other versions of what they have in common and is there with `--long` alone
#
# Says `ok NAME` or `FAIL NAME: why` for each check, and ends with a status other than zero when one failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
export AECL_BIN=${AECL_BIN:-$root/target/debug/aecl} PEERS=${PEERS:-$root/.cache/peers}
export PYTHONPATH=$here/../src PYTHONDONTWRITEBYTECODE=1
cd "$here/.."
[ -x "$AECL_BIN" ] || { echo "FAIL frameworks: there is no program \`$AECL_BIN\`; build it, or set AECL_BIN"; exit 1; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

# One adapter: its module, and the place where its framework is installed.
adapter() {
  local name=$1 python=$PEERS/$2/bin/python
  local files=("src/aecl/$name.py" src/aecl/_frameworks.py "frameworks/agent_$name.py" "frameworks/test_$name.py")
  if "$python" -m mypy --python-version 3.11 --cache-dir "$room/types-$name" "${files[@]}" >"$room/$name.types" 2>&1; then
    echo "ok $name has types"
  else
    cat "$room/$name.types"
    echo "FAIL $name has types: $(tail -1 "$room/$name.types")"
    touch "$room/failed"
  fi
  "$python" -m pytest -rpfsE --tb=short "frameworks/test_$name.py" 2>&1 |
    sed -E 's/^PASSED /ok /; s/^(FAILED|ERROR) ([^ ]+)( - )?/FAIL \2: /; s/^SKIPPED /skip frameworks /' || touch "$room/failed"
}

# Two at a time; each has an AECL of its own. What one says is not mixed with what the other says.
pair() {
  local one
  for one in "$@"; do
    adapter ${one/:/ } >"$room/$one.said" &
  done
  wait
  for one in "$@"; do
    cat "$room/$one.said"
  done
}

pair langchain:frameworks openai_agents:frameworks
pair pydantic_ai:frameworks google_adk:frameworks
pair agent_framework:frameworks
if [ -x "$PEERS/crewai/bin/python" ]; then
  pair crewai:crewai
else
  echo "skip frameworks crewai: its environment is large; \`cargo xtask test --long\` installs it"
fi
[ ! -e "$room/failed" ]
