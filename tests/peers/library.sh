#!/usr/bin/env bash
# The Python library: types, style, its package, and its tests against our binary.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
exec env PYTHON="${PEERS:-$here/.cache/peers}/library/bin/python" "$here/sdk/python/test.sh"
