#!/usr/bin/env bash
# Checks the library: types, the package as it is built, and the tests against a real server.
#
#   AECL_BIN   the program `aecl` (by default the one that cargo has built)
#   NODE       a Node.js (by default the one on the path)
#   MODULES    a folder with what package-lock.json lists (by default that of the peer tests, or node_modules here)
#
# Says `ok NAME` or `FAIL NAME: why` for each check, and ends with a status other than zero when one failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
AECL_ROOT=$(cd "$here/../.." && pwd)
export AECL_ROOT AECL_BIN=${AECL_BIN:-$AECL_ROOT/target/debug/aecl}
node=$(command -v "${NODE:-node}")
for modules in "${MODULES:-}" "$AECL_ROOT/.cache/peers/typescript/node_modules" "$here/node_modules"; do
  [ ! -d "$modules/typescript" ] || break
done
export AECL_TSC=$modules/typescript/bin/tsc
cd "$here"
[ -x "$AECL_BIN" ] || { echo "FAIL typescript: there is no program \`$AECL_BIN\`; build it, or set AECL_BIN"; exit 1; }
[ -f "$AECL_TSC" ] || { echo "FAIL typescript: there is no compiler; \`npm ci\` here installs it, or set MODULES"; exit 1; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
failed=0

check() {
  local name=$1
  shift
  if "$@" >"$room/said" 2>&1; then
    echo "ok $name"
  else
    cat "$room/said"
    echo "FAIL $name: $(tail -1 "$room/said")"
    failed=1
  fi
}

# From nothing, so that what is no longer in src is no longer in the package.
rm -rf dist build
check "typescript has types" "$node" "$AECL_TSC" -p . --typeRoots "$modules/@types"
check "typescript has types in its tests" "$node" "$AECL_TSC" -p tests --typeRoots "$modules/@types"
[ "$failed" -eq 0 ] || exit 1

# One line for each test, as the other peers say it. A test that failed says why above its line.
"$node" --test --test-concurrency=4 --test-reporter="$here/tests/peer-lines.mjs" build/tests/*.test.js || failed=1
exit "$failed"
