# What the examples share: our program, a directory that goes away again, a way to say how it went.
set -euo pipefail
# Nothing of the caller's own AECL may take part.
unset AECL_DIR AECL_KEY AECL_AGENT

for program in curl python3 sqlite3; do
  command -v "$program" > /dev/null || { echo "skip: \`$program\` is not installed"; exit 0; }
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -z "${AECL_BIN:-}" ]; then
  (cd "$root" && cargo build --quiet --package aecl)
  target=${CARGO_TARGET_DIR:-$root/target}
  AECL_BIN=$target/debug/aecl
fi

work=$(mktemp -d)
started=()
leave() {
  local pid
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap leave EXIT

aecl() { "$AECL_BIN" --dir "$work/aecl" "$@"; }

# Waits until a command succeeds, at most ten seconds.
until_ok() {
  local tries
  for tries in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "gave up waiting for: $*" >&2
  return 1
}

# expect WHAT WANTED GIVEN
expect() {
  if [ "$2" != "$3" ]; then
    echo "FAIL $1: expected \`$2\`, got \`$3\`" >&2
    exit 1
  fi
  echo "ok   $1: $2"
}

# field POINTER < JSON, such as `field approval.id`
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name)] if isinstance(value, list) else value.get(name, "")
print(value)' "$1"
}
