#!/usr/bin/env bash
# Checks the adapters for frameworks: types, and the scenarios against a real server.
#
#   AECL_BIN   the program `aecl` (by default the one that cargo has built)
#   NODE       a Node.js that the frameworks run on, 22 or newer (by default the one on the path)
#   PEERS      where `xtask` has installed the compiler and the frameworks (by default .cache/peers)
#
# Says `ok NAME` or `FAIL NAME: why` for each check, and ends with a status other than zero when one failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
AECL_ROOT=$(cd "$here/../../.." && pwd)
export AECL_ROOT AECL_BIN=${AECL_BIN:-$AECL_ROOT/target/debug/aecl}
peers=${PEERS:-$AECL_ROOT/.cache/peers}
node=${NODE:-node}
export AECL_TSC=$peers/typescript/node_modules/typescript/bin/tsc
cd "$here"
[ -x "$AECL_BIN" ] || { echo "FAIL frameworks: there is no program \`$AECL_BIN\`; build it, or set AECL_BIN"; exit 1; }
# Node.js looks for packages beside what it runs.
[ -d node_modules ] && [ ! -L node_modules ] || ln -sfn "$peers/frameworks-js/node_modules" node_modules
rm -rf build
if said=$("$node" "$AECL_TSC" -p . --typeRoots "$peers/typescript/node_modules/@types"); then
  echo "ok adapters have types"
else
  echo "$said"
  echo "FAIL adapters have types: $(echo "$said" | head -1)"
  exit 1
fi
"$node" --test --test-concurrency=4 --test-reporter="$here/../tests/peer-lines.mjs" build/frameworks/*.test.js
