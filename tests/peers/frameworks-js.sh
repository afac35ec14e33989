#!/usr/bin/env bash
# The adapters of the TypeScript library for frameworks: types, and their scenarios against our binary.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
exec env PEERS="${PEERS:-$here/.cache/peers}" "$here/sdk/typescript/frameworks/test.sh"
