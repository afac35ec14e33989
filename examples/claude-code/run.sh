#!/usr/bin/env bash
# A session of Claude Code that looks around at once, and waits for a person before it changes something.
cd "$(dirname "$0")"
. ../lib.sh

peers=${PEERS:-$root/.cache/peers}
claude=$peers/node/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs
node=${NODE:-node}
if ! [ -f "$claude" ]; then
  echo "skip: Claude Code is not installed; hint: \`cargo xtask test --only hooks\` installs it, or set PEERS"
  exit 0
fi
# The newest that is there.
[ ! -x "$peers/node/node_modules/.bin/node" ] || node=$peers/node/node_modules/.bin/node

# A user and a project of their own, so that your Claude Code stays as it is.
export HOME=$work/user IS_SANDBOX=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
unset AECL_URL AECL_TOKEN
mkdir -p "$HOME" "$work/shop"
cd "$work/shop"
echo "tea 7" > stock.txt
files=$peers/node/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js
echo "{\"mcpServers\": {\"files\": {\"command\": \"$node\", \"args\": [\"$files\", \"$work/shop\"]}}}" > .mcp.json

"$AECL_BIN" init --client claude --yes > /dev/null 2>&1
home=$("$AECL_BIN" home)
# The hook would wait 40 seconds for somebody; here nobody looks.
sed -i 's/ hook claude / hook claude --wait 0 /' .claude/settings.local.json

# A model that is a script: it looks, then it changes something.
python3 "$root/examples/claude-code/model.py" "$root/tests/peers/lib" > "$work/model" &
started+=($!)
until_ok test -s "$work/model"
export ANTHROPIC_BASE_URL ANTHROPIC_API_KEY=none
ANTHROPIC_BASE_URL=$(cat "$work/model")
session() { "$node" "$claude" -p "$@" --permission-mode bypassPermissions --output-format json < /dev/null; }

first=$(session "Count the stock, then make a note of it.")
started+=("$(cat "$home/data/lock")")
expect "Claude Code waits without a process" tool_deferred "$(field terminal_reason <<< "$first")"
expect "what only looks was done at once" 1 "$("$AECL_BIN" log tail -n 1000 | grep -c 'done .*code\.shell')"
expect "nothing was changed" no "$(test -e counted && echo yes || echo no)"

waits=$("$AECL_BIN" approvals list --json)
expect "the card says what it is about" code.shell "$(field approvals.0.name <<< "$waits")"
"$AECL_BIN" approvals approve "$(field approvals.0.id <<< "$waits")" > /dev/null
session --resume "$(field session_id <<< "$first")" > /dev/null
expect "after the yes the same call runs" yes "$(test -e counted && echo yes || echo no)"
"$AECL_BIN" log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
