#!/usr/bin/env bash
# Checks the library: style, types in two readers, the package as it is built, and the tests against a real server.
#
#   AECL_BIN   the program `aecl` (by default the one that cargo has built)
#   PYTHON     a Python with what tests/peers/requirements-library.txt lists (by default that of the peer tests)
#
# Says `ok NAME` or `FAIL NAME: why` for each check, and ends with a status other than zero when one failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export AECL_BIN=${AECL_BIN:-$root/target/debug/aecl}
PYTHON=${PYTHON:-$root/.cache/peers/library/bin/python}
export PYTHONPATH=$here/src PYTHONDONTWRITEBYTECODE=1
cd "$here"
[ -x "$AECL_BIN" ] || { echo "FAIL library: there is no program \`$AECL_BIN\`; build it, or set AECL_BIN"; exit 1; }
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

package() {
  "$PYTHON" -m pip wheel --quiet --no-deps --no-build-isolation --no-cache-dir --wheel-dir "$room" .
  "$PYTHON" - "$room"/*.whl <<'PY'
import sys, zipfile
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
wanted = {"aecl/py.typed", "aecl/__init__.py", "aecl/schema.py"}
assert wanted <= names and not [name for name in names if "test" in name], sorted(names)
PY
}

check "library is formatted" "$PYTHON" -m ruff format --no-cache --check .
check "library has no lint" "$PYTHON" -m ruff check --no-cache .
check "library has types for mypy" "$PYTHON" -m mypy --cache-dir "$room/mypy"
check "library has types for pyright" "$PYTHON" -m pyright --pythonpath "$PYTHON"
check "library is a package" package

# One line for each test, as the other peers say it.
"$PYTHON" -m pytest -rpfsE --tb=short 2>&1 |
  sed -E 's/^PASSED /ok library /; s/^(FAILED|ERROR) ([^ ]+)( - )?/FAIL library \2: /; s/^SKIPPED /skip library /' || failed=1
exit "$failed"
