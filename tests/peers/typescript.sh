#!/usr/bin/env bash
# The TypeScript library: types, its package, and its tests against our binary.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
# The machine's own Node.js, which may be the oldest that the library promises; the peers' where that is older still.
if node -e 'process.exit(Number.parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; then NODE=node; fi
exec env NODE="${NODE:-node}" MODULES="${PEERS:-$here/.cache/peers}/typescript/node_modules" "$here/sdk/typescript/test.sh"
