#!/usr/bin/env bash
# An agent of the AI SDK whose transfer waits for a person, and is made by another process after the yes.
cd "$(dirname "$0")"
. ../lib.sh

peers=${PEERS:-$root/.cache/peers}
node=${NODE:-node}
if ! [ -d "$peers/frameworks-js/node_modules/ai" ] || ! [ -f "$peers/typescript/node_modules/typescript/bin/tsc" ]; then
  echo "skip: the AI SDK is not installed; hint: \`cargo xtask test --only frameworks-js\` installs it, or set PEERS"
  exit 0
fi
# The newest that is there: the AI SDK wants 22.
[ ! -x "$peers/node/node_modules/.bin/node" ] || node=$peers/node/node_modules/.bin/node

# As npm would have installed it.
project=$work/project
mkdir -p "$project/node_modules/@aecl/sdk"
ln -s "$peers"/frameworks-js/node_modules/* "$project/node_modules/"
cp "$root/sdk/typescript/package.json" "$project/node_modules/@aecl/sdk/"
"$node" "$peers/typescript/node_modules/typescript/bin/tsc" -p "$root/sdk/typescript" \
  --typeRoots "$peers/typescript/node_modules/@types" --outDir "$project/node_modules/@aecl/sdk/dist"
cp agent.mjs "$project/"

aecl init --example finance --origin finance.example/aecl > /dev/null
mkdir "$work/agent"
touch "$work/agent/book"
agent() { (cd "$project" && AECL_BIN=$AECL_BIN AECL_DIR=$work/aecl "$node" agent.mjs "$work/agent"); }

held=$(agent)
# The library has started it, and it would end by itself ten minutes after the last question.
started+=("$(cat "$work/aecl/data/lock")")
expect "the transfer waits for a person" held "${held%% *}"
expect "nothing was transferred" "" "$(cat "$work/agent/book")"
expect "an approval of the SDK alone is none" "$held" "$(agent)"

aecl approvals approve "${held#* }" > /dev/null
expect "after the yes another process goes on" 'ended The model has read: {"id":"tr-1"}' "$(agent)"
expect "it was transferred once" "950.00 EUR to vendor-7" "$(cat "$work/agent/book")"
aecl log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
